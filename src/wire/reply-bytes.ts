/**
 * A reply as the bytes of one write, line by line what Node's http writes for the same reply: the other carrier's
 * replies look the same.
 */
import { firstHeader } from "../core/headers.ts";
import { Relayed } from "../core/replies.ts";
import type { RawHeaders, Reply } from "../core/types.ts";
import { WireAnswer } from "./wire-answer.ts";

export interface ReplyContext {
  /** It answers a HEAD check: no body follows. */
  readonly isHead: boolean;
  /** The connection ends with it. */
  readonly isLast: boolean;
  /** For a Date where the reply has none. */
  readonly dateLine: string;
  /** Seconds that an unused connection is kept. */
  readonly keepAliveSeconds: number;
}

export interface ReplyHead {
  readonly bytes: Buffer;
  /** The body goes in chunks. */
  readonly isChunked: boolean;
}

const LINE = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+: [\t\x20-\x7e\x80-\xff]*$/;
const NOTHING = new Uint8Array();

/** A reply whose body is all there. */
export function wholeReply(reply: Reply, body: Uint8Array, context: ReplyContext): Buffer {
  const sent = context.isHead || isBodiless(reply.status) ? NOTHING : body;
  // An upstream's answer to HEAD may leave its length open; 0 would be a claim.
  const isOpen = context.isHead && body.length === 0;
  const needsLength = !isBodiless(reply.status) && !isOpen && !hasLength(reply);
  const length = needsLength ? `Content-Length: ${body.length}\r\n` : "";
  return headAndBody(reply, length, sent, context);
}

/** The head of a reply whose body follows. */
export function streamHead(reply: Reply, context: ReplyContext): ReplyHead {
  const isChunked = !isBodiless(reply.status) && !context.isHead && !hasLength(reply);
  const bytes = headAndBody(reply, "", NOTHING, context, isChunked ? "Transfer-Encoding: chunked\r\n" : "");
  return { bytes, isChunked };
}

function headAndBody(
  reply: Reply,
  length: string,
  body: Uint8Array,
  context: ReplyContext,
  coding = "",
): Buffer {
  const { answer, added } = partsOf(reply);
  const { isLast, keepAliveSeconds, dateLine } = context;
  const date = hasDate(reply) ? "" : dateLine;
  const keep = isLast
    ? "Connection: close\r\n"
    : `Connection: keep-alive\r\nKeep-Alive: timeout=${keepAliveSeconds}\r\n`;
  const front = `HTTP/1.1 ${reply.status} ${reply.statusText}\r\n`;
  const back = `${linesOf(added)}${length}${date}${keep}${coding}\r\n`;
  const linesBytes = answer?.linesBytes ?? 0;
  const bytes = Buffer.allocUnsafe(front.length + linesBytes + back.length + body.length);
  let at = bytes.write(front, 0, "latin1");
  if (answer) at = answer.copyLines(bytes, at);
  at += bytes.write(back, at, "latin1");
  bytes.set(body, at);
  return bytes.subarray(0, at + body.length);
}

function partsOf(reply: Reply): { readonly answer: WireAnswer | null; readonly added: RawHeaders } {
  if (!(reply instanceof Relayed) || !(reply.answer instanceof WireAnswer)) {
    return { answer: null, added: reply.headers };
  }
  return { answer: reply.answer, added: reply.added };
}

function hasLength(reply: Reply): boolean {
  if (reply instanceof Relayed && reply.answer instanceof WireAnswer) return reply.answer.passesLength;
  return firstHeader(reply.headers, "content-length") !== null;
}

function hasDate(reply: Reply): boolean {
  if (reply instanceof Relayed && reply.answer instanceof WireAnswer) return reply.answer.passesDate;
  return firstHeader(reply.headers, "date") !== null;
}

/** RFC 9110 sections 15.3.5 and 15.4.5. */
function isBodiless(status: number): boolean {
  return status === 204 || status === 304;
}

/** Throws where a line would become two (RFC 9110 section 5.5), as Node's http does. */
function linesOf(headers: RawHeaders): string {
  let lines = "";
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const line = `${headers[i]}: ${headers[i + 1]}`;
    if (!LINE.test(line)) throw new Error(`the header ${headers[i]} cannot be written`);
    lines += `${line}\r\n`;
  }
  return lines;
}
