/** Bodies that a server has compressed (RFC 9110 section 8.4.1). */

/** No coding of nothing is longer: gzip takes 20 to 23 bytes, the others less. */
const MOST_BYTES = 64;

type Decode = (bytes: Uint8Array, options: { readonly maxOutputLength: number }) => Uint8Array;

/**
 * Whether a body holds nothing once its Content-Encoding is undone; null: it has none. An embedded Authentik outpost
 * compresses the empty page of a failed save: 23 bytes of gzip, or 5 of deflate.
 */
export function isEmptyOnceDecoded(bytes: Uint8Array, coding: string | null): boolean {
  if (bytes.length === 0) return true;
  if (coding === null || bytes.length > MOST_BYTES) return false;
  return decodersOf(coding.trim().toLowerCase()).some((decode) => isEmptyBy(decode, bytes));
}

function isEmptyBy(decode: Decode, bytes: Uint8Array): boolean {
  try {
    // It throws beyond one byte, so that a few bytes cannot become many.
    return decode(bytes, { maxOutputLength: 1 }).length === 0;
  } catch {
    return false;
  }
}

/** It computes and does no I/O, and is loaded only for an answer that needs it. Servers mean two things by "deflate", with a frame around it or without. */
function decodersOf(coding: string): readonly Decode[] {
  const zlib = process.getBuiltinModule("node:zlib");
  switch (coding) {
    case "gzip":
    case "x-gzip":
      return [zlib.gunzipSync];
    case "deflate":
      return [zlib.inflateSync, zlib.inflateRawSync];
    case "br":
      return [zlib.brotliDecompressSync];
    case "zstd":
      return [zlib.zstdDecompressSync];
    default:
      return [];
  }
}
