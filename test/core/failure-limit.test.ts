import t from "tap";
import { createFailureLimit, type FailureLimit } from "../../src/core/failure-limit.ts";

const rule = { failures: 3, per: 60_000, global: 6 };

function fail(limit: FailureLimit, address: string, now: number): boolean {
  if (limit.book(address, rule, now).kind === "limited") return false;
  limit.settle(address, true, now);
  return true;
}

t.test("an address may fail `failures` times within `per`, others go on", async (t) => {
  const limit = createFailureLimit();
  for (const now of [0, 10, 20]) t.ok(fail(limit, "a", now));
  t.same(limit.book("a", rule, 30), { kind: "limited", retryAfter: 59_970 });
  t.ok(limit.isExhausted("a", rule, 30));
  t.notOk(limit.isExhausted("b", rule, 30));
  t.ok(fail(limit, "b", 30));
});

t.test("the window slides: one failure expires, one try is free", async (t) => {
  const limit = createFailureLimit();
  for (const now of [0, 30_000, 40_000]) fail(limit, "a", now);
  t.same(limit.book("a", rule, 59_999), { kind: "limited", retryAfter: 1 });
  t.ok(fail(limit, "a", 60_000));
  t.same(limit.book("a", rule, 60_001), { kind: "limited", retryAfter: 29_999 });
});

t.test("all addresses together may fail `global` times", async (t) => {
  const limit = createFailureLimit();
  for (let address = 0; address < 6; address++) t.ok(fail(limit, `a${address}`, address));
  t.same(limit.book("fresh", rule, 100), { kind: "limited", retryAfter: 59_900 });
  t.ok(fail(limit, "fresh", 60_000));
  t.notOk(fail(limit, "fresh", 60_000));
});

t.test("tries that run count: parallel guesses do not slip through", async (t) => {
  const limit = createFailureLimit();
  const booked = Array.from({ length: 1000 }, () => limit.book("a", rule, 0).kind);
  t.equal(booked.filter((kind) => kind === "booked").length, 3);
  t.same(limit.book("a", rule, 0), { kind: "pending" }, "none has failed yet");
  for (let tried = 0; tried < 3; tried += 1) limit.settle("a", true, 0);
  t.same(limit.book("a", rule, 0), { kind: "limited", retryAfter: 60_000 });
});

t.test("a try that did not fail is given back", async (t) => {
  const limit = createFailureLimit();
  for (let now = 0; now < 100; now++) {
    t.equal(limit.book("a", rule, now).kind, "booked");
    limit.settle("a", false, now);
  }
  t.notOk(limit.isExhausted("a", rule, 100));
});

t.test("nobody can push their own failures out with other addresses", async (t) => {
  const limit = createFailureLimit();
  const wide = { ...rule, global: 100_000 };
  for (const now of [0, 1, 2]) fail(limit, "a", now);
  for (let address = 0; address < 20_000; address++) {
    limit.book(`b${address}`, wide, 10);
    limit.settle(`b${address}`, true, 10);
  }
  t.ok(limit.isExhausted("a", wide, 59_999));
  t.notOk(limit.isExhausted("b7", wide, 59_999));
  t.notOk(limit.isExhausted("a", wide, 60_000));
});

t.test("however wide the rule, no more than 100,000 failures are kept", async (t) => {
  const limit = createFailureLimit();
  const huge = { failures: Number.MAX_SAFE_INTEGER, per: 60_000, global: Number.MAX_SAFE_INTEGER };
  let booked = 0;
  while (limit.book("a", huge, 0).kind === "booked") {
    limit.settle("a", true, 0);
    booked += 1;
  }
  t.equal(booked, 100_000);
});

t.test("a stricter rule after a reload counts what was before", async (t) => {
  const limit = createFailureLimit();
  for (const now of [0, 10_000, 20_000]) fail(limit, "a", now);
  t.same(limit.book("a", { ...rule, failures: 1 }, 30_000), { kind: "limited", retryAfter: 50_000 });
  t.notOk(limit.isExhausted("a", { ...rule, per: 5000 }, 30_000));
});
