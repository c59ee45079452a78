/** An answer as the wire keeps it, out of its bytes. */
import type { Body } from "../../src/core/types.ts";
import { expectAnswer, newAnswerReader, readAnswer } from "../../src/wire/answer-body.ts";
import { ScratchBuffer } from "../../src/wire/scratch.ts";
import { WireAnswer } from "../../src/wire/wire-answer.ts";

/** `head`: with the empty line. The bytes it was read from are overwritten. `room`: of its connection. */
export function wireAnswer(head: string, body = "", method = "GET", room = new ScratchBuffer()): WireAnswer {
  const reader = newAnswerReader(64 * 1024);
  expectAnswer(reader, method === "HEAD");
  const bytes = Buffer.from(`before${head}`, "latin1");
  readAnswer(reader, bytes, "before".length, bytes.length);
  if (reader.event !== "head") throw new Error(`${reader.event}: ${head}`);
  const answer = new WireAnswer(reader.head, room);
  const whole: Body = { kind: "whole", bytes: Buffer.from(body, "latin1") };
  answer.body = whole;
  bytes.fill("!");
  expectAnswer(reader, false);
  const other = Buffer.from("HTTP/1.1 500 Other\r\nDate: x\r\nTE: x\r\nContent-Length: 0\r\n\r\n", "latin1");
  readAnswer(reader, other, 0, other.length);
  return answer;
}
