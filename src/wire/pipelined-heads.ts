/**
 * Keeps the bytes of a gateway that are not answered yet. It knows where the heads among them end, and whether the
 * unfinished one can still become a plain check. Each byte is looked at once. Bytes that were handed out are never
 * written to again.
 */
import { CR, LF, TEXT } from "./bytes.ts";

export interface Heads {
  buffer: Buffer;
  /** Where the first head starts. */
  start: number;
  end: number;
  /** How many heads are complete. */
  complete: number;
  /** The end of the first head, or -1 while it is not known. */
  firstEnd: number;
  /** How far ends were looked for, and how far the unfinished head is known to be plain. */
  searched: number;
  seen: number;
  /** Where the unfinished head starts. */
  tailStart: number;
}

const NOTHING = Buffer.alloc(0);
const HEAD_END = Buffer.from("\r\n\r\n", "latin1");
const BEGINNINGS = [Buffer.from("GET /", "latin1"), Buffer.from("HEAD /", "latin1")] as const;

export function newHeads(): Heads {
  return { buffer: NOTHING, start: 0, end: 0, complete: 0, firstEnd: -1, searched: 0, seen: 0, tailStart: 0 };
}

export function heldBytes({ start, end }: Heads): number {
  return end - start;
}

/** `chunk` is copied. */
export function addBytes(heads: Heads, chunk: Buffer): void {
  append(heads, chunk);
  findEnds(heads);
}

/** The first head has been read. */
export function dropFirst(heads: Heads): void {
  heads.complete -= 1;
  heads.start = heads.firstEnd;
  if (heads.start === heads.end) return letGo(heads);
  heads.firstEnd = heads.complete > 0 ? endOfHead(heads, heads.start) : -1;
}

export function letGo(heads: Heads): void {
  Object.assign(heads, newHeads());
}

/** Returns false if the unfinished head cannot be a plain check, whatever follows. */
export function mayBecomePlain(heads: Heads): boolean {
  const { buffer, end, tailStart } = heads;
  if (tailStart === end) return true;
  if (!BEGINNINGS.some((beginning) => beginsAs(buffer, tailStart, end, beginning))) return false;
  for (let at = Math.max(heads.seen, tailStart + 1); at < end; at += 1) {
    if (!fits(buffer[at - 1] ?? 0, buffer[at] ?? 0)) return false;
  }
  heads.seen = end;
  return true;
}

/** CR and LF are allowed only together. */
function fits(before: number, byte: number): boolean {
  if (before === CR || byte === LF) return before === CR && byte === LF;
  return byte === CR || TEXT[byte] === 1;
}

function append(heads: Heads, chunk: Buffer): void {
  const length = heldBytes(heads);
  if (length === 0) {
    letGo(heads);
    heads.buffer = Buffer.from(chunk);
    heads.end = chunk.length;
    return;
  }
  if (heads.end + chunk.length > heads.buffer.length) grow(heads, chunk.length);
  heads.end += chunk.copy(heads.buffer, heads.end);
}

/** Takes twice as much memory as is needed, so that many small pieces do not cost a copy of all each time. */
function grow(heads: Heads, more: number): void {
  const larger = Buffer.allocUnsafeSlow(2 * (heldBytes(heads) + more));
  const shift = heads.start;
  heads.end = heads.buffer.copy(larger, 0, heads.start, heads.end);
  heads.buffer = larger;
  heads.start = 0;
  heads.searched -= shift;
  heads.seen -= shift;
  heads.tailStart -= shift;
  if (heads.firstEnd !== -1) heads.firstEnd -= shift;
}

function findEnds(heads: Heads): void {
  let from = Math.max(heads.tailStart, heads.searched - HEAD_END.length + 1);
  while (heads.end - from >= HEAD_END.length) {
    const end = endOfHead(heads, from);
    if (end === -1) break;
    if (heads.complete === 0) heads.firstEnd = end;
    heads.complete += 1;
    heads.tailStart = end;
    from = end;
  }
  heads.searched = heads.end;
}

/** Returns -1 if the end is not there. */
function endOfHead({ buffer, end }: Heads, from: number): number {
  const found = (buffer.length === end ? buffer : buffer.subarray(0, end)).indexOf(HEAD_END, from);
  return found === -1 ? -1 : found + HEAD_END.length;
}

function beginsAs(bytes: Buffer, start: number, end: number, beginning: Buffer): boolean {
  const length = Math.min(beginning.length, end - start);
  return bytes.compare(beginning, 0, length, start, start + length) === 0;
}
