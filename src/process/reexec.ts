/**
 * V8 and malloc take their limits at the start of a process only, so `run` starts itself once more with them: the
 * same process by execve, with its pid, files and environment, and no parent that would have to pass signals on.
 * By the defaults garbage of checks fills 48 MB of young generation: docs/decisions/0007-memory.md.
 */
import { accessSync, constants } from "node:fs";

/** What a process was started with. */
export interface ProcessStart {
  /** Options of node, not of sparekey. */
  readonly options: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly pid: number;
}

/** `options`: those to add. */
export interface Reexec {
  readonly options: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

interface HeapOption {
  readonly option: string;
  /** What an operator gives to choose this for himself, in either of V8's spellings. */
  readonly own: RegExp;
}

const HEAP: readonly HeapOption[] = [
  // 3 × 4 MB of young generation: a check leaves no more than 4 KB behind.
  { option: "--max-semi-space-size=4", own: /semi[-_]space[-_]size/ },
  // Else objects of a check are put among the old, where they keep those of others from the young collection.
  { option: "--no-allocation-site-pretenuring", own: /allocation[-_]site[-_]pretenuring/ },
];
const ARENAS = "MALLOC_ARENA_MAX";
/** The process that was restarted. Only its own number counts: a child inherits the variable. */
const MARK = "SPAREKEY_RESTARTED";

/** null: nothing is missing, or it was tried already. */
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

/** Returns where nothing is missing and where it cannot be done: what it saves is memory only. */
export function reexecOnce(): void {
  const { execArgv, execPath, argv, argv0, env, pid } = process;
  const restart = neededReexec({ options: execArgv, env, pid });
  if (restart === null || process.execve === undefined) return;
  try {
    // Some versions of Node abort where it fails.
    accessSync(execPath, constants.X_OK);
    const args = [argv0, ...execArgv, ...restart.options, ...argv.slice(1)];
    process.execve(execPath, args, { ...env, ...restart.env });
  } catch {
    // It serves all the same.
  }
}
