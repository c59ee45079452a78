import t from "tap";
import { ScratchBuffer } from "../../src/wire/scratch.ts";

t.test("memory is used again as long as it suffices", async (t) => {
  const room = new ScratchBuffer();
  const first = room.take(100).fill("a");
  t.equal(room.take(100), first);
  t.equal(room.take(80).toString(), "a".repeat(80), "the same memory");
  const larger = room.take(1_000).fill("b");
  t.equal(larger.length, 1_000);
  t.equal(room.take(100).toString(), "b".repeat(100));
  const once = room.take(100_000).fill("c");
  t.equal(once.length, 100_000);
  t.equal(room.take(1_000).toString(), "b".repeat(1_000), "much is taken once and not kept");
  t.equal(first.toString(), "a".repeat(100), "what was too small is left as it was");
});
