import { copyFileSync, mkdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import t, { type Test } from "tap";
import { type LoadedFiles, loadConfig } from "../../src/config/load.ts";
import { watchConfig } from "../../src/config/watch.ts";

const TLS = join(import.meta.dirname, "tls");
const config = (name: string, more = "") =>
  `routes: [{ name: ${name}, preset: bot-block, upstream: "https://x"${more} }]\n`;

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error("waited 10 s in vain");
    await sleep(2);
  }
}

/** The result of each load: the names of the routes, or the problems. */
async function watching(t: Test, file: string, interval = 5) {
  const loads: string[] = [];
  const first = await loadConfig(file, {});
  const watch = watchConfig({
    interval,
    files: first.files,
    load: () => loadConfig(file, {}),
    onLoaded: async (loaded) => {
      const texts = loaded.ok
        ? loaded.snapshot.routes.map(({ name }) => name)
        : loaded.problems.map(({ message }) => message);
      loads.push(texts.join());
    },
  });
  t.teardown(watch.close);
  return { watch, loads };
}

/** Waits for many looks, and expects no load. */
async function rest(t: Test, loads: readonly string[]): Promise<void> {
  const before = loads.length;
  await sleep(50);
  t.equal(loads.length, before, "nothing is read without a change");
}

t.test("a write, a rename, a removal and a return: once each", async (t) => {
  const dir = t.testdir({ c: config("one") });
  const file = join(dir, "c");
  const { loads } = await watching(t, file);
  await rest(t, loads);
  writeFileSync(file, config("two"));
  await until(() => loads.at(-1) === "two");
  writeFileSync(join(dir, "new"), config("three"));
  renameSync(join(dir, "new"), file);
  await until(() => loads.at(-1) === "three");
  rmSync(file);
  await until(() => /^there is no such file/.test(loads.at(-1) ?? ""));
  writeFileSync(file, config("four"));
  await until(() => loads.at(-1) === "four");
  await rest(t, loads);
  t.match(loads, ["two", "three", /^there is no such file/, "four"]);
  t.equal(loads.length, 4);
});

t.test("a swap of Kubernetes' ..data link is seen", async (t) => {
  const dir = t.testdir({ "..1": { c: config("one") }, "..2": { c: config("two") } });
  symlinkSync("..1", join(dir, "..data"));
  symlinkSync("..data/c", join(dir, "c"));
  const { loads } = await watching(t, join(dir, "c"));
  symlinkSync("..2", join(dir, "..tmp"));
  renameSync(join(dir, "..tmp"), join(dir, "..data"));
  rmSync(join(dir, "..1"), { recursive: true });
  await until(() => loads.length > 0);
  await rest(t, loads);
  t.same(loads, ["two"]);
});

t.test("the TLS files are watched too, also those that a change brings in or that are missing", async (t) => {
  const dir = t.testdir({ c: config("one") });
  mkdirSync(join(dir, "tls"));
  const ca = join(dir, "tls", "ca.pem");
  const { loads } = await watching(t, join(dir, "c"));
  writeFileSync(join(dir, "c"), config("two", ", tls: { ca: tls/ca.pem }"));
  await until(() => /cannot be read \(ENOENT\)$/.test(loads.at(-1) ?? ""));
  copyFileSync(join(TLS, "ca.pem"), ca);
  await until(() => loads.at(-1) === "two");
  copyFileSync(join(TLS, "broken.pem"), ca);
  await until(() => /no readable certificate/.test(loads.at(-1) ?? ""));
  t.equal(loads.length, 3);
});

t.test("the files of pages are watched too", async (t) => {
  const dir = t.testdir({
    c: config("one").replace("upstream", "fallback: { page: page.html }, upstream"),
    "page.html": "<p>one",
  });
  const { loads } = await watching(t, join(dir, "c"));
  writeFileSync(join(dir, "page.html"), "");
  await until(() => /is empty/.test(loads.at(-1) ?? ""));
  writeFileSync(join(dir, "page.html"), "<p>two");
  await until(() => loads.at(-1) === "one");
});

t.test("a change between two readings of the same config is not missed", async (t) => {
  const dir = t.testdir({ c: config("one") });
  const file = join(dir, "c");
  const { files } = await loadConfig(file, {});
  writeFileSync(file, config("other"));
  const loads: number[] = [];
  const load = async () => ({ files: (await loadConfig(file, {})).files });
  const watch = watchConfig({ interval: 5, files, load, onLoaded: async () => void loads.push(1) });
  t.teardown(watch.close);
  await until(() => loads.length === 1);
});

t.test("what is still being written is not read", async (t) => {
  const file = join(t.testdir({ c: config("one") }), "c");
  const { loads } = await watching(t, file, 50);
  // There is a write in each turn of the event loop, so between any two looks, and there are few looks.
  const end = performance.now() + 250;
  for (let i = 0; performance.now() < end; i += 1) {
    writeFileSync(file, config("half", ` # ${"x".repeat(i % 500)}`));
    await setImmediate();
  }
  t.same(loads, []);
  writeFileSync(file, config("whole"));
  await until(() => loads.length > 0);
  t.same(loads, ["whole"]);
});

t.test("a file that is touched without pause is read all the same", async (t) => {
  const file = join(t.testdir({ c: config("one") }), "c");
  const { loads } = await watching(t, file, 1);
  const deadline = performance.now() + 10_000;
  for (let at = 1; loads.length < 2 && performance.now() < deadline; at += 1) {
    utimesSync(file, at, at);
    await setImmediate();
  }
  t.same(loads.slice(0, 2), ["one", "one"], "and once more while it goes on");
});

t.test("reload() reads at once, changed or not; one that comes meanwhile makes one more", async (t) => {
  const file = join(t.testdir({ c: config("one") }), "c");
  const files: LoadedFiles = (await loadConfig(file, {})).files;
  const gates: (() => void)[] = [];
  let loaded = 0;
  const load = () =>
    new Promise<{ files: LoadedFiles }>((resolve) => {
      gates.push(() => resolve({ files }));
    });
  const watch = watchConfig({
    interval: 60_000,
    files,
    load,
    onLoaded: async () => {
      loaded += 1;
    },
  });
  t.teardown(watch.close);
  for (let i = 0; i < 5; i += 1) watch.reload();
  t.equal(gates.length, 1);
  for (let i = 0; i < 5; i += 1) watch.reload();
  gates[0]?.();
  await until(() => gates.length === 2);
  gates[1]?.();
  await until(() => loaded === 2);
  watch.reload();
  watch.close();
  await until(() => gates.length === 3);
  gates[2]?.();
  await rest(t, []);
  t.equal(loaded, 2, "closed: nothing comes any more");
  t.equal(gates.length, 3);
});
