/**
 * Changes as server-sent events. What is sent is made once for all who watch, at most once a second, and less often
 * where that would take more than a two-hundredth of the CPU: with many routes open pages must cost checks little.
 * Who does not take what he gets is dropped.
 */
import type { ServerResponse } from "node:http";
import type { Status } from "../observe/status/status.ts";
import type { Section } from "./status-page.ts";

/** `status`: all of it as JSON. `sections`: those parts of the page that changed. */
export type Stream = "status" | "sections";

export interface StatusEvents {
  /** False: there are too many already, and nothing was done. */
  watch(stream: Stream, response: ServerResponse): boolean;
  /** Ends all, and takes nobody any more. */
  end(): void;
}

export interface StatusEventsDeps {
  status(): Promise<Status>;
  sections(status: Status): readonly Section[];
  /** Milliseconds, monotonic. */
  now(): number;
  /** Milliseconds of CPU time that this process has taken. */
  cpu(): number;
  /** Milliseconds between two messages. */
  readonly every?: number;
  /** Milliseconds in which somebody has to take something. */
  readonly slow?: number;
}

export const MOST_VIEWERS = 32;
const EVERY_MS = 1_000;
const SHARE_OF_CPU = 200;
/** Pages would think that sparekey is gone. */
const LONGEST_WAIT_MS = 10_000;
/** So that a page can tell an idle sparekey from one that is gone. */
const BEAT_MS = 5_000;
/** A viewer whose machine is gone takes nothing and says nothing. The page of one who is there comes back at once. */
const LONGEST_MS = 10 * 60_000;
const SLOW_MS = 10_000;
const HEADERS = {
  "Content-Type": "text/event-stream; charset=utf-8",
  "Cache-Control": "no-store",
  "X-Content-Type-Options": "nosniff",
  // nginx would hold events back.
  "X-Accel-Buffering": "no",
} as const;

interface Viewer {
  readonly stream: Stream;
  readonly response: ServerResponse;
  readonly since: number;
  /** Has not got everything yet, or missed something while it was slow. */
  needsAll: boolean;
  /** Since when it takes nothing; null: it does. */
  slowSince: number | null;
}

/** Empty: there is nothing to say. */
type MessageTo = (viewer: Viewer) => string;

export function createStatusEvents(deps: StatusEventsDeps): StatusEvents {
  const { now, every = EVERY_MS, slow = SLOW_MS } = deps;
  const viewers = new Set<Viewer>();
  let timer: NodeJS.Timeout | null = null;
  let isOver = false;
  let lastBeat = Number.NEGATIVE_INFINITY;
  /** As sent last. */
  let known = "";
  let sections: ReadonlyMap<string, string> = new Map();

  const drop = (viewer: Viewer): void => {
    viewers.delete(viewer);
    viewer.response.destroy();
  };

  /** Who does not take the rest is cut by the socket's own clock: nobody looks after him any more. */
  const finish = ({ response }: Viewer): void => {
    response.socket?.setTimeout(slow);
    response.end();
  };

  const send = (viewer: Viewer, text: string): void => {
    if (!viewer.response.write(text)) viewer.slowSince ??= now();
  };

  /** Whether it may get the next message. */
  const isReady = (viewer: Viewer): boolean => {
    if (now() - viewer.since > LONGEST_MS) {
      viewers.delete(viewer);
      finish(viewer);
      return false;
    }
    if (viewer.slowSince === null) return true;
    if (now() - viewer.slowSince > slow) drop(viewer);
    else viewer.needsAll = true;
    return false;
  };

  const statusMessage = (status: Status): MessageTo => {
    const untimed = JSON.stringify(status, (key, value) => (TIMES.has(key) ? undefined : value));
    const hasChanged = untimed !== known;
    known = untimed;
    let message: string | null = null;
    return ({ needsAll }) => {
      if (!needsAll && !hasChanged) return "";
      message ??= `event: status\ndata: ${JSON.stringify(status)}\n\n`;
      return message;
    };
  };

  const sectionsMessage = (status: Status): MessageTo => {
    const all = deps.sections(status).map(({ id, html }) => [id, html] as const);
    const changed = all.filter(([id, html]) => sections.get(id) !== html);
    // A route has come or gone: those who have the page ask for it again.
    const isWhole = sections.size > 0 && all.map(([id]) => id).join() !== [...sections.keys()].join();
    sections = new Map(all);
    const part = changed.length === 0 ? "" : `event: sections\ndata: ${JSON.stringify(changed)}\n\n`;
    return ({ needsAll }) => {
      if (isWhole) return "event: whole\ndata:\n\n";
      // Told apart: the page of who was away may show routes that have gone since, or lack others.
      return needsAll ? `event: all\ndata: ${JSON.stringify(all)}\n\n` : part;
    };
  };

  const nextBeat = ({ time }: Status): string => {
    if (now() - lastBeat < BEAT_MS) return "";
    lastBeat = now();
    return `event: beat\ndata: ${time}\n\n`;
  };

  const tell = async (): Promise<void> => {
    const status = await deps.status();
    const streams = new Set([...viewers].map(({ stream }) => stream));
    const messages = {
      status: streams.has("status") ? statusMessage(status) : () => "",
      sections: streams.has("sections") ? sectionsMessage(status) : () => "",
    };
    const beat = nextBeat(status);
    for (const viewer of [...viewers].filter(isReady)) {
      const message = messages[viewer.stream](viewer) + beat;
      viewer.needsAll = false;
      if (message !== "") send(viewer, message);
    }
  };

  const again = (wait: number): void => {
    timer = setTimeout(() => void turn(), wait).unref();
  };

  const turn = async (): Promise<void> => {
    const begin = deps.cpu();
    // A defect in the page must not become one of the process: its viewers see that it is silent.
    await tell().catch(() => {});
    timer = null;
    if (viewers.size === 0 || isOver) {
      known = "";
      sections = new Map();
      return;
    }
    const wait = (deps.cpu() - begin) * SHARE_OF_CPU;
    again(Math.min(Math.max(every, wait), LONGEST_WAIT_MS));
  };

  return {
    watch: (stream, response) => {
      // Without a socket it waits behind another on its connection: one connection would take all places.
      if (isOver || viewers.size >= MOST_VIEWERS || response.socket === null) return false;
      const viewer: Viewer = { stream, response, since: now(), needsAll: true, slowSince: null };
      // The listener's own limit is for requests that are to be answered.
      response.socket.setTimeout(0);
      response.writeHead(200, HEADERS);
      response.write("retry: 2000\n\n");
      response
        .on("drain", () => {
          viewer.slowSince = null;
        })
        .on("error", () => drop(viewer))
        .once("close", () => viewers.delete(viewer));
      viewers.add(viewer);
      if (timer === null && viewers.size === 1) again(0);
      return true;
    },
    end: () => {
      isOver = true;
      if (timer) clearTimeout(timer);
      for (const viewer of viewers) finish(viewer);
      viewers.clear();
    },
  };
}

/** What changes with every look. */
const TIMES: ReadonlySet<string> = new Set(["time", "seconds"]);
