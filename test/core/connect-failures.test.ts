import t from "tap";
import {
  type ConnectAttempt,
  type ConnectFailures,
  createConnectFailures,
} from "../../src/core/connect-failures.ts";

type Step = (doubts: ConnectFailures, now: number) => void;

const failed: Step = (doubts, now) => doubts.begin("a", now).failed(now);
const worked: Step = (doubts, now) => doubts.begin("a", now).worked();
const gaveUp: Step = (doubts, now) => doubts.begin("a", now).gaveUp();
const begun: Step = (doubts, now) => {
  doubts.begin("a", now);
};
const otherFailed: Step = (doubts, now) => doubts.begin("b", now).failed(now);

const rows: readonly {
  readonly name: string;
  readonly steps: readonly (readonly [number, Step])[];
  readonly doubtful: readonly number[];
  readonly good: readonly number[];
}[] = [
  { name: "nothing known", steps: [], doubtful: [], good: [0] },
  { name: "it worked", steps: [[0, worked]], doubtful: [], good: [0] },
  { name: "it failed: for 10 s", steps: [[5, failed]], doubtful: [5, 10_004], good: [10_005] },
  { name: "a try is on its way", steps: [[0, begun]], doubtful: [], good: [0] },
  {
    name: "it failed, then worked",
    steps: [
      [0, failed],
      [20, worked],
    ],
    doubtful: [],
    good: [20],
  },
  {
    name: "it failed again, as the last resort",
    steps: [
      [0, failed],
      [4_000, failed],
    ],
    doubtful: [10_000, 13_999],
    good: [14_000],
  },
  {
    name: "due: one tries, the others wait for him",
    steps: [
      [0, failed],
      [10_000, begun],
    ],
    doubtful: [10_000, 19_999],
    good: [20_000],
  },
  {
    name: "due: who tries gives up, the next may",
    steps: [
      [0, failed],
      [10_000, gaveUp],
    ],
    doubtful: [],
    good: [10_000],
  },
  {
    name: "not due: who gives up changes nothing",
    steps: [
      [0, failed],
      [4_000, gaveUp],
    ],
    doubtful: [9_999],
    good: [10_000],
  },
  { name: "never failed: who gives up changes nothing", steps: [[0, gaveUp]], doubtful: [], good: [0] },
  { name: "another failed", steps: [[0, otherFailed]], doubtful: [], good: [0] },
];
for (const { name, steps, doubtful, good } of rows) {
  t.test(name, async (t) => {
    const doubts = createConnectFailures();
    for (const [now, step] of steps) step(doubts, now);
    for (const now of doubtful) t.ok(doubts.failedLately("a", now), `doubtful at ${now}`);
    for (const now of good) t.notOk(doubts.failedLately("a", now), `good at ${now}`);
  });
}

t.test("giving up late takes nothing back that others found out meanwhile", async (t) => {
  const late = (): { doubts: ConnectFailures; slow: ConnectAttempt } => {
    const doubts = createConnectFailures();
    failed(doubts, 0);
    return { doubts, slow: doubts.begin("a", 10_000) };
  };
  const better = late();
  worked(better.doubts, 10_100);
  better.slow.gaveUp();
  t.notOk(better.doubts.failedLately("a", 10_101));
  const worse = late();
  failed(worse.doubts, 10_100);
  worse.slow.gaveUp();
  t.ok(worse.doubts.failedLately("a", 10_101));
});

t.test("the oldest doubt goes when there are too many: a name's addresses may change for ever", async (t) => {
  const doubts = createConnectFailures();
  for (let index = 0; index <= 256; index += 1) doubts.begin(`${index}`, index).failed(index);
  t.notOk(doubts.failedLately("0", 300));
  t.ok(doubts.failedLately("1", 300));
  t.ok(doubts.failedLately("256", 300));
});
