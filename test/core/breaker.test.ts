import t from "tap";
import {
  afterCheck,
  afterTrial,
  type Breaker,
  type BreakerEvidence,
  CLOSED,
  isTrialDue,
  startTrial,
  withoutResult,
} from "../../src/core/breaker.ts";
import { BREAKER_RULES as rules } from "../support/fixtures.ts";

type Opened = Exclude<Breaker, { kind: "closed" }>;

function check(
  breaker: Breaker,
  evidence: BreakerEvidence,
  now = 0,
  generation = breaker.generation,
): Breaker {
  return afterCheck(breaker, rules, generation, evidence, now, 0);
}

function trial(
  breaker: Breaker,
  evidence: BreakerEvidence,
  now = 0,
  generation = breaker.generation,
): Breaker {
  return afterTrial(breaker, rules, generation, evidence, now, 0);
}

/** `f`: a counted fault; `.`: a verdict. */
function run(marks: string, from: Breaker = CLOSED): Breaker {
  return [...marks].reduce((breaker, mark) => check(breaker, mark === "f" ? "fault" : "good"), from);
}

function opened(now = 0): Opened {
  let breaker: Breaker = CLOSED;
  for (let fault = 0; fault < rules.failures; fault += 1) breaker = check(breaker, "fault", now);
  return assertOpened(breaker);
}

function assertOpened(breaker: Breaker): Opened {
  if (breaker.kind === "closed") throw new Error("closed");
  return breaker;
}

function tryAtOf(breaker: Breaker): number {
  if (breaker.kind !== "open") throw new Error(breaker.kind);
  return breaker.tryAt;
}

t.test("closed: `failures` counted faults in a row open it, any verdict starts the count anew", async (t) => {
  const rows = [
    { marks: "", kind: "closed", faults: 0 },
    { marks: "f", kind: "closed", faults: 1 },
    { marks: "ffff", kind: "closed", faults: 4 },
    { marks: "fffff", kind: "open" },
    { marks: "ffff.", kind: "closed", faults: 0 },
    { marks: "ffff.ffff", kind: "closed", faults: 4 },
    { marks: "ffff.fffff", kind: "open" },
    { marks: "f.f.f.f.f.f.f.f.f.", kind: "closed", faults: 0 },
    { marks: ".....fffff", kind: "open" },
  ];
  for (const { marks, kind, faults } of rows) {
    const breaker = run(marks);
    t.equal(breaker.kind, kind, marks);
    if (breaker.kind === "closed") t.equal(breaker.faults, faults, `${marks}: counted`);
  }
  t.equal(run("....."), CLOSED, "a verdict that changes nothing makes no new state");
  t.equal(afterCheck(CLOSED, { ...rules, failures: 1 }, 0, "fault", 0, 0).kind, "open", "failures: 1");
});

t.test("it opens with everything a trial needs", async (t) => {
  t.same(opened(1_000), {
    kind: "open",
    generation: 1,
    since: 1_000,
    successes: 0,
    wait: rules.interval,
    tryAt: 3_000,
  });
});

t.test("jitter takes up to a fifth off a wait, and adds nothing", async (t) => {
  const last = run("ffff");
  for (const [random, wait] of [
    [0, 2_000],
    [0.25, 1_900],
    [0.5, 1_800],
    [1, 1_600],
  ] as const) {
    const breaker = afterCheck(last, rules, 0, "fault", 100, random);
    t.equal(tryAtOf(breaker), 100 + wait, `after opening, ${random}`);
    const half = startTrial(opened(), 0, 1);
    const again = afterTrial(half, rules, half.generation, "fault", 100, random);
    t.equal(tryAtOf(again), 100 + 2 * wait, `after a bad trial, ${random}`);
  }
});

t.test("no check changes what is not closed, nor a closed state that is not its own", async (t) => {
  const open = opened();
  const half = startTrial(open, 2_000, 1_000);
  const closed = trial(startTrial(assertOpened(trial(half, "good")), 4_000, 1_000), "good");
  t.equal(closed.kind, "closed");
  for (const [name, state] of Object.entries({ open, half, closed })) {
    for (const evidence of ["good", "fault"] as const) {
      for (const generation of [0, 1, 2]) {
        t.equal(check(state, evidence, 9_000, generation), state, `${name}, ${evidence} of ${generation}`);
      }
    }
  }
  for (const state of [open, half]) {
    t.equal(check(state, "good", 9_000), state, `${state.kind}: not even of its own generation`);
  }
  const counted = check(closed, "fault");
  t.match(counted, { kind: "closed", faults: 1 }, "faults of the new closed state count");
  t.equal(check(counted, "good", 0, 0), counted, "a verdict from before the outage does not clear them");
});

t.test("a trial is due", async (t) => {
  const open = opened();
  const half = startTrial(open, 2_000, 24_000);
  const rows = [
    { name: "never while closed", state: CLOSED, now: 1e9, due: false },
    { name: "not before its time", state: open, now: 1_999, due: false },
    { name: "at its time", state: open, now: 2_000, due: true },
    { name: "long after", state: open, now: 1e9, due: true },
    { name: "not while one is on its way", state: half, now: 25_999, due: false },
    { name: "when that one is lost", state: half, now: 26_000, due: true },
  ];
  for (const { name, state, now, due } of rows) t.equal(isTrialDue(state, now), due, name);
});

t.test("a trial is a generation of its own and keeps what the open state knew", async (t) => {
  const open = { ...opened(500), successes: 1, wait: 8_000 };
  t.same(startTrial(open, 2_500, 24_000), {
    kind: "half-open",
    generation: 2,
    since: 500,
    successes: 1,
    wait: 8_000,
    expiresAt: 26_500,
  });
});

t.test("the wait between trials", async (t) => {
  const rows = [
    {
      name: "doubles with bad ones, up to maxInterval",
      trials: "ffff",
      waits: [4_000, 8_000, 15_000, 15_000],
    },
    { name: "starts anew with a good one", trials: "ff.ff", waits: [4_000, 8_000, 2_000, 4_000, 8_000] },
  ];
  for (const { name, trials, waits } of rows) {
    let state: Breaker = opened();
    const seen = [...trials].map((mark) => {
      state = trial(startTrial(assertOpened(state), 0, 1), mark === "f" ? "fault" : "good");
      return tryAtOf(state);
    });
    t.same(seen, waits, name);
  }
  const flat = { ...rules, interval: 15_000 };
  const half = startTrial({ ...opened(), wait: 15_000 }, 0, 1);
  t.equal(tryAtOf(afterTrial(half, flat, half.generation, "fault", 0, 0)), 15_000, "interval = maxInterval");
});

t.test("`successes` good trials in a row close it", async (t) => {
  const rows = [
    { trials: ".", successes: 2, kind: "open" },
    { trials: "..", successes: 2, kind: "closed" },
    { trials: ".f.", successes: 2, kind: "open" },
    { trials: ".f..", successes: 2, kind: "closed" },
    { trials: "fff.", successes: 1, kind: "closed" },
    { trials: "..f..", successes: 3, kind: "open" },
  ];
  for (const { trials, successes, kind } of rows) {
    const state = [...trials].reduce<Breaker>((breaker, mark) => {
      const half = startTrial(assertOpened(breaker), 0, 1);
      const evidence = mark === "f" ? "fault" : "good";
      return afterTrial(half, { ...rules, successes }, half.generation, evidence, 0, 0);
    }, opened(77));
    t.equal(state.kind, kind, `${trials} of ${successes}`);
    if (state.kind === "open") t.equal(state.since, 77, `${trials}: open since it first opened`);
    if (state.kind === "closed") t.equal(state.faults, 0, `${trials}: the count starts anew`);
  }
});

t.test("each opening, trial and closing has a generation no earlier one had", async (t) => {
  const seen: number[] = [0];
  let state: Breaker = CLOSED;
  for (let round = 0; round < 3; round += 1) {
    state = run("fffff", state);
    seen.push(state.generation);
    for (const evidence of ["fault", "good", "good"] as const) {
      const half = startTrial(assertOpened(state), 0, 1);
      seen.push(half.generation);
      state = trial(half, evidence);
    }
    t.equal(state.kind, "closed");
    seen.push(state.generation);
  }
  t.same(
    seen,
    [...new Set(seen)].sort((a, b) => a - b),
  );
});

t.test("a late trial changes nothing", async (t) => {
  const first = startTrial(opened(), 2_000, 24_000);
  const second = startTrial(assertOpened(first), 26_000, 24_000);
  const back = trial(second, "fault", 27_000);
  const closed = { kind: "closed", generation: 9, faults: 3 } as const;
  for (const evidence of ["good", "fault"] as const) {
    t.equal(trial(second, evidence, 30_000, first.generation), second, `the lost one, ${evidence}`);
    t.equal(trial(back, evidence, 30_000, second.generation), back, `told twice, ${evidence}`);
    t.equal(trial(closed, evidence, 30_000, first.generation), closed, `after closing, ${evidence}`);
    t.equal(trial(closed, evidence, 30_000), closed, `closed knows no trial, ${evidence}`);
  }
});

t.test("a trial without a result", async (t) => {
  const open = { ...opened(500), successes: 1, wait: 8_000 };
  const half = startTrial(open, 9_000, 24_000);
  const without = withoutResult(half, half.generation, 9_500, 0);
  t.match(without, { kind: "open", since: 500, successes: 1, wait: 8_000 }, "nothing gained, nothing lost");
  t.ok(isTrialDue(without, tryAtOf(without)), "another one may follow");
  t.equal(trial(without, "good", 9_600, half.generation), without, "and it has had its say");
  t.equal(withoutResult(half, half.generation - 1, 9_500, 0), half, "a late one");
  t.equal(withoutResult(open, open.generation, 9_500, 0), open, "while open");
  t.equal(withoutResult(CLOSED, 0, 9_500, 0), CLOSED, "while closed");
});
