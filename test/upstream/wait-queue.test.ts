import t from "tap";
import { type Waiter, WaitQueue } from "../../src/upstream/wait-queue.ts";

t.test("a failed connection fails those that have seen no answer since, and no others", async (t) => {
  const queue = new WaitQueue();
  const failed: string[] = [];
  const waiter = (name: string, answers: number): Waiter => ({
    client: null,
    needsFresh: false,
    mayShare: false,
    answers,
    fits: () => true,
    take: () => {},
    fail: ({ kind }) => {
      failed.push(`${name}: ${kind}`);
      if (name === "first") queue.add(waiter("late", 7), null);
    },
    open: () => {},
  });
  for (const [name, answers] of [
    ["first", 7],
    ["other", 6],
    ["last", 7],
  ] as const)
    queue.add(waiter(name, answers), null);
  queue.failUnheard({ kind: "failure", reason: "refused" }, 7);
  t.same(failed, ["first: failure", "last: failure"], "nor one that comes meanwhile");
  const left: number[] = [];
  queue.each(({ answers }) => left.push(answers));
  t.same(left, [6, 7]);
});
