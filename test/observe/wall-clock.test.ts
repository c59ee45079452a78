import t from "tap";
import { createWallClock } from "../../src/observe/wall-clock.ts";

t.test("the wall clock: the same time stays the same, until the clock is set", async (t) => {
  const clock = { monotonic: 10, unix: 1_000_010 };
  const at = createWallClock(
    () => clock.monotonic,
    () => clock.unix,
  );
  t.equal(at(5), 1_000_005);
  clock.monotonic += 1_000;
  clock.unix += 1_400;
  t.equal(at(5), 1_000_005, "corrected by a little");
  clock.unix += 3_600_000;
  t.equal(at(5), 4_600_405, "set");
});
