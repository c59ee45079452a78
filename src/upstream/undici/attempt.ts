/** One attempt of a request over undici. The rules are those of the fast path. */
import type { Answer, Outcome, UpstreamRequest } from "../../core/types.ts";
import { type AttemptOwner, BaseAttempt, type Failed } from "../attempt.ts";
import type { InterruptReason } from "../interrupt.ts";
import type { AnswerHandler, AnswerTaker } from "./answer-handler.ts";
import { CONNECTION, type UndiciConnection } from "./connection.ts";

export class UndiciAttempt extends BaseAttempt<UndiciConnection> implements AnswerTaker {
  protected readonly kind = CONNECTION;
  protected readonly mayShare = false;
  readonly #request: UpstreamRequest;
  #handler: AnswerHandler | null = null;

  constructor(owner: AttemptOwner, request: UpstreamRequest) {
    super(owner);
    this.#request = request;
  }

  get hasHeard(): boolean {
    return this.#handler?.hasHeard ?? false;
  }

  get readMs(): number {
    return this.owner.readMs;
  }

  firstByteMs(): number {
    return this.owner.readBy() - this.owner.readFrom() + this.readMs;
  }

  answered(answer: Answer, isStream: boolean): void {
    if (!isStream) this.ended();
    this.owner.answered(this, answer, isStream);
  }

  failed(failed: Failed): void {
    this.ended();
    this.owner.failed(this, failed);
  }

  over(): void {
    this.ended();
    this.owner.over();
  }

  breakOff(outcome: Outcome): void {
    this.#handler?.breakOff(outcome);
  }

  protected ask(connection: UndiciConnection): void {
    this.#handler = connection.ask(this.#request, this);
  }

  protected drop(): void {
    this.#handler?.cut();
  }

  protected override lateAs(reason: InterruptReason): Failed {
    return this.#handler?.waitsForGateway ? { kind: "unsendable" } : super.lateAs(reason);
  }
}
