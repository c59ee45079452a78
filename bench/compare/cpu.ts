/** CPU time and memory of processes as the kernel counts them: /proc/PID/stat and /proc/PID/status (proc(5)). */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

export interface Used {
  /** User and system time of all threads, with ended threads and children that were waited for. */
  readonly cpuSeconds: number;
  readonly residentBytes: number;
}

export interface Stat {
  readonly pid: number;
  readonly parent: number;
  /** utime, stime, cutime and cstime. */
  readonly ticks: number;
}

/** The sum over a process and its descendants. The time of each is exact to a tick (10 ms). */
export function usedBy(root: number): Used {
  const stats = allStats();
  const family = descendants(root, stats);
  const ticks = stats.reduce((sum, { pid, ticks }) => (family.has(pid) ? sum + ticks : sum), 0);
  let residentBytes = 0;
  for (const pid of family) residentBytes += parseResident(readOrEmpty(`/proc/${pid}/status`));
  return { cpuSeconds: ticks / ticksPerSecond(), residentBytes };
}

/** null: the text is no line of /proc/PID/stat. A name may hold blanks and brackets. */
export function parseStat(text: string): Stat | null {
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const pid = Number.parseInt(text, 10);
  const parent = Number(fields[1]);
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  return fields.length < 15 || [pid, parent, ticks].some(Number.isNaN) ? null : { pid, parent, ticks };
}

/** The descendants of `root`, and `root` itself. */
export function descendants(root: number, stats: readonly Stat[]): ReadonlySet<number> {
  const family = new Set([root]);
  for (let size = 0; size !== family.size; ) {
    size = family.size;
    for (const { pid, parent } of stats) if (family.has(parent)) family.add(pid);
  }
  return family;
}

/** 0: the process has no memory, or no longer. */
export function parseResident(status: string): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
}

function allStats(): readonly Stat[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => parseStat(readOrEmpty(`/proc/${pid}/stat`)) ?? []);
}

/** Any process may end while it is looked at. */
function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

let ticks = 0;
function ticksPerSecond(): number {
  ticks ||= Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));
  return ticks;
}
