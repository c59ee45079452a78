/**
 * A connection that may carry several checks at a time (`pipelining` above 1), asked one behind the other and answered
 * in that order. An answer that reached another check would be another client's identity. Order is all there is to
 * trust, so the first odd thing ends the connection, and the checks that shared it are asked anew, alone.
 *
 *  a check stands behind others   where an answer came before, no HEAD is in front, and all requests are written out
 *  its time                       runs once it is in front; until then it waits as in the pool's wait queue
 *  asked anew                     whatever is unanswered when the connection ends, and whatever stands behind a check
 *                                 that leaves, an answer that closes the connection, or one that becomes a stream
 */
import { type AnswerReceiver, AskableConnection } from "./connection.ts";

/** One check that waits for its answer here. */
interface Turn {
  readonly asker: AnswerReceiver;
  readonly isHead: boolean;
  /** Others are or were asked beside it, so what goes wrong may be their doing. */
  isShared: boolean;
  /** Some of its answer is on its way to the gateway. */
  isStream: boolean;
}

export class PipelinedConnection extends AskableConnection {
  /** In the order asked: the next answer is for the first. */
  readonly #turns: Turn[] = [];
  #hasAnswered = false;
  #isReading = false;
  /** Nothing may stand behind the last of `#turns`, and the connection closes after its answer. */
  #isLast = false;

  get hasTurn(): boolean {
    const [front] = this.#turns;
    if (front === undefined || this.#turns.length >= this.upstream.pipelining) return false;
    if (!this.#hasAnswered || this.#isReading || this.#isLast || front.isHead || front.isStream) return false;
    // What is not written out yet lies in memory of its check, which must not outlive that check.
    return this.usable && this.record.mayBeKept && this.socket.writableLength === 0;
  }

  get hasOthers(): boolean {
    return this.#turns.length > 0;
  }

  ask(request: Buffer, isHead: boolean, asker: AnswerReceiver): void {
    const isShared = this.#turns.length > 0;
    if (isShared) {
      for (const turn of this.#turns) turn.isShared = true;
      this.#turns.push({ asker, isHead, isShared, isStream: false });
      asker.behind();
      // A copy: the check may leave before all is written, and those in front still need the connection.
      this.write(Buffer.from(request));
      return;
    }
    this.#turns.push({ asker, isHead, isShared, isStream: false });
    this.expect(isHead);
    this.write(request);
    this.#offerTurn();
  }

  /** No other check can have what comes for `asker`, so the connection ends where its answer would begin. */
  close(asker?: AnswerReceiver): void {
    const index = this.#turns.findIndex((turn) => turn.asker === asker);
    const left = this.#turns.splice(Math.max(index, 0));
    if (index > 0) this.#isLast = true;
    else this.socket.destroy();
    this.#askAnew(left.filter((turn) => turn.asker !== asker));
  }

  /** No other check may wait for the gateway that reads slowly. */
  override pause(): void {
    super.pause();
    const [front] = this.#turns;
    if (front) front.isStream = true;
    if (this.#turns.length > 1) this.#endBehindFront();
  }

  protected read(): void {
    // What came until now cannot be the answer to what is asked from now on.
    this.#isReading = true;
    this.#hear();
    this.#readAll();
    this.#isReading = false;
    this.#offerTurn();
  }

  protected ended(): void {
    const [front] = this.#turns;
    if (front === undefined || !this.answers.endsByClose()) return this.#breakOff("reset");
    this.#finish(front);
    this.close();
  }

  protected died(): void {
    this.#breakOff("reset");
  }

  #readAll(): void {
    const { answers } = this;
    for (let [front] = this.#turns; front !== undefined; [front] = this.#turns) {
      const event = answers.next(front.asker);
      switch (event) {
        case "more":
          return;
        case "head":
          if (!answers.keepsAlive) this.#endBehindFront();
          break;
        case "body":
          break;
        case "end":
          // The end of its body was too much.
          if (this.#turns[0] !== front) break;
          this.#finish(front);
          if (this.#turns.length === 0) return this.release(!this.#isLast);
          this.#next();
          break;
        case "malformed":
        case "too_large":
          return this.#breakOff(event);
      }
    }
    this.socket.destroy();
  }

  #hear(): void {
    this.hasHeard = true;
    this.#turns[0]?.asker.heard();
  }

  #finish({ asker }: Turn): void {
    this.#turns.shift();
    this.#hasAnswered = true;
    asker.end();
  }

  /** A check stands only behind an answer that keeps the connection. */
  #next(): void {
    const [front] = this.#turns;
    if (front === undefined) return;
    this.expect(front.isHead);
    front.asker.turn();
    if (!this.answers.isAllRead) this.#hear();
  }

  #offerTurn(): void {
    if (this.hasTurn) this.events.share(this);
  }

  #endBehindFront(): void {
    this.#isLast = true;
    this.#askAnew(this.#turns.splice(1));
  }

  #askAnew(turns: readonly Turn[]): void {
    for (const { asker } of turns) asker.stale(true);
  }

  #breakOff(reason: "malformed" | "too_large" | "reset"): void {
    const isStale = reason === "reset" && !this.hasHeard;
    const left = this.#turns.splice(0);
    this.socket.destroy();
    for (const { asker, isShared, isStream } of left) {
      if ((isShared && !isStream) || isStale) asker.stale(isShared || this.isReused);
      else asker.failed(reason);
    }
  }
}
