/**
 * Scans the status line and the field lines of an answer, or the trailer lines behind its chunks. No byte is scanned
 * twice, however small the pieces are, and a line is refused at its first wrong byte.
 *
 *  status line   HTTP/1.0 or HTTP/1.1, one space, a status of 100 to 599 but 101; then a space and a reason, or neither
 *  field line    a token, a colon, white space or none, a value of text, which may hold bytes beyond ASCII
 *  every line    ends in CR LF, and neither stands anywhere else; none is folded (RFC 9112 section 5.2)
 *
 * Interim answers (RFC 9110 section 15.2) are skipped, but count towards the limit of the final one.
 */
import { COLON, CR, endOfText, endOfToken, LF, SPACE, TAB, TOKEN } from "./bytes.ts";

type Phase =
  | "version"
  | "status end"
  | "reason"
  | "status line feed"
  | "line"
  | "name"
  | "blank"
  | "value"
  | "line feed"
  | "last line feed"
  | "done"
  | "malformed"
  | "too_large";

/** Offsets are into `bytes`, which is the chunk itself if one chunk held all, and a copy otherwise. */
export interface Lines {
  bytes: Buffer;
  phase: Phase;
  status: number;
  /** The x of HTTP/1.x. */
  minor: number;
  reasonStart: number;
  reasonEnd: number;
  /** The first byte of the final answer's status line. */
  statusLine: number;
  /** The first byte of the first field line. */
  start: number;
  /** Four for each line: where its name starts and ends, where its value starts and ends. */
  readonly offsets: number[];
  /** How many of `offsets` count. The others belong to earlier answers. */
  used: number;
  /** The next byte to scan. */
  at: number;
  /** Where the limit counts from. */
  origin: number;
  /** How long the copy is, or 0 if there is none. */
  held: number;
}

const NOTHING = Buffer.alloc(0);
/** So many are kept from answer to answer. */
const KEPT_OFFSETS = 1_024;
const ZERO = 48;
const VERSION = Buffer.from("HTTP/1.", "latin1");
const STATUS_START = VERSION.length + 2;
const STATUS_END = STATUS_START + 2;
const USUAL = Buffer.from("HTTP/1.1 200 OK\r\n", "latin1");

export function newLines(): Lines {
  return {
    bytes: NOTHING,
    phase: "version",
    status: 0,
    minor: 0,
    reasonStart: 0,
    reasonEnd: 0,
    statusLine: 0,
    start: 0,
    offsets: [],
    used: 0,
    at: 0,
    origin: 0,
    held: 0,
  };
}

/** `phase`: "version" before a head, "line" before trailers. Lets go of the bytes read so far. */
export function restartLines(lines: Lines, phase: "version" | "line"): void {
  lines.bytes = NOTHING;
  lines.phase = phase;
  lines.status = 0;
  lines.used = 0;
  lines.at = -1;
  lines.held = 0;
  if (lines.offsets.length > KEPT_OFFSETS) lines.offsets.length = 0;
}

/** Reads `chunk` from `start` on, and returns how far it came. Past `maxBytes` the phase is "too_large". */
export function scanLines(lines: Lines, chunk: Buffer, start: number, end: number, maxBytes: number): number {
  if (start === end) return end;
  if (lines.at === -1) beginAt(lines, start);
  const shift = lines.held === 0 ? 0 : lines.held - start;
  const limit = lines.origin + maxBytes;
  const last = Math.min(end + shift, limit);
  if (lines.held === 0) lines.bytes = chunk;
  else hold(lines, chunk, start, last - shift);
  scan(lines, last);
  if (isOver(lines.phase)) return lines.at - shift;
  if (end + shift > limit) lines.phase = "too_large";
  // The copy begins at 0, so that every offset stays true.
  else if (lines.held === 0) hold(lines, chunk, 0, end);
  return end;
}

export function isOver(phase: Phase): phase is "done" | "malformed" | "too_large" {
  return phase === "done" || phase === "malformed" || phase === "too_large";
}

function beginAt(lines: Lines, at: number): void {
  lines.at = at;
  lines.origin = at;
  lines.statusLine = at;
  lines.start = at;
}

function hold(lines: Lines, chunk: Buffer, start: number, end: number): void {
  const held = lines.held + end - start;
  if (lines.held === 0 || held > lines.bytes.length) {
    const larger = Buffer.allocUnsafe(Math.max(held, 2 * lines.held));
    larger.set(lines.bytes.subarray(0, lines.held));
    lines.bytes = larger;
  }
  lines.bytes.set(chunk.subarray(start, end), lines.held);
  lines.held = held;
}

function scan(lines: Lines, end: number): void {
  while (lines.at < end) {
    switch (lines.phase) {
      case "version":
        if (!scanUsual(lines, end)) scanVersion(lines, end);
        break;
      case "reason":
        scanReason(lines, end);
        break;
      case "name":
        scanName(lines, end);
        break;
      case "value":
        scanValue(lines, end);
        break;
      case "line":
        if (!scanWholeLine(lines, end)) scanByte(lines, "line", lines.bytes[lines.at] ?? 0);
        break;
      case "done":
      case "malformed":
      case "too_large":
        return;
      default:
        scanByte(lines, lines.phase, lines.bytes[lines.at] ?? 0);
    }
  }
}

/** Scans a whole line in one go. Returns false if it did not: scanned byte by byte, the line shows why. */
function scanWholeLine(lines: Lines, end: number): boolean {
  const { bytes, offsets, at, used } = lines;
  const nameEnd = endOfToken(bytes, at, end);
  if (nameEnd === at || bytes[nameEnd] !== COLON) return false;
  const valueStart = endOfBlanks(bytes, nameEnd + 1, end);
  const valueEnd = endOfText(bytes, valueStart, end);
  if (valueEnd + 2 > end || bytes[valueEnd] !== CR || bytes[valueEnd + 1] !== LF) return false;
  offsets[used] = at;
  offsets[used + 1] = nameEnd;
  offsets[used + 2] = valueStart;
  offsets[used + 3] = valueEnd;
  lines.used = used + 4;
  lines.at = valueEnd + 2;
  return true;
}

type OfOneByte = "status end" | "status line feed" | "line" | "blank" | "line feed" | "last line feed";

function scanByte(lines: Lines, phase: OfOneByte, byte: number): void {
  switch (phase) {
    case "status end":
      return byte === SPACE ? beginReason(lines) : endReason(lines, lines.at, byte);
    case "status line feed":
      lines.start = lines.at + 1;
      return expect(lines, byte === LF, "line");
    case "line":
      if (byte === CR) return expect(lines, true, "last line feed");
      lines.offsets[lines.used] = lines.at;
      lines.phase = TOKEN[byte] === 0 ? "malformed" : "name";
      return;
    case "blank":
      if (byte === SPACE || byte === TAB) return expect(lines, true, "blank");
      lines.offsets[lines.used + 2] = lines.at;
      lines.phase = "value";
      return;
    case "line feed":
      lines.used += 4;
      return expect(lines, byte === LF, "line");
    case "last line feed":
      return byte === LF && isInterim(lines.status) ? beginNext(lines) : expect(lines, byte === LF, "done");
  }
}

/** Goes on to `next` behind this byte, if it is as it should be. */
function expect(lines: Lines, fits: boolean, next: Phase): void {
  lines.at += 1;
  lines.phase = fits ? next : "malformed";
}

function isInterim(status: number): boolean {
  return status >= 100 && status <= 199;
}

function beginNext(lines: Lines): void {
  expect(lines, true, "version");
  lines.statusLine = lines.at;
  lines.start = lines.at;
  lines.used = 0;
}

/** Scans the status line that nearly all answers have. Returns false if this is another, or not all there. */
function scanUsual(lines: Lines, end: number): boolean {
  const { bytes, at } = lines;
  if (at !== lines.start || at + USUAL.length > end) return false;
  for (let i = 0; i < USUAL.length; i += 1) if (bytes[at + i] !== USUAL[i]) return false;
  lines.minor = 1;
  lines.status = 200;
  lines.reasonStart = at + STATUS_END + 2;
  lines.reasonEnd = at + USUAL.length - 2;
  lines.start = at + USUAL.length;
  lines.at = lines.start;
  lines.phase = "line";
  return true;
}

function scanVersion(lines: Lines, end: number): void {
  const { bytes, start } = lines;
  for (; lines.at < end && lines.phase === "version"; lines.at += 1) {
    const index = lines.at - start;
    const byte = bytes[lines.at] ?? 0;
    if (!fitsVersion(lines, index, byte)) lines.phase = "malformed";
    else if (index === STATUS_END) lines.phase = lines.status === 101 ? "malformed" : "status end";
  }
}

function fitsVersion(lines: Lines, index: number, byte: number): boolean {
  const digit = byte - ZERO;
  if (index < VERSION.length) return byte === VERSION[index];
  if (index === VERSION.length) {
    lines.minor = digit;
    lines.status = 0;
    return digit === 0 || digit === 1;
  }
  if (index < STATUS_START) return byte === SPACE;
  lines.status = lines.status * 10 + digit;
  return index === STATUS_START ? digit >= 1 && digit <= 5 : digit >= 0 && digit <= 9;
}

function beginReason(lines: Lines): void {
  expect(lines, true, "reason");
  lines.reasonStart = lines.at;
}

function scanReason(lines: Lines, end: number): void {
  const { bytes } = lines;
  const at = endOfText(bytes, lines.at, end);
  lines.at = at;
  if (at < end) endReason(lines, lines.reasonStart, bytes[at] ?? 0);
}

function endReason(lines: Lines, start: number, byte: number): void {
  lines.reasonStart = start;
  lines.reasonEnd = lines.at;
  expect(lines, byte === CR, "status line feed");
}

function scanName(lines: Lines, end: number): void {
  const { bytes } = lines;
  const at = endOfToken(bytes, lines.at, end);
  lines.at = at;
  if (at === end) return;
  lines.offsets[lines.used + 1] = at;
  expect(lines, bytes[at] === COLON, "blank");
}

function scanValue(lines: Lines, end: number): void {
  const { bytes } = lines;
  const at = endOfText(bytes, lines.at, end);
  lines.at = at;
  if (at === end) return;
  lines.offsets[lines.used + 3] = at;
  expect(lines, bytes[at] === CR, "line feed");
}

function endOfBlanks(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && (bytes[at] === SPACE || bytes[at] === TAB)) at += 1;
  return at;
}
