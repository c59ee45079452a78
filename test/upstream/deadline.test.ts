import t from "tap";
import { isStarved, pastDeadline, stalledSoFar, startDeadline } from "../../src/upstream/deadline.ts";

t.test("whose stall it was", async (t) => {
  t.same(pastDeadline("read_timeout", false), { kind: "failure", reason: "read_timeout" });
  t.same(pastDeadline("read_timeout", true), { kind: "overload" });
  const now = stalledSoFar();
  const rows = [
    { name: "none", milliseconds: 1_000, stalled: 0, is: false },
    { name: "a share that is small", milliseconds: 1_000, stalled: 199, is: false },
    { name: "a share that is large", milliseconds: 1_000, stalled: 201, is: true },
    { name: "jitter, though the deadline is short", milliseconds: 10, stalled: 24, is: false },
  ];
  for (const { name, milliseconds, stalled, is } of rows)
    t.equal(isStarved(milliseconds, now - stalled), is, name);
});

t.test("it passes once, and not when cleared", async (t) => {
  let passed = 0;
  const count = (): void => {
    passed += 1;
  };
  startDeadline(1, count).clear();
  await new Promise<void>((resolve) => {
    startDeadline(5, () => {
      count();
      resolve();
    });
  });
  t.equal(passed, 1);
});
