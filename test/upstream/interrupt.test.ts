import t from "tap";
import type { Outcome } from "../../src/core/types.ts";
import { type InterruptReason, interrupted, type Wait } from "../../src/upstream/interrupt.ts";

const LATE = { kind: "failure", reason: "total_timeout" } as const;
const OVERLOAD = { kind: "overload" } as const;
const BUSY = { kind: "busy" } as const;
const HURRIED = { kind: "hurried" } as const;
const ABANDONED = { kind: "abandoned", isLate: false } as const;
const RELEASED = { kind: "released" } as const;

t.test("what comes of an interrupt", async (t) => {
  const rows: readonly (readonly [InterruptReason, Wait, Outcome])[] = [
    ["total_timeout", "none", LATE],
    ["total_timeout", "busy", BUSY],
    ["total_timeout", "unasked", { ...LATE, unasked: true }],
    ["read_timeout", "none", { kind: "failure", reason: "read_timeout" }],
    ["read_timeout", "busy", BUSY],
    ["read_timeout", "unasked", { kind: "failure", reason: "read_timeout", unasked: true }],
    ["hurried", "none", HURRIED],
    ["hurried", "busy", BUSY],
    ["hurried", "unasked", HURRIED],
    ["starved", "none", OVERLOAD],
    ["starved", "busy", OVERLOAD],
    ["starved", "unasked", OVERLOAD],
    ["abandoned", "none", ABANDONED],
    ["abandoned", "busy", ABANDONED],
    ["abandoned", "unasked", ABANDONED],
    ["released", "none", RELEASED],
    ["released", "busy", RELEASED],
    ["released", "unasked", RELEASED],
  ];
  for (const [reason, wait, is] of rows) t.same(interrupted(reason, wait), is, `${reason}, ${wait}`);
});
