import t from "tap";
import { createLatencyWindow, hedgeDelay, hurryDelay, isSlow, lateDelay } from "../../src/core/latency.ts";

function medianOf(answers: readonly number[]): number | null {
  const window = createLatencyWindow();
  for (const milliseconds of answers) window.add(milliseconds);
  return window.median;
}

function times(count: number, milliseconds: number): readonly number[] {
  return Array.from({ length: count }, () => milliseconds);
}

t.test("the median", async (t) => {
  const rows: readonly { name: string; answers: readonly number[]; median: number | null }[] = [
    { name: "no answer yet", answers: [], median: null },
    { name: "one", answers: [7], median: 7 },
    { name: "an answer in no time is one", answers: [0], median: 0 },
    { name: "two", answers: [7, 9], median: 8 },
    { name: "the third waits for the fourth", answers: [7, 9, 100], median: 8 },
    { name: "four", answers: [7, 9, 100, 5], median: 8 },
    { name: "eight, as numbers and not as text", answers: [10, 9, 100, 8, 1_000, 7, 11, 12], median: 10.5 },
    { name: "a few slow ones do not move it", answers: [...times(12, 3), ...times(4, 900)], median: 3 },
    { name: "it lags by less than 16", answers: [...times(16, 3), ...times(15, 50)], median: 3 },
    { name: "the 32nd answer renews it", answers: [...times(15, 3), ...times(17, 50)], median: 50 },
    { name: "of 64, the half", answers: [...times(32, 10), ...times(32, 20)], median: 15 },
    {
      name: "only the last 64 count: half of them",
      answers: [...times(960, 500), ...times(32, 4)],
      median: 252,
    },
    {
      name: "only the last 64 count: most of them",
      answers: [...times(960, 500), ...times(48, 4)],
      median: 4,
    },
  ];
  for (const { name, answers, median } of rows) t.equal(medianOf(answers), median, name);
});

t.test("it is renewed after 1, 2, 4, 8 answers, then after each 16", async (t) => {
  const window = createLatencyWindow();
  const renewed: number[] = [];
  let before = window.median;
  for (let answer = 1; answer <= 100; answer += 1) {
    window.add(answer);
    if (window.median !== before) renewed.push(answer);
    before = window.median;
  }
  t.same(renewed, [1, 2, 4, 8, 16, 32, 48, 64, 80, 96]);
  t.equal(window.median, 64.5, "of 33 to 96");
});

t.test("of all answers in one tick of the clock, one is measured", async (t) => {
  const window = createLatencyWindow();
  t.same(
    [10, 10, 20, 20, 20, 40].map((now) => window.isDue(now)),
    [true, false, true, false, false, true],
  );
});

t.test("the hedge delay", async (t) => {
  const rows = [
    { name: "nothing known", median: null, authorization: false, delay: 1_000 },
    { name: "ten times the median", median: 25, authorization: false, delay: 250 },
    { name: "not under 100 ms", median: 2, authorization: false, delay: 100 },
    { name: "not even at no time", median: 0, authorization: false, delay: 100 },
    { name: "at 100 ms", median: 10, authorization: false, delay: 100 },
    { name: "at 1 s", median: 100, authorization: false, delay: 1_000 },
    { name: "not over 1 s", median: 700, authorization: false, delay: 1_000 },
    { name: "with Authorization", median: 2, authorization: true, delay: 1_000 },
    { name: "with Authorization, nothing known", median: null, authorization: true, delay: 1_000 },
  ];
  for (const { name, median, authorization, delay } of rows) {
    t.equal(hedgeDelay(median, authorization), delay, name);
  }
});

t.test("when a check waits unusually long", async (t) => {
  const rows = [
    { name: "the hedge has waited as long", delay: 100, median: 2, hasHedge: true, is: 200 },
    { name: "no hedge is possible", delay: 100, median: 2, hasHedge: false, is: 100 },
    { name: "nothing known", delay: 1_000, median: null, hasHedge: true, is: 2_000 },
    { name: "usually slow", delay: 1_000, median: 800, hasHedge: true, is: 3_200 },
    { name: "usually slow, and no hedge", delay: 1_000, median: 800, hasHedge: false, is: 3_200 },
  ];
  for (const { name, delay, median, hasHedge, is } of rows)
    t.equal(lateDelay(delay, median, hasHedge), is, name);
});

t.test("a reply is sent before the gateway leaves", async (t) => {
  const rows = [
    { patience: 5_000, is: 4_900 },
    { patience: 1_000, is: 900 },
    { patience: 500, is: 450 },
    { patience: 200, is: 170 },
    { patience: 100, is: 70 },
  ];
  for (const { patience, is } of rows) t.equal(hurryDelay(patience), is, `${patience} ms`);
});

t.test("a slow answer", async (t) => {
  const rows = [
    { name: "nothing known", milliseconds: 9_000, median: null, slow: false },
    { name: "four times the median", milliseconds: 40, median: 10, slow: false },
    { name: "more", milliseconds: 40.1, median: 10, slow: true },
    { name: "as usual", milliseconds: 10, median: 10, slow: false },
    { name: "far more, but within 5 ms", milliseconds: 5, median: 0.3, slow: false },
    { name: "far more, and over 5 ms", milliseconds: 5.1, median: 0.3, slow: true },
    { name: "over 5 ms, but not four times", milliseconds: 7, median: 2, slow: false },
    { name: "the median is 0", milliseconds: 6, median: 0, slow: true },
  ];
  for (const { name, milliseconds, median, slow } of rows) t.equal(isSlow(milliseconds, median), slow, name);
});
