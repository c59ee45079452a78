import t from "tap";
import { DURATION_BOUNDS } from "../../../src/observe/route-record.ts";
import {
  BUCKET_MS,
  BUCKETS,
  createHistory,
  type Quantile,
  quantile,
  sum,
} from "../../../src/observe/status/history.ts";
import { facts } from "../../support/status-scene.ts";

/** Checks, fallbacks, errors, shed: so many since the start. */
function counts(checks: number, fallbacks = 0, errors = 0, shed = 0) {
  const durations = Array.from({ length: DURATION_BOUNDS.length + 1 }, (_, index) =>
    index === 2 ? checks : 0,
  );
  return facts("sso", {
    checks: { upstream: checks - fallbacks - shed, fallback: fallbacks, grace: 0, override: 0, shed },
    fallbacks,
    errors,
    durations,
  });
}

t.test("what a count grew by is in the bucket of the moment", async (t) => {
  const rows: readonly {
    name: string;
    takes: readonly (readonly [seconds: number, checks: number])[];
    /** The last buckets; those before are empty. */
    checks: readonly number[];
  }[] = [
    { name: "nothing", takes: [[0, 0]], checks: [0] },
    { name: "the first take counts from the start", takes: [[3, 7]], checks: [7] },
    {
      name: "several takes of one bucket",
      takes: [
        [0, 1],
        [5, 3],
        [14.9, 10],
      ],
      checks: [10],
    },
    {
      name: "the next bucket",
      takes: [
        [14.9, 10],
        [15, 12],
      ],
      checks: [10, 2],
    },
    {
      name: "buckets without a take are empty",
      takes: [
        [0, 4],
        [45, 5],
      ],
      checks: [4, 0, 0, 1],
    },
    {
      name: "after 15 minutes the first is gone",
      takes: [
        [0, 4],
        [900, 6],
      ],
      checks: [2],
    },
    {
      name: "and just before they are over it is not",
      takes: [
        [0, 4],
        [899, 6],
      ],
      checks: [4, ...Array(58).fill(0), 2],
    },
    {
      name: "a pause of days",
      takes: [
        [0, 4],
        [300_000, 9],
        [300_016, 10],
      ],
      checks: [5, 1],
    },
    {
      name: "a count that starts anew",
      takes: [
        [0, 100],
        [5, 3],
        [10, 4],
      ],
      checks: [104],
    },
    {
      name: "a clock that stands still",
      takes: [
        [20, 1],
        [20, 2],
      ],
      checks: [2],
    },
  ];
  for (const { name, takes, checks } of rows) {
    const history = createHistory();
    for (const [seconds, count] of takes) history.take([counts(count)], seconds * 1_000);
    const empty = Array(BUCKETS - checks.length).fill(0);
    t.same(history.of("sso").checks, [...empty, ...checks], name);
    t.equal(sum(history.of("sso").durations), sum(checks), `${name}: durations`);
  }
});

t.test("columns do not mix, nor do routes", async (t) => {
  const history = createHistory();
  history.take([counts(10, 4, 3, 2), facts("other")], 0);
  history.take([counts(20, 8, 6, 4), facts("other")], BUCKET_MS);
  const last = (name: "checks" | "fallbacks" | "errors" | "shed") => history.of("sso")[name].slice(-2);
  t.same(last("checks"), [10, 10]);
  t.same(last("fallbacks"), [4, 4]);
  t.same(last("errors"), [3, 3]);
  t.same(last("shed"), [2, 2]);
  t.equal(history.of("sso").durations[2], 20);
  t.equal(sum(history.of("other").checks), 0);
});

t.test("a route that is gone is forgotten", async (t) => {
  const history = createHistory();
  history.take([counts(10)], 0);
  history.take([], 5_000);
  t.equal(sum(history.of("sso").checks), 0);
  history.take([counts(10)], 10_000);
  t.equal(sum(history.of("sso").checks), 10);
});

t.test("a quantile is a bound of the histogram", async (t) => {
  const at = (pairs: Readonly<Record<number, number>>) =>
    Array.from({ length: DURATION_BOUNDS.length + 1 }, (_, index) => pairs[index] ?? 0);
  const last = DURATION_BOUNDS.length;
  const rows: readonly { name: string; counts: readonly number[]; share: number; is: Quantile }[] = [
    { name: "of nothing", counts: at({}), share: 0.5, is: null },
    { name: "of one", counts: at({ 3: 1 }), share: 0.5, is: { atMost: 0.01 } },
    { name: "the lower half", counts: at({ 0: 50, 5: 50 }), share: 0.5, is: { atMost: 0.001 } },
    { name: "more than half", counts: at({ 0: 49, 5: 51 }), share: 0.5, is: { atMost: 0.05 } },
    { name: "99 of 100", counts: at({ 0: 99, [last]: 1 }), share: 0.99, is: { atMost: 0.001 } },
    { name: "98 of 100", counts: at({ 0: 98, [last - 1]: 2 }), share: 0.99, is: { atMost: 10 } },
    { name: "beyond all bounds", counts: at({ 0: 1, [last]: 9 }), share: 0.5, is: { moreThan: 10 } },
  ];
  for (const { name, counts, share, is } of rows) t.same(quantile(counts, share), is, name);
});
