/** The paths of the status page, its data, its events and its assets. Their code loads with the first request. */
import type { ServerResponse } from "node:http";
import type { Status } from "../observe/status/status.ts";
import type { AssetName } from "./assets.ts";
import type { StatusEvents, Stream } from "./status-events.ts";

export interface Page {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export type MakePage = () => Page | Promise<Page>;

interface StatusRoutes {
  readonly pages: ReadonlyMap<string, MakePage>;
  /** Returns false when `path` is no stream of events. */
  watch(path: string, response: ServerResponse): boolean;
  /** Ends all streams. */
  end(): void;
}

interface StatusRoutesDeps {
  status(): Promise<Status>;
  /** Whether an admin password is set, so that an operator can change something. */
  isOpen(): boolean;
}

// They load with the first request that needs them. An import that fails, such as without a free file descriptor, is
// tried again with the next request.
const loadPage = () => import("./status-page.ts");
const loadAssets = () => import("./assets.ts");
const loadEvents = () => import("./status-events.ts");

/** A page may load only files of this host, and no other page may frame it. */
export const PAGE_HEADERS = {
  "Content-Security-Policy":
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  // With no-referrer, browsers would send forms without an origin, and such forms are refused.
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
    // Two requests may have waited for the same import.
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
    // The client may have left meanwhile.
    if (response.destroyed) return;
    if (isOver || !all?.watch(stream, response)) {
      response.writeHead(503, { "Retry-After": "30", "Cache-Control": "no-store" }).end();
    }
  };

  const asset = (name: AssetName, type: string): readonly [path: string, make: MakePage] => [
    `/status/${name}`,
    async () => {
      const { assetText } = await loadAssets();
      return { status: 200, type, body: await assetText(name), headers: PAGE_HEADERS };
    },
  ];

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
      asset("page.css", "text/css; charset=utf-8"),
      asset("page.js", "text/javascript; charset=utf-8"),
      asset("icon-good.svg", "image/svg+xml; charset=utf-8"),
      asset("icon-warn.svg", "image/svg+xml; charset=utf-8"),
      asset("icon-bad.svg", "image/svg+xml; charset=utf-8"),
      // Browsers ask for this one unasked, and it is not worth loading Fastify for.
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
