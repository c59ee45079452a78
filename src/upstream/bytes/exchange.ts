/**
 * One exchange of a check in bytes: from the first connection that is wanted to the answer, or to what came instead.
 * The rules are those of upstream/undici/exchange.ts.
 */
import type { Place } from "../../core/linked-list.ts";
import type { Upstream } from "../../core/snapshot.ts";
import type { AnswerFailure, Body, Gone, Outcome, Waiting } from "../../core/types.ts";
import type { AnswerHead } from "../../wire/answer-head.ts";
import { NO_BODY, type WireAnswer } from "../../wire/wire-answer.ts";
import type { WireCheck } from "../../wire/wire-check.ts";
import { AnswerAssembly, isTooLarge } from "../answer-assembly.ts";
import type { Peer } from "../connect.ts";
import { isStarved, pastDeadline, stalledSoFar } from "../deadline.ts";
import { type InterruptReason, interrupted } from "../interrupt.ts";
import { withoutConnection } from "../pool.ts";
import type { NotTaken } from "../wait-queue.ts";
import type { AnswerReceiver, AskableConnection } from "./connection.ts";
import type { Deadlines, Timed } from "./deadline-tick.ts";
import { ConnectionTake, type TakeDeps, type Taker } from "./take-connection.ts";

interface ExchangeDeps extends TakeDeps {
  readonly upstream: Upstream;
  readonly check: WireCheck;
  readonly gone: Gone;
  readonly waiting: Waiting;
  readonly deadlines: Deadlines;
  /** It is called once. */
  settle(outcome: Outcome): void;
}

export class Exchange implements AnswerReceiver, Taker, Timed {
  readonly #deps: ExchangeDeps;
  readonly #onGone = (): void => this.#interrupt("abandoned");
  readonly #onRelease = (): void => this.#interrupt("released");
  #placeInDeadlines: Place<Timed> | null = null;
  #placeInWaiting: Place<() => void> | null = null;
  #interrupted: InterruptReason | null = null;
  /** It is null as long as an idle connection was at hand. */
  #take: ConnectionTake | null = null;
  #connection: AskableConnection | null = null;
  #totalAt = 0;
  #readAt = Number.POSITIVE_INFINITY;
  #stalledBefore = 0;
  #stalledBeforeRead = 0;
  #answer: WireAnswer | null = null;
  #body: AnswerAssembly | null = null;
  #isOver = false;

  constructor(deps: ExchangeDeps) {
    this.#deps = deps;
  }

  begin(): void {
    const { kind, pool, upstream, gone, waiting, deadlines, settle } = this.#deps;
    if (gone.aborted) return settle({ kind: "abandoned" });
    gone.addEventListener("abort", this.#onGone);
    this.#placeInWaiting = waiting.add(this.#onRelease);
    this.#placeInDeadlines = deadlines.add(this);
    this.#totalAt = deadlines.time + upstream.timeouts.total;
    this.#stalledBefore = stalledSoFar();
    const connection = pool.takeIdle(kind);
    if (connection) return this.#ask(connection);
    this.#take = new ConnectionTake(this.#deps, this);
    this.#take.begin();
  }

  taken(connection: AskableConnection): void {
    if (this.#interrupted === null) return this.#ask(connection);
    this.#connection = connection;
    this.#giveUp(this.#afterInterrupt(this.#interrupted));
  }

  notTaken(why: NotTaken): void {
    this.#settleOutcome(withoutConnection(why, this.#interrupted));
  }

  look(now: number): void {
    const { total, read } = this.#deps.upstream.timeouts;
    if (now >= this.#totalAt) {
      return this.#interrupt(isStarved(total, this.#stalledBefore) ? "starved" : "total_timeout");
    }
    if (now >= this.#readAt) {
      this.#giveUp(pastDeadline("read_timeout", isStarved(read, this.#stalledBeforeRead)));
    }
  }

  heard(): void {
    this.#expectBytes();
  }

  head(head: AnswerHead, answer: WireAnswer): void {
    this.#answer = answer;
    // In other framings, a length is that of a body that does not follow (RFC 9110 section 8.6).
    if (head.framing === "length" && isTooLarge(this.#deps.upstream, head.contentLength))
      this.#fail("too_large");
  }

  body(chunk: Buffer): void {
    this.#body ??= new AnswerAssembly(this.#deps.upstream);
    switch (this.#body.add(chunk)) {
      case "more":
        return;
      case "counts":
        return this.#startStream(this.#body);
      case "full":
        return this.#pause();
      case "too_large":
        return this.#fail("too_large");
    }
  }

  end(): void {
    this.#connection = null;
    this.#finish();
    const body = this.#body ? this.#body.end() : NO_BODY;
    if (body) this.#settleAnswer(body);
  }

  failed(reason: AnswerFailure): void {
    this.#connection = null;
    this.#settleOutcome({ kind: "failure", reason });
  }

  stale(peer: Peer): void {
    this.#connection = null;
    if (!this.#deps.forwarded.repeatable || this.#take?.isSecond) return this.failed("reset");
    this.#readAt = Number.POSITIVE_INFINITY;
    this.#answer = null;
    this.#body = null;
    this.#take ??= new ConnectionTake(this.#deps, this);
    this.#take.again(peer);
  }

  behind(): void {
    this.#take?.standBehind();
    this.#readAt = Number.POSITIVE_INFINITY;
  }

  turn(): void {
    this.#expectBytes();
  }

  #ask(connection: AskableConnection): void {
    const { check, forwarded } = this.#deps;
    this.#connection = connection;
    this.#expectBytes();
    connection.ask(check.requestBytes(forwarded.staysHere), check.method === "HEAD", this);
  }

  #expectBytes(): void {
    this.#readAt = this.#deps.deadlines.time + this.#deps.upstream.timeouts.read;
    this.#stalledBeforeRead = stalledSoFar();
  }

  #startStream(assembly: AnswerAssembly): void {
    const onWanted = (): void => {
      if (this.#isOver) return;
      this.#expectBytes();
      this.#connection?.resume();
    };
    const body = assembly.stream(onWanted, () => this.#drop());
    // The answer counts: a breaker that opens has no say in it any more.
    this.#leaveWaiting();
    this.#pause();
    this.#settleAnswer(body);
  }

  /** A gateway that reads slowly is not an upstream that writes slowly: only the total deadline runs meanwhile. */
  #pause(): void {
    this.#readAt = Number.POSITIVE_INFINITY;
    this.#connection?.pause();
  }

  #interrupt(reason: InterruptReason): void {
    if (this.#interrupted !== null || this.#isOver) return;
    this.#interrupted = reason;
    if (this.#connection) this.#giveUp(this.#afterInterrupt(reason));
    else this.#take?.interrupt();
  }

  #afterInterrupt(reason: InterruptReason): Outcome {
    return interrupted(reason, this.#take ? this.#take.wait : "none");
  }

  #fail(reason: AnswerFailure): void {
    this.#giveUp({ kind: "failure", reason });
  }

  #giveUp(outcome: Outcome): void {
    this.#drop();
    this.#settleOutcome(outcome);
  }

  /** No other check can have the rest of the answer. */
  #drop(): void {
    const connection = this.#connection;
    this.#connection = null;
    connection?.close(this);
    this.#finish();
  }

  /** Ends without an answer; a stream that has begun breaks off. */
  #settleOutcome(outcome: Outcome): void {
    this.#finish();
    if (!this.#body?.breakOff(outcome)) this.#deps.settle(outcome);
  }

  #settleAnswer(body: Body): void {
    const answer = this.#answer;
    if (answer === null) return;
    answer.body = body;
    this.#deps.settle({ kind: "answer", answer });
  }

  #leaveWaiting(): void {
    if (this.#placeInWaiting) this.#deps.waiting.leave(this.#placeInWaiting);
  }

  #finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { gone, deadlines } = this.#deps;
    gone.removeEventListener("abort", this.#onGone);
    this.#leaveWaiting();
    if (this.#placeInDeadlines) deadlines.leave(this.#placeInDeadlines);
  }
}
