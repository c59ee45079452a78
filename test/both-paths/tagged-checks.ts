/** Checks that carry a tag, asked over the wire on a clock of the test's own; what came back must carry the same. */
import type { Test } from "tap";
import { LinkedList } from "../../src/core/linked-list.ts";
import type { Upstream } from "../../src/core/snapshot.ts";
import type { Body, Forwarded, Outcome, Waiting } from "../../src/core/types.ts";
import { createUpstreams } from "../../src/upstream/upstreams.ts";
import { newRequestHead, readRequestHead } from "../../src/wire/request-head.ts";
import { WireCheck } from "../../src/wire/wire-check.ts";

export interface Ask {
  readonly method?: "GET" | "HEAD";
  /** Fires when its gateway leaves. */
  readonly gone?: AbortSignal;
  readonly repeatable?: boolean;
  /** What its gateway sent. */
  readonly bytes?: Buffer;
}

export interface Asker {
  ask(tag: string, options?: Ask): Promise<Outcome>;
  readonly waiting: Waiting;
  /** So many milliseconds pass, and every deadline has been looked at since. */
  pass(milliseconds: number): Promise<void>;
}

const TICK_MS = 10;
const TICKS = 5;

export function asker(t: Test, upstream: Upstream): Asker {
  let time = 0;
  const waiting: Waiting = new LinkedList();
  const upstreams = createUpstreams({ now: () => time, asksInBytes: () => true });
  t.teardown(() => upstreams.close());
  return {
    waiting,
    ask: (tag, { method = "GET", gone = new AbortController().signal, repeatable = true, bytes } = {}) => {
      const check = checkOf(bytes ?? bytesOf(method, tag));
      const forwarded: Forwarded = {
        check,
        staysHere: () => false,
        repeatable,
        trying: { kind: "once" },
        begin: 0,
      };
      return upstreams.exchange(upstream, forwarded, gone, waiting);
    },
    pass: async (milliseconds) => {
      time += milliseconds;
      await ticks();
    },
  };
}

/** Longer than two looks at the deadlines, however busy the machine: timers of one length fire in their order. */
export function ticks(): Promise<void> {
  return new Promise((resolve) => {
    let left = TICKS;
    const timer = setInterval(() => {
      left -= 1;
      if (left > 0) return;
      clearInterval(timer);
      setImmediate(resolve);
    }, TICK_MS);
  });
}

/** `lines`: more of them, each with its end. */
export function bytesOf(method: string, tag: string, lines = ""): Buffer {
  return Buffer.from(`${method} /auth HTTP/1.1\r\nHost: a\r\nX-Tag: ${tag}\r\n${lines}\r\n`, "latin1");
}

function checkOf(bytes: Buffer): WireCheck {
  const head = newRequestHead();
  if (!readRequestHead(bytes, 0, bytes.length, 100, head)) throw new Error("not plain");
  return new WireCheck(bytes, head);
}

/** "own": the answer with its tag. Else the reason, the outcome's kind, or what is wrong with the answer. */
export async function resultOf(tag: string, outcome: Outcome): Promise<string> {
  if (outcome.kind === "failure") return outcome.unasked ? `${outcome.reason}, unasked` : outcome.reason;
  if (outcome.kind !== "answer") return outcome.kind;
  const { headers, body } = outcome.answer;
  const header = headers[headers.indexOf("X-Tag") + 1];
  const text = await textOf(body);
  const isBody = text === "" || text.trimEnd() === tag || /^a+$/.test(text);
  return header === tag && isBody ? "own" : `the answer to ${header}: ${text.slice(0, 100)}`;
}

async function textOf(body: Body): Promise<string> {
  if (body.kind === "whole") return Buffer.from(body.bytes).toString("latin1");
  let text = "";
  for await (const chunk of body.chunks) text += Buffer.from(chunk).toString("latin1");
  return text;
}
