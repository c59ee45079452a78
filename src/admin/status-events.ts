/**
 * Changes as server-sent events. A message is made once for all viewers, at most once a second, and less often
 * where that would take more than a two-hundredth of the CPU: with many routes, open pages must cost checks little.
 * A viewer that does not read what it is sent is dropped.
 */
import type { ServerResponse } from "node:http";
import type { Status } from "../observe/status/status.ts";
import type { Section } from "./status-page.ts";

/** `status` is the whole status as JSON; `sections` are the parts of the page that changed. */
export type Stream = "status" | "sections";

export interface StatusEvents {
  /** Returns false and does nothing when there are too many viewers already. */
  watch(stream: Stream, response: ServerResponse): boolean;
  /** Ends all streams and takes no new viewer. */
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
  /** Milliseconds that a viewer has to read what it was sent. */
  readonly slow?: number;
}

export const MOST_VIEWERS = 32;
const EVERY_MS = 1_000;
const SHARE_OF_CPU = 200;
/** A page that hears nothing for longer tells its reader that sparekey is gone. */
const LONGEST_WAIT_MS = 10_000;
/** A beat lets a page tell an idle sparekey from one that is gone. */
const BEAT_MS = 5_000;
/** Streams end after a while, because a machine that is gone never closes its own. A page that is open reconnects. */
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
  /** True until the first message, and after a change that was not sent because the viewer was slow. */
  needsAll: boolean;
  /** When the connection filled up; null while the viewer reads all it is sent. */
  slowSince: number | null;
}

/** Returns "" when there is nothing to send. */
type MessageTo = (viewer: Viewer) => string;

export function createStatusEvents(deps: StatusEventsDeps): StatusEvents {
  const { now, every = EVERY_MS, slow = SLOW_MS } = deps;
  const viewers = new Set<Viewer>();
  let timer: NodeJS.Timeout | null = null;
  let isOver = false;
  let lastBeat = Number.NEGATIVE_INFINITY;
  /** The last status sent, without its times. */
  let known = "";
  let sections: ReadonlyMap<string, string> = new Map();

  const drop = (viewer: Viewer): void => {
    viewers.delete(viewer);
    viewer.response.destroy();
  };

  /** The socket's own timeout cuts a viewer that does not read the rest, since no turn looks at it any more. */
  const finish = ({ response }: Viewer): void => {
    response.socket?.setTimeout(slow);
    response.end();
  };

  const send = (viewer: Viewer, text: string): void => {
    if (!viewer.response.write(text)) viewer.slowSince ??= now();
  };

  const endOverdue = (): void => {
    for (const viewer of viewers) {
      if (now() - viewer.since > LONGEST_MS) {
        viewers.delete(viewer);
        finish(viewer);
      } else if (viewer.slowSince !== null && now() - viewer.slowSince > slow) drop(viewer);
    }
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
    // After a route was added or removed, pages load the whole page again.
    const isWhole = sections.size > 0 && all.map(([id]) => id).join() !== [...sections.keys()].join();
    sections = new Map(all);
    const part = changed.length === 0 ? "" : `event: sections\ndata: ${JSON.stringify(changed)}\n\n`;
    return ({ needsAll }) => {
      if (isWhole) return "event: whole\ndata:\n\n";
      // Not "sections": a page that missed messages may show other routes, and has to compare.
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
    endOverdue();
    for (const viewer of viewers) {
      const messageTo = messages[viewer.stream];
      if (viewer.slowSince !== null) {
        viewer.needsAll ||= messageTo(viewer) !== "";
        continue;
      }
      const message = messageTo(viewer) + beat;
      viewer.needsAll = false;
      if (message !== "") send(viewer, message);
    }
  };

  const again = (wait: number): void => {
    timer = setTimeout(() => void turn(), wait).unref();
  };

  const turn = async (): Promise<void> => {
    const begin = deps.cpu();
    // A defect in the page must not end the process. Its viewers notice the silence.
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
      // A response without a socket waits behind another one (pipelining): one connection could take all places.
      if (isOver || viewers.size >= MOST_VIEWERS || response.socket === null) return false;
      const viewer: Viewer = { stream, response, since: now(), needsAll: true, slowSince: null };
      // The listener's own timeout is meant for requests that get one reply.
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

/** These fields change with every look and do not count as a change. */
const TIMES: ReadonlySet<string> = new Set(["time", "seconds"]);
