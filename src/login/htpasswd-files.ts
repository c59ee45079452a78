/**
 * The htpasswd files in use, read again by themselves when they change. Polling, not fs.watch: only a look at
 * what a path resolves to sees Kubernetes' symlink swaps, renames and files that come and go, on every file system.
 * A file that cannot be read has no users.
 */
import { createHash } from "node:crypto";
import { constants, type FileHandle, open, stat } from "node:fs/promises";
import { fileStamp } from "../core/file-stamp.ts";
import type { Report } from "../observe/event.ts";
import { parseHtpasswd } from "./htpasswd.ts";

const MAX_BYTES = 1024 * 1024;

export interface LoadedFile {
  /** Hashes by name. */
  readonly users: ReadonlyMap<string, string>;
  /** The same hashes, in a fixed order. */
  readonly hashes: readonly string[];
  /** Unlike that of any other content of any file. */
  readonly generation: number;
}

export interface HtpasswdFiles {
  /** null: not in use, or no usable file. */
  get(file: string): LoadedFile | null;
  /** Whether any file in use has this user, or had it when it could last be read: browsers send the password on. */
  knows(user: string): boolean;
  /**
   * Takes these paths into use and drops all others; resolves when every one has been read once, or its file system
   * is known to hang: then it has no users until that answers.
   */
  use(files: readonly string[]): Promise<void>;
  close(): void;
}

export interface HtpasswdFilesDeps {
  /** Milliseconds between two looks at the files. */
  readonly interval: number;
  readonly report: Report;
  readonly inTime: InTime;
}

/** Does work on a file that does not reject itself. Rejects when its file system does not answer. */
export type InTime = <T>(file: string, work: () => Promise<T>) => Promise<T>;

export type HtpasswdText =
  | { readonly kind: "text"; readonly text: string; readonly stamp: string }
  | { readonly kind: "changing" }
  | { readonly kind: "unreadable"; readonly problem: string };

/** One path in use. `stamp` is null while what was read may already be out of date. */
interface Watched {
  readonly file: string;
  stamp: string | null;
  /** Digest of the text, or the problem in its place: an event is due when it changes. */
  content: string | null;
  loaded: LoadedFile | null;
  /** As it was last read. */
  names: Pick<ReadonlySet<string>, "has">;
  reading: Promise<void> | null;
}

export function createHtpasswdFiles(options: HtpasswdFilesDeps): HtpasswdFiles {
  const { interval, report, inTime } = options;
  const inUse = new Map<string, Watched>();
  let generations = 0;

  const timer = setInterval(() => {
    for (const watched of inUse.values()) void refresh(watched);
  }, interval);
  timer.unref();

  /** One look at a time per file: a file system that hangs must not pile up reads. Never rejects. */
  function refresh(watched: Watched): Promise<void> {
    watched.reading ??= look(watched).finally(() => {
      watched.reading = null;
    });
    return watched.reading;
  }

  async function look(watched: Watched): Promise<void> {
    const read = await inTime(watched.file, () => readIfChanged(watched)).catch(() => SILENT);
    if (inUse.get(watched.file) !== watched || read === null || read.kind === "changing") return;
    if (read.kind === "unreadable") fail(watched, read.problem);
    else if (read.kind === "text") load(watched, read.text, read.stamp);
    // One that was read keeps its users: who hangs has said nothing of them.
    else if (watched.content === null) fail(watched, "its file system does not answer");
  }

  function load(watched: Watched, text: string, stamp: string): void {
    const content = createHash("sha256").update(text).digest("hex");
    // A write right after the read can leave the same times and size, so a new content is read twice.
    watched.stamp = content === watched.content ? stamp : null;
    if (content === watched.content) return;
    const { users, problems } = parseHtpasswd(text);
    generations += 1;
    watched.content = content;
    watched.loaded = { users, hashes: [...users.values()], generation: generations };
    watched.names = users;
    report({ kind: "htpasswd_loaded", file: watched.file, users: users.size, problems });
  }

  function fail(watched: Watched, problem: string): void {
    watched.stamp = null;
    watched.loaded = null;
    if (watched.content === problem) return;
    watched.content = problem;
    report({ kind: "htpasswd_unreadable", file: watched.file, problem });
  }

  return {
    get: (file) => inUse.get(file)?.loaded ?? null,
    knows: (user) => [...inUse.values()].some(({ names }) => names.has(user)),
    use: async (files) => {
      const wanted = new Set(files);
      for (const file of inUse.keys()) if (!wanted.has(file)) inUse.delete(file);
      for (const file of wanted) if (!inUse.has(file)) inUse.set(file, unread(file));
      const fresh = [...inUse.values()].filter((watched) => watched.content === null);
      await Promise.all(fresh.map(refresh));
    },
    close: () => {
      clearInterval(timer);
      inUse.clear();
    },
  };
}

const SILENT = { kind: "silent" } as const;

/** null: it is as it was. */
async function readIfChanged({ file, stamp }: Watched): Promise<HtpasswdText | null> {
  if (stamp !== null && stamp === (await stampOf(file))) return null;
  return readHtpasswdText(file);
}

function unread(file: string): Watched {
  return { file, stamp: null, content: null, loaded: null, names: new Set(), reading: null };
}

/**
 * The text of an htpasswd file of at most 1 MiB. `changing`: it was written to meanwhile, so read it again.
 * Bytes that are not UTF-8 come out as U+FFFD, which `parseHtpasswd` refuses.
 */
export async function readHtpasswdText(file: string): Promise<HtpasswdText> {
  try {
    // Without O_NONBLOCK, opening a named pipe would wait for a writer.
    await using handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    return await readFrom(handle);
  } catch (error) {
    return { kind: "unreadable", problem: problemOf(error) };
  }
}

async function readFrom(handle: FileHandle): Promise<HtpasswdText> {
  const before = await handle.stat({ bigint: true });
  if (!before.isFile()) return { kind: "unreadable", problem: "it is not a regular file" };
  if (before.size > MAX_BYTES) return { kind: "unreadable", problem: "it is larger than 1 MiB" };
  // One byte more than there should be shows a file that grows.
  const bytes = Buffer.alloc(Number(before.size) + 1);
  let length = 0;
  while (length < bytes.length) {
    const { bytesRead } = await handle.read(bytes, length, bytes.length - length, length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  const stamp = fileStamp(before);
  const same = fileStamp(await handle.stat({ bigint: true })) === stamp;
  if (!same || length === bytes.length) return { kind: "changing" };
  return { kind: "text", text: bytes.toString("utf8", 0, length), stamp };
}

/** null: there is nothing to see. */
async function stampOf(file: string): Promise<string | null> {
  try {
    return fileStamp(await stat(file, { bigint: true }));
  } catch {
    return null;
  }
}

function problemOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : null;
  if (code === "ENOENT" || code === "ENOTDIR") return "it does not exist";
  if (code === "EACCES" || code === "EPERM") return "this process may not read it";
  return `it cannot be read (${String(code ?? "unknown reason")})`;
}
