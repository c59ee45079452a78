import { performance } from "node:perf_hooks";
import t from "tap";
import { Deadlines } from "../../src/upstream/deadline-tick.ts";
import { eventually } from "../support/processes.ts";

/** Waits for it, with a deadline. */
async function until(isSo: () => boolean): Promise<void> {
  await eventually(
    () => "it does not happen",
    () => (isSo() ? true : null),
  );
}

t.test("who is in is looked at, in its turn and as long as it is in", async (t) => {
  const deadlines = new Deadlines(() => performance.now());
  const seen: string[] = [];
  const times: number[] = [];
  const begin = performance.now();
  const first = deadlines.add({
    look: (now) => {
      seen.push("a");
      times.push(now);
      deadlines.leave(first);
    },
  });
  const second = deadlines.add({
    look: () => {
      seen.push("b");
      if (seen.length > 4) deadlines.leave(second);
    },
  });
  t.ok(deadlines.time >= begin, "a deadline counted from it is never early");
  await until(() => seen.length > 4);
  t.same(seen, ["a", "b", "b", "b", "b"]);
  t.ok((times[0] ?? 0) >= begin);
});

t.test("the timer runs while there is something to look at", async (t) => {
  let reads = 0;
  const deadlines = new Deadlines(() => {
    reads += 1;
    return performance.now();
  });
  const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
  const before = timers();
  const place = deadlines.add({ look: () => {} });
  t.equal(timers(), before + 1);
  deadlines.leave(place);
  await until(() => timers() === before);
  const idle = deadlines.time;
  await until(() => performance.now() > idle);
  deadlines.leave(deadlines.add({ look: () => t.fail("it has left") }));
  t.ok(deadlines.time > idle, "after a rest it is the time of now");
  t.ok(reads >= 3);
  await until(() => timers() === before);
});
