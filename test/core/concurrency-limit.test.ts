import t from "tap";
import {
  type ConcurrencyLimit,
  createConcurrencyLimit,
  createSlowStart,
} from "../../src/core/concurrency-limit.ts";

const NOW = 1_000_000;

function answer(limit: ConcurrencyLimit, count: number): void {
  for (let left = count; left > 0; left -= 1) limit.answered();
}

t.test("connect timeouts halve it, once a second at most", async (t) => {
  const limit = createConcurrencyLimit(256);
  t.equal(limit.at(NOW), 256);
  for (const { after, is } of [
    { after: 0, is: 128 },
    { after: 999, is: 128 },
    { after: 1_000, is: 64 },
    { after: 1_999, is: 64 },
    { after: 2_000, is: 32 },
    { after: 3_000, is: 16 },
    { after: 4_000, is: 8 },
    { after: 5_000, is: 4 },
    { after: 6_000, is: 2 },
    { after: 7_000, is: 2 },
  ]) {
    limit.connectTimedOut(NOW + after);
    t.equal(limit.at(NOW + after), is, `${after} ms`);
  }
});

t.test("the least is 2, or what the upstream allows", async (t) => {
  for (const { most, is } of [
    { most: 1, is: 1 },
    { most: 2, is: 2 },
    { most: 3, is: 2 },
    { most: 5, is: 2 },
    { most: 6, is: 3 },
  ]) {
    const limit = createConcurrencyLimit(most);
    limit.connectTimedOut(NOW);
    t.equal(limit.at(NOW), is, `of ${most}`);
  }
});

t.test("every hundred answers it grows by one, up to the most", async (t) => {
  const limit = createConcurrencyLimit(8);
  limit.connectTimedOut(NOW);
  answer(limit, 99);
  t.equal(limit.at(NOW), 4);
  answer(limit, 1);
  t.equal(limit.at(NOW), 5);
  answer(limit, 200);
  t.equal(limit.at(NOW), 7);
  answer(limit, 1_000);
  t.equal(limit.at(NOW), 8);
});

t.test("after an outage it begins at 8 and doubles each second", async (t) => {
  const limit = createSlowStart(256, NOW);
  for (const { after, is } of [
    { after: 0, is: 8 },
    { after: 999, is: 8 },
    { after: 1_000, is: 16 },
    { after: 2_500, is: 32 },
    { after: 5_000, is: 256 },
    { after: 60_000, is: 256 },
  ])
    t.equal(limit.at(NOW + after), is, `${after} ms`);
  t.equal(createSlowStart(4, NOW).at(NOW), 4, "never more than the most");
});

t.test("a connect timeout ends the slow start", async (t) => {
  const limit = createSlowStart(256, NOW);
  limit.connectTimedOut(NOW + 2_000);
  t.equal(limit.at(NOW + 2_000), 16);
  t.equal(limit.at(NOW + 9_000), 16);
  answer(limit, 100);
  t.equal(limit.at(NOW + 9_000), 17);
});
