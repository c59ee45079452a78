import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { fileStamp } from "../core/file-stamp.ts";

const MOST_BYTES = 1024 ** 2;

/** At most 1 MiB, from pipes as well: a file without end must not fill memory. Rejects with a `code`. */
export async function readBounded(file: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of createReadStream(file, { end: MOST_BYTES })) {
    chunks.push(chunk);
    length += chunk.length;
  }
  if (length > MOST_BYTES) throw Object.assign(new Error("too large"), { code: "larger than 1 MiB" });
  return Buffer.concat(chunks);
}

/** Of what a path resolves to; null: there is nothing to see. */
export type FileStamp = string | null;

export async function stampOf(file: string): Promise<FileStamp> {
  try {
    return fileStamp(await stat(file, { bigint: true }));
  } catch {
    return null;
  }
}
