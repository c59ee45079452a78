import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { mock } from "node:test";
import { setImmediate } from "node:timers/promises";
import t from "tap";
import { readBounded, stampOf } from "../../src/config/read-file.ts";
import { inTime } from "../../src/process/file-patience.ts";
import { hangFiles } from "../support/hung-files.ts";

t.test("what is no regular file is refused, and waited for by nobody", async (t) => {
  const dir = t.testdir({ file: "all of it" });
  const pipe = join(dir, "pipe");
  execFileSync("mkfifo", [pipe]);
  for (const file of [pipe, "/dev/zero", "/dev/null", dir]) {
    await t.rejects(readBounded(file), { code: "it is not a regular file" }, file);
  }
  t.equal(Buffer.from(await readBounded(join(dir, "file"))).toString(), "all of it");
});

t.test("a file system that hangs is given up, and holds one thread only", async (t) => {
  const dir = t.testdir({ file: "text" });
  const file = join(dir, "file");
  const refused = { code: "its file system does not answer" };
  mock.timers.enable({ apis: ["setTimeout"] });
  t.teardown(() => mock.timers.reset());
  const answer = hangFiles(t, dir);
  const reading = readBounded(file);
  await setImmediate();
  mock.timers.tick(4_999);
  const state = await Promise.race([reading, setImmediate("waits")]);
  t.equal(state, "waits");
  mock.timers.tick(1);
  await t.rejects(reading, refused);

  let begun = 0;
  const counted = async (): Promise<void> => {
    begun += 1;
  };
  await t.rejects(inTime(join(dir, "other"), counted), refused, "meanwhile nothing else is begun there");
  await inTime("/elsewhere/file", counted);
  t.equal(begun, 1, "elsewhere it is");
  begun = 0;
  t.equal(await stampOf(file), null);
  t.equal(begun, 0);
  answer();
  while (begun === 0) {
    await setImmediate();
    await inTime(file, counted).catch(() => {});
  }
  t.equal(Buffer.from(await readBounded(file)).toString(), "text", "it is read once it is back");
});
