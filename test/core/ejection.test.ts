import t from "tap";
import {
  afterFailure,
  afterVerdict,
  type Ejection,
  IN_USE,
  isEjectionTrialDue,
  isInUse,
  type Others,
  startEjectionTrial,
} from "../../src/core/ejection.ts";
import type { EjectionReason } from "../../src/core/endpoint.ts";

const NEVER = -Infinity;
/** The middle: no jitter. */
const MIDDLE = 0.5;

const refused: Ejection = { kind: "ejected", since: 500, reason: "refused", wait: 1_000, tryAt: 1_500 };
const onTrial: Ejection = { kind: "on_trial", since: 500, reason: "refused", wait: 4_000, expiresAt: 9_000 };

function fail(state: Ejection, now: number, reason: EjectionReason = "read_timeout"): Ejection {
  return afterFailure(state, reason, { answeredAt: now, inUse: true }, now, MIDDLE);
}

function tryAtOf(state: Ejection): number {
  if (state.kind !== "ejected") throw new Error(state.kind);
  return state.tryAt;
}

/** Each letter is a second: `f`: a failure; `.`: a verdict. Another endpoint answers all the time. */
function run(marks: string): Ejection {
  return [...marks].reduce<Ejection>(
    (state, mark, second) => (mark === "f" ? fail(state, second * 1_000) : afterVerdict(state)),
    IN_USE,
  );
}

t.test("in use: the third failure in a row ejects, any verdict starts the count anew", async (t) => {
  const rows = [
    { marks: "", kind: "in_use", failures: 0 },
    { marks: "f", kind: "in_use", failures: 1 },
    { marks: "ff", kind: "in_use", failures: 2 },
    { marks: "fff", kind: "ejected" },
    { marks: "ff.", kind: "in_use", failures: 0 },
    { marks: "ff.ff", kind: "in_use", failures: 2 },
    { marks: "ff.fff", kind: "ejected" },
    { marks: "f.f.f.f.", kind: "in_use", failures: 0 },
  ];
  for (const { marks, kind, failures } of rows) {
    const state = run(marks);
    t.equal(state.kind, kind, marks);
    t.equal(isInUse(state), kind === "in_use", `${marks}: in use`);
    if (state.kind === "in_use") t.equal(state.failures, failures, `${marks}: counted`);
  }
});

t.test("in use: how many failures eject, by reason", async (t) => {
  const rows: readonly [EjectionReason, number][] = [
    ["refused", 1],
    ["unreachable", 1],
    ["connect_timeout", 3],
    ["read_timeout", 3],
    ["reset", 3],
    ["malformed", 3],
    ["login_down", 3],
    ["status_503", 3],
    ["bare_400", 3],
    ["slow", 3],
  ];
  for (const [reason, failures] of rows) {
    let state = IN_USE;
    for (let failure = 1; failure < failures; failure += 1) {
      state = fail(state, 7_000, reason);
      t.equal(state.kind, "in_use", `${reason}: not at ${failure}`);
    }
    t.same(
      fail(state, 7_000, reason),
      { kind: "ejected", since: 7_000, reason, wait: 1_000, tryAt: 8_000 },
      `${reason}: at ${failures}`,
    );
  }
});

t.test("in use: the third failure, which others answered or not", async (t) => {
  const before = fail(fail(IN_USE, 5_000), 6_000);
  t.same(before, { kind: "in_use", failures: 2, firstFailureAt: 5_000 });
  const rows: readonly { name: string; reason?: EjectionReason; others: Others; kind: Ejection["kind"] }[] = [
    { name: "another answered just now", others: { answeredAt: 7_000, inUse: true }, kind: "ejected" },
    { name: "a second before the first", others: { answeredAt: 4_000, inUse: true }, kind: "ejected" },
    { name: "longer ago", others: { answeredAt: 3_999, inUse: true }, kind: "in_use" },
    { name: "none ever answered", others: { answeredAt: NEVER, inUse: true }, kind: "in_use" },
    { name: "it is the last in use", others: { answeredAt: 7_000, inUse: false }, kind: "in_use" },
    {
      name: "refused: no answer of another is needed",
      reason: "refused",
      others: { answeredAt: NEVER, inUse: true },
      kind: "ejected",
    },
    {
      name: "refused, but it is the last in use",
      reason: "refused",
      others: { answeredAt: 7_000, inUse: false },
      kind: "in_use",
    },
  ];
  for (const { name, reason = "reset", others, kind } of rows) {
    t.equal(afterFailure(before, reason, others, 7_000, MIDDLE).kind, kind, name);
  }
});

t.test("in use: what could not eject stays counted", async (t) => {
  const alone: Others = { answeredAt: 0, inUse: false };
  let state = IN_USE;
  for (let failure = 0; failure < 50; failure += 1)
    state = afterFailure(state, "reset", alone, failure, MIDDLE);
  t.same(state, { kind: "in_use", failures: 3, firstFailureAt: 0 }, "to three and no further");
  t.equal(fail(state, 60_000).kind, "ejected", "it takes one more when another is back");
  t.equal(afterVerdict(state), IN_USE, "or none after a verdict");
});

t.test("a verdict of an endpoint at rest makes no new state", async (t) => {
  t.equal(afterVerdict(IN_USE), IN_USE);
  t.equal(afterVerdict({ ...IN_USE }), IN_USE);
});

t.test("ejected: no late attempt changes anything", async (t) => {
  for (const reason of ["refused", "read_timeout", "slow"] as const)
    t.equal(fail(refused, 9_000, reason), refused);
  t.equal(afterVerdict(refused), refused, "a verdict neither: only a trial brings it back");
});

t.test("jitter makes a wait up to a fifth shorter or longer", async (t) => {
  const others: Others = { answeredAt: NEVER, inUse: true };
  for (const [random, share] of [
    [0, 0.8],
    [0.25, 0.9],
    [0.5, 1],
    [1, 1.2],
  ] as const) {
    const first = afterFailure(IN_USE, "refused", others, 0, random);
    t.equal(Math.round(tryAtOf(first)), 1_000 * share, `after ejecting, ${random}`);
    const again = afterFailure(onTrial, "refused", others, 0, random);
    t.equal(Math.round(tryAtOf(again)), 8_000 * share, `after a failed trial, ${random}`);
  }
});

t.test("a trial is due", async (t) => {
  const rows = [
    { name: "never while in use", state: IN_USE, now: 1e9, due: false },
    { name: "never while in use, failures or not", state: run("ff"), now: 1e9, due: false },
    { name: "not before its time", state: refused, now: 1_499, due: false },
    { name: "at its time", state: refused, now: 1_500, due: true },
    { name: "long after", state: refused, now: 1e9, due: true },
    { name: "not while one is on its way", state: onTrial, now: 8_999, due: false },
    { name: "when that one is lost", state: onTrial, now: 9_000, due: true },
  ];
  for (const { name, state, now, due } of rows) t.equal(isEjectionTrialDue(state, now), due, name);
});

t.test("a trial keeps what was known", async (t) => {
  t.same(startEjectionTrial(refused, 1_600, 4_000), {
    kind: "on_trial",
    since: 500,
    reason: "refused",
    wait: 1_000,
    expiresAt: 5_600,
  });
  t.same(
    startEjectionTrial(onTrial, 9_000, 4_000),
    { ...onTrial, expiresAt: 13_000 },
    "so does one after a lost one",
  );
  t.equal(startEjectionTrial(IN_USE, 0, 4_000), IN_USE, "one that is in use needs none");
  t.notOk(isInUse(refused));
  t.notOk(isInUse(onTrial));
});

t.test("how a trial ends", async (t) => {
  const alone: Others = { answeredAt: NEVER, inUse: false };
  const rows: readonly { name: string; after: Ejection; state: Ejection }[] = [
    { name: "a verdict brings it back", after: afterVerdict(onTrial), state: IN_USE },
    {
      name: "a failure doubles the wait; the reason is the new one, the time the old",
      after: fail(onTrial, 6_000, "read_timeout"),
      state: { kind: "ejected", since: 500, reason: "read_timeout", wait: 8_000, tryAt: 14_000 },
    },
    {
      name: "one failure is enough, whatever the others do",
      after: afterFailure(onTrial, "reset", alone, 6_000, MIDDLE),
      state: { kind: "ejected", since: 500, reason: "reset", wait: 8_000, tryAt: 14_000 },
    },
  ];
  for (const { name, after, state } of rows) t.same(after, state, name);
});

t.test("the wait doubles with failed trials up to 15 s, and starts anew after a good one", async (t) => {
  let state = fail(IN_USE, 0, "refused");
  const waits = [1, 2, 3, 4, 5].map((round) => {
    state = fail(startEjectionTrial(state, round, 1), 0, "refused");
    return tryAtOf(state);
  });
  t.same(waits, [2_000, 4_000, 8_000, 15_000, 15_000]);
  state = fail(afterVerdict(startEjectionTrial(state, 0, 1)), 100, "refused");
  t.same(state, { kind: "ejected", since: 100, reason: "refused", wait: 1_000, tryAt: 1_100 });
});
