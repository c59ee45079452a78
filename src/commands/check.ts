import { resolve } from "node:path";
import { loadConfig, type NamedHtpasswd } from "../config/load.ts";
import { byPosition, formatProblem, type Problem, quote } from "../config/problem.ts";
import { parseHtpasswd } from "../login/htpasswd.ts";
import { readHtpasswdText } from "../login/htpasswd-files.ts";
import { inTime } from "../process/file-patience.ts";
import type { CommandIo } from "./command-io.ts";

/** Prints every problem of a config and of the htpasswd files it names. Exit code 0: none; 1: some. */
export async function checkCommand(configFile: string, io: CommandIo): Promise<number> {
  const loaded = await loadConfig(configFile, io.env);
  const { inConfig, inFiles } = await htpasswdProblems(loaded.htpasswds);
  const config = [...(loaded.ok ? [] : loaded.problems), ...inConfig].sort(byPosition);
  const problems = [...config, ...inFiles];
  for (const problem of problems) io.out(`${formatProblem(problem)}\n`);
  if (!loaded.ok || problems.length > 0) return 1;
  const count = loaded.snapshot.routes.length;
  io.out(`${configFile}: ${count === 1 ? "1 route" : `${count} routes`}, no problems\n`);
  return 0;
}

/** What is wrong with one file: as a whole, said where the config names it, and line by line. */
interface HtpasswdFindings {
  readonly whole: string | null;
  readonly lines: readonly { readonly line: number; readonly message: string }[];
}

async function htpasswdProblems(htpasswds: readonly NamedHtpasswd[]) {
  const read = new Map<string, HtpasswdFindings>();
  const inConfig: Problem[] = [];
  const inFiles: Problem[] = [];
  for (const { file, written, problem } of htpasswds) {
    const known = read.get(file);
    const findings = known ?? (await readHtpasswdFile(file));
    read.set(file, findings);
    // A path with an environment variable in it is shown as written: what the variable holds may be a secret.
    const shown = written.includes("${") ? written : file;
    if (findings.whole !== null)
      inConfig.push(problem(`file ${quote(written)}${where(written, shown)} ${findings.whole}`));
    if (known !== undefined) continue;
    inFiles.push(...findings.lines.map((found) => ({ file: shown, column: 1, path: "htpasswd", ...found })));
  }
  return { inConfig, inFiles };
}

/** Where a relative path led to, from the folder of the config. */
function where(written: string, shown: string): string {
  return written === shown ? "" : ` (that is ${resolve(shown)})`;
}

const NO_ANSWER = { kind: "unreadable", problem: "its file system does not answer" } as const;

async function readHtpasswdFile(file: string): Promise<HtpasswdFindings> {
  const read = await inTime(file, () => readHtpasswdText(file)).catch(() => NO_ANSWER);
  if (read.kind === "changing") return { whole: "is being written to; check again", lines: [] };
  if (read.kind === "unreadable") {
    const { problem } = read;
    const cure = problem === "it does not exist" ? "; make it with sparekey passwd" : "";
    return { whole: `cannot be used: ${problem}${cure}`, lines: [] };
  }
  const { users, problems } = parseHtpasswd(read.text);
  const whole = users.size === 0 ? "holds no user who could log in; add one with sparekey passwd" : null;
  return { whole, lines: problems };
}
