/**
 * Reads one answer of an upstream out of the bytes of its connection, wherever they are cut: its head, its body with
 * the chunks undone, and its end. Trailers are checked and dropped. Anything odd is malformed, because the bytes behind
 * it could belong to anything. No byte of a body is kept or copied.
 */
import { type Chunks, newChunks, restartChunks, takeChunkByte } from "./answer-chunks.ts";
import { type AnswerHead, framesBody, newAnswerHead, readAnswerHead } from "./answer-head.ts";
import { isOver, type Lines, newLines, restartLines, scanLines } from "./answer-lines.ts";

/**
 * What the reader has met. "more": all is read, and more must come. "body": the bytes from `bodyStart` to `bodyEnd`.
 * "end": the answer is complete. After an end or a failure, each further reading meets the same and takes no byte.
 */
export type AnswerEvent = "more" | "head" | "body" | "end" | "malformed" | "too_large";

type Phase = "head" | "no body" | "length" | "chunks" | "trailers" | "until close" | "over";

/** One connection has one reader. `expectAnswer` begins each answer. */
export interface AnswerReader {
  /** The limit of a head with the interim answers before it, of the trailers, and of all chunk extensions together. */
  readonly headBytes: number;
  event: AnswerEvent;
  /** Valid from the event "head" to the next `expectAnswer`. Its offsets are into `head.lines.bytes`. */
  readonly head: AnswerHead;
  /** Offsets into the chunk that was read last. */
  bodyStart: number;
  bodyEnd: number;
  /** How long the body is so far, with its chunks undone. */
  bodyBytes: number;
  phase: Phase;
  answersHead: boolean;
  /** How many bytes the body, or its current chunk, still lacks. */
  missing: number;
  readonly chunks: Chunks;
  readonly trailers: Lines;
}

export function newAnswerReader(headBytes: number): AnswerReader {
  return {
    headBytes,
    event: "more",
    head: newAnswerHead(newLines()),
    bodyStart: 0,
    bodyEnd: 0,
    bodyBytes: 0,
    phase: "over",
    answersHead: false,
    missing: 0,
    chunks: newChunks(),
    trailers: newLines(),
  };
}

/** Lets go of the last answer. `answersHead`: the next one answers a HEAD request, and has no body. */
export function expectAnswer(reader: AnswerReader, answersHead: boolean): void {
  reader.event = "more";
  reader.bodyBytes = 0;
  reader.phase = "head";
  reader.answersHead = answersHead;
  restartLines(reader.head.lines, "version");
}

/**
 * Reads on in `chunk` up to the next event, and returns where that is. It is called again until the event is "more".
 * If no other request waits for its answer, bytes behind an end mean that the connection must not be used again.
 */
export function readAnswer(reader: AnswerReader, chunk: Buffer, start: number, end: number): number {
  switch (reader.phase) {
    case "over":
      return start;
    case "no body":
      return finish(reader, "end", start);
    case "head":
      return readHead(reader, chunk, start, end);
    case "length":
      return reader.missing === 0 ? finish(reader, "end", start) : readData(reader, start, end);
    case "chunks":
      return readChunks(reader, chunk, start, end);
    case "trailers":
      return readTrailers(reader, chunk, start, end);
    case "until close":
      return readData(reader, start, end);
  }
}

/** The upstream has closed its side in order. Returns "reset" if the answer is not whole. */
export function endOfBytes(reader: AnswerReader): "end" | "reset" {
  if (reader.phase === "until close") finish(reader, "end", 0);
  return reader.event === "end" ? "end" : "reset";
}

function finish(reader: AnswerReader, event: "end" | "malformed" | "too_large", at: number): number {
  reader.phase = "over";
  reader.event = event;
  return at;
}

function readHead(reader: AnswerReader, chunk: Buffer, start: number, end: number): number {
  const { head } = reader;
  reader.event = "more";
  const at = scanLines(head.lines, chunk, start, end, reader.headBytes);
  const { phase } = head.lines;
  if (!isOver(phase)) return at;
  if (phase !== "done") return finish(reader, phase, at);
  if (!readAnswerHead(head, reader.answersHead)) return finish(reader, "malformed", at);
  expectBody(reader);
  reader.event = "head";
  return at;
}

function expectBody(reader: AnswerReader): void {
  switch (reader.head.framing) {
    case "none":
      reader.phase = "no body";
      return;
    case "length":
      reader.phase = "length";
      reader.missing = reader.head.contentLength;
      return;
    case "chunked":
      reader.phase = "chunks";
      restartChunks(reader.chunks);
      return;
    case "close":
      reader.phase = "until close";
      reader.missing = Number.POSITIVE_INFINITY;
  }
}

function readData(reader: AnswerReader, start: number, end: number): number {
  const length = Math.min(reader.missing, end - start);
  reader.event = length === 0 ? "more" : "body";
  reader.missing -= length;
  reader.bodyBytes += length;
  reader.bodyStart = start;
  reader.bodyEnd = start + length;
  return reader.bodyEnd;
}

function readChunks(reader: AnswerReader, chunk: Buffer, start: number, end: number): number {
  const { chunks } = reader;
  for (let at = start; at < end; at += 1) {
    if (chunks.phase === "data") return readChunkData(reader, at, end);
    const phase = takeChunkByte(chunks, chunk[at] ?? 0, reader.headBytes);
    if (phase === "malformed" || phase === "too_large") return finish(reader, phase, at);
    if (phase === "data") reader.missing = chunks.size;
    if (phase === "last") return expectTrailers(reader, chunk, at + 1, end);
  }
  reader.event = "more";
  return end;
}

function readChunkData(reader: AnswerReader, start: number, end: number): number {
  const at = readData(reader, start, end);
  if (reader.missing === 0) reader.chunks.phase = "data end";
  return at;
}

function expectTrailers(reader: AnswerReader, chunk: Buffer, start: number, end: number): number {
  reader.phase = "trailers";
  restartLines(reader.trailers, "line");
  return readTrailers(reader, chunk, start, end);
}

function readTrailers(reader: AnswerReader, chunk: Buffer, start: number, end: number): number {
  const { trailers } = reader;
  reader.event = "more";
  const at = scanLines(trailers, chunk, start, end, reader.headBytes);
  if (!isOver(trailers.phase)) return at;
  if (trailers.phase !== "done") return finish(reader, trailers.phase, at);
  const event = framesBody(trailers) ? "malformed" : "end";
  restartLines(trailers, "line");
  return finish(reader, event, at);
}
