import { constants, open, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { fileStamp } from "../core/file-stamp.ts";

const MOST_BYTES = 1024 ** 2;
/** Far above what any file takes, unless its file system hangs. */
const PATIENCE_MS = 5_000;

/** At most 1 MiB, of a regular file: one without end must not fill memory. Rejects with a `code`. */
export function readBounded(file: string): Promise<Uint8Array> {
  return inTime(file, () => read(file));
}

async function read(file: string): Promise<Uint8Array> {
  // Without O_NONBLOCK, opening a named pipe would wait for a writer.
  await using handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  if (!(await handle.stat()).isFile()) throw refusal("it is not a regular file");
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of handle.createReadStream({ end: MOST_BYTES, autoClose: false })) {
    chunks.push(chunk);
    length += chunk.length;
  }
  if (length > MOST_BYTES) throw refusal("it is larger than 1 MiB");
  return Buffer.concat(chunks);
}

/** Of what a path resolves to; null: there is nothing to see. */
export type FileStamp = string | null;

export async function stampOf(file: string): Promise<FileStamp> {
  try {
    return fileStamp(await inTime(file, () => stat(file, { bigint: true })));
  } catch {
    return null;
  }
}

/** Of libuv's four threads so many may hang; names are looked up by the others. */
const MOST_HANGING = 2;

let last: Promise<unknown> = Promise.resolve();
/** Folders, each as often as work on its files hangs. */
const hanging: string[] = [];

/**
 * Work on `file`, which it must not do in here itself. A network file system may hang for ever, and what does holds a
 * thread: so such work is done one at a time, none is begun in a folder where some hangs, and none at all once it
 * hangs in two. Rejects with a `code`.
 */
export function inTime<T>(file: string, work: () => Promise<T>, milliseconds = PATIENCE_MS): Promise<T> {
  const turn = last.then(() => attempt(dirname(file), work, milliseconds));
  last = turn.catch(() => {});
  return turn;
}

async function attempt<T>(folder: string, work: () => Promise<T>, milliseconds: number): Promise<T> {
  if (hanging.includes(folder)) throw refusal(NO_ANSWER);
  if (hanging.length >= MOST_HANGING) throw refusal("file systems do not answer, so no more is read");
  const working = work();
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    hanging.push(folder);
    const back = (): void => {
      hanging.splice(hanging.indexOf(folder), 1);
    };
    working.then(back, back);
    late.reject(refusal(NO_ANSWER));
  }, milliseconds);
  return Promise.race([working, late.promise]).finally(() => clearTimeout(timer));
}

const NO_ANSWER = "its file system does not answer";

function refusal(code: string): Error {
  return Object.assign(new Error(code), { code });
}
