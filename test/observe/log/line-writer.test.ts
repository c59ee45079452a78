import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import t, { type Test } from "tap";
import { openLineWriter } from "../../../src/observe/log/line-writer.ts";

const SCRIPT = join(import.meta.dirname, "chatty-server.ts");
const DEADLINE = 20_000;
/** Far more than a pipe and the writer's queue hold together. */
const MANY = 100_000;

interface Chatty {
  readonly child: ChildProcess;
  get(path: string): Promise<string>;
  /** Resolves with the exit code; null when it had to be killed. */
  end(): Promise<number | null>;
}

async function startChatty(t: Test, lines: number, stdout: "pipe" | number): Promise<Chatty> {
  const child = spawn(process.execPath, [SCRIPT, String(lines)], {
    stdio: ["ignore", stdout, "inherit", "pipe"],
  });
  t.teardown(() => child.kill("SIGKILL"));
  const report = child.stdio[3];
  if (report === null || report === undefined) throw new Error("no report pipe");
  const [chunk] = await once(report, "data");
  const get = async (path: string): Promise<string> => {
    const response = await fetch(`http://127.0.0.1:${Number(chunk)}${path}`, {
      signal: AbortSignal.timeout(DEADLINE),
    });
    return await response.text();
  };
  return {
    child,
    get,
    async end() {
      const exit = once(child, "exit");
      const killer = setTimeout(() => child.kill("SIGKILL"), DEADLINE);
      await get("/end");
      const [code] = await exit;
      clearTimeout(killer);
      return code;
    },
  };
}

async function untilWritten(chatty: Chatty, lines: number): Promise<boolean> {
  for (const end = performance.now() + DEADLINE; performance.now() < end; ) {
    if (Number(await chatty.get("/")) === lines) return true;
    await sleep(10);
  }
  return false;
}

t.test("a pipe that nobody reads stops neither the process nor its exit", async (t) => {
  const chatty = await startChatty(t, MANY, "pipe");
  t.ok(await untilWritten(chatty, MANY), "it answered and logged all along");
  t.equal(await chatty.end(), 0);
});

t.test("what got lost meanwhile is told once the pipe is read", async (t) => {
  const chatty = await startChatty(t, MANY, "pipe");
  t.ok(await untilWritten(chatty, MANY));
  const { stdout } = chatty.child;
  if (stdout === null) throw new Error("no stdout");
  const all = text(stdout);
  // The queue takes lines again as soon as a chunk is through.
  let output = "";
  stdout.on("data", (chunk) => {
    output += String(chunk);
  });
  for (const end = performance.now() + DEADLINE; !output.includes("more") && performance.now() < end; ) {
    await chatty.get("/more");
  }
  t.equal(await chatty.end(), 0);
  const lines = (await all).trimEnd().split("\n");
  const parsed = lines.map((line) => JSON.parse(line));
  const numbered = parsed.filter((line) => "number" in line).length;
  const dropped = parsed.reduce((sum, line) => sum + (line.dropped ?? 0), 0);
  const more = parsed.filter((line) => "more" in line);
  t.ok(numbered < MANY, "lines were dropped");
  t.ok(more.length > 0);
  t.ok(dropped >= MANY - numbered, "each of them was counted");
});

t.test("a closed pipe stops nothing", async (t) => {
  const chatty = await startChatty(t, MANY, "pipe");
  chatty.child.stdout?.destroy();
  t.ok(await untilWritten(chatty, MANY));
  await chatty.get("/more");
  t.equal(await chatty.end(), 0);
});

t.test("a file gets every line", async (t) => {
  const file = join(t.testdir(), "log");
  const fd = openSync(file, "w");
  const chatty = await startChatty(t, 500, fd);
  closeSync(fd);
  t.ok(await untilWritten(chatty, 500));
  t.equal(await chatty.end(), 0);
  const lines = readFileSync(file, "utf8").trimEnd().split("\n");
  t.same(
    lines.map((line) => JSON.parse(line).number),
    Array.from({ length: 500 }, (_, index) => index + 1),
  );
});

t.test("a full disk stops nothing", async (t) => {
  const fd = openSync("/dev/full", "w");
  const chatty = await startChatty(t, 1000, fd);
  closeSync(fd);
  t.ok(await untilWritten(chatty, 1000));
  t.equal(await chatty.end(), 0);
});

t.test("the queue is bounded, by lines and by length", async (t) => {
  const rows = [
    { name: "many short lines", line: '{"n":1}', count: 3000, kept: 1001 },
    // One is on its way, 64 KiB wait behind it.
    { name: "some long lines", line: JSON.stringify({ text: "x".repeat(10_000) }), count: 20, kept: 7 },
    {
      name: "a line longer than the queue",
      line: JSON.stringify({ text: "x".repeat(65_536) }),
      count: 1,
      kept: 0,
    },
  ];
  for (const { name, line, count, kept } of rows) {
    t.test(name, async (t) => {
      const file = join(t.testdir(), "log");
      const fd = openSync(file, "w");
      t.teardown(() => closeSync(fd));
      const writer = openLineWriter(fd);
      for (let i = 0; i < count; i += 1) writer.write(line);
      await writer.flush(DEADLINE);
      writer.write('{"last":true}');
      await writer.flush(DEADLINE);
      const lines = readFileSync(file, "utf8").trimEnd().split("\n");
      t.equal(lines.length, kept + 1);
      t.equal(lines.at(-1), `{"last":true,"dropped":${count - kept}}`);
    });
  }
});
