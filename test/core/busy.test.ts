import t from "tap";
import { createSlowAnswers } from "../../src/core/busy.ts";

const WAITED = { hasCookie: true, client: "victim", since: 1_000, now: 6_000 };

t.test("silence is explained by slow answers to others", async (t) => {
  const rows = [
    { name: "nothing was answered", answers: [], is: false },
    { name: "as slow", answers: [{ at: 5_000, took: 4_000, client: "other" }], is: true },
    { name: "half as slow", answers: [{ at: 5_000, took: 2_500, client: "other" }], is: true },
    { name: "less", answers: [{ at: 5_000, took: 2_499, client: "other" }], is: false },
    { name: "at its begin", answers: [{ at: 1_000, took: 4_000, client: "other" }], is: true },
    { name: "before it", answers: [{ at: 999, took: 4_000, client: "other" }], is: false },
    { name: "its own client's", answers: [{ at: 5_000, took: 4_000, client: "victim" }], is: false },
    {
      name: "of other kinds alone",
      answers: [{ at: 5_000, took: 4_000, client: "other", hasCookie: false }],
      is: false,
    },
    {
      name: "one of several",
      answers: [
        { at: 5_000, took: 4_000, client: "other" },
        { at: 5_100, took: 300, client: "other" },
      ],
      is: true,
    },
  ];
  for (const { name, answers, is } of rows) {
    const slow = createSlowAnswers();
    for (const { hasCookie = true, ...answer } of answers as readonly Answered[]) slow.add(hasCookie, answer);
    t.equal(slow.explain(WAITED), is, name);
  }
});

interface Answered {
  readonly at: number;
  readonly took: number;
  readonly client: string;
  readonly hasCookie?: boolean;
}

t.test("a probe has no address, so any client's answers explain its silence", async (t) => {
  const slow = createSlowAnswers();
  slow.add(false, { at: 5_000, took: 4_000, client: "flood" });
  t.equal(slow.explain({ ...WAITED, hasCookie: false, client: null }), true);
});

t.test("a probe opens doors, so slow answers of either kind explain its silence", async (t) => {
  const slow = createSlowAnswers();
  slow.add(true, { at: 5_000, took: 4_000, client: "flood" });
  t.equal(slow.explain({ ...WAITED, hasCookie: false, client: null }), true);
  t.equal(slow.explain({ ...WAITED, hasCookie: false }), false, "a check's only those of its kind");
});

t.test("the latest 64 are kept", async (t) => {
  const slow = createSlowAnswers();
  slow.add(true, { at: 5_000, took: 4_000, client: "other" });
  for (let count = 0; count < 63; count += 1) slow.add(true, { at: 5_000, took: 4_000, client: "victim" });
  t.equal(slow.explain(WAITED), true);
  slow.add(true, { at: 5_000, took: 4_000, client: "victim" });
  t.equal(slow.explain(WAITED), false);
});
