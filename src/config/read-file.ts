import { createReadStream } from "node:fs";

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
