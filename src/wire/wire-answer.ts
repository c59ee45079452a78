/** An upstream's answer as bytes. */
import type { Answer, Body, RawHeaders } from "../core/types.ts";
import { type AnswerHead, reasonOf } from "./answer-head.ts";
import { copyLess, copyOf, headersOf } from "./bytes.ts";

export const NO_BODY: Body = { kind: "whole", bytes: new Uint8Array() };
const NONE: readonly number[] = [];

/** Keeps a copy of the head's bytes: the connection reads other answers meanwhile. */
export class WireAnswer implements Answer {
  readonly status: number;
  /** Set once it is known, before the answer is handed on. */
  body: Body = NO_BODY;
  /** Whether such a line is among those that pass. */
  readonly passesLength: boolean;
  readonly passesDate: boolean;
  readonly passesStatusLine: boolean;
  readonly #bytes: Buffer;
  readonly #reasonStart: number;
  readonly #reasonEnd: number;
  readonly #linesStart: number;
  readonly #dropped: readonly number[];
  #headers: RawHeaders | null = null;

  /** Takes what it needs at once: the bytes of `head` are about to be overwritten. */
  constructor(head: AnswerHead) {
    const { lines, dropped } = head;
    this.status = head.status;
    this.passesLength = head.passesLength;
    this.passesDate = head.passesDate;
    this.passesStatusLine = head.passesStatusLine;
    const start = lines.statusLine;
    this.#bytes = copyOf(lines.bytes, start, head.linesEnd);
    this.#reasonStart = lines.reasonStart - start;
    this.#reasonEnd = lines.reasonEnd - start;
    this.#linesStart = lines.start - start;
    this.#dropped = dropped.length === 0 ? NONE : dropped.map((at) => at - start);
  }

  get statusText(): string {
    return reasonOf(this.#bytes, this.#reasonStart, this.#reasonEnd);
  }

  get headers(): RawHeaders {
    this.#headers ??= headersOf(this.#bytes, this.#linesStart, this.#bytes.length);
    return this.#headers;
  }

  /** How much `copyHead` writes. */
  get headBytes(): number {
    let bytes = this.#bytes.length - this.#copiedFrom();
    for (let index = 0; index < this.#dropped.length; index += 2) {
      bytes -= (this.#dropped[index + 1] ?? 0) - (this.#dropped[index] ?? 0);
    }
    return bytes;
  }

  /** The lines that pass, as they came, the status line where it may; returns where they end. */
  copyHead(into: Buffer, at: number): number {
    return copyLess(this.#bytes, this.#copiedFrom(), this.#bytes.length, this.#dropped, into, at);
  }

  #copiedFrom(): number {
    return this.passesStatusLine ? 0 : this.#linesStart;
  }
}
