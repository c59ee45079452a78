import { execFileSync } from "node:child_process";
import { mkdirSync, renameSync, rmSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { mock } from "node:test";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import t, { type Test } from "tap";
import { createHtpasswdFiles } from "../../src/login/htpasswd-files.ts";
import type { Event } from "../../src/observe/event.ts";
import { inTime } from "../../src/process/file-patience.ts";
import { hangFiles } from "../support/hung-files.ts";

const SHA = "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=";
const line = (name: string) => `${name}:${SHA}\n`;

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error("waited 10 s in vain");
    await sleep(2);
  }
}

function watching(t: Test) {
  const events: HtpasswdEvent[] = [];
  const files = createHtpasswdFiles({
    interval: 5,
    report: (event) => void (isOfFiles(event) && events.push(event)),
    inTime,
  });
  t.teardown(files.close);
  const names = (file: string) => [...(files.get(file)?.users.keys() ?? [])].join();
  return { files, events, names };
}

type HtpasswdEvent = Extract<Event, { kind: `htpasswd_${string}` }>;

function isOfFiles(event: Event): event is HtpasswdEvent {
  return event.kind.startsWith("htpasswd_");
}

t.test("is read before use() resolves, with its problems", async (t) => {
  const { files, events, names } = watching(t);
  const file = join(t.testdir({ htpasswd: `${line("bob")}eve:plain\n` }), "htpasswd");
  await files.use([file, file]);
  t.equal(names(file), "bob");
  t.match(events, [{ kind: "htpasswd_loaded", file, users: 1, problems: [{ line: 2 }] }]);
  t.equal(events.length, 1);
});

t.test("a write, a rename and a cut are seen", async (t) => {
  const { files, names } = watching(t);
  const dir = t.testdir({ htpasswd: line("bob") });
  const file = join(dir, "htpasswd");
  await files.use([file]);
  const first = files.get(file)?.generation;
  writeFileSync(file, line("eve"));
  await until(() => names(file) === "eve");
  t.not(files.get(file)?.generation, first);
  writeFileSync(join(dir, "new"), line("ann") + line("ben"));
  renameSync(join(dir, "new"), file);
  await until(() => names(file) === "ann,ben");
  truncateSync(file, line("ann").length);
  await until(() => names(file) === "ann");
});

t.test("a swap of Kubernetes' ..data link is seen", async (t) => {
  const { files, events, names } = watching(t);
  const dir = t.testdir({ "..1": { htpasswd: line("bob") }, "..2": { htpasswd: line("eve") } });
  symlinkSync("..1", join(dir, "..data"));
  symlinkSync("..data/htpasswd", join(dir, "htpasswd"));
  const file = join(dir, "htpasswd");
  await files.use([file]);
  t.equal(names(file), "bob");
  symlinkSync("..2", join(dir, "..tmp"));
  renameSync(join(dir, "..tmp"), join(dir, "..data"));
  rmSync(join(dir, "..1"), { recursive: true });
  await until(() => names(file) === "eve");
  t.equal(events.length, 2);
});

t.test("a file may appear later and vanish again: no users, one event each", async (t) => {
  const { files, events, names } = watching(t);
  const file = join(t.testdir({}), "htpasswd");
  await files.use([file]);
  t.equal(files.get(file), null);
  writeFileSync(file, line("bob"));
  await until(() => names(file) === "bob");
  rmSync(file);
  await until(() => files.get(file) === null);
  writeFileSync(file, line("bob"));
  await until(() => names(file) === "bob");
  const kinds = events.map((event) => (event.kind === "htpasswd_loaded" ? event.users : event.problem));
  t.same(kinds, ["it does not exist", 1, "it does not exist", 1]);
});

t.test("the same content is no change", async (t) => {
  const { files, events, names } = watching(t);
  const dir = t.testdir({ one: line("bob"), two: line("bob") });
  await files.use([join(dir, "one"), join(dir, "two")]);
  const generation = files.get(join(dir, "one"))?.generation;
  utimesSync(join(dir, "one"), 1, 1);
  writeFileSync(join(dir, "two"), line("eve"));
  await until(() => names(join(dir, "two")) === "eve");
  t.equal(files.get(join(dir, "one"))?.generation, generation);
  t.equal(events.length, 3);
});

t.test("unusable files have no users and say why", async (t) => {
  const { files, events } = watching(t);
  const dir = t.testdir({ "a file": "" });
  writeFileSync(join(dir, "big"), "#".repeat(1024 * 1024 + 1));
  mkdirSync(join(dir, "folder"));
  execFileSync("mkfifo", [join(dir, "pipe")]);
  symlinkSync("loop", join(dir, "loop"));
  const rows = [
    { name: "big", problem: "it is larger than 1 MiB" },
    { name: "folder", problem: "it is not a regular file" },
    { name: "pipe", problem: "it is not a regular file" },
    { name: "a file/below", problem: "it does not exist" },
    { name: "loop", problem: "it cannot be read (ELOOP)" },
  ].map(({ name, problem }) => ({ file: join(dir, name), problem }));
  await files.use(rows.map(({ file }) => file));
  for (const { file, problem } of rows) {
    t.equal(files.get(file), null);
    t.match(
      events.filter((event) => event.file === file),
      [{ kind: "htpasswd_unreadable", problem }],
    );
  }
});

t.test("a file system that hangs holds up no start: no users until it answers", async (t) => {
  const { files, events, names } = watching(t);
  const dir = t.testdir({ htpasswd: line("bob") });
  const file = join(dir, "htpasswd");
  mock.timers.enable({ apis: ["setTimeout"] });
  t.teardown(() => mock.timers.reset());
  const answer = hangFiles(t, dir);
  const used = files.use([file]);
  await setImmediate();
  mock.timers.tick(5_000);
  await used;
  t.same(events, [{ kind: "htpasswd_unreadable", file, problem: "its file system does not answer" }]);
  await files.use([file]);
  t.equal(events.length, 1, "nor is it waited for twice");
  mock.timers.reset();
  answer();
  await until(() => names(file) === "bob");
});

t.test("use() drops what is no longer named, and reads anew what comes back", async (t) => {
  const { files, events, names } = watching(t);
  const dir = t.testdir({ one: line("bob"), two: line("eve") });
  const [one, two] = [join(dir, "one"), join(dir, "two")];
  await files.use([one]);
  const first = files.get(one)?.generation;
  await files.use([two]);
  t.equal(files.get(one), null);
  t.equal(names(two), "eve");
  await files.use([one, two]);
  t.equal(names(one), "bob");
  t.not(files.get(one)?.generation, first);
  t.same(
    events.map(({ file }) => file),
    [one, two, one],
  );
});

t.test("a closed one forgets everybody", async (t) => {
  const { files } = watching(t);
  const file = join(t.testdir({ htpasswd: line("bob") }), "htpasswd");
  await files.use([file]);
  files.close();
  t.equal(files.get(file), null);
});

t.test(
  "regression: the names of a file that is gone are known on: browsers still send its passwords",
  async (t) => {
    const { files, events, names } = watching(t);
    const file = join(t.testdir({ htpasswd: line("bob") }), "htpasswd");
    await files.use([file]);
    rmSync(file);
    await until(() => events.at(-1)?.kind === "htpasswd_unreadable");
    t.equal(names(file), "", "nobody can log in by it");
    t.ok(files.knows("bob"));
    writeFileSync(file, line("eve"));
    await until(() => names(file) === "eve");
    t.notOk(files.knows("bob"), "until it says otherwise");
  },
);
