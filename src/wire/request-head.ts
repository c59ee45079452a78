/**
 * Reads the head of a plain check out of bytes, in one pass and without a string: GET or HEAD, HTTP/1.1, no body, and
 * written as gateways write it. The grammar is stricter than RFC 9112, so that no other reader can take the same bytes
 * in another way. Anything odd is not judged here but left to the slow path.
 *
 *  request line   GET or HEAD, one space, an origin-form target, one space, HTTP/1.1
 *  header line    a token, a colon and one space, a value without white space at its ends
 *  every line     ends in CR LF, and neither stands anywhere else
 *  Host           once
 *  Connection     at most once, and keep-alive or close alone
 *  not at all     Content-Length, Transfer-Encoding, Expect, Upgrade
 */
import { HOP_BY_HOP, PLAIN_NAME } from "../core/headers.ts";
import {
  COLON,
  CR,
  endOfText,
  endOfToken,
  isWord,
  knownNames,
  LF,
  meaningOf,
  SPACE,
  TAB,
  table,
  withRange,
} from "./bytes.ts";

/** Offsets are into the buffer that was read. The same object is filled anew for each head. */
export interface RequestHead {
  /** Where the request line starts. */
  start: number;
  isHead: boolean;
  targetStart: number;
  targetEnd: number;
  /** The first "?" of the target, or `targetEnd`. */
  pathEnd: number;
  /** The first byte of the first header line. */
  linesStart: number;
  /** The end of the last header line, where the empty line begins. */
  linesEnd: number;
  /** Whether the gateway keeps the connection. */
  keepsAlive: boolean;
  /** How many lines Host and Connection have. */
  hosts: number;
  connections: number;
  hasCookie: boolean;
  /**
   * The lines that are not for the upstream, as core/headers.ts has it: start, end, start, end …, in order. Each head
   * has its own list.
   */
  dropped: number[];
  /** The values of Authorization: start, end, start, end … */
  authorizations: number[];
}

/** It is never written to. */
const NONE: number[] = [];

export function newRequestHead(): RequestHead {
  return {
    start: 0,
    isHead: false,
    targetStart: 0,
    targetEnd: 0,
    pathEnd: 0,
    linesStart: 0,
    linesEnd: 0,
    keepsAlive: true,
    hosts: 0,
    connections: 0,
    hasCookie: false,
    dropped: NONE,
    authorizations: NONE,
  };
}

const QUESTION = 63;
const SLASH = 47;

/** The characters of names that pass. */
const PLAIN = table((_code, char) => (PLAIN_NAME.test(char) ? 1 : 0));
/** Visible ASCII but "#" (RFC 3986). Node's parser takes no other characters either. */
const TARGET = table((code, char) => (code > SPACE && code < 127 && char !== "#" ? 1 : 0));

type Meaning = "host" | "cookie" | "connection" | "authorization" | "hop-by-hop" | "not plain";

const KNOWN = knownNames<Meaning>({
  ...Object.fromEntries([...HOP_BY_HOP].map((name) => [name, "hop-by-hop"])),
  host: "host",
  cookie: "cookie",
  connection: "connection",
  authorization: "authorization",
  "content-length": "not plain",
  "transfer-encoding": "not plain",
  expect: "not plain",
  upgrade: "not plain",
});

const GET = Buffer.from("GET ", "latin1");
const HEAD = Buffer.from("HEAD ", "latin1");
const VERSION = Buffer.from(" HTTP/1.1\r\n", "latin1");
const KEEP_ALIVE = Buffer.from("keep-alive", "latin1");
const CLOSE = Buffer.from("close", "latin1");

/**
 * Reads the head from `start` to `end`, with its empty line and at most `maxLines` header lines. Returns false if it is
 * not a plain check. `head` means nothing then.
 */
export function readRequestHead(
  bytes: Uint8Array,
  start: number,
  end: number,
  maxLines: number,
  head: RequestHead,
): boolean {
  const linesStart = readRequestLine(bytes, start, end, head);
  return linesStart !== -1 && readLines(bytes, linesStart, end - 2, maxLines, head);
}

/** Returns where the header lines start, or -1 if this is not plain. */
function readRequestLine(bytes: Uint8Array, start: number, end: number, head: RequestHead): number {
  head.start = start;
  head.isHead = startsWith(bytes, start, HEAD);
  if (!head.isHead && !startsWith(bytes, start, GET)) return -1;
  const targetStart = start + (head.isHead ? HEAD.length : GET.length);
  if (bytes[targetStart] !== SLASH) return -1;
  let at = targetStart;
  let pathEnd = -1;
  for (; at < end && TARGET[bytes[at] ?? 0] === 1; at += 1) {
    if (pathEnd === -1 && bytes[at] === QUESTION) pathEnd = at;
  }
  if (!startsWith(bytes, at, VERSION)) return -1;
  head.targetStart = targetStart;
  head.targetEnd = at;
  head.pathEnd = pathEnd === -1 ? at : pathEnd;
  return at + VERSION.length;
}

function readLines(
  bytes: Uint8Array,
  start: number,
  end: number,
  maxLines: number,
  head: RequestHead,
): boolean {
  head.linesStart = start;
  head.linesEnd = end;
  head.keepsAlive = true;
  head.dropped = NONE;
  head.authorizations = NONE;
  head.hosts = 0;
  head.connections = 0;
  head.hasCookie = false;
  let lines = 0;
  let at = start;
  while (at < end) {
    at = readLine(bytes, at, end, head);
    if (at === -1) return false;
    lines += 1;
  }
  const isWhole = at === end && bytes[end] === CR && bytes[end + 1] === LF;
  return isWhole && head.hosts === 1 && head.connections <= 1 && lines <= maxLines;
}

/** Returns the end of the line, or -1 if it is not plain. */
function readLine(bytes: Uint8Array, start: number, end: number, head: RequestHead): number {
  const plainEnd = endOfPlain(bytes, start, end);
  const nameEnd = bytes[plainEnd] === COLON ? plainEnd : endOfToken(bytes, plainEnd, end);
  if (nameEnd === start || bytes[nameEnd] !== COLON || bytes[nameEnd + 1] !== SPACE) return -1;
  const valueEnd = endOfValue(bytes, nameEnd + 2, end);
  if (valueEnd === -1) return -1;
  const meaning = meaningOf(KNOWN, bytes, start, nameEnd);
  if (meaning !== null) {
    if (!takeLine(meaning, bytes, start, nameEnd + 2, valueEnd, head)) return -1;
  } else if (nameEnd !== plainEnd) head.dropped = withRange(head.dropped, start, valueEnd + 2);
  return valueEnd + 2;
}

/** Returns false if the line is not plain. */
function takeLine(
  meaning: Meaning,
  bytes: Uint8Array,
  start: number,
  valueStart: number,
  valueEnd: number,
  head: RequestHead,
): boolean {
  switch (meaning) {
    case "not plain":
      return false;
    case "host":
      head.hosts += 1;
      return true;
    case "cookie":
      head.hasCookie = true;
      return true;
    case "connection":
      head.connections += 1;
      head.keepsAlive = isWord(bytes, valueStart, valueEnd, KEEP_ALIVE);
      head.dropped = withRange(head.dropped, start, valueEnd + 2);
      return head.keepsAlive || isWord(bytes, valueStart, valueEnd, CLOSE);
    case "hop-by-hop":
      head.dropped = withRange(head.dropped, start, valueEnd + 2);
      return true;
    case "authorization":
      head.authorizations = withRange(head.authorizations, valueStart, valueEnd);
      return true;
  }
}

function endOfPlain(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && PLAIN[bytes[at] ?? 0] === 1) at += 1;
  return at;
}

/** Returns where CR LF follows a value without white space at its ends, or -1 if none does. */
function endOfValue(bytes: Uint8Array, start: number, end: number): number {
  const at = endOfText(bytes, start, end);
  if (bytes[at] !== CR || bytes[at + 1] !== LF) return -1;
  if (at === start) return at;
  return isBlank(bytes[start]) || isBlank(bytes[at - 1]) ? -1 : at;
}

function isBlank(byte: number | undefined): boolean {
  return byte === SPACE || byte === TAB;
}

function startsWith(bytes: Uint8Array, start: number, word: Uint8Array): boolean {
  for (let i = 0; i < word.length; i += 1) if (bytes[start + i] !== word[i]) return false;
  return true;
}
