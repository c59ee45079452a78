/** The answers that come over one connection, read one after another out of `READ_BUFFER`. */
import { READ_BUFFER } from "../../http/bytes-socket.ts";
import {
  type AnswerEvent,
  type AnswerReader,
  endOfBytes,
  expectAnswer,
  newAnswerReader,
  readAnswer,
} from "../../wire/answer-body.ts";
import type { AnswerHead } from "../../wire/answer-head.ts";
import { GatheredBody } from "../../wire/gathered-body.ts";
import { ScratchBuffer } from "../../wire/scratch.ts";
import { WireAnswer } from "../../wire/wire-answer.ts";

/** What an answer is given to, part by part. */
export interface PartReceiver {
  head(head: AnswerHead, answer: WireAnswer): void;
  body(chunk: Buffer): void;
}

export class AnswerStream {
  readonly #answered: () => void;
  readonly #reader: AnswerReader;
  readonly #gathered = new GatheredBody();
  readonly #scratch = new ScratchBuffer();
  /** The last answer. Its head lies in `#scratch`. */
  #last: WireAnswer | null = null;
  /** How much of what came last is read. */
  #at = 0;
  #length = 0;

  /** `answered` is called with each head. */
  constructor(headBytes: number, answered: () => void) {
    this.#reader = newAnswerReader(headBytes);
    this.#answered = answered;
  }

  /** Whether the upstream lets another request follow the last answer. */
  get keepsAlive(): boolean {
    return this.#reader.head.keepsAlive;
  }

  /** How long an idle connection may be kept by the last answer. */
  get idleMs(): number {
    return this.#reader.head.idleMs;
  }

  get isAllRead(): boolean {
    return this.#at === this.#length;
  }

  /** The next answer begins. `isHead`: it is the answer to a HEAD request. */
  expect(isHead: boolean): void {
    expectAnswer(this.#reader, isHead);
  }

  /** The first `length` bytes of `READ_BUFFER` came. */
  begin(length: number): void {
    this.#at = 0;
    this.#length = length;
  }

  /** Reads up to the next event, and gives `receiver` what there is for it. To be called until "more". */
  next(receiver: PartReceiver): AnswerEvent {
    const reader = this.#reader;
    this.#at = readAnswer(reader, READ_BUFFER, this.#at, this.#length);
    const { event } = reader;
    if (event === "head") {
      this.#answered();
      receiver.head(reader.head, this.#newAnswer());
    } else if (event === "body") {
      this.#gathered.add(READ_BUFFER, reader.bodyStart, reader.bodyEnd, this.#length);
    } else if (event === "more" || event === "end") {
      const piece = this.#gathered.take();
      if (piece) receiver.body(piece);
    }
    return event;
  }

  /** The upstream has closed its side. Returns whether that is how the expected answer ends. */
  endsByClose(): boolean {
    return endOfBytes(this.#reader) === "end";
  }

  #newAnswer(): WireAnswer {
    this.#last?.leaveBytes();
    this.#last = new WireAnswer(this.#reader.head, this.#scratch);
    return this.#last;
  }
}
