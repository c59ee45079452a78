/** An upstream's answer as bytes. */
import type { Answer, Body, RawHeaders } from "../core/types.ts";
import { type AnswerHead, reasonOf } from "./answer-head.ts";
import { copyLess, copyOf, hasValue, headersOf } from "./bytes.ts";
import type { ScratchBuffer } from "./scratch.ts";

const NOTHING = Buffer.alloc(0);
export const NO_BODY: Body = { kind: "whole", bytes: new Uint8Array() };

/** The head lies in the scratch buffer of its connection until the next answer needs that. */
export class WireAnswer implements Answer {
  readonly status: number;
  /** It is set once it is known, before the answer is handed on. */
  body: Body = NO_BODY;
  /** Whether a Content-Length is among the lines that pass, and whether a Date is. */
  readonly passesLength: boolean;
  readonly passesDate: boolean;
  readonly passesStatusLine: boolean;
  #bytes: Buffer;
  readonly #end: number;
  readonly #reasonStart: number;
  readonly #reasonEnd: number;
  readonly #linesStart: number;
  readonly #dropped: readonly number[];
  #headers: RawHeaders | null = null;
  #isOver = false;

  constructor(head: AnswerHead, scratch: ScratchBuffer) {
    const { lines, dropped } = head;
    this.status = head.status;
    this.passesLength = head.passesLength;
    this.passesDate = head.passesDate;
    this.passesStatusLine = head.passesStatusLine;
    const start = lines.statusLine;
    this.#end = head.linesEnd - start;
    this.#bytes = scratch.take(this.#end);
    lines.bytes.copy(this.#bytes, 0, start, head.linesEnd);
    this.#reasonStart = lines.reasonStart - start;
    this.#reasonEnd = lines.reasonEnd - start;
    this.#linesStart = lines.start - start;
    this.#dropped = dropped;
  }

  get statusText(): string {
    return reasonOf(this.#bytes, this.#reasonStart, this.#reasonEnd);
  }

  get headers(): RawHeaders {
    this.#headers ??= headersOf(this.#bytes, this.#linesStart, this.#end);
    return this.#headers;
  }

  lacks(names: readonly string[]): boolean {
    return names.some((name) => !hasValue(this.#bytes, this.#linesStart, this.#end, name));
  }

  /** How many bytes `copyHead` writes. */
  get headBytes(): number {
    let bytes = this.#end - this.#copiedFrom();
    for (let index = 0; index < this.#dropped.length; index += 2) {
      bytes -= (this.#dropped[index + 1] ?? 0) - (this.#dropped[index] ?? 0);
    }
    return bytes;
  }

  /** Another answer is about to be written to the same memory. */
  leaveBytes(): void {
    this.#bytes = this.#isOver ? NOTHING : copyOf(this.#bytes, 0, this.#end);
  }

  /**
   * Copies the lines that pass as they came, and the status line if it may pass. Returns where the copy ends. It is the
   * last thing that may be asked of the answer.
   */
  copyHead(into: Buffer, at: number): number {
    this.#isOver = true;
    return copyLess(this.#bytes, this.#copiedFrom(), this.#end, this.#dropped, into, at);
  }

  #copiedFrom(): number {
    return this.passesStatusLine ? 0 : this.#linesStart;
  }
}
