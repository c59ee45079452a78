import t from "tap";
import {
  type ConnectAttempt,
  type ConnectFailures,
  createConnectFailures,
} from "../../src/core/connect-failures.ts";

type Step = (failures: ConnectFailures, now: number) => void;

const failed: Step = (failures, now) => failures.begin("a", now).failed(now);
const worked: Step = (failures, now) => failures.begin("a", now).worked();
const gaveUp: Step = (failures, now) => failures.begin("a", now).gaveUp();
const begun: Step = (failures, now) => {
  failures.begin("a", now);
};
const otherFailed: Step = (failures, now) => failures.begin("b", now).failed(now);

const rows: readonly {
  readonly name: string;
  readonly steps: readonly (readonly [number, Step])[];
  readonly avoided: readonly number[];
  readonly good: readonly number[];
}[] = [
  { name: "nothing known", steps: [], avoided: [], good: [0] },
  { name: "it worked", steps: [[0, worked]], avoided: [], good: [0] },
  { name: "it failed: for 10 s", steps: [[5, failed]], avoided: [5, 10_004], good: [10_005] },
  { name: "a try is on its way", steps: [[0, begun]], avoided: [], good: [0] },
  {
    name: "it failed, then worked",
    steps: [
      [0, failed],
      [20, worked],
    ],
    avoided: [],
    good: [20],
  },
  {
    name: "it failed again, as the last resort",
    steps: [
      [0, failed],
      [4_000, failed],
    ],
    avoided: [10_000, 13_999],
    good: [14_000],
  },
  {
    name: "after 10 s: one tries, the others wait",
    steps: [
      [0, failed],
      [10_000, begun],
    ],
    avoided: [10_000, 19_999],
    good: [20_000],
  },
  {
    name: "after 10 s: the one that tries gives up, the next may",
    steps: [
      [0, failed],
      [10_000, gaveUp],
    ],
    avoided: [],
    good: [10_000],
  },
  {
    name: "within 10 s: giving up changes nothing",
    steps: [
      [0, failed],
      [4_000, gaveUp],
    ],
    avoided: [9_999],
    good: [10_000],
  },
  { name: "never failed: giving up changes nothing", steps: [[0, gaveUp]], avoided: [], good: [0] },
  { name: "another failed", steps: [[0, otherFailed]], avoided: [], good: [0] },
];
for (const { name, steps, avoided, good } of rows) {
  t.test(name, async (t) => {
    const failures = createConnectFailures();
    for (const [now, step] of steps) step(failures, now);
    for (const now of avoided) t.ok(failures.failedLately("a", now), `avoided at ${now}`);
    for (const now of good) t.notOk(failures.failedLately("a", now), `good at ${now}`);
  });
}

t.test("giving up late takes nothing back that others found out meanwhile", async (t) => {
  const late = (): { failures: ConnectFailures; slow: ConnectAttempt } => {
    const failures = createConnectFailures();
    failed(failures, 0);
    return { failures, slow: failures.begin("a", 10_000) };
  };
  const better = late();
  worked(better.failures, 10_100);
  better.slow.gaveUp();
  t.notOk(better.failures.failedLately("a", 10_101));
  const worse = late();
  failed(worse.failures, 10_100);
  worse.slow.gaveUp();
  t.ok(worse.failures.failedLately("a", 10_101));
});

t.test("the oldest goes when there are too many: a name's addresses may change for ever", async (t) => {
  const failures = createConnectFailures();
  for (let index = 0; index <= 256; index += 1) failures.begin(`${index}`, index).failed(index);
  t.notOk(failures.failedLately("0", 300));
  t.ok(failures.failedLately("1", 300));
  t.ok(failures.failedLately("256", 300));
});
