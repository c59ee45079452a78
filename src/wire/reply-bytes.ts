/**
 * Writes a reply as the bytes of one write. Line by line it is what Node's http writes for the same reply, so the
 * replies of both paths look the same.
 */
import { firstHeader, isBodiless } from "../core/headers.ts";
import { needsLength, Relayed } from "../core/replies.ts";
import type { RawHeaders, Reply } from "../core/types.ts";
import type { ScratchBuffer } from "./scratch.ts";
import { WireAnswer } from "./wire-answer.ts";

export interface ReplyContext {
  /** It answers a HEAD check, so no body follows. */
  readonly isHead: boolean;
  /** The connection ends with it. */
  readonly isLast: boolean;
  /** The Date line, for a reply without one. */
  dateLine(): string;
  /** The end of a head if the connection is kept. */
  readonly keptEnds: HeadEnds;
}

interface ReplyHead {
  readonly bytes: Buffer;
  /** The body follows in chunks. */
  readonly isChunked: boolean;
}

/** The last lines of a head, with the empty line: before a body as it is, and before a body in chunks. */
interface HeadEnds {
  readonly plain: Buffer;
  readonly chunked: Buffer;
}

/** The head of a reply as it is before the last lines are added. */
interface Parts {
  /** If null, `added` holds all lines. */
  readonly answer: WireAnswer | null;
  readonly added: RawHeaders;
  readonly hasLength: boolean;
  readonly hasDate: boolean;
}

const LINE = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+: [\t\x20-\x7e\x80-\xff]*$/;
const NOTHING = new Uint8Array();

const LAST_ENDS = endsAfter("Connection: close\r\n");

/** An unused connection is kept for so many seconds. */
export function keptEndsFor(seconds: number): HeadEnds {
  return endsAfter(`Connection: keep-alive\r\nKeep-Alive: timeout=${seconds}\r\n`);
}

function endsAfter(lines: string): HeadEnds {
  return {
    plain: Buffer.from(`${lines}\r\n`, "latin1"),
    chunked: Buffer.from(`${lines}Transfer-Encoding: chunked\r\n\r\n`, "latin1"),
  };
}

/** Writes a reply with a whole body to `scratch`. */
export function wholeReply(
  reply: Reply,
  body: Uint8Array,
  context: ReplyContext,
  scratch: ScratchBuffer,
): Buffer {
  const parts = partsOf(reply);
  const hasNoBody = context.isHead || isBodiless(reply.status);
  const isMissing = needsLength(reply.status, parts.hasLength, context.isHead, body.length);
  const length = isMissing ? `Content-Length: ${body.length}\r\n` : "";
  return headAndBody(reply, parts, length, false, hasNoBody ? NOTHING : body, context, scratch);
}

/** Writes the head of a reply to `scratch`; the body follows. */
export function streamHead(reply: Reply, context: ReplyContext, scratch: ScratchBuffer): ReplyHead {
  const parts = partsOf(reply);
  const isChunked = !parts.hasLength && !isBodiless(reply.status) && !context.isHead;
  return { bytes: headAndBody(reply, parts, "", isChunked, NOTHING, context, scratch), isChunked };
}

function headAndBody(
  reply: Reply,
  { answer, added, hasDate }: Parts,
  length: string,
  isChunked: boolean,
  body: Uint8Array,
  { isLast, keptEnds, dateLine }: ReplyContext,
  scratch: ScratchBuffer,
): Buffer {
  const front = answer?.passesStatusLine ? "" : `HTTP/1.1 ${reply.status} ${reply.statusText}\r\n`;
  const lines = linesOf(added) + length + (hasDate ? "" : dateLine());
  const ends = isLast ? LAST_ENDS : keptEnds;
  const end = isChunked ? ends.chunked : ends.plain;
  const passed = answer?.headBytes ?? 0;
  const bytes = scratch.take(front.length + passed + lines.length + end.length + body.length);
  let at = front === "" ? 0 : bytes.write(front, 0, "latin1");
  if (answer) at = answer.copyHead(bytes, at);
  if (lines !== "") at += bytes.write(lines, at, "latin1");
  at += end.copy(bytes, at);
  if (body.length > 0) bytes.set(body, at);
  return bytes;
}

function partsOf(reply: Reply): Parts {
  if (!(reply instanceof Relayed && reply.answer instanceof WireAnswer)) {
    const { headers } = reply;
    const hasLength = firstHeader(headers, "content-length") !== null;
    return { answer: null, added: headers, hasLength, hasDate: firstHeader(headers, "date") !== null };
  }
  const { answer, added } = reply;
  return { answer, added, hasLength: answer.passesLength, hasDate: answer.passesDate };
}

/** Throws if a line would become two (RFC 9110 section 5.5), as Node's http does. */
function linesOf(headers: RawHeaders): string {
  let lines = "";
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const line = `${headers[i]}: ${headers[i + 1]}`;
    if (!LINE.test(line)) throw new Error(`the header ${headers[i]} cannot be written`);
    lines += `${line}\r\n`;
  }
  return lines;
}
