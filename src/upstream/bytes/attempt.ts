/** One attempt of a check in bytes: it is written as it came, and the answer is handed on as it comes. */
import type { Answer, AnswerFailure, Body, Outcome } from "../../core/types.ts";
import type { AnswerHead } from "../../wire/answer-head.ts";
import { NO_BODY, type WireAnswer } from "../../wire/wire-answer.ts";
import { AnswerAssembly, isTooLarge } from "../answer-assembly.ts";
import { type AttemptOwner, BaseAttempt } from "../attempt.ts";
import { isStarved, pastDeadline, stalledSoFar } from "../deadline.ts";
import type { ConnectionKind } from "../pooled-connection.ts";
import type { AnswerReceiver, AskableConnection } from "./connection.ts";
import type { ByteSubject } from "./path.ts";

export class ByteAttempt extends BaseAttempt<AskableConnection> implements AnswerReceiver {
  protected readonly kind: ConnectionKind<AskableConnection>;
  hasHeard = false;
  readonly #subject: ByteSubject;
  #readAt = Number.POSITIVE_INFINITY;
  #stalledBeforeRead = 0;
  #answer: WireAnswer | null = null;
  #body: AnswerAssembly | null = null;

  constructor(owner: AttemptOwner, subject: ByteSubject, kind: ConnectionKind<AskableConnection>) {
    super(owner);
    this.#subject = subject;
    this.kind = kind;
  }

  /** An answer to HEAD may be followed by a body that another check would take for its answer. */
  protected get mayShare(): boolean {
    const { check, repeatable } = this.#subject;
    return check.method !== "HEAD" && repeatable;
  }

  protected ask(connection: AskableConnection): void {
    const { check, staysHere } = this.#subject;
    this.#readAt = this.owner.readBy();
    this.#stalledBeforeRead = stalledSoFar();
    connection.ask(check.requestBytes(staysHere), check.method === "HEAD", this);
  }

  override look(now: number): void {
    super.look(now);
    if (now < this.#readAt) return;
    this.#giveUp(pastDeadline("read_timeout", isStarved(this.owner.readMs, this.#stalledBeforeRead)));
  }

  heard(): void {
    this.hasHeard = true;
    this.#expectBytes();
  }

  head(head: AnswerHead, answer: WireAnswer): void {
    this.#answer = answer;
    // In other framings, a length is that of a body that does not follow (RFC 9110 section 8.6).
    if (head.framing === "length" && isTooLarge(this.owner.pool.upstream, head.contentLength))
      this.#fail("too_large");
  }

  body(chunk: Buffer): void {
    this.#body ??= new AnswerAssembly(this.owner.pool.upstream);
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
    this.ended();
    const body = this.#body ? this.#body.end() : NO_BODY;
    if (body) this.#settleAnswer(body, false);
    else this.owner.over();
  }

  failed(reason: AnswerFailure): void {
    this.#settleFailure({ kind: "failure", reason });
  }

  stale(isReused: boolean): void {
    if (this.isOver) return;
    this.ended();
    this.owner.failed(this, { kind: "stale", sent: true, isReused });
  }

  behind(): void {
    this.take?.standBehind();
    this.owner.queued();
    this.#readAt = Number.POSITIVE_INFINITY;
  }

  turn(): void {
    this.#expectBytes();
    this.owner.begun();
  }

  breakOff(outcome: Outcome): void {
    this.#body?.breakOff(outcome);
    this.cut();
    this.owner.over();
  }

  /** No other check can have the rest of the answer. */
  protected drop(): void {
    this.connection?.close(this);
  }

  #expectBytes(): void {
    this.#readAt = this.owner.readFrom();
    this.#stalledBeforeRead = stalledSoFar();
  }

  #startStream(assembly: AnswerAssembly): void {
    const onWanted = (): void => {
      if (this.isOver) return;
      this.#expectBytes();
      this.connection?.resume();
    };
    const onClosed = (): void => {
      if (this.isOver) return;
      this.cut();
      this.owner.over();
    };
    const body = assembly.stream(onWanted, onClosed);
    this.#pause();
    this.#settleAnswer(body, true);
  }

  /** A gateway that reads slowly is not an upstream that writes slowly: only the total deadline runs meanwhile. */
  #pause(): void {
    this.#readAt = Number.POSITIVE_INFINITY;
    this.connection?.pause();
  }

  #fail(reason: AnswerFailure): void {
    this.#giveUp({ kind: "failure", reason });
  }

  #giveUp(outcome: Extract<Outcome, { kind: "failure" | "overload" }>): void {
    this.drop();
    this.#settleFailure(outcome);
  }

  /** A stream that has begun breaks off. */
  #settleFailure(outcome: Extract<Outcome, { kind: "failure" | "overload" }>): void {
    if (this.isOver) return;
    this.ended();
    if (this.#body?.breakOff(outcome)) this.owner.over();
    else this.owner.failed(this, outcome);
  }

  #settleAnswer(body: Body, isStream: boolean): void {
    const answer = this.#answer;
    if (answer === null) return;
    answer.body = body;
    this.owner.answered(this, answer satisfies Answer, isStream);
  }
}
