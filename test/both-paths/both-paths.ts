/** The same talk with two sparekeys, one for each path, and what both made of it in words that can be compared. */
import type { Socket } from "node:net";
import type { Test } from "tap";
import type { WireMode } from "../../src/core/snapshot.ts";
import { serve } from "../support/app.ts";
import { type Step, type Talked, talk } from "../support/gateway-talk.ts";
import { type Received, recordingUpstream } from "../support/recording-upstream.ts";
import { readReplies } from "../support/reply-parts.ts";

export interface UpstreamAnswer {
  /** Latin1. */
  readonly bytes: string;
  /**
   * Behind the bytes. A reset takes back what its system has not sent yet, which depends on the receiver's window:
   * it comes once the gateway has some of the reply, so that the same bytes have arrived each time.
   */
  readonly then?: "closes" | "resets";
  /** Each byte in a write of its own. */
  readonly singly?: true;
}

/** Each check's target begins with a mode and the case's id: `/allow/17`, or `/none/17.hidden` for one more. */
export interface Case {
  readonly id: string;
  readonly name: string;
  readonly steps: readonly Step[];
  /** Of its first checks, where no step says it: what replies to them look like. */
  readonly methods?: readonly string[];
  /** To each check of the case. */
  readonly answer: UpstreamAnswer;
}

export interface Seen {
  /** The different requests that the upstream got, by their targets. How often each is tried is for the budget to say. */
  readonly asked: readonly string[];
  /** Replies as the gateway got them. How much of one that is cut off arrives is chance, so nothing of it is kept. */
  readonly replies: readonly string[];
  /** Bytes behind the replies. */
  readonly rest: string;
  readonly end: Talked["end"];
}

export interface CheckPath {
  talk(each: Case): Promise<Talked>;
  /** Once nothing more can come of it. */
  seen(each: Case, talked: Talked): Seen;
  /** Requests that reached the upstream and belong to no case. */
  readonly strays: readonly string[];
  /** Counters that do not tell of time, by their series. */
  counters(): Promise<readonly string[]>;
}

const USER = "eve";
/** Of `eve:emergency`. */
const HTPASSWD = `${USER}:{SHA}pLdRf7p4Xr/vKaVQwFcXll6RO0k=\n`;
const OK: UpstreamAnswer = { bytes: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" };

export async function startPath(t: Test, wire: WireMode): Promise<CheckPath> {
  const cases = new Map<string, Case>();
  const onReplied = new Map<string, () => void>();
  const upstream = await recordingUpstream(t, (socket, id) => {
    const replied = new Promise<void>((resolve) => onReplied.set(id, resolve));
    void write(socket, cases.get(id)?.answer ?? OK, replied);
  });
  const folder = t.testdir({ htpasswd: HTPASSWD });
  const { app, metrics } = await serve(t, config(upstream.port, `${folder}/htpasswd`), wire);
  const port = app.listeners[0]?.port ?? 0;
  return {
    talk: (each) => {
      cases.set(each.id, each);
      return talk(port, each.steps, () => onReplied.get(each.id)?.());
    },
    seen: (each, talked) => seen(each, talked, upstream.received.get(each.id) ?? []),
    get strays() {
      return upstream.strays;
    },
    counters: async () => {
      const lines = (await metrics()).split("\n");
      return lines.filter((line) => COUNTERS.test(line)).sort();
    },
  };
}

/** `replied`: the gateway has some of the reply. */
async function write(
  socket: Socket,
  { bytes, then, singly }: UpstreamAnswer,
  replied: Promise<void>,
): Promise<void> {
  for (const piece of singly ? bytes : [bytes]) {
    await new Promise((resolve) => {
      socket.write(piece, "latin1", resolve);
    });
  }
  if (then === "resets" && bytes !== "") await replied;
  if (then === "resets") socket.resetAndDestroy();
  if (then === "closes") socket.end();
}

const COUNTERS = /^sparekey_(checks|fallback|faults|upstream_answers|emergency_logins)_total\{/;

function config(port: number, htpasswd: string): string {
  const basic = `{ mode: basic-auth, htpasswd: ${htpasswd}, rateLimit: { failures: 100000, global: 100000 } }`;
  const fallbacks = { allow: "{ mode: allow }", basic, deny: "{ mode: deny }", none: "{ mode: none }" };
  const routes = Object.entries(fallbacks).map(
    ([name, fallback]) => `
  - name: ${name}
    path: /${name}/*
    upstream: http://127.0.0.1:${port}
    timeouts: { connect: 60s, read: 60s, total: 60s }
    fallback: ${fallback}`,
  );
  return `
listen: 127.0.0.1:0
admin: { listen: "127.0.0.9:0" }
limits: { headBytes: 32KiB }
routes:${routes.join("")}`;
}

function seen(each: Case, talked: Talked, received: readonly Received[]): Seen {
  const methods = each.steps.flatMap(({ methods }) => methods ?? [...(each.methods ?? []), ...UNKNOWN]);
  const text = talked.received.replace(DATE, (line, date) => (isRecent(date) ? "Date: now\r" : line));
  const asked = [...new Set(received.map(askedText))].sort();
  const { parts, rest } = readReplies(text, methods, talked.end === "closed");
  return {
    asked,
    replies: parts.map(({ head, body, isWhole }) => (isWhole ? head + body : "a reply that is cut off")),
    rest: parts.at(-1)?.isWhole === false ? "" : rest,
    end: talked.end,
  };
}

const DATE = /^Date: (\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT)\r$/gm;

/** Written by sparekey; an upstream's own is of another year. */
function isRecent(date: string): boolean {
  return Math.abs(Date.now() - Date.parse(date)) < 3_600_000;
}

/** Replies to checks of which nobody knows beforehand how many there are. */
const UNKNOWN: readonly string[] = Array.from({ length: 16 }, () => "GET");

function askedText({ head, body, isWhole }: Received): string {
  // Without a Host of the check's own undici names the upstream.
  const portless = head.replace(/^host: 127\.0\.0\.1:\d+$/m, "host: the upstream's");
  return `${portless}${body}${isWhole ? "" : "…"}`;
}
