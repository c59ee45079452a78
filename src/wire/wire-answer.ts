/** An upstream's answer as bytes. */
import type { Answer, Body, RawHeaders } from "../core/types.ts";
import { type AnswerHead, reasonOf } from "./answer-head.ts";
import { copyLess, headersOf } from "./bytes.ts";

const NONE: readonly number[] = [];

/** Keeps nothing of `head` but its bytes, which nobody writes to again: the connection reads other answers meanwhile. */
export class WireAnswer implements Answer {
  readonly status: number;
  readonly statusText: string;
  readonly body: Body;
  /** Whether such a line is among those that pass. */
  readonly passesLength: boolean;
  readonly passesDate: boolean;
  readonly #bytes: Buffer;
  readonly #linesStart: number;
  readonly #linesEnd: number;
  readonly #dropped: readonly number[];
  #headers: RawHeaders | null = null;

  constructor(head: AnswerHead, body: Body) {
    const { lines, status, linesEnd, dropped, passesLength, passesDate } = head;
    this.status = status;
    this.statusText = reasonOf(head);
    this.body = body;
    this.passesLength = passesLength;
    this.passesDate = passesDate;
    this.#bytes = lines.bytes;
    this.#linesStart = lines.start;
    this.#linesEnd = linesEnd;
    this.#dropped = dropped.length === 0 ? NONE : [...dropped];
  }

  get headers(): RawHeaders {
    this.#headers ??= headersOf(this.#bytes, this.#linesStart, this.#linesEnd);
    return this.#headers;
  }

  /** Room for `copyLines`. */
  get linesBytes(): number {
    return this.#linesEnd - this.#linesStart;
  }

  /** The lines that pass, as they came; returns where they end. */
  copyLines(into: Buffer, at: number): number {
    return copyLess(this.#bytes, this.#linesStart, this.#linesEnd, this.#dropped, into, at);
  }
}
