import t from "tap";
import { Room } from "../../src/wire/room.ts";

t.test("memory is used again as long as it suffices", async (t) => {
  const room = new Room();
  const first = room.take(100);
  t.ok(first.length >= 100);
  t.equal(room.take(80), first);
  const larger = room.take(1_000);
  t.ok(larger.length >= 1_000);
  t.equal(room.take(100), larger);
  const once = room.take(100_000);
  t.equal(once.length, 100_000);
  t.equal(room.take(1_000), larger, "much is taken once and not kept");
});
