import { resolve } from "node:path";
import { loadConfig, type NamedHtpasswd } from "../config/load.ts";
import { byPosition, formatProblem, type Problem, quote } from "../config/problem.ts";
import { parseHtpasswd } from "../login/htpasswd.ts";
import { readHtpasswdText } from "../login/htpasswd-files.ts";
import { inTime } from "../process/file-patience.ts";
import type { CommandIo } from "./command-io.ts";

/**
 * Prints all problems of a config and of the htpasswd files that it names, and warnings once the config itself has no
 * problems. Exit code 0: there are no problems; 1: some. Warnings do not count.
 */
export async function checkCommand(configFile: string, io: CommandIo): Promise<number> {
  const loaded = await loadConfig(configFile, io.env);
  const { inConfig, inFiles } = await htpasswdProblems(loaded.htpasswds);
  const config = [...(loaded.ok ? [] : loaded.problems), ...inConfig].sort(byPosition);
  const problems = [...config, ...inFiles];
  for (const problem of problems) io.out(`${formatProblem(problem)}\n`);
  if (!loaded.ok) return 1;
  const { warnings, snapshot } = loaded;
  for (const warning of warnings)
    io.out(`${formatProblem({ ...warning, message: `warning: ${warning.message}` })}\n`);
  if (problems.length > 0) return 1;
  const warned = warnings.length === 0 ? "" : `, ${counted(warnings.length, "warning")}`;
  io.out(`${configFile}: ${counted(snapshot.routes.length, "route")}, no problems${warned}\n`);
  return 0;
}

function counted(count: number, noun: string): string {
  return count === 1 ? `1 ${noun}` : `${count} ${noun}s`;
}

/** `whole`: a problem of the file, placed where the config names it; `lines`: problems of its lines. */
interface HtpasswdProblems {
  readonly whole: string | null;
  readonly lines: readonly { readonly line: number; readonly message: string }[];
}

async function htpasswdProblems(htpasswds: readonly NamedHtpasswd[]) {
  const read = new Map<string, HtpasswdProblems>();
  const inConfig: Problem[] = [];
  const inFiles: Problem[] = [];
  for (const { file, written, problem } of htpasswds) {
    const known = read.get(file);
    const found = known ?? (await readHtpasswdFile(file));
    read.set(file, found);
    // A path with an environment variable is shown as written, because its value may be a secret.
    const shown = written.includes("${") ? written : file;
    if (found.whole !== null)
      inConfig.push(problem(`file ${quote(written)}${where(written, shown)} ${found.whole}`));
    if (known !== undefined) continue;
    inFiles.push(...found.lines.map((line) => ({ file: shown, column: 1, path: "htpasswd", ...line })));
  }
  return { inConfig, inFiles };
}

/** The place of a relative path, which starts at the folder of the config. */
function where(written: string, shown: string): string {
  return written === shown ? "" : ` (that is ${resolve(shown)})`;
}

const NO_ANSWER = { kind: "unreadable", problem: "its file system does not answer" } as const;

async function readHtpasswdFile(file: string): Promise<HtpasswdProblems> {
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
