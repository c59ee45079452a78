import t from "tap";
import { type AttemptBudget, createAttemptBudget } from "../../src/core/attempt-budget.ts";

/** Clocks start anywhere. */
const START = 86_400_123.75;

/** Each is another client, so that no client's own part counts. */
let strangers = 0;
function stranger(): string {
  strangers += 1;
  return `stranger ${strangers}`;
}

/** How many attempts are granted until one is not. */
function drain(budget: AttemptBudget, now: number, client: () => string = stranger): number {
  let granted = 0;
  while (budget.take(client, now)) granted += 1;
  return granted;
}

type Step = (budget: AttemptBudget, now: number) => void;

function checks(count: number): Step {
  return (budget, now) => {
    for (let check = 0; check < count; check += 1) budget.check(now);
  };
}

function takes(client: string, count: number): Step {
  return (budget, now) => {
    for (let taken = 0; taken < count; taken += 1) {
      if (!budget.take(() => client, now)) throw new Error(`${client} got no more than ${taken}`);
    }
  };
}

function worked(client: string): Step {
  return (budget, now) => budget.worked(client, now);
}

const drained: Step = (budget, now) => {
  drain(budget, now);
};

function run(steps: readonly (readonly [number, Step])[]): AttemptBudget {
  const budget = createAttemptBudget(START);
  for (const [now, step] of steps) step(budget, START + now);
  return budget;
}

interface Row {
  readonly name: string;
  readonly steps: readonly (readonly [number, Step])[];
  readonly now: number;
  readonly left: number;
}

const forAll: readonly Row[] = [
  { name: "at the start 10 s are saved up", steps: [], now: 0, left: 100 },
  { name: "no more is ever saved up", steps: [], now: 1e12, left: 100 },
  { name: "a check earns a fifth", steps: [[0, checks(50)]], now: 0, left: 110 },
  { name: "four checks earn no attempt", steps: [[0, checks(4)]], now: 0, left: 100 },
  {
    name: "fifths add up over seconds",
    steps: [
      [0, checks(4)],
      [1_000, checks(1)],
    ],
    now: 1_000,
    left: 101,
  },
  { name: "fifths add up exactly", steps: [[0, checks(12_345)]], now: 0, left: 2_569 },
  { name: "what checks earned is kept for 10 s", steps: [[0, checks(50)]], now: 9_999, left: 110 },
  { name: "and no longer", steps: [[0, checks(50)]], now: 10_000, left: 100 },
  { name: "used up: nothing within the second", steps: [[0, drained]], now: 999, left: 0 },
  { name: "used up: 10 in the next", steps: [[0, drained]], now: 1_000, left: 10 },
  { name: "used up: 30 after three", steps: [[0, drained]], now: 3_500, left: 30 },
  { name: "used up: all after 10 s", steps: [[0, drained]], now: 10_000, left: 100 },
  { name: "used up: no more after an hour", steps: [[0, drained]], now: 3_600_000, left: 100 },
  {
    name: "used up in the middle of a second: what its checks earn comes on top",
    steps: [
      [300, drained],
      [400, checks(10)],
    ],
    now: 500,
    left: 2,
  },
  {
    name: "the oldest is spent first, so what is new lasts",
    steps: [
      [0, checks(500)],
      [0, takes("a", 20)],
    ],
    now: 8_000,
    left: 200,
  },
  {
    name: "it is dropped with its own second all the same",
    steps: [
      [0, checks(500)],
      [0, takes("a", 20)],
    ],
    now: 10_000,
    left: 100,
  },
  { name: "a client that gets nowhere leaves them the rest", steps: [[0, takes("a", 25)]], now: 0, left: 75 },
];
for (const { name, steps, now, left } of forAll) {
  t.test(`left for all clients: ${name}`, async (t) => {
    t.equal(drain(run(steps), START + now), left);
  });
}

const forOne: readonly Row[] = [
  { name: "its attempts count as vain until they settle", steps: [], now: 0, left: 25 },
  { name: "it is a quarter of what checks earn too", steps: [[0, checks(500)]], now: 0, left: 50 },
  {
    name: "an attempt that came to nothing is not given back",
    steps: [[0, takes("a", 5)]],
    now: 10,
    left: 20,
  },
  {
    name: "a verdict lifts the limit",
    steps: [
      [0, takes("a", 5)],
      [10, worked("a")],
    ],
    now: 10,
    left: 95,
  },
  {
    name: "failures after a verdict do not bring it back",
    steps: [
      [0, takes("a", 5)],
      [10, worked("a")],
    ],
    now: 20,
    left: 95,
  },
  {
    name: "a verdict lifts it for 10 s",
    steps: [
      [0, takes("a", 1)],
      [500, worked("a")],
    ],
    now: 10_499,
    left: 100,
  },
  {
    name: "and no longer",
    steps: [
      [0, takes("a", 1)],
      [500, worked("a")],
    ],
    now: 10_500,
    left: 25,
  },
  {
    name: "what it spent while it had none counts when it is back",
    steps: [
      [0, takes("a", 1)],
      [0, worked("a")],
      [9_000, takes("a", 60)],
    ],
    now: 10_000,
    left: 0,
  },
  {
    name: "another's verdict does not help",
    steps: [
      [0, takes("a", 25)],
      [0, takes("b", 1)],
      [10, worked("b")],
    ],
    now: 10,
    left: 0,
  },
  { name: "its quarter is used up for 10 s", steps: [[0, takes("a", 25)]], now: 9_999, left: 0 },
  { name: "and then there is a new one", steps: [[0, takes("a", 25)]], now: 10_000, left: 25 },
  {
    name: "what it spent expires second by second",
    steps: [
      [0, takes("a", 10)],
      [5_000, takes("a", 15)],
    ],
    now: 10_000,
    left: 10,
  },
  {
    name: "fewer checks, a smaller quarter",
    steps: [
      [0, checks(500)],
      [5_000, takes("a", 50)],
    ],
    now: 10_000,
    left: 0,
  },
  {
    name: "a verdict that comes after more than 10 s, when the client is forgotten",
    steps: [
      [0, takes("a", 25)],
      [15_000, takes("b", 1)],
      [15_000, worked("a")],
    ],
    now: 24_999,
    left: 100,
  },
  {
    name: "it has its quarter even when others drained the budget meanwhile",
    steps: [[0, drained]],
    now: 3_000,
    left: 25,
  },
];
for (const { name, steps, now, left } of forOne) {
  t.test(`left for one client: ${name}`, async (t) => {
    t.equal(
      drain(run(steps), START + now, () => "a"),
      left,
    );
  });
}

t.test("the key is made only when there is a budget", async (t) => {
  const budget = run([[0, drained]]);
  const forbidden = (): string => {
    throw new Error("made");
  };
  t.notOk(budget.take(forbidden, START));
  t.throws(() => budget.take(forbidden, START + 1_000));
});

t.test("beyond 10,000 clients, the one that spent longest ago is forgotten", async (t) => {
  const budget = run([[0, checks(100_000)]]);
  const mine = (): string => "a";
  const quarter = drain(budget, START, mine);
  t.equal(quarter, 5_025);
  for (let other = 1; other < 10_000; other += 1) budget.take(stranger, START);
  t.notOk(budget.take(mine, START), "known");
  budget.take(stranger, START);
  t.ok(budget.take(mine, START), "forgotten");
});

/** 200 checks a second for 60 s. `onCheck` returns how many further attempts a check got. */
function simulate(budget: AttemptBudget, onCheck: (check: number, now: number) => number): readonly number[] {
  return Array.from({ length: 60 }, (_, second) => {
    let granted = 0;
    for (let check = 0; check < 200; check += 1) {
      const now = START + second * 1_000 + check * 5;
      budget.check(now);
      granted += onCheck(second * 200 + check, now);
    }
    return granted;
  });
}

function total(numbers: readonly number[]): number {
  return numbers.reduce((sum, each) => sum + each, 0);
}

t.test("an outage: each check of many clients wants two further attempts, and all fail", async (t) => {
  const budget = createAttemptBudget(START);
  const perSecond = simulate(budget, (check, now) => {
    const client = `client ${check % 3_000}`;
    let granted = 0;
    for (let attempt = 0; attempt < 2; attempt += 1) {
      if (!budget.take(() => client, now)) continue;
      granted += 1;
    }
    return granted;
  });
  const most = 0.2 * 60 * 200 + 10 * 60 + 100;
  t.ok(total(perSecond) <= most, `${total(perSecond)} of at most ${most}`);
  t.ok(total(perSecond) >= most - 10, "and all of the budget is used");
  for (const [second, granted] of perSecond.slice(1).entries()) {
    t.ok(granted <= 51, `savings gone: ${granted} in second ${second + 1}`);
  }
});

t.test(
  "an attacker with one address: each of its checks fails, now and then one of others does",
  async (t) => {
    const budget = createAttemptBudget(START);
    let refused = 0;
    const perSecond = simulate(budget, (check, now) => {
      if (check % 20 === 0) {
        const other = `client ${check}`;
        if (budget.take(() => other, now)) budget.worked(other, now);
        else refused += 1;
      }
      let granted = 0;
      for (let attempt = 0; attempt < 2; attempt += 1) {
        if (!budget.take(() => "attacker", now)) continue;
        granted += 1;
      }
      return granted;
    });
    const quarter = (100 + 0.2 * 10 * 200) / 4;
    for (let from = 0; from + 10 <= perSecond.length; from += 1) {
      const granted = total(perSecond.slice(from, from + 10));
      t.ok(granted <= quarter, `${granted} of at most ${quarter} in the 10 s from second ${from}`);
    }
    t.ok(total(perSecond) >= 5 * quarter, "it does use its quarter");
    t.equal(refused, 0, "the others always find some");
  },
);
