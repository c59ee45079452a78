import t from "tap";
import { LinkedList } from "../../src/core/linked-list.ts";
import type { Waiting } from "../../src/core/types.ts";
import {
  type InterruptReason,
  interrupted,
  startInterrupt,
  type Wait,
} from "../../src/upstream/interrupt.ts";
import { withoutConnection } from "../../src/upstream/pool.ts";

const LATE = { kind: "failure", reason: "total_timeout" };
const OVERLOAD = { kind: "overload" };

t.test("what comes of an interrupt", async (t) => {
  const rows: readonly (readonly [InterruptReason, Wait, object])[] = [
    ["total_timeout", "none", LATE],
    ["total_timeout", "busy", OVERLOAD],
    ["total_timeout", "unasked", { ...LATE, unasked: true }],
    ["starved", "none", OVERLOAD],
    ["starved", "unasked", OVERLOAD],
    ["abandoned", "busy", { kind: "abandoned" }],
    ["released", "unasked", { kind: "released" }],
  ];
  for (const [reason, wait, is] of rows) t.same(interrupted(reason, wait), is, `${reason}, ${wait}`);
});

t.test("what comes of it without a connection", async (t) => {
  const refused = { kind: "failure", reason: "refused" } as const;
  const cut = { kind: "interrupted" } as const;
  const rows = [
    { name: "no connection", why: refused, reason: null, is: refused },
    { name: "nor in time", why: refused, reason: "total_timeout", is: refused },
    { name: "our own limits", why: OVERLOAD, reason: null, is: OVERLOAD },
    { name: "waited in vain", why: cut, reason: "total_timeout", is: { ...LATE, unasked: true } },
    { name: "a stall of ours", why: refused, reason: "starved", is: OVERLOAD },
    { name: "the gateway left", why: refused, reason: "abandoned", is: { kind: "abandoned" } },
    { name: "the breaker opened", why: cut, reason: "released", is: { kind: "released" } },
  ] as const;
  for (const { name, why, reason, is } of rows)
    t.same(withoutConnection(why as typeof refused, reason), is, name);
});

t.test("the first reason holds, and an answer that counts is not released any more", async (t) => {
  const gone = new AbortController();
  const waiting: Waiting = new LinkedList();
  const interrupt = startInterrupt(60_000, gone.signal, waiting);
  interrupt.keep();
  t.equal(waiting.first, null);
  gone.abort();
  t.equal(interrupt.reason, "abandoned");
  t.equal(interrupt.signal.aborted, true);
  interrupt.clear();
  const released = startInterrupt(60_000, new AbortController().signal, waiting);
  waiting.shift()?.();
  t.equal(released.reason, "released");
  released.clear();
  const before = startInterrupt(60_000, gone.signal, waiting);
  t.equal(before.reason, "abandoned", "the gateway had gone before");
  before.clear();
  t.equal(waiting.first, null);
});
