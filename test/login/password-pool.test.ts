import { execFile } from "node:child_process";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import t, { type Test } from "tap";
import {
  createPasswordPool,
  defaultPoolSize,
  type PasswordPoolOptions,
} from "../../src/login/password-pool.ts";

const SHA_OF_SECRET = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=";
const ROOT = join(import.meta.dirname, "../..");
const TSC = join(ROOT, "node_modules/typescript/bin/tsc");

/** This worker says "good" when password and hash are the same word. Some words kill it. */
const STAND_IN = `
import { parentPort } from "node:worker_threads";
parentPort.on("message", ({ password, hash }) => {
  if (password === "exit") process.exit(0);
  if (password === "throw") throw new Error("broken");
  if (password === "hog") for (const all = []; ; ) all.push(Array.from({ length: 100_000 }, Math.random));
  if (password === "wait") return;
  parentPort.postMessage(password === "odd" ? "true" : password === hash);
});
`;

function poolFor(t: Test, options: PasswordPoolOptions) {
  const pool = createPasswordPool(options);
  // The workers do not keep the process alive, so the test has to.
  const alive = setInterval(() => {}, 1000);
  t.teardown(async () => {
    clearInterval(alive);
    await pool.close();
  });
  return pool;
}

function standIn(t: Test): URL {
  return pathToFileURL(join(t.testdir({ "worker.mjs": STAND_IN }), "worker.mjs"));
}

/** Runs node without the loaders that the test runner passes to every child by NODE_OPTIONS. */
function nodeAlone(...args: readonly string[]) {
  const command = ["-u", "NODE_OPTIONS", process.execPath, ...args];
  return promisify(execFile)("env", command, { timeout: 60_000 });
}

t.test("verifies in workers, from source", async (t) => {
  const pool = poolFor(t, { size: 2 });
  const asked = ["secret", "wrong", "secret", ""].map((password) => pool.verify(password, SHA_OF_SECRET));
  t.same(await Promise.all(asked), ["good", "bad", "good", "bad"]);
  t.equal(await pool.verify("secret", "secret"), "bad");
});

t.test("compiled, too, and without keeping the process alive", async (t) => {
  const dir = t.testdir({
    "tsconfig.json": JSON.stringify({
      extends: join(ROOT, "tsconfig.build.json"),
      compilerOptions: { rootDir: join(ROOT, "src"), outDir: "dist" },
      include: [],
      files: [join(ROOT, "src/login/password-pool.ts"), join(ROOT, "src/login/password-worker.ts")],
    }),
    "ask.mjs": `
      import { createPasswordPool } from "./dist/login/password-pool.js";
      const pool = createPasswordPool({ size: 2 });
      const alive = setInterval(() => {}, 1000);
      console.log(await pool.verify("secret", "${SHA_OF_SECRET}"), await pool.verify("wrong", "${SHA_OF_SECRET}"));
      clearInterval(alive);
    `,
  });
  await nodeAlone(TSC, "-p", dir);
  const { stdout } = await nodeAlone(join(dir, "ask.mjs"));
  t.equal(stdout, "good bad\n");
});

const deaths: readonly string[] = ["exit", "throw", "hog"];
for (const word of deaths) {
  t.test(`a worker that dies (${word}) has failed, and is replaced`, async (t) => {
    const pool = poolFor(t, { size: 1, worker: standIn(t) });
    const asked = ["a", word, "a", word, "b"].map((password) => pool.verify(password, "a"));
    t.same(await Promise.all(asked), ["good", "failed", "good", "failed", "bad"]);
  });
}

t.test("anything but true is bad", async (t) => {
  const pool = poolFor(t, { size: 1, worker: standIn(t) });
  t.equal(await pool.verify("odd", "odd"), "bad");
});

t.test("a worker that cannot start has failed, for each in the queue", async (t) => {
  const pool = poolFor(t, { size: 2, worker: new URL("file:///nowhere/worker.mjs") });
  const asked = Array.from({ length: 5 }, () => pool.verify("a", "a"));
  t.same(await Promise.all(asked), Array(5).fill("failed"));
});

t.test("a thread that cannot even be made has failed, without an exception", async (t) => {
  const pool = poolFor(t, { size: 2, worker: new URL("http://localhost/worker.mjs") });
  t.equal(await pool.verify("a", "a"), "failed");
});

t.test("a full queue is busy, and closing settles all", async (t) => {
  const pool = poolFor(t, { size: 2, maxWaiting: 3, worker: standIn(t) });
  const held = Array.from({ length: 5 }, () => pool.verify("wait", ""));
  t.equal(await pool.verify("a", "a"), "busy");
  await pool.close();
  t.same(await Promise.all(held), Array(5).fill("failed"));
  t.equal(await pool.verify("a", "a"), "failed");
});

t.test("the default size leaves a core and is at most 2", async (t) => {
  t.ok(defaultPoolSize() >= 1 && defaultPoolSize() <= 2);
});
