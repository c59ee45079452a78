/**
 * One exchange of a check over the wire: from the first connection that is wanted to the answer, or to what came
 * instead. The rules are those of upstream/undici/exchange.ts.
 */

import type { Place } from "../../core/linked-list.ts";
import type { Upstream } from "../../core/snapshot.ts";
import type {
  AnswerFailure,
  Body,
  FailureReason,
  Forwarded,
  Gone,
  Outcome,
  Waiting,
} from "../../core/types.ts";
import type { AnswerHead } from "../../wire/answer-head.ts";
import { NO_BODY, type WireAnswer } from "../../wire/wire-answer.ts";
import type { WireCheck } from "../../wire/wire-check.ts";
import { type BodyStream, createBodyStream } from "../body-stream.ts";
import type { Peer } from "../connect.ts";
import { isStarved, stalledSoFar } from "../deadline.ts";
import type { InterruptReason } from "../interrupt.ts";
import type { ConnectionKind, NotTaken, Pool, Pooled, Waiter } from "../pool.ts";
import { withoutConnection } from "../pool.ts";
import { COMPLETE_BYTES } from "../undici/answer-handler.ts";
import type { AnswerReceiver, AskableConnection } from "./connection.ts";
import type { Deadlines, Timed } from "./deadline-tick.ts";

/** What an exchange is between. `settle` is called once. */
export interface ExchangeDeps {
  readonly kind: ConnectionKind<AskableConnection>;
  readonly pool: Pool;
  readonly upstream: Upstream;
  readonly gone: Gone;
  readonly waiting: Waiting;
  readonly deadlines: Deadlines;
  settle(outcome: Outcome): void;
}

/** For the pool, it is what may interrupt the wait for a connection. */
export class Exchange implements AnswerReceiver, Gone, Timed, Waiter {
  readonly #around: ExchangeDeps;
  readonly #check: WireCheck;
  readonly #forwarded: Forwarded;
  readonly #onGone = (): void => this.#interrupt("abandoned");
  readonly #onRelease = (): void => this.#interrupt("released");
  /** Of the pool, while a connection is waited for. */
  #listeners: (() => void)[] | null = null;
  readonly needsFresh = false;
  answers = 0;
  #place: Place<Timed> | null = null;
  #placeAmongWaiting: Place<() => void> | null = null;
  /** In the pool's line, or where it was. */
  #placeInLine: Place<Waiter> | null = null;
  reason: InterruptReason | null = null;
  #connection: AskableConnection | null = null;
  #queued = false;
  #retried = false;
  #stoodBehind = false;
  #totalAt = 0;
  #readAt = Number.POSITIVE_INFINITY;
  #stalledBefore = 0;
  #stalledBeforeRead = 0;
  #answer: WireAnswer | null = null;
  /** Of a body that is not a stream yet. */
  #chunks: Buffer[] | null = null;
  #bytes = 0;
  #stream: BodyStream | null = null;
  #isOver = false;

  constructor(around: ExchangeDeps, check: WireCheck, forwarded: Forwarded) {
    this.#around = around;
    this.#check = check;
    this.#forwarded = forwarded;
  }

  begin(): void {
    const { kind, pool, upstream, gone, waiting, deadlines } = this.#around;
    if (gone.aborted) return this.#around.settle({ kind: "abandoned" });
    gone.addEventListener("abort", this.#onGone);
    this.#placeAmongWaiting = waiting.add(this.#onRelease);
    this.#place = deadlines.add(this);
    this.#totalAt = deadlines.time + upstream.timeouts.total;
    this.#stalledBefore = stalledSoFar();
    const connection = pool.takeIdle(kind);
    if (connection) return this.#ask(connection);
    this.answers = pool.answers;
    this.#placeInLine = pool.joinQueue(this);
    if (this.#placeInLine === null) void this.#take(null, null);
  }

  /** An answer to HEAD may be followed by a body that another check would take for its answer. */
  get mayShare(): boolean {
    return this.#check.method !== "HEAD" && this.#forwarded.repeatable;
  }

  fits(connection: Pooled): boolean {
    return this.#around.kind.isOne(connection);
  }

  take(connection: Pooled): void {
    const { kind, pool } = this.#around;
    this.#queued = pool.answers !== this.answers;
    if (kind.isOne(connection)) this.#ask(connection);
  }

  fail(why: NotTaken): void {
    const taken = this.#around.pool.afterWait(why, this.answers);
    if (taken.kind !== "taken") this.#settleOutcome(withoutConnection(taken, this));
  }

  open(): void {
    void this.#take(null, this.answers);
  }

  get aborted(): boolean {
    return this.reason !== null;
  }

  addEventListener(_type: "abort", listener: () => void): void {
    this.#listeners ??= [];
    this.#listeners.push(listener);
  }

  removeEventListener(_type: "abort", listener: () => void): void {
    const index = this.#listeners?.indexOf(listener) ?? -1;
    if (index !== -1) this.#listeners?.splice(index, 1);
  }

  look(now: number): void {
    const { total, read } = this.#around.upstream.timeouts;
    if (now >= this.#totalAt) {
      return this.#interrupt(isStarved(total, this.#stalledBefore) ? "starved" : "total_timeout");
    }
    if (now < this.#readAt) return;
    if (isStarved(read, this.#stalledBeforeRead)) this.#giveUp({ kind: "overload" });
    else this.#giveUp({ kind: "failure", reason: "read_timeout" });
  }

  heard(): void {
    this.#expectBytes();
  }

  head(head: AnswerHead, answer: WireAnswer): void {
    this.#answer = answer;
    const { answerBytes } = this.#around.upstream;
    // What others announce is the length of a body that does not follow (RFC 9110 section 8.6).
    const announced = head.framing === "length" ? head.contentLength : 0;
    if (answerBytes !== null && announced > answerBytes) this.#fail("too_large");
  }

  body(chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes > (this.#around.upstream.answerBytes ?? Number.POSITIVE_INFINITY))
      return this.#fail("too_large");
    if (this.#stream) {
      if (!this.#stream.push(chunk)) this.#pause();
      return;
    }
    if (this.#chunks) this.#chunks.push(chunk);
    else this.#chunks = [chunk];
    if (this.#bytes > COMPLETE_BYTES) this.#startStream();
  }

  end(): void {
    this.#connection = null;
    this.#finish();
    if (this.#stream) return this.#stream.end();
    this.#settleAnswer(this.#chunks ? { kind: "whole", bytes: joined(this.#chunks) } : NO_BODY);
  }

  failed(reason: AnswerFailure): void {
    this.#connection = null;
    this.#settleOutcome({ kind: "failure", reason });
  }

  stale(peer: Peer): void {
    this.#connection = null;
    if (this.#retried || !this.#forwarded.repeatable) return this.failed("reset");
    this.#retried = true;
    this.#readAt = Number.POSITIVE_INFINITY;
    this.#answer = null;
    this.#chunks = null;
    this.#bytes = 0;
    void this.#take(peer, this.#stoodBehind ? this.answers : null);
  }

  behind(): void {
    this.#stoodBehind = true;
    this.#readAt = Number.POSITIVE_INFINITY;
  }

  turn(): void {
    this.#expectBytes();
  }

  /** `answers`: of the upstream when the wait in line began that is over now; null: there was none. */
  async #take(died: Peer | null, answers: number | null): Promise<void> {
    const { kind, pool } = this.#around;
    const found = await pool.take(kind, died, this);
    const taken = answers === null ? found : pool.afterWait(found, answers);
    if (taken.kind !== "taken") return this.#settleOutcome(withoutConnection(taken, this));
    this.#queued = taken.queued;
    if (this.reason === null) return this.#ask(taken.connection);
    this.#connection = taken.connection;
    this.#giveUp(this.#interrupted(this.reason));
  }

  #ask(connection: AskableConnection): void {
    this.#connection = connection;
    this.#expectBytes();
    connection.ask(this.#check.requestBytes(this.#forwarded.staysHere), this.#check.method === "HEAD", this);
  }

  #expectBytes(): void {
    this.#readAt = this.#around.deadlines.time + this.#around.upstream.timeouts.read;
    this.#stalledBeforeRead = stalledSoFar();
  }

  #startStream(): void {
    const onWanted = (): void => {
      if (this.#isOver) return;
      this.#expectBytes();
      this.#connection?.resume();
    };
    const stream = createBodyStream(onWanted, () => this.#drop());
    this.#stream = stream;
    // The answer counts: a breaker that opens has no say in it any more.
    this.#leaveWaiting();
    for (const chunk of this.#chunks ?? []) stream.push(chunk);
    this.#chunks = null;
    this.#pause();
    this.#settleAnswer(stream.body);
  }

  /** A gateway that reads slowly is not an upstream that writes slowly: no deadline runs meanwhile but the total. */
  #pause(): void {
    this.#readAt = Number.POSITIVE_INFINITY;
    this.#connection?.pause();
  }

  #interrupt(reason: InterruptReason): void {
    if (this.reason !== null || this.#isOver) return;
    this.reason = reason;
    const { pool } = this.#around;
    if (this.#connection) return this.#giveUp(this.#interrupted(reason));
    if (this.#placeInLine && this.#placeInLine.item !== null) {
      pool.leaveQueue(this.#placeInLine);
      return this.fail({ kind: "interrupted" });
    }
    for (const listener of [...(this.#listeners ?? [])]) listener();
  }

  #interrupted(reason: InterruptReason): Outcome {
    if (reason === "abandoned" || reason === "released") return { kind: reason };
    // The time in line was ours to answer for, not the upstream's.
    if (reason === "starved" || this.#queued) return { kind: "overload" };
    if (!this.#stoodBehind) return { kind: "failure", reason };
    // To stand behind another is to wait in line.
    if (this.#around.pool.answers !== this.answers) return { kind: "overload" };
    return { kind: "failure", reason, unasked: true };
  }

  #fail(reason: FailureReason): void {
    this.#giveUp({ kind: "failure", reason });
  }

  #giveUp(outcome: Outcome): void {
    this.#drop();
    this.#settleOutcome(outcome);
  }

  /** What is still to come of the answer nobody can have. */
  #drop(): void {
    const connection = this.#connection;
    this.#connection = null;
    connection?.close(this);
    this.#finish();
  }

  /** Ends without an answer; a stream that has begun breaks off. */
  #settleOutcome(outcome: Outcome): void {
    this.#finish();
    if (this.#stream) this.#stream.breakOff(outcome.kind === "failure" ? outcome.reason : null);
    else this.#around.settle(outcome);
  }

  #settleAnswer(body: Body): void {
    const answer = this.#answer;
    if (answer === null) return;
    answer.body = body;
    this.#around.settle({ kind: "answer", answer });
  }

  #leaveWaiting(): void {
    if (this.#placeAmongWaiting) this.#around.waiting.leave(this.#placeAmongWaiting);
  }

  #finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { gone, deadlines } = this.#around;
    gone.removeEventListener("abort", this.#onGone);
    this.#leaveWaiting();
    if (this.#place) deadlines.leave(this.#place);
  }
}

/** At least one. */
function joined(chunks: readonly Buffer[]): Buffer {
  const [first] = chunks;
  return chunks.length === 1 && first ? first : Buffer.concat(chunks);
}
