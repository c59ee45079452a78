/**
 * Measures what a check costs: with sparekey, nginx as it ran in production, nginx tuned, HAProxy, Caddy and
 * @fastify/http-proxy, all in front of the same upstream. Some cases are made for sparekey only. It prints tables. A
 * whole run (about 10 minutes) writes bench/results/ and the README's table.
 *
 *   npm run bench                        everything
 *   npm run bench -- --quick             the main cases, fewer rounds; within 2 minutes
 *   npm run bench -- --case kept-32      one case; or `hung`, `logins` or `decision`
 *   npm run bench -- --subject sparekey  one subject beside nginx
 */
import { execFile } from "node:child_process";
import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { CASES } from "./compare/cases.ts";
import { findCores } from "./compare/cores.ts";
import { HUNG_SUBJECTS, measureHung } from "./compare/hung.ts";
import { LOGIN_SUBJECTS, measureLogins, newHtpasswd } from "./compare/logins.ts";
import { type Bench, measureCase, SECONDS_PER_RUN } from "./compare/measure.ts";
import { caseText, decisionText, hungText, loginText, writeResults } from "./compare/report.ts";
import {
  type CaseFigures,
  type DecisionFigures,
  type HungFigures,
  type LoginFigures,
  RECORDERS,
} from "./compare/results.ts";
import { PATH, SETTINGS } from "./compare/subjects.ts";
import { versionsOf } from "./compare/versions.ts";
import { headBytes, PLAIN } from "./compare/wrk.ts";

const ROOT = join(import.meta.dirname, "..");
const FULL = { rounds: 5, secondsHung: 10, secondsOfLogins: 8 };
const QUICK = { rounds: 2, secondsHung: 5, secondsOfLogins: 4 };
const HUNG = "hung";
const LOGINS = "logins";
const DECISION = "decision";

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    case: { type: "string" },
    subject: { type: "string" },
  },
});
requireKnown("case", values.case, [...CASES.map(({ name }) => name), HUNG, LOGINS, DECISION]);
requireKnown("subject", values.subject, Object.keys(SETTINGS));
const isWhole = !values.quick && values.case === undefined && values.subject === undefined;

// All files of a run are in this folder, which is removed at the end.
const scratch = await mkdtemp(join(tmpdir(), "sparekey-bench-"));
process.env.TMPDIR = scratch;
process.once("exit", () => rmSync(scratch, { recursive: true, force: true }));
// All started programs end at the exit of this process.
process.once("SIGINT", () => process.exit(130)).once("SIGTERM", () => process.exit(143));

try {
  process.exit(await run());
} catch (error) {
  console.error(`\n${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
}

async function run(): Promise<number> {
  await promisify(execFile)("npm", ["run", "build"], { cwd: ROOT });
  const extent = values.quick ? QUICK : FULL;
  const remarks: string[] = [];
  const bench: Bench = {
    rounds: extent.rounds,
    cores: findCores(),
    htpasswd: await newHtpasswd(),
    remark: (text) => {
      remarks.push(text);
      console.log(`  ${text}`);
    },
  };
  if (!bench.cores.areApart) bench.remark("load and subject share their cores");
  const cases = await measureCases(bench);
  const hung = isWanted(HUNG, true, HUNG_SUBJECTS) ? await allHung(extent.secondsHung, bench) : [];
  const logins = isWanted(LOGINS, true, LOGIN_SUBJECTS) ? await allLogins(extent.secondsOfLogins, bench) : [];
  const decisions = isWanted(DECISION, true, ["sparekey"]) ? await allDecisions(bench) : [];
  if (!isWhole) return 0;
  const { rounds, cores } = bench;
  const settings = {
    rounds,
    secondsPerRun: SECONDS_PER_RUN,
    headBytes: headBytes(PLAIN, PATH),
    coresApart: cores.areApart,
  };
  const results = {
    versions: await versionsOf(),
    settings: { ...settings, subjects: SETTINGS },
    cases,
    hung,
    logins,
    decisions,
    remarks,
  };
  await writeResults(results, join(ROOT, "bench/results"), join(ROOT, "README.md"));
  return 0;
}

async function measureCases(bench: Bench): Promise<readonly CaseFigures[]> {
  const measured: CaseFigures[] = [];
  for (const one of CASES.filter(({ name, isQuick, subjects }) => isWanted(name, isQuick, subjects))) {
    const [reference, ...others] = one.subjects;
    const wanted = others.filter((name) => values.subject === undefined || name === values.subject);
    const names = [reference, ...wanted];
    const figures = await measureCase(one, names, bench);
    measured.push(figures);
    console.log(caseText(figures));
  }
  return measured;
}

async function allHung(seconds: number, bench: Bench): Promise<readonly HungFigures[]> {
  console.log("\nupstream hangs: replies, p50, p99 and max ms, once the breaker has opened (hung)");
  const measured = await measureHung(HUNG_SUBJECTS, seconds, bench);
  for (const figures of measured) console.log(hungText(figures));
  return measured;
}

async function allLogins(seconds: number, bench: Bench): Promise<readonly LoginFigures[]> {
  console.log(
    "\nemergency logins, bcrypt cost 12, while an attacker guesses: checks/s, p50, p99 ms, guesses/s, event loop delay p99, max ms (logins)",
  );
  const measured: LoginFigures[] = [];
  for (const name of LOGIN_SUBJECTS) {
    const figures = await measureLogins(name, seconds, bench);
    measured.push(figures);
    console.log(loginText(figures));
  }
  return measured;
}

async function allDecisions({ cores }: Bench): Promise<readonly DecisionFigures[]> {
  console.log("\nthe decision path alone, and what counting and logging take of it (decision)");
  const measured: DecisionFigures[] = [];
  const scripts = [["decision.ts"], ...RECORDERS.map((recorder) => ["recording.ts", recorder])];
  for (const [script = "", ...its] of scripts) {
    const file = join(import.meta.dirname, "compare", script);
    const [program = "", ...args] = [...cores.subject, process.execPath, file, ...its];
    const { stdout } = await promisify(execFile)(program, args);
    const figures: readonly DecisionFigures[] = JSON.parse(stdout);
    measured.push(...figures);
    for (const one of figures) console.log(decisionText(one));
  }
  return measured;
}

function isWanted(name: string, isQuick: boolean, subjects: readonly string[]): boolean {
  if (values.subject !== undefined && !subjects.includes(values.subject)) return false;
  if (values.case !== undefined) return name === values.case;
  return isQuick || !values.quick;
}

function requireKnown(option: string, value: string | undefined, known: readonly string[]): void {
  if (value === undefined || known.includes(value)) return;
  console.error(`There is no ${option} ${JSON.stringify(value)}. There are: ${known.join(", ")}`);
  process.exit(2);
}
