import t from "tap";
import { createBodyStream } from "../../src/upstream/body-stream.ts";

t.test("it wants more once it is read, and closes once", async (t) => {
  const calls: string[] = [];
  const stream = createBodyStream(
    () => calls.push("wanted"),
    () => calls.push("closed"),
  );
  t.equal(stream.push(Buffer.alloc(100_000)), false);
  t.same(calls, [], "nothing is wanted before it is read");
  const chunks = stream.body.chunks[Symbol.asyncIterator]();
  t.equal((await chunks.next()).value?.length, 100_000);
  t.ok(calls.includes("wanted"));
  stream.end();
  t.equal((await chunks.next()).done, true);
  t.equal(await stream.body.ended, null);
  t.equal(calls.at(-1), "closed");
});

t.test("what is cancelled, or breaks off unread, ends without an error of its own", async (t) => {
  const cancelled = createBodyStream(
    () => {},
    () => {},
  );
  cancelled.body.cancel();
  t.equal(await cancelled.body.ended, null);
  const broken = createBodyStream(
    () => {},
    () => {},
  );
  broken.breakOff("read_timeout");
  t.equal(await broken.body.ended, "read_timeout");
  await t.rejects(broken.body.chunks[Symbol.asyncIterator]().next());
});
