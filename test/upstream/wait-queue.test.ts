import t from "tap";
import { type Waiter, WaitQueue } from "../../src/upstream/wait-queue.ts";

t.test("a failed connection fails those that have seen no answer since, and no others", async (t) => {
  const queue = new WaitQueue();
  const failed: string[] = [];
  const waiter = (name: string, answers: number): Waiter => ({
    needsFresh: false,
    mayShare: false,
    answers,
    fits: () => true,
    take: () => {},
    fail: ({ kind }) => {
      failed.push(`${name}: ${kind}`);
      if (name === "first") queue.add(waiter("late", 7));
    },
    open: () => {},
  });
  for (const [name, answers] of [
    ["first", 7],
    ["other", 6],
    ["last", 7],
  ] as const)
    queue.add(waiter(name, answers));
  queue.failUnheard({ kind: "failure", reason: "refused" }, 7);
  t.same(failed, ["first: failure", "last: failure"], "nor one that comes meanwhile");
  t.same([queue.shift()?.answers, queue.shift()?.answers, queue.shift()], [6, 7, null]);
});
