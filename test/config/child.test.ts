import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import t from "tap";
import { finished, start } from "../support/processes.ts";

const PROGRAM = join(import.meta.dirname, "../../src/config/child.ts");
const BAD = "routes: []\n";

t.test("it says once what it read, outlives signals meant for all, and ends with who asked", async (t) => {
  const file = join(t.testdir({ "c.yaml": BAD }), "c.yaml");
  const child = fork(PROGRAM, [file], { serialization: "advanced" });
  t.teardown(() => child.kill("SIGKILL"));
  const messages: unknown[] = [];
  child.on("message", (message) => messages.push(message));
  await once(child, "message");
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) child.kill(signal);
  const exit = once(child, "exit");
  child.disconnect();
  t.same(await exit, [null, "SIGKILL"]);
  t.match(messages, [{ ok: false, problems: [{ file, message: /^holds no route/ }] }]);
  t.equal(messages.length, 1);
});

t.test("without anybody who asked it ends at once", async (t) => {
  const file = join(t.testdir({ "c.yaml": BAD }), "c.yaml");
  const { code, stdout, stderr } = await finished(start(t, process.execPath, [PROGRAM, file]));
  t.same([code, stdout, stderr], [0, "", ""]);
});
