/**
 * One open connection to an upstream, read as bytes. How many checks it carries at a time is for single-connection.ts
 * and pipelined-connection.ts to say.
 */
import type { Socket } from "node:net";
import type { Upstream } from "../../core/snapshot.ts";
import { type ConnectionEvents, type ConnectionRecord, IDLE_MS, type Pooled } from "../pooled-connection.ts";
import { AnswerStream, type PartReceiver } from "./answer-stream.ts";

/** What waits for an answer. */
export interface AnswerReceiver extends PartReceiver {
  /** Some bytes came. */
  heard(): void;
  /** The answer is whole. */
  end(): void;
  /** "reset": the connection broke off. */
  failed(reason: "malformed" | "too_large" | "reset"): void;
  /** The connection died before a byte of the answer came, or it was shared and ends for all: see attempt.ts. */
  stale(isReused: boolean): void;
  /** The answers to others come first. Until `turn`, this one is not late. */
  behind(): void;
  /** The next answer is this one. */
  turn(): void;
}

interface ConnectionDeps {
  readonly socket: Socket;
  readonly record: ConnectionRecord;
  readonly upstream: Upstream;
  readonly events: ConnectionEvents;
  /** It says about what time it is when an answer has just ended, in milliseconds. */
  readonly clock: { readonly time: number };
}

/** Owns its socket until `close`. */
export abstract class AskableConnection implements Pooled {
  readonly record: ConnectionRecord;
  protected readonly socket: Socket;
  protected readonly upstream: Upstream;
  protected readonly events: ConnectionEvents;
  protected readonly answers: AnswerStream;
  /** Whether a byte has come since the expected answer became the next one. */
  protected hasHeard = false;
  readonly #clock: { readonly time: number };
  #requests = 0;
  #isPaused = false;
  /** Whether the upstream has left it open. */
  #isOpen = true;
  /** By this time of the clock it must have been used again. */
  #idleUntil = Number.POSITIVE_INFINITY;

  constructor({ socket, record, upstream, events, clock }: ConnectionDeps) {
    this.record = record;
    this.socket = socket;
    this.upstream = upstream;
    this.events = events;
    this.#clock = clock;
    this.answers = new AnswerStream(upstream.headBytes, events.answered);
    socket.on("bytes", (length: number) => {
      this.answers.begin(length);
      this.read();
    });
    socket.on("end", () => {
      this.#isOpen = false;
      this.ended();
    });
    socket.on("close", () => {
      this.died();
      events.closed(this);
    });
  }

  abstract readonly hasTurn: boolean;
  abstract readonly hasOthers: boolean;
  abstract ask(request: Buffer, isHead: boolean, asker: AnswerReceiver): void;
  /** `asker` wants no more. Without one, the connection ends for all. */
  abstract close(asker?: AnswerReceiver): void;
  /** Bytes came, which `answers` reads. */
  protected abstract read(): void;
  /** The upstream closed its side in order. */
  protected abstract ended(): void;
  protected abstract died(): void;

  get usable(): boolean {
    return this.#isOpen && !this.socket.destroyed;
  }

  closeIfIdle(now: number): void {
    if (now >= this.#idleUntil) this.close();
  }

  /** While a gateway reads slowly, the upstream is held back. */
  pause(): void {
    this.#isPaused = true;
    this.socket.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.socket.resume();
  }

  /** Whether it has carried a request before. */
  protected get isReused(): boolean {
    return this.#requests > 1;
  }

  protected expect(isHead: boolean): void {
    this.hasHeard = false;
    this.answers.expect(isHead);
  }

  protected write(request: Buffer): void {
    this.#requests += 1;
    this.#idleUntil = Number.POSITIVE_INFINITY;
    this.socket.write(request);
  }

  /** No answer is waited for any more. */
  protected release(mayBeKept: boolean): void {
    // The rest of a request that was answered early is in memory that the next check of its gateway takes.
    const isWritten = this.socket.writableLength === 0;
    const { answers } = this;
    if (!mayBeKept || !isWritten || !answers.isAllRead || !answers.keepsAlive || !this.usable)
      return this.close();
    // A gateway that reads a long answer slowly may not have wanted its end yet.
    if (this.#isPaused) this.resume();
    this.#idleUntil = this.#clock.time + Math.min(IDLE_MS, answers.idleMs);
    this.events.free(this);
  }
}
