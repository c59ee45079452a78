/** Where the status page and its like are found. What makes them is read with the first request for one. */
import type { ServerResponse } from "node:http";
import type { Status } from "../observe/status/status.ts";
import type { StatusEvents, Stream } from "./status-events.ts";

export interface Page {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export type MakePage = () => Page | Promise<Page>;

export interface StatusRoutes {
  /** By path. */
  readonly pages: ReadonlyMap<string, MakePage>;
  /** False: `path` is none of these. */
  watch(path: string, response: ServerResponse): boolean;
  /** Ends all who watch. */
  end(): void;
}

export interface StatusRoutesDeps {
  status(): Promise<Status>;
  /** Whether anybody may change something. */
  isOpen(): boolean;
}

// With the first request that needs them. One that fails, as without a file descriptor left, is tried again.
const loadPage = () => import("./status-page.ts");
const loadFiles = () => import("./assets.ts");
const loadEvents = () => import("./status-events.ts");

/** Nothing but what is from here, and in nobody's frame. */
export const PAGE_HEADERS = {
  "Content-Security-Policy":
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  // Not no-referrer: browsers would name no origin with forms, and these are refused then.
  "Referrer-Policy": "same-origin",
  "X-Frame-Options": "DENY",
} as const;
const STREAMS: ReadonlyMap<string, Stream> = new Map([
  ["/events", "status"],
  ["/status/live", "sections"],
]);

export function createStatusRoutes({ status, isOpen }: StatusRoutesDeps): StatusRoutes {
  let events: StatusEvents | null = null;
  let isOver = false;

  const opened = async (): Promise<StatusEvents> => {
    const [{ createStatusEvents }, { statusSections }] = await Promise.all([loadEvents(), loadPage()]);
    // Two who came at once wait for the same files.
    events ??= createStatusEvents({
      status,
      sections: statusSections,
      now: () => performance.now(),
      cpu: () => {
        const { user, system } = process.cpuUsage();
        return (user + system) / 1_000;
      },
    });
    return events;
  };

  const follow = async (stream: Stream, response: ServerResponse): Promise<void> => {
    const all = await opened().catch(() => null);
    // By now it may have gone.
    if (response.destroyed) return;
    if (isOver || !all?.watch(stream, response)) {
      response.writeHead(503, { "Retry-After": "30", "Cache-Control": "no-store" }).end();
    }
  };

  const file = (type: string, body: (files: typeof import("./assets.ts")) => string): MakePage => {
    return async () => ({
      status: 200,
      type: `${type}; charset=utf-8`,
      body: body(await loadFiles()),
      headers: PAGE_HEADERS,
    });
  };

  return {
    pages: new Map<string, MakePage>([
      [
        "/",
        async () => {
          const [{ statusPage }, now] = await Promise.all([loadPage(), status()]);
          const body = statusPage(now, { isOpen: isOpen() });
          return { status: 200, type: "text/html; charset=utf-8", body, headers: PAGE_HEADERS };
        },
      ],
      [
        "/status.json",
        async () => {
          const body = `${JSON.stringify(await status())}\n`;
          return { status: 200, type: "application/json; charset=utf-8", body };
        },
      ],
      ["/status/page.css", file("text/css", ({ PAGE_CSS }) => PAGE_CSS)],
      ["/status/page.js", file("text/javascript", ({ PAGE_JS }) => PAGE_JS)],
      ["/status/icon-good.svg", file("image/svg+xml", ({ iconSvg }) => iconSvg("good"))],
      ["/status/icon-warn.svg", file("image/svg+xml", ({ iconSvg }) => iconSvg("warn"))],
      ["/status/icon-bad.svg", file("image/svg+xml", ({ iconSvg }) => iconSvg("bad"))],
      // What browsers ask for of their own accord is not worth loading Fastify for.
      ["/favicon.ico", () => ({ status: 404, type: "text/plain; charset=utf-8", body: "not found\n" })],
    ]),
    watch: (path, response) => {
      const stream = STREAMS.get(path);
      if (stream === undefined) return false;
      void follow(stream, response);
      return true;
    },
    end: () => {
      isOver = true;
      events?.end();
    },
  };
}
