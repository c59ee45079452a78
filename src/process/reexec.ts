/**
 * V8 and malloc take their limits only at the start of a process, so `run` starts itself once more with these limits.
 * execve keeps the process with its pid and files, so no parent has to pass signals on. With the default limits, the
 * garbage of checks fills 48 MB of young generation: docs/decisions/0007-memory.md.
 */
import { accessSync, constants } from "node:fs";

/** How a process was started. */
interface ProcessStart {
  /** Options of node, not of sparekey. */
  readonly options: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly pid: number;
}

/** What the new start adds. */
interface Reexec {
  readonly options: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

interface HeapOption {
  readonly option: string;
  /** Matches an option by which the user sets this limit, in both of V8's spellings. */
  readonly own: RegExp;
}

const HEAP: readonly HeapOption[] = [
  // This makes 3 × 4 MB of young generation. A check leaves at most 4 KB behind.
  { option: "--max-semi-space-size=4", own: /semi[-_]space[-_]size/ },
  // Pretenuring puts objects of a check among the old ones, where they keep objects of other checks alive.
  { option: "--no-allocation-site-pretenuring", own: /allocation[-_]site[-_]pretenuring/ },
];
const ARENAS = "MALLOC_ARENA_MAX";
/** Holds the pid of the process that has done the re-exec. A child inherits the variable, but has another pid. */
const MARK = "SPAREKEY_RESTARTED";

/** null: nothing is missing, or this process has done the re-exec already. */
export function neededReexec({ options, env, pid }: ProcessStart): Reexec | null {
  if (env[MARK] === `${pid}`) return null;
  const given = [...options, env.NODE_OPTIONS ?? ""];
  const missing = HEAP.filter(({ own }) => !given.some((option) => own.test(option)));
  if (missing.length === 0 && env[ARENAS] !== undefined) return null;
  return {
    options: missing.map(({ option }) => option),
    env: { [ARENAS]: env[ARENAS] ?? "1", [MARK]: `${pid}` },
  };
}

/** Returns when no re-exec is needed, and also when it is impossible, because it only saves memory. */
export function reexecOnce(): void {
  const { execArgv, execPath, argv, argv0, env, pid } = process;
  const reexec = neededReexec({ options: execArgv, env, pid });
  if (reexec === null || process.execve === undefined) return;
  try {
    // Some versions of Node abort when execve fails.
    accessSync(execPath, constants.X_OK);
    const args = [argv0, ...execArgv, ...reexec.options, ...argv.slice(1)];
    process.execve(execPath, args, { ...env, ...reexec.env });
  } catch {
    // The process runs on with its own limits.
  }
}
