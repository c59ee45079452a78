import { execFileSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { eventually, start, temporaryFolder } from "../support/processes.ts";

const RUN = join(import.meta.dirname, "../../src/commands/run.ts");
const CONFIG = `admin: { listen: "127.0.0.1:0" }
listen: "127.0.0.1:0"
routes: [{ name: a, path: /, upstream: "http://127.0.0.1:1", fallback: { mode: deny } }]
`;

/** Runs `run` in a process that may have a hung file open, like one of a network file system. */
const PROGRAM = `
import { open } from "node:fs";
import { once } from "node:events";
const [run, config, file] = process.argv.slice(1);
const { runCommand } = await import(run);
// The time is a tenth of the real one, so that the test does not wait long.
const inTime = setTimeout;
globalThis.setTimeout = (work, ms, ...more) => inTime(work, ms / 10, ...more);
if (file) open(file, "r", () => {});
const io = { out: () => {}, err: (text) => process.stderr.write(text), env: {} };
const stop = once(process, "SIGTERM").then(() => {});
process.exitCode = await runCommand(config, { stop, onReload: () => {} }, io);
`;

const rows = [
  { name: "no file hangs", hangs: false, ended: { code: 0, signal: null }, err: /^$/ },
  {
    name: "a file hangs",
    hangs: true,
    ended: { code: null, signal: "SIGKILL" },
    err: /drained, but a file system or name server that does not answer/,
  },
] as const;
for (const { name, hangs, ended, err } of rows) {
  t.test(`ends after its drain: ${name}`, async (t) => {
    const folder = await temporaryFolder(t);
    const config = join(folder, "sparekey.yaml");
    const pipe = join(folder, "pipe");
    await writeFile(config, CONFIG);
    execFileSync("mkfifo", [pipe]);
    const args = ["--input-type=module", "-e", PROGRAM, RUN, config, ...(hangs ? [pipe] : [])];
    const running = start(t, process.execPath, args);
    await eventually(
      () => `it does not serve: ${running.stderr()}`,
      () => (running.stdout().includes('"serving"') ? true : null),
    );
    running.signal("SIGTERM");
    t.same(await running.ended, ended);
    t.match(running.stdout(), /"drain ended"/);
    t.match(running.stderr(), err);
  });
}
