/**
 * One open connection to an upstream, read as bytes. One check at a time: an answer can never reach another one, and
 * bytes that nobody asked for end the connection.
 */
import type { Socket } from "node:net";
import type { Upstream } from "../../core/snapshot.ts";
import { READ_BUFFER } from "../../http/bytes-socket.ts";
import {
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
import type { Peer } from "../connect.ts";
import type { ConnectionEvents, Pooled } from "../pool.ts";

/** An idle connection is kept so long, unless the upstream's Keep-Alive names less. */
export const IDLE_MS = 60_000;

/** Whoever waits for the answer. */
export interface AnswerReceiver {
  /** Some bytes came. */
  heard(): void;
  head(head: AnswerHead, answer: WireAnswer): void;
  body(chunk: Buffer): void;
  /** The answer is whole. */
  end(): void;
  /** `reset`: the connection broke off. */
  failed(reason: "malformed" | "too_large" | "reset"): void;
  /**
   * It died before the first byte of the answer, and was a reused one or leads to one server of several; or it was
   * shared, and ends for all.
   */
  stale(peer: Peer): void;
  /** The answers to others come first; until `turn`, none is late. */
  behind(): void;
  /** The next answer is the one. */
  turn(): void;
}

/** What an exchange asks by. */
export interface AskableConnection extends Pooled {
  ask(request: Buffer, isHead: boolean, asker: AnswerReceiver): void;
  /** `asker`: who wants no more. */
  close(asker?: AnswerReceiver): void;
  closeIfIdle(now: number): void;
  pause(): void;
  resume(): void;
}

/** Owns its socket until `close`. */
export class ByteUpstreamConnection implements AskableConnection {
  readonly peer: Peer;
  readonly #socket: Socket;
  readonly #upstream: Upstream;
  readonly #events: ConnectionEvents;
  readonly #clock: { readonly time: number };
  readonly #reader: AnswerReader = newAnswerReader();
  readonly #scratch = new ScratchBuffer();
  /** The last one, which is in `#scratch`. */
  #answer: WireAnswer | null = null;
  readonly #gathered = new GatheredBody();
  #asker: AnswerReceiver | null = null;
  #asked = 0;
  #heard = false;
  #isPaused = false;
  /** Its upstream has not ended it. */
  #isOpen = true;
  /** When it must have been used again; milliseconds of the clock. */
  #idleUntil = Number.POSITIVE_INFINITY;

  /** `clock`: about what time it is, in milliseconds, when an answer has just ended. */
  constructor(
    socket: Socket,
    peer: Peer,
    upstream: Upstream,
    events: ConnectionEvents,
    clock: { readonly time: number },
  ) {
    this.peer = peer;
    this.#socket = socket;
    this.#upstream = upstream;
    this.#events = events;
    this.#clock = clock;
    socket.on("bytes", (length: number) => this.#read(length));
    socket.on("end", () => this.#ended());
    socket.on("close", () => this.#closed());
  }

  get usable(): boolean {
    return this.#isOpen && !this.#socket.destroyed;
  }

  get hasTurn(): boolean {
    return false;
  }

  ask(request: Buffer, isHead: boolean, asker: AnswerReceiver): void {
    this.#asker = asker;
    this.#asked += 1;
    this.#heard = false;
    this.#idleUntil = Number.POSITIVE_INFINITY;
    expectAnswer(this.#reader, isHead);
    this.#socket.write(request);
  }

  /** The asker wants no more; nobody else can have the rest. */
  close(): void {
    this.#asker = null;
    this.#socket.destroy();
  }

  closeIfIdle(now: number): void {
    if (now >= this.#idleUntil) this.close();
  }

  /** While a gateway reads slowly, the upstream is held back. */
  pause(): void {
    this.#isPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#socket.resume();
  }

  #read(length: number): void {
    const reader = this.#reader;
    let at = 0;
    this.#heard = true;
    this.#asker?.heard();
    while (this.#asker !== null) {
      at = readAnswer(reader, READ_BUFFER, at, length, this.#upstream.headBytes);
      switch (reader.event) {
        case "more":
          return this.#passOn();
        case "head":
          this.#events.answered();
          this.#asker.head(reader.head, this.#newAnswer());
          break;
        case "body":
          this.#gathered.add(READ_BUFFER, reader.bodyStart, reader.bodyEnd, length);
          break;
        case "end":
          this.#passOn();
          return this.#finish(at === length && reader.head.keepsAlive);
        case "malformed":
        case "too_large":
          return this.#fail(reader.event);
      }
    }
    this.#socket.destroy();
  }

  #passOn(): void {
    const piece = this.#gathered.take();
    if (piece) this.#asker?.body(piece);
  }

  #newAnswer(): WireAnswer {
    this.#answer?.leaveBytes();
    this.#answer = new WireAnswer(this.#reader.head, this.#scratch);
    return this.#answer;
  }

  #finish(reusable: boolean): void {
    const asker = this.#asker;
    // Its body was too much.
    if (asker === null) return;
    this.#asker = null;
    asker.end();
    // The rest of a request that was answered early is in memory that its gateway's next check takes.
    const isWritten = this.#socket.writableLength === 0;
    if (!reusable || !isWritten) return this.close();
    // Whoever reads a long answer slowly may not have wanted its end yet.
    if (this.#isPaused) this.resume();
    this.#idleUntil = this.#clock.time + Math.min(IDLE_MS, this.#reader.head.idleMs);
    this.#events.free(this);
  }

  #fail(reason: "malformed" | "too_large" | "reset"): void {
    const asker = this.#asker;
    this.close();
    asker?.failed(reason);
  }

  #ended(): void {
    this.#isOpen = false;
    if (this.#asker !== null && endOfBytes(this.#reader) === "end") this.#finish(false);
    else this.#died();
  }

  #closed(): void {
    this.#died();
    this.#events.closed(this);
  }

  #died(): void {
    const asker = this.#asker;
    // Of a list, one in its shutdown still takes connections and loses them: the others are to be asked.
    const isStale = !this.#heard && (this.#asked > 1 || this.#upstream.servers.length > 1);
    this.close();
    if (isStale) asker?.stale(this.peer);
    else asker?.failed("reset");
  }
}
