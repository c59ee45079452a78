/** Tables of bytes, and how header lines are told apart by their names without making a string of a name. */
import type { RawHeaders } from "../core/types.ts";

export const CR = 13;
export const LF = 10;
export const SPACE = 32;
export const TAB = 9;
export const COLON = 58;

/** Token characters (RFC 9110 section 5.6.2) in lower case; 0 for all others. */
export const TOKEN = table((_code, char) =>
  /[!#$%&'*+.^_`|~0-9A-Za-z-]/.test(char) ? char.toLowerCase().charCodeAt(0) : 0,
);
/** 1 for the bytes of field values, reasons and quoted strings, which may be beyond ASCII. */
export const TEXT = table((code) => (code === TAB || (code >= SPACE && code !== 127) ? 1 : 0));

export function table(of: (code: number, char: string) => number): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, code) => of(code, String.fromCharCode(code)));
}

/** Where the token characters from `start` on end. */
export function endOfToken(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && TOKEN[bytes[at] ?? 0] !== 0) at += 1;
  return at;
}

/** Where the bytes of TEXT from `start` on end. */
export function endOfText(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && TEXT[bytes[at] ?? 0] === 1) at += 1;
  return at;
}

/** Compares in any case. `word` consists of token characters in lower case. */
export function isWord(bytes: Uint8Array, start: number, end: number, word: Uint8Array): boolean {
  if (end - start !== word.length) return false;
  for (let i = 0; i < word.length; i += 1) {
    if (TOKEN[bytes[start + i] ?? 0] !== word[i]) return false;
  }
  return true;
}

interface KnownName<Meaning> {
  readonly bytes: Uint8Array;
  readonly meaning: Meaning;
}
/** Names by length and first letter, which alone tell that nearly all names are not among them. */
type KnownNames<Meaning> = readonly (readonly KnownName<Meaning>[] | undefined)[];

/** The keys of `meanings` are names in lower case that begin with a letter. */
export function knownNames<Meaning>(meanings: Readonly<Record<string, Meaning>>): KnownNames<Meaning> {
  const known: KnownName<Meaning>[][] = [];
  for (const [name, meaning] of Object.entries(meanings)) {
    const bytes = Buffer.from(name, "latin1");
    const place = placeOf(bytes, 0, bytes.length);
    known[place] = [...(known[place] ?? []), { bytes, meaning }];
  }
  return Array.from(known);
}

export function meaningOf<Meaning>(
  known: KnownNames<Meaning>,
  bytes: Uint8Array,
  start: number,
  end: number,
): Meaning | null {
  const place = placeOf(bytes, start, end);
  const names = place < known.length ? known[place] : undefined;
  if (names === undefined) return null;
  for (const name of names) {
    if (isWord(bytes, start, end, name.bytes)) return name.meaning;
  }
  return null;
}

/** The place is the same for letters in either case. */
function placeOf(bytes: Uint8Array, start: number, end: number): number {
  return ((end - start) << 5) | ((bytes[start] ?? 0) & 31);
}

/** Header lines as text. A strict grammar has read them before. */
export function headersOf(bytes: Buffer, start: number, end: number): RawHeaders {
  const headers: string[] = [];
  for (const line of bytes.toString("latin1", start, end).split("\r\n")) {
    const colon = line.indexOf(":");
    if (colon !== -1) headers.push(line.slice(0, colon), line.slice(colon + 1).replace(/^[ \t]+/, ""));
  }
  return headers;
}

/** Whether the first line of `name` (lower case) has a value. A strict grammar has read the lines before. */
export function hasValue(bytes: Buffer, start: number, end: number, name: string): boolean {
  for (let at = start; at < end; at = nextLine(bytes, at, end)) {
    if (!isNamed(bytes, at, name)) continue;
    let value = at + name.length + 1;
    while (bytes[value] === SPACE || bytes[value] === TAB) value += 1;
    return bytes[value] !== CR;
  }
  return false;
}

function isNamed(bytes: Buffer, at: number, name: string): boolean {
  if (bytes[at + name.length] !== COLON) return false;
  for (let i = 0; i < name.length; i += 1) if (TOKEN[bytes[at + i] ?? 0] !== name.charCodeAt(i)) return false;
  return true;
}

/** Most lines are short, and for these a loop is faster than a call of native code. */
function nextLine(bytes: Buffer, start: number, end: number): number {
  const near = Math.min(start + SHORT_LINE, end);
  let at = start;
  while (at < near && bytes[at] !== LF) at += 1;
  if (at < near) return at + 1;
  const feed = bytes.indexOf(LF, at);
  return feed === -1 ? end : feed + 1;
}

const SHORT_LINE = 64;

export function copyOf(bytes: Buffer, start: number, end: number): Buffer {
  const copy = Buffer.allocUnsafe(end - start);
  bytes.copy(copy, 0, start, end);
  return copy;
}

/** `ranges` (start, end, start, end …, in order) with one more behind them. Neighbours become one. */
export function withRange(ranges: number[], start: number, end: number): number[] {
  if (ranges.length === 0) return [start, end];
  if (ranges[ranges.length - 1] === start) ranges[ranges.length - 1] = end;
  else ranges.push(start, end);
  return ranges;
}

/** Copies `start` to `end` without the ranges of `dropped`, and returns where the copy ends. */
export function copyLess(
  bytes: Buffer,
  start: number,
  end: number,
  dropped: readonly number[],
  into: Buffer,
  at: number,
): number {
  let from = start;
  let to = at;
  for (let index = 0; index < dropped.length; index += 2) {
    to += bytes.copy(into, to, from, dropped[index] ?? end);
    from = dropped[index + 1] ?? end;
  }
  return to + bytes.copy(into, to, from, end);
}
