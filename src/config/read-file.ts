import { constants, open, stat } from "node:fs/promises";
import { fileStamp } from "../core/file-stamp.ts";

const MOST_BYTES = 1024 ** 2;
/** Far above what any file takes, unless its file system hangs. */
const PATIENCE_MS = 5_000;

/** At most 1 MiB, of a regular file: one without end must not fill memory. Rejects with a `code`. */
export function readBounded(file: string): Promise<Uint8Array> {
  return inTime(() => read(file));
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
    return fileStamp(await inTime(() => stat(file, { bigint: true })));
  } catch {
    return null;
  }
}

let last: Promise<unknown> = Promise.resolve();
let isHanging = false;

/**
 * A network file system may hang for ever. What does holds one of libuv's four threads, which look up names as
 * well: so work on files is done one at a time, and none is begun until what hangs has come back. Rejects with a
 * `code`. What `work` waits for must not be in here itself.
 */
export function inTime<T>(work: () => Promise<T>, milliseconds = PATIENCE_MS): Promise<T> {
  const turn = last.then(() => attempt(work, milliseconds));
  last = turn.catch(() => {});
  return turn;
}

async function attempt<T>(work: () => Promise<T>, milliseconds: number): Promise<T> {
  if (isHanging) throw refusal(NO_ANSWER);
  const working = work();
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    isHanging = true;
    const back = (): void => {
      isHanging = false;
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
