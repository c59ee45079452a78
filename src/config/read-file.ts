import { constants, open, stat } from "node:fs/promises";
import { fileStamp } from "../core/file-stamp.ts";
import { inTime, refusal } from "../process/file-patience.ts";

const MOST_BYTES = 1024 ** 2;

/** Reads a regular file of at most 1 MiB, because an endless one must not fill memory. Rejects with a `code`. */
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

/** The stamp of what a path resolves to; null: it resolves to nothing that can be seen. */
export type FileStamp = string | null;

export async function stampOf(file: string): Promise<FileStamp> {
  try {
    return fileStamp(await inTime(file, () => stat(file, { bigint: true })));
  } catch {
    return null;
  }
}
