/** What a path makes of an answer's bytes, as values that tests can compare. */
import assert from "node:assert";
import { firstHeader, headersForGateway } from "../../src/core/headers.ts";
import type { RawHeaders } from "../../src/core/types.ts";
import { endOfBytes, expectAnswer, newAnswerReader, readAnswer } from "../../src/wire/answer-body.ts";
import { type AnswerHead, reasonOf } from "../../src/wire/answer-head.ts";
import { headersOf } from "../../src/wire/bytes.ts";

export interface Said {
  readonly status: number;
  readonly reason: string;
  /** As the gateway gets them. */
  readonly headers: RawHeaders;
  readonly text: string;
  /** Whether the connection may be used again. */
  readonly kept: boolean;
}

export interface Circumstances {
  readonly method?: string;
  readonly headBytes?: number;
  /** Whether the upstream closes behind the bytes. */
  readonly closes?: boolean;
}

/** `200 OK {X: y; Content-Length: 2} ok, kept`, or why there is no answer. */
export function inWords(said: Said | string): string {
  if (typeof said === "string") return said;
  const headers = said.headers.flatMap((name, index, all) =>
    index % 2 === 0 ? [`${name}: ${all[index + 1]}`] : [],
  );
  const kept = said.kept ? "kept" : "closed";
  return `${said.status} ${said.reason} {${headers.join("; ")}} ${said.text}, ${kept}`;
}

/** Bytes that stand in front of each piece and are no part of it. */
const BEFORE = Buffer.from("X\r\n", "latin1");

/** What the reader makes of bytes that come in these pieces. "more": it waits. */
export function read(
  pieces: readonly Buffer[],
  { method = "GET", headBytes = 256 * 1024, closes = true }: Circumstances = {},
): Said | string {
  const reader = newAnswerReader(headBytes);
  expectAnswer(reader, method === "HEAD");
  let said: Omit<Said, "text" | "kept"> = { status: 0, reason: "", headers: [] };
  let text = "";
  let unasked = 0;
  for (const piece of pieces) {
    const chunk = Buffer.concat([BEFORE, piece]);
    let at = BEFORE.length;
    do {
      at = readAnswer(reader, chunk, at, chunk.length);
      if (reader.event === "head") said = headOf(reader.head);
      if (reader.event === "body") text += chunk.toString("latin1", reader.bodyStart, reader.bodyEnd);
    } while (reader.event === "head" || reader.event === "body");
    unasked += chunk.length - at;
    chunk.fill("!");
  }
  assert.equal(reader.bodyBytes, text.length);
  if (reader.event === "more" && closes && endOfBytes(reader) === "reset") return "reset";
  if (reader.event !== "end") return reader.event;
  return { ...said, text, kept: reader.head.keepsAlive && unasked === 0 };
}

function headOf(head: AnswerHead): Omit<Said, "text" | "kept"> {
  const { status } = head;
  const all = headersOf(head.lines.bytes, head.lines.start, head.linesEnd);
  const headers = passing(head);
  assert.deepEqual(headers, headersForGateway(all, status), "by core/headers.ts");
  assert.equal(head.passesLength, firstHeader(headers, "content-length") !== null);
  assert.equal(head.passesDate, firstHeader(headers, "date") !== null);
  return {
    status,
    reason: reasonOf(head.lines.bytes, head.lines.reasonStart, head.lines.reasonEnd),
    headers,
  };
}

/** Of the lines as they would be copied. */
function passing({ lines, dropped, linesEnd }: AnswerHead): RawHeaders {
  const edges = [lines.start, ...dropped.map((at) => at + lines.statusLine), linesEnd];
  const kept = edges.flatMap((start, index) => (index % 2 === 0 ? [[start, edges[index + 1]] as const] : []));
  const text = kept.map(([start, end]) => lines.bytes.toString("latin1", start, end)).join("");
  return text
    .split("\r\n")
    .slice(0, -1)
    .flatMap((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon), line.slice(colon + 1).replace(/^[\t ]+/, "")];
    });
}
