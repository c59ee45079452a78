/**
 * Reads the lines between the chunks of a body (RFC 9112 section 7.1), byte by byte. Extensions are checked and
 * forgotten. White space is allowed in quotes only, and every line ends in CR LF.
 */
import { CR, LF, TEXT, TOKEN } from "./bytes.ts";

/** "data": the next `size` bytes are data. "last": the last chunk is over. */
type ChunkPhase =
  | "size"
  | "more size"
  | "size line feed"
  | "extension"
  | "extension name"
  | "extension equals"
  | "extension value"
  | "quoted"
  | "escaped"
  | "quoted end"
  | "data"
  | "data end"
  | "data line feed"
  | "last"
  | "malformed"
  | "too_large";

export interface Chunks {
  phase: ChunkPhase;
  /** The size of the current chunk, as far as it is read. */
  size: number;
  digits: number;
  /** All chunks so far count. */
  extensionBytes: number;
}

const QUOTE = 34;
const SEMICOLON = 59;
const EQUALS = 61;
const BACKSLASH = 92;
const MAX_DIGITS = 16;
const NO_DIGIT = 16;
const HEX = Uint8Array.from({ length: 256 }, (_, code) => {
  const digit = Number.parseInt(String.fromCharCode(code), 16);
  return Number.isNaN(digit) ? NO_DIGIT : digit;
});

export function newChunks(): Chunks {
  return { phase: "size", size: 0, digits: 0, extensionBytes: 0 };
}

export function restartChunks(chunks: Chunks): void {
  chunks.phase = "size";
  chunks.size = 0;
  chunks.digits = 0;
  chunks.extensionBytes = 0;
}

/** Takes one byte that is not data of a chunk. All extensions together may have `maxBytes`. */
export function takeChunkByte(chunks: Chunks, byte: number, maxBytes: number): ChunkPhase {
  chunks.phase = nextPhase(chunks, byte, maxBytes);
  return chunks.phase;
}

function nextPhase(chunks: Chunks, byte: number, maxBytes: number): ChunkPhase {
  const { phase } = chunks;
  switch (phase) {
    case "size":
    case "more size":
      return takeSize(chunks, phase, byte);
    case "size line feed":
      if (byte !== LF) return "malformed";
      return chunks.size === 0 ? "last" : "data";
    case "data end":
      return byte === CR ? "data line feed" : "malformed";
    case "data line feed":
      chunks.size = 0;
      chunks.digits = 0;
      return byte === LF ? "size" : "malformed";
    case "data":
    case "last":
    case "malformed":
    case "too_large":
      return phase;
    default:
      chunks.extensionBytes += 1;
      return chunks.extensionBytes > maxBytes ? "too_large" : afterExtension(phase, byte);
  }
}

function takeSize(chunks: Chunks, phase: "size" | "more size", byte: number): ChunkPhase {
  const digit = HEX[byte] ?? NO_DIGIT;
  if (digit === NO_DIGIT) return phase === "size" ? "malformed" : afterWord(byte);
  chunks.size = chunks.size * 16 + digit;
  chunks.digits += 1;
  const isCountable = chunks.digits <= MAX_DIGITS && chunks.size <= Number.MAX_SAFE_INTEGER;
  return isCountable ? "more size" : "malformed";
}

type QuotedPhase = "quoted" | "escaped";
type NamePhase = "extension" | "extension name" | "extension equals" | "extension value";

function afterExtension(phase: QuotedPhase | NamePhase | "quoted end", byte: number): ChunkPhase {
  switch (phase) {
    case "quoted":
    case "escaped":
      return afterQuoted(phase, byte);
    case "quoted end":
      return afterWord(byte);
    default:
      return TOKEN[byte] === 0 ? afterName(phase, byte) : AFTER_TOKEN[phase];
  }
}

const AFTER_TOKEN: Readonly<Record<NamePhase, NamePhase>> = {
  extension: "extension name",
  "extension name": "extension name",
  "extension equals": "extension value",
  "extension value": "extension value",
};

/** `byte` is not a token character. */
function afterName(phase: NamePhase, byte: number): ChunkPhase {
  switch (phase) {
    case "extension":
      return "malformed";
    case "extension name":
      return byte === EQUALS ? "extension equals" : afterWord(byte);
    case "extension equals":
      return byte === QUOTE ? "quoted" : "malformed";
    case "extension value":
      return afterWord(byte);
  }
}

function afterQuoted(phase: QuotedPhase, byte: number): ChunkPhase {
  if (TEXT[byte] === 0) return "malformed";
  if (phase === "escaped") return "quoted";
  if (byte === QUOTE) return "quoted end";
  return byte === BACKSLASH ? "escaped" : "quoted";
}

function afterWord(byte: number): ChunkPhase {
  if (byte === SEMICOLON) return "extension";
  return byte === CR ? "size line feed" : "malformed";
}
