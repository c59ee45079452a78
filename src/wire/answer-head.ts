/**
 * Reads what the head of a final answer says: how its body ends, whether the connection may carry another request, and
 * which lines are not for the gateway (`headersForGateway` in core/headers.ts). Lines that pass never become strings.
 *
 *  Content-Length      at most once, digits alone
 *  Transfer-Encoding   at most once, chunked alone, and never beside Content-Length, because two readers of such an
 *                      answer could disagree on where it ends
 */
import { FALLBACK_HEADER, HOP_BY_HOP, isBodiless } from "../core/headers.ts";
import type { Lines } from "./answer-lines.ts";
import { isWord, knownNames, meaningOf as meaningIn, SPACE, withRange } from "./bytes.ts";

/** How the body ends. "none": there is no body, whatever the lines announce. */
type Framing = "none" | "length" | "chunked" | "close";

/** Offsets are into `lines.bytes`. The same object is filled anew for each answer. */
export interface AnswerHead {
  readonly lines: Lines;
  /** 200 to 599. */
  status: number;
  framing: Framing;
  /** The length as announced, or -1. */
  contentLength: number;
  /** Whether the status line may be written to a gateway as it came. */
  passesStatusLine: boolean;
  /** The end of the last field line. */
  linesEnd: number;
  /**
   * The lines that do not pass: start, end, start, end …, in order, counted from the status line. Each answer has its
   * own list.
   */
  dropped: number[];
  /** Whether a Content-Length is among the lines that pass, and whether a Date is. */
  passesLength: boolean;
  passesDate: boolean;
  /** Whether the connection may carry another request, if no byte comes behind the answer. */
  keepsAlive: boolean;
  /** How long the answer lets an idle connection be kept, less a margin. Without a word of it, infinite. */
  idleMs: number;
}

type Meaning =
  | "connection"
  | "content-length"
  | "date"
  | "keep-alive"
  | "proxy-connection"
  | "transfer-encoding"
  | "stays here";

const KNOWN = knownNames<Meaning>({
  ...Object.fromEntries([...HOP_BY_HOP, FALLBACK_HEADER].map((name) => [name, "stays here"])),
  connection: "connection",
  "content-length": "content-length",
  date: "date",
  "keep-alive": "keep-alive",
  "proxy-connection": "proxy-connection",
  "transfer-encoding": "transfer-encoding",
});
const KEEP_ALIVE = "keep-alive";
const KEEP_ALIVE_BYTES = Buffer.from(KEEP_ALIVE, "latin1");
const CHUNKED = Buffer.from("chunked", "latin1");
const ZERO = 48;
const CLOSES = /(?:^|,)[\t ]*close[\t ]*(?:,|$)/;
const KEEPS_ALIVE = /(?:^|,)[\t ]*keep-alive[\t ]*(?:,|$)/;
const TIMEOUT = /(?:^|,)[\t ]*timeout=(\d+)/i;
/** A request must not cross the close of the upstream. undici has the same margin. */
const MARGIN_MS = 2_000;

/** It is never written to. */
const NONE: number[] = [];

export function newAnswerHead(lines: Lines): AnswerHead {
  return {
    lines,
    status: 0,
    framing: "none",
    contentLength: -1,
    passesStatusLine: false,
    linesEnd: 0,
    dropped: NONE,
    passesLength: false,
    passesDate: false,
    keepsAlive: false,
    idleMs: Number.POSITIVE_INFINITY,
  };
}

/** What the lines mean together. The values of Connection are joined and in lower case. */
interface Words {
  connection: string;
  keepAlive: string;
  isChunked: boolean;
  proxyCloses: boolean;
}
/** One for all answers: a head is read in one go. */
const WORDS: Words = { connection: "", keepAlive: "", isChunked: false, proxyCloses: false };

/** To be called once `head.lines` are done. `isHead`: it answers a HEAD request. Returns false if it is malformed. */
export function readAnswerHead(head: AnswerHead, isHead: boolean): boolean {
  const { lines } = head;
  head.status = lines.status;
  head.linesEnd = lines.at - 2;
  head.contentLength = -1;
  head.passesStatusLine = lines.minor === 1 && isVisible(lines.bytes, lines.reasonStart, lines.reasonEnd);
  head.dropped = NONE;
  head.passesLength = false;
  head.passesDate = false;
  WORDS.connection = "";
  WORDS.keepAlive = "";
  WORDS.isChunked = false;
  WORDS.proxyCloses = false;
  for (let index = 0; index < lines.used; index += 4) {
    const meaning = meaningOf(lines, index);
    if (meaning === null) continue;
    if (staysHere(meaning, head.status)) drop(head, index);
    if (!takeLine(head, index, meaning, WORDS)) return false;
  }
  if (WORDS.isChunked && head.contentLength !== -1) return false;
  if (WORDS.connection !== "" && WORDS.connection !== KEEP_ALIVE) dropListed(head, WORDS.connection);
  head.framing = framingOf(head, isHead, WORDS.isChunked);
  head.idleMs = idleMs(WORDS.keepAlive);
  // An upstream that sends a body in answer to HEAD would have it read as the next answer.
  head.keepsAlive = !isHead && head.idleMs > 0 && isClean(head, WORDS) && isKept(lines.minor, WORDS);
  return true;
}

/** Whether a trailer claims to say how the body ends, for which it comes too late. */
export function framesBody(lines: Lines): boolean {
  for (let index = 0; index < lines.used; index += 4) {
    const meaning = meaningOf(lines, index);
    if (meaning === "content-length" || meaning === "transfer-encoding") return true;
  }
  return false;
}

/** The reason as it may be written to a gateway: empty if a byte of it is not visible ASCII. */
export function reasonOf(bytes: Buffer, start: number, end: number): string {
  return isVisible(bytes, start, end) ? bytes.toString("latin1", start, end) : "";
}

/** Whether bytes of TEXT are all ASCII, and at least one. A gateway may choke on others. */
function isVisible(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) if ((bytes[at] ?? 0) >= 127) return false;
  return end > start;
}

function staysHere(meaning: Meaning | null, status: number): boolean {
  // A 204 has no length (RFC 9110 section 8.6): a gateway could wait for bytes that never come.
  if (meaning === "content-length") return status === 204;
  return meaning !== null && meaning !== "date";
}

/** Returns false if the line is malformed. */
function takeLine(head: AnswerHead, index: number, meaning: Meaning, words: Words): boolean {
  const { lines } = head;
  switch (meaning) {
    case "date":
      head.passesDate = true;
      return true;
    case "content-length":
      if (head.contentLength !== -1) return false;
      head.contentLength = lengthOf(lines, index);
      head.passesLength = head.status !== 204;
      return head.contentLength !== -1;
    case "transfer-encoding":
      if (words.isChunked || !isChunked(lines, index)) return false;
      words.isChunked = true;
      return true;
    case "connection":
      words.connection = joined(words.connection, connectionText(lines, index));
      return true;
    case "keep-alive":
      words.keepAlive = joined(words.keepAlive, valueText(lines, index));
      return true;
    case "proxy-connection":
      words.proxyCloses ||= CLOSES.test(valueText(lines, index).toLowerCase());
      return true;
    case "stays here":
      return true;
  }
}

/** Returns -1 if it is not digits alone, or more than can be counted. */
function lengthOf({ bytes, offsets }: Lines, index: number): number {
  const start = offsets[index + 2] ?? 0;
  const end = offsets[index + 3] ?? 0;
  let length = start < end ? 0 : -1;
  for (let at = start; at < end; at += 1) {
    const digit = (bytes[at] ?? 0) - ZERO;
    if (digit < 0 || digit > 9) return -1;
    length = length * 10 + digit;
    if (length > Number.MAX_SAFE_INTEGER) return -1;
  }
  return length;
}

function isChunked({ bytes, offsets }: Lines, index: number): boolean {
  let end = offsets[index + 3] ?? 0;
  while (bytes[end - 1] === SPACE) end -= 1;
  return isWord(bytes, offsets[index + 2] ?? 0, end, CHUNKED);
}

function framingOf({ status, contentLength }: AnswerHead, isHead: boolean, chunked: boolean): Framing {
  if (isHead || isBodiless(status)) return "none";
  if (chunked) return "chunked";
  return contentLength === -1 ? "close" : "length";
}

/** Whether every reader agrees on where the answer ends. */
function isClean({ lines, framing, contentLength }: AnswerHead, { isChunked }: Words): boolean {
  if (framing === "none") return contentLength <= 0 && !isChunked;
  // A chunked answer of HTTP/1.0 is read, but its connection is not used again (RFC 9112 section 6.1).
  return framing !== "close" && !(isChunked && lines.minor === 0);
}

function isKept(minor: number, { connection, proxyCloses }: Words): boolean {
  if (proxyCloses) return false;
  if (connection === "") return minor === 1;
  if (connection === KEEP_ALIVE) return true;
  if (CLOSES.test(connection)) return false;
  return minor === 1 || KEEPS_ALIVE.test(connection);
}

function idleMs(keepAlive: string): number {
  const seconds = keepAlive === "" ? undefined : TIMEOUT.exec(keepAlive)?.[1];
  return seconds === undefined ? Number.POSITIVE_INFINITY : Number(seconds) * 1_000 - MARGIN_MS;
}

/** The lines that Connection lists are for this hop alone (RFC 9110 section 7.6.1). */
function dropListed(head: AnswerHead, connection: string): void {
  const { lines, status } = head;
  const listed = new Set(connection.split(",").map((name) => name.trim()));
  if (listed.has("content-length")) head.passesLength = false;
  if (listed.has("date")) head.passesDate = false;
  head.dropped = NONE;
  for (let index = 0; index < lines.used; index += 4) {
    if (staysHere(meaningOf(lines, index), status) || listed.has(nameText(lines, index).toLowerCase()))
      drop(head, index);
  }
}

function drop(head: AnswerHead, index: number): void {
  const { offsets, statusLine } = head.lines;
  const start = (offsets[index] ?? 0) - statusLine;
  const end = (offsets[index + 3] ?? 0) + 2 - statusLine;
  head.dropped = withRange(head.dropped, start, end);
}

function joined(text: string, more: string): string {
  return text === "" ? more : `${text},${more}`;
}

/** Most upstreams say this one word, which costs no string. */
function connectionText(lines: Lines, index: number): string {
  const { bytes, offsets } = lines;
  const isUsual = isWord(bytes, offsets[index + 2] ?? 0, offsets[index + 3] ?? 0, KEEP_ALIVE_BYTES);
  return isUsual ? KEEP_ALIVE : valueText(lines, index).toLowerCase();
}

function nameText({ bytes, offsets }: Lines, index: number): string {
  return bytes.toString("latin1", offsets[index], offsets[index + 1]);
}

function valueText({ bytes, offsets }: Lines, index: number): string {
  return bytes.toString("latin1", offsets[index + 2], offsets[index + 3]);
}

function meaningOf({ bytes, offsets }: Lines, index: number): Meaning | null {
  return meaningIn(KNOWN, bytes, offsets[index] ?? 0, offsets[index + 1] ?? 0);
}
