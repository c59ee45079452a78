/**
 * Reads the config in a process of its own, for what that loads stays in the memory of the one that did:
 * docs/decisions/0007-memory.md. Where none can be had, or it ends early, the config is read here.
 */

import { type ChildProcess, fork } from "node:child_process";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { type PackedSnapshot, unpack } from "../core/packed-snapshot.ts";
import type { Snapshot } from "../core/snapshot.ts";
import { version } from "../process/version.ts";
import type { LoadedFiles } from "./load.ts";
import { errorCode, type Problem } from "./problem.ts";
import { type FileStamp, stampOf } from "./read-file.ts";

/** The program has this file's ending: .ts from source, .js compiled. */
const PROGRAM = fileURLToPath(new URL(`./child${extname(import.meta.url)}`, import.meta.url));

/** Of the files this process was started from. */
const VERSION = version();

/** More than all file systems that hang may cost it. */
const TIMEOUT_MS = 60_000;

type Environment = Readonly<Record<string, string | undefined>>;

/** As `loadConfig` has it. */
export type ReadConfig = { readonly files: LoadedFiles } & (
  | { readonly ok: true; readonly snapshot: Snapshot }
  | { readonly ok: false; readonly problems: readonly Problem[] }
);

/** What the program says, once. */
export type ReadMessage = { readonly files: LoadedFiles } & (
  | { readonly ok: true; readonly packed: PackedSnapshot }
  | { readonly ok: false; readonly problems: readonly Problem[] }
);

export interface ReadOptions {
  /** Whether this process stays for it, should nothing else be left to do. */
  readonly holds?: boolean;
  /** What reads it. */
  readonly program?: string;
  /** Milliseconds it may take. */
  readonly timeout?: number;
}

/** null: it said nothing. */
type Told = ReadMessage | null | "late";

/** Reads and judges `file` and the TLS files it names. Never rejects. */
export async function readConfig(
  file: string,
  env: Environment,
  { holds = true, program = PROGRAM, timeout = TIMEOUT_MS }: ReadOptions = {},
): Promise<ReadConfig> {
  const stamp = await stampOf(file);
  const newer = otherVersion();
  if (newer !== null) {
    const why = `version ${newer} is installed by now, and this is ${VERSION}: restart sparekey`;
    return unread(file, stamp, why);
  }
  const child = start(program, file, env);
  if (child && !holds) letGo(child);
  const message = child && (await told(child, timeout));
  if (message === null) return readHere(file, env, stamp);
  // Where files take that long, this process would stand still for as long while it loads what reads it.
  if (message === "late") return unread(file, stamp, `it takes more than ${timeout / 1000} s`);
  return message.ok ? { ok: true, files: message.files, snapshot: unpack(message.packed) } : message;
}

/** What reads it may not load either, as without a file descriptor left. A process that serves must outlive that. */
async function readHere(file: string, env: Environment, stamp: FileStamp): Promise<ReadConfig> {
  try {
    const { loadConfig } = await import("./load.ts");
    return await loadConfig(file, env);
  } catch (error) {
    return unread(file, stamp, `the program for it does not load (${errorCode(error)})`);
  }
}

/**
 * What is read by the files of another version is not for this one to serve by: a rule it does not know, or misses,
 * may be the one that keeps somebody out. null: they are the same, or there is nothing to see.
 */
function otherVersion(): string | null {
  try {
    const installed = version();
    return installed === VERSION ? null : installed;
  } catch {
    return null;
  }
}

function unread(file: string, stamp: FileStamp, why: string): ReadConfig {
  const problem = { file, line: 1, column: 1, path: "file", message: `cannot be read: ${why}` };
  return { ok: false, files: new Map([[file, stamp]]), problems: [problem] };
}

function told(child: ChildProcess, timeout: number): Promise<Told> {
  return new Promise((resolve) => {
    const late = setTimeout(() => {
      child.kill("SIGKILL");
      // A file that hangs in the system's own hands outlives even that.
      letGo(child);
      resolve("late");
    }, timeout).unref();
    const settle = (message: Told): void => {
      clearTimeout(late);
      resolve(message);
    };
    child
      .once("message", (message) => {
        child.disconnect();
        settle(message as ReadMessage);
      })
      .once("exit", () => settle(null))
      .on("error", () => settle(null));
  });
}

function letGo(child: ChildProcess): void {
  child.unref();
  child.channel?.unref();
}

function start(program: string, file: string, env: Environment): ChildProcess | null {
  try {
    return fork(program, [file], {
      env: { ...env },
      serialization: "advanced",
      stdio: ["ignore", "ignore", "ignore", "ipc"],
    });
  } catch {
    return null;
  }
}
