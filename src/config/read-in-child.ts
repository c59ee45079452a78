/**
 * Reads the config in a child process, because the code that reads it would stay in the memory of this one:
 * docs/decisions/0007-memory.md. If the child cannot start or ends early, the config is read in this process.
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

/** The version that this process was started from. */
const VERSION = version();

/** The child takes less than this, even when file systems hang. */
const TIMEOUT_MS = 60_000;

type Environment = Readonly<Record<string, string | undefined>>;

type Loaded<Success> = { readonly files: LoadedFiles } & (
  | ({ readonly ok: true } & Success)
  | { readonly ok: false; readonly problems: readonly Problem[] }
);

/** The same as `loadConfig` yields, without what only `sparekey check` shows: `htpasswds` and `warnings`. */
type ReadConfig = Loaded<{ readonly snapshot: Snapshot }>;

/** The one message of the child. */
export type ChildMessage = Loaded<{ readonly packed: PackedSnapshot }>;

interface ReadOptions {
  /** Whether the child keeps this process running. */
  readonly holds?: boolean;
  /** The child program. */
  readonly program?: string;
  /** Milliseconds that the child may take. */
  readonly timeout?: number;
}

/** Reads and checks `file` and the files that it names. Never rejects. */
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
  const message = child && (await messageOf(child, timeout));
  if (message === null) return readHere(file, env, stamp);
  // If files take that long, this process would stand still for as long while it loads the code that reads the config.
  if (message === "late") return unread(file, stamp, `it takes more than ${timeout / 1000} s`);
  return message.ok ? { ok: true, files: message.files, snapshot: unpack(message.packed) } : message;
}

/** The code that reads the config may fail to load when no file descriptor is left. This process must survive that. */
async function readHere(file: string, env: Environment, stamp: FileStamp): Promise<ReadConfig> {
  try {
    const { loadConfig } = await import("./load.ts");
    return await loadConfig(file, env);
  } catch (error) {
    return unread(file, stamp, `the program for it does not load (${errorCode(error)})`);
  }
}

/**
 * The installed version if it is not the running one; otherwise null. The child would read the config by the rules of
 * the installed version. This process may not know one of them, and that one may be meant to keep a client out.
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

/** null: the child ended without a message. */
function messageOf(child: ChildProcess, timeout: number): Promise<ChildMessage | null | "late"> {
  return new Promise((resolve) => {
    const late = setTimeout(() => {
      child.kill("SIGKILL");
      // A process that waits for a hung file inside a system call survives even SIGKILL.
      letGo(child);
      resolve("late");
    }, timeout).unref();
    const settle = (message: ChildMessage | null): void => {
      clearTimeout(late);
      resolve(message);
    };
    child
      .once("message", (message) => {
        child.disconnect();
        settle(message as ChildMessage);
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
