import { mock } from "node:test";
import { setImmediate } from "node:timers/promises";
import t from "tap";
import { inTime, refusal } from "../../src/process/file-patience.ts";

t.test("regression: one at a time, so that what hangs holds one thread and no more", async (t) => {
  const running: string[] = [];
  const ends = new Map<string, () => void>();
  const work = (name: string) => () => {
    running.push(name);
    return new Promise<string>((resolve) => ends.set(name, () => resolve(name)));
  };
  const both = [inTime("/x/a", work("a")), inTime("/x/b", work("b"))];
  await setImmediate();
  t.same(running, ["a"]);
  ends.get("a")?.();
  t.equal(await both[0], "a");
  await setImmediate();
  t.same(running, ["a", "b"]);
  ends.get("b")?.();
  t.equal(await both[1], "b");
  const failed = inTime("/x/c", () => Promise.reject(new Error("no such file")));
  await t.rejects(failed, { message: "no such file" });
  t.equal(await inTime("/x/d", async () => "next"), "next", "a failure holds up nobody");
});

t.test("regression: folders that hang hold up no others, and no more than two threads", async (t) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  t.teardown(() => mock.timers.reset());
  const ends: (() => void)[] = [];
  const hang = async (file: string): Promise<void> => {
    const hung = inTime(file, () => new Promise<void>((resolve) => ends.push(resolve)));
    await setImmediate();
    mock.timers.tick(5_000);
    await t.rejects(hung, { code: "its file system does not answer" });
  };
  await hang("/dead/one");
  t.equal(await inTime("/good/file", async () => "read"), "read");
  await hang("/dying/two");
  await t.rejects(
    inTime("/good/file", async () => "read"),
    { code: /file systems do not answer/ },
  );
  ends[0]?.();
  await setImmediate();
  t.equal(await inTime("/good/file", async () => "read"), "read");
  t.equal(await inTime("/dead/one", async () => "read"), "read", "it is back");
  ends[1]?.();
  await setImmediate();
});

t.test("work that throws at once, or fails long after it was given up, holds up nobody", async (t) => {
  const atOnce = inTime("/at-once/file", () => {
    throw refusal("no such thing");
  });
  await t.rejects(atOnce, { code: "no such thing", message: "no such thing" });
  mock.timers.enable({ apis: ["setTimeout"] });
  t.teardown(() => mock.timers.reset());
  const work = Promise.withResolvers<void>();
  const late = inTime("/late/file", () => work.promise, 20);
  await setImmediate();
  mock.timers.tick(20);
  await t.rejects(late, { code: "its file system does not answer" }, "after its own time, where it has one");
  work.reject(new Error("nobody listens to this"));
  await setImmediate();
  t.equal(await inTime("/late/other", async () => "read"), "read", "its folder is back");
});
