/** An upstream's answer as bytes. */
import type { Answer, Body, RawHeaders } from "../core/types.ts";
import { type AnswerHead, reasonOf } from "./answer-head.ts";
import { copyLess, headersOf } from "./bytes.ts";

const NONE: readonly number[] = [];

/** Keeps nothing of `head` but its bytes, which nobody writes to again: the connection reads other answers meanwhile. */
export class WireAnswer implements Answer {
  readonly status: number;
  readonly body: Body;
  /** Whether such a line is among those that pass. */
  readonly passesLength: boolean;
  readonly passesDate: boolean;
  readonly passesStatusLine: boolean;
  readonly #bytes: Buffer;
  readonly #statusLine: number;
  readonly #reasonStart: number;
  readonly #reasonEnd: number;
  readonly #linesStart: number;
  readonly #linesEnd: number;
  readonly #dropped: readonly number[];
  #headers: RawHeaders | null = null;

  constructor(head: AnswerHead, body: Body) {
    const { lines, dropped } = head;
    this.status = head.status;
    this.body = body;
    this.passesLength = head.passesLength;
    this.passesDate = head.passesDate;
    this.passesStatusLine = head.passesStatusLine;
    this.#bytes = lines.bytes;
    this.#statusLine = lines.statusLine;
    this.#reasonStart = lines.reasonStart;
    this.#reasonEnd = lines.reasonEnd;
    this.#linesStart = lines.start;
    this.#linesEnd = head.linesEnd;
    this.#dropped = dropped.length === 0 ? NONE : dropped.slice();
  }

  get statusText(): string {
    return reasonOf(this.#bytes, this.#reasonStart, this.#reasonEnd);
  }

  get headers(): RawHeaders {
    this.#headers ??= headersOf(this.#bytes, this.#linesStart, this.#linesEnd);
    return this.#headers;
  }

  /** How much `copyHead` writes. */
  get headBytes(): number {
    let bytes = this.#linesEnd - this.#copiedFrom();
    for (let index = 0; index < this.#dropped.length; index += 2) {
      bytes -= (this.#dropped[index + 1] ?? 0) - (this.#dropped[index] ?? 0);
    }
    return bytes;
  }

  /** The lines that pass, as they came, the status line where it may; returns where they end. */
  copyHead(into: Buffer, at: number): number {
    return copyLess(this.#bytes, this.#copiedFrom(), this.#linesEnd, this.#dropped, into, at);
  }

  #copiedFrom(): number {
    return this.passesStatusLine ? this.#statusLine : this.#linesStart;
  }
}
