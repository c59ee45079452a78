/**
 * The htpasswd files in use, which are read again when they change. They are polled, because fs.watch does not see
 * Kubernetes' symlink swaps, renames and files that come and go on every file system. An unreadable file has no users.
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
  /** A different number for each content of each file. */
  readonly generation: number;
}

interface HtpasswdFiles {
  /** null: the file is not in use, or not readable. */
  get(file: string): LoadedFile | null;
  /**
   * Whether any file in use has this user, or had it when it was last readable. Browsers still send the passwords of
   * a file that is gone.
   */
  knows(user: string): boolean;
  /**
   * Uses these files and drops all others. Resolves when each has been read once, or when its file system is known to
   * hang. Such a file has no users until the file system answers.
   */
  use(files: readonly string[]): Promise<void>;
  close(): void;
}

interface HtpasswdFilesDeps {
  /** Milliseconds between two looks at the files. */
  readonly interval: number;
  readonly report: Report;
  readonly inTime: InTime;
}

/** Does `work` on a file, and rejects when the file system does not answer. `work` must not reject. */
export type InTime = <T>(file: string, work: () => Promise<T>) => Promise<T>;

type HtpasswdText =
  | { readonly kind: "text"; readonly text: string; readonly stamp: string }
  | { readonly kind: "changing" }
  | { readonly kind: "unreadable"; readonly problem: string };

/** One file in use. `stamp` is null while its loaded content may be out of date. */
interface Watched {
  readonly file: string;
  stamp: string | null;
  /** A digest of the text, or the problem with the file. An event is due when it changes. */
  content: string | null;
  loaded: LoadedFile | null;
  /** The names when the file was last readable. */
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

  /** Each file gets one look at a time, so that a file system that hangs does not pile up reads. Never rejects. */
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
    // A file that was read before keeps its users, because a file system that hangs says nothing about them.
    else if (watched.content === null) fail(watched, "its file system does not answer");
  }

  function load(watched: Watched, text: string, stamp: string): void {
    const content = createHash("sha256").update(text).digest("hex");
    // A write right after the read can leave the same times and size, so new content is read twice.
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

/** null: the file has not changed. */
async function readIfChanged({ file, stamp }: Watched): Promise<HtpasswdText | null> {
  if (stamp !== null && stamp === (await stampOf(file))) return null;
  return readHtpasswdText(file);
}

function unread(file: string): Watched {
  return { file, stamp: null, content: null, loaded: null, names: new Set(), reading: null };
}

/**
 * Reads an htpasswd file of at most 1 MiB. `changing`: it was written to meanwhile and must be read again. Bytes that
 * are not UTF-8 become U+FFFD, which `parseHtpasswd` refuses.
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
  // The buffer has one byte more than the file, so that a growing file is noticed.
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

/** null: the path resolves to nothing that can be seen. */
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
