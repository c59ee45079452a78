/** Gives the measured program one core, and everything that loads it another one. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

export interface Cores {
  /** False: there is only one core, or no taskset. */
  readonly areApart: boolean;
  /** The begin of a command line. */
  readonly subject: readonly string[];
  readonly load: readonly string[];
}

export function findCores(): Cores {
  const status = readFileSync("/proc/self/status", "utf8");
  const [subject, load] = parseCores(/^Cpus_allowed_list:\s*(.*)$/m.exec(status)?.[1] ?? "");
  if (subject === undefined || load === undefined || !hasTaskset()) {
    return { areApart: false, subject: [], load: [] };
  }
  const pin = (core: number): readonly string[] => ["taskset", "-c", String(core)];
  return { areApart: true, subject: pin(subject), load: pin(load) };
}

/** "0-2,5" → 0, 1, 2, 5: proc(5), Cpus_allowed_list. */
export function parseCores(list: string): readonly number[] {
  return list.split(",").flatMap((part) => {
    const [first = Number.NaN, last = first] = part.split("-").map((text) => Number.parseInt(text, 10));
    return Number.isNaN(first) ? [] : Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

function hasTaskset(): boolean {
  try {
    execFileSync("taskset", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
