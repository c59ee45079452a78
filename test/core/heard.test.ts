import t from "tap";
import { createHeard } from "../../src/core/heard.ts";

const NEVER = Number.NEGATIVE_INFINITY;

t.test("nothing was heard", async (t) => {
  const heard = createHeard();
  for (const hasCookie of [true, false]) {
    t.equal(heard.verdictAt(hasCookie), NEVER);
    t.equal(heard.usualAt(hasCookie), NEVER);
    t.equal(heard.usual(hasCookie), null);
  }
});

t.test("each kind of check is heard of by itself: a store may hang for new logins alone", async (t) => {
  for (const hasCookie of [true, false]) {
    const heard = createHeard();
    heard.verdict(hasCookie, 8, 1_000);
    t.same([heard.verdictAt(hasCookie), heard.usualAt(hasCookie), heard.usual(hasCookie)], [1_000, 1_000, 8]);
    t.same(
      [heard.verdictAt(!hasCookie), heard.usualAt(!hasCookie), heard.usual(!hasCookie)],
      [NEVER, NEVER, null],
    );
  }
});

t.test("the usual speed", async (t) => {
  const rows = [
    { name: "as ever", took: 10, isUsual: true },
    { name: "four times as long", took: 40, isUsual: true },
    { name: "longer", took: 41, isUsual: false },
    { name: "faster", took: 0, isUsual: true },
  ];
  for (const { name, took, isUsual } of rows) {
    const heard = createHeard();
    heard.verdict(false, 10, 1_000);
    heard.verdict(false, took, 2_000);
    t.equal(heard.verdictAt(false), 2_000, `${name}: a verdict at any speed`);
    t.equal(heard.usualAt(false), isUsual ? 2_000 : 1_000, name);
  }
});

t.test("the first answer is usual, since nothing is known yet", async (t) => {
  const heard = createHeard();
  heard.verdict(true, 5_000, 1_000);
  t.equal(heard.usualAt(true), 1_000);
});

t.test("one answer of each 50 ms is measured, and every one is heard", async (t) => {
  const heard = createHeard();
  heard.verdict(false, 10, 1_000);
  heard.verdict(false, 30, 1_049);
  t.equal(heard.usual(false), 10);
  t.equal(heard.verdictAt(false), 1_049);
  heard.verdict(false, 30, 1_050);
  t.equal(heard.usual(false), 20, "the median of two is between them");
});
