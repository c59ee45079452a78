import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { neededReexec } from "../../src/process/reexec.ts";
import { finished, start, temporaryFolder } from "../support/processes.ts";
import { startSparekey } from "../support/sparekey.ts";

const YOUNG = "--max-semi-space-size=4";
const OLD = "--no-allocation-site-pretenuring";
const TOLD = ["--import", join(import.meta.dirname, "../support/told-start.ts")] as const;
const MAIN = join(import.meta.dirname, "../../src/main.ts");
const YAML = 'listen: "127.0.0.1:0"\nroutes: [{ preset: bot-block, upstream: "http://x" }]\n';

interface Told {
  readonly pid: number;
  readonly ppid: number;
  readonly execArgv: readonly string[];
  readonly args: readonly string[];
  readonly arenas: string | null;
  readonly secret: string | null;
}

function toldIn(stderr: string): readonly Told[] {
  return stderr
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as Told);
}

t.test("what an operator chooses is left alone", async (t) => {
  type Row = readonly [
    name: string,
    options: readonly string[],
    env: Record<string, string>,
    added: readonly string[] | null,
  ];
  const rows: readonly Row[] = [
    ["nothing given", [], {}, [YOUNG, OLD]],
    ["options of other things", ["--max-old-space-size=256"], { NODE_OPTIONS: "" }, [YOUNG, OLD]],
    ["the young generation", ["--max-semi-space-size=16"], {}, [OLD]],
    ["in V8's other spelling", ["--max_semi_space_size=16"], {}, [OLD]],
    ["in NODE_OPTIONS", [], { NODE_OPTIONS: "--no-warnings --max-semi-space-size=32" }, [OLD]],
    ["what is put among the old", ["--allocation_site_pretenuring"], {}, [YOUNG]],
    ["all of V8's", [YOUNG, OLD], {}, []],
    ["all of them", [YOUNG, OLD], { MALLOC_ARENA_MAX: "2" }, null],
    ["has done the re-exec already", [], { SPAREKEY_RESTARTED: "7" }, null],
    ["a child of a process that has done it", [], { SPAREKEY_RESTARTED: "6" }, [YOUNG, OLD]],
  ];
  for (const [name, options, env, added] of rows) {
    t.same(neededReexec({ options, env, pid: 7 })?.options ?? null, added, name);
  }
  const own = neededReexec({ options: [], env: { MALLOC_ARENA_MAX: "4" }, pid: 7 });
  t.same(own?.env, { MALLOC_ARENA_MAX: "4", SPAREKEY_RESTARTED: "7" });
});

t.test("run re-execs once: the same process, with all that it was given", async (t) => {
  const env = { NODE_OPTIONS: TOLD.join(" "), SOME_SECRET: "kept" };
  const running = await startSparekey(t, YAML, { env });
  const { pid, stderr } = running.process;
  const told = toldIn(stderr());
  t.equal(told.length, 2, "and not again");
  const [first, second] = told;
  t.same([first?.pid, second?.pid], [pid, pid]);
  t.same([first?.ppid, second?.ppid], [process.pid, process.pid], "no parent in between");
  t.same(second?.execArgv, [...(first?.execArgv ?? []), YOUNG, OLD]);
  t.same(second?.args, first?.args);
  t.match(second, { arenas: "1", secret: "kept" });
  t.equal(stderr().trim().split("\n").length, 2, "nothing else is said");
  t.same(await running.stop(), { code: 0, signal: null }, "SIGTERM reaches it");
});

t.test("options of node on the command line are kept, and win", async (t) => {
  const cwd = await temporaryFolder(t);
  await writeFile(join(cwd, "bad.yaml"), "listen: 5\n");
  const options = ["--max-semi-space-size=16", "--max-old-space-size=300", ...TOLD];
  const program = start(t, process.execPath, [...options, MAIN, "run", "--config", "bad.yaml"], { cwd });
  const { code, stdout, stderr } = await finished(program);
  t.match({ code, stdout }, { code: 1, stdout: "" }, "the exit code of the one process there is");
  const told = toldIn(stderr);
  t.same(told[1]?.execArgv, [...options, OLD]);
  t.equal(told.length, 2);
  t.match(stderr, /^bad\.yaml:1:9 listen: /m);
});

t.test("other commands do not re-exec", async (t) => {
  const { stderr } = await finished(start(t, process.execPath, [...TOLD, MAIN, "schema"]));
  t.equal(toldIn(stderr).length, 1);
});
