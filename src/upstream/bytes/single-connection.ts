/**
 * A connection that carries one check at a time, so that an answer can never reach another check. Bytes that were not
 * asked for end it.
 */
import { type AnswerReceiver, AskableConnection } from "./connection.ts";

export class SingleConnection extends AskableConnection {
  readonly hasTurn = false;
  readonly hasOthers = false;
  #asker: AnswerReceiver | null = null;

  ask(request: Buffer, isHead: boolean, asker: AnswerReceiver): void {
    this.#asker = asker;
    this.expect(isHead);
    this.write(request);
  }

  /** No other check can have the rest of the answer. */
  close(): void {
    this.#asker = null;
    this.socket.destroy();
  }

  protected read(): void {
    const { answers } = this;
    this.hasHeard = true;
    this.#asker?.heard();
    while (this.#asker !== null) {
      const event = answers.next(this.#asker);
      switch (event) {
        case "more":
          return;
        case "head":
        case "body":
          break;
        case "end":
          return this.#finish(true);
        case "malformed":
        case "too_large":
          return this.#fail(event);
      }
    }
    this.socket.destroy();
  }

  protected ended(): void {
    if (this.#asker !== null && this.answers.endsByClose()) this.#finish(false);
    else this.died();
  }

  protected died(): void {
    const asker = this.#asker;
    if (this.hasHeard) return this.#fail("reset");
    this.close();
    asker?.stale(this.isReused);
  }

  #finish(mayBeKept: boolean): void {
    const asker = this.#asker;
    // The end of its body was too much.
    if (asker === null) return;
    this.#asker = null;
    asker.end();
    this.release(mayBeKept);
  }

  #fail(reason: "malformed" | "too_large" | "reset"): void {
    const asker = this.#asker;
    this.close();
    asker?.failed(reason);
  }
}
