/**
 * One open connection to an upstream that may carry several checks at a time (`pipelining` above 1), asked one behind
 * the other and answered in that order. An answer that reached another check would be another client's identity, so
 * order is all there is to trust, and the first odd thing ends it: what shared the connection asks anew, alone.
 *
 *  a check stands behind others   where an answer came before, no HEAD is in front, and all of them are written out
 *  its time                       runs once it is in front; until then it waits as in the pool's line
 *  asked anew                     whatever is unanswered when the connection ends, and whatever stands behind a check
 *                                 that leaves, an answer that closes the connection, or one that becomes a stream
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
import { GatheredBody } from "../../wire/gathered-body.ts";
import { ScratchBuffer } from "../../wire/scratch.ts";
import { WireAnswer } from "../../wire/wire-answer.ts";
import type { Peer } from "../connect.ts";
import type { ConnectionEvents } from "../pool.ts";
import { type AnswerReceiver, type AskableConnection, IDLE_MS } from "./connection.ts";

/** One check that waits for its answer here. */
interface Turn {
  readonly asker: AnswerReceiver;
  readonly isHead: boolean;
  /** Others are or were asked beside it, so what goes wrong may be their doing. */
  isShared: boolean;
  /** Some of its answer is on its way to the gateway. */
  isStream: boolean;
}

/** Owns its socket until `close`. */
export class PipelinedConnection implements AskableConnection {
  readonly peer: Peer;
  readonly #socket: Socket;
  readonly #upstream: Upstream;
  readonly #events: ConnectionEvents;
  readonly #clock: { readonly time: number };
  readonly #reader: AnswerReader = newAnswerReader();
  readonly #scratch = new ScratchBuffer();
  readonly #gathered = new GatheredBody();
  /** The last one, which is in `#scratch`. */
  #answer: WireAnswer | null = null;
  /** In the order asked: the next answer is the first one's. */
  readonly #turns: Turn[] = [];
  #asked = 0;
  #hasAnswered = false;
  #isReading = false;
  /** Since the first of `#turns` is the first. */
  #heard = false;
  /** Nobody may stand behind the last of `#turns`, and it closes after that one's answer. */
  #isLast = false;
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
    socket.on("close", () => {
      this.#breakOff("reset");
      events.closed(this);
    });
  }

  get usable(): boolean {
    return !this.#socket.destroyed && this.#socket.readable && this.#socket.writable;
  }

  get hasTurn(): boolean {
    const [front] = this.#turns;
    if (front === undefined || this.#turns.length >= this.#upstream.pipelining) return false;
    if (!this.#hasAnswered || this.#isReading || this.#isLast || front.isHead || front.isStream) return false;
    // What is not written out yet lies in memory of its check, which must not outlive that.
    return this.usable && this.#socket.writableLength === 0;
  }

  ask(request: Buffer, isHead: boolean, asker: AnswerReceiver): void {
    const isShared = this.#turns.length > 0;
    this.#asked += 1;
    if (isShared) {
      for (const turn of this.#turns) turn.isShared = true;
      this.#turns.push({ asker, isHead, isShared, isStream: false });
      asker.behind();
      // Of its own: it may leave before all is written, and those in front need the connection still.
      this.#socket.write(Buffer.from(request));
      return;
    }
    this.#turns.push({ asker, isHead, isShared, isStream: false });
    this.#idleUntil = Number.POSITIVE_INFINITY;
    this.#expect(isHead);
    this.#socket.write(request);
    this.#offerTurn();
  }

  /** `asker`: wants no more. What comes for it is nobody's, so the connection ends where its answer would begin. */
  close(asker?: AnswerReceiver): void {
    const index = this.#turns.findIndex((turn) => turn.asker === asker);
    const left = this.#turns.splice(Math.max(index, 0));
    if (index > 0) this.#isLast = true;
    else this.#socket.destroy();
    this.#askAnew(left.filter((turn) => turn.asker !== asker));
  }

  closeIfIdle(now: number): void {
    if (now >= this.#idleUntil) this.close();
  }

  /** While a gateway reads slowly, the upstream is held back, and nobody else may wait for that gateway. */
  pause(): void {
    this.#socket.pause();
    const [front] = this.#turns;
    if (front) front.isStream = true;
    if (this.#turns.length > 1) this.#endBehindFront();
  }

  resume(): void {
    this.#socket.resume();
  }

  #read(length: number): void {
    // What came until now cannot be the answer to what is asked from now on.
    this.#isReading = true;
    this.#hear();
    this.#readAll(length);
    this.#isReading = false;
    this.#offerTurn();
  }

  #readAll(length: number): void {
    const reader = this.#reader;
    let at = 0;
    for (let [front] = this.#turns; front !== undefined; [front] = this.#turns) {
      at = readAnswer(reader, READ_BUFFER, at, length, this.#upstream.headBytes);
      switch (reader.event) {
        case "more":
          return this.#passOn(front);
        case "head":
          this.#takeHead(front);
          break;
        case "body":
          this.#gathered.add(READ_BUFFER, reader.bodyStart, reader.bodyEnd, length);
          break;
        case "end":
          this.#passOn(front);
          // Its body was too much.
          if (this.#turns[0] !== front) break;
          this.#finish(front);
          if (this.#turns.length === 0) return this.#release(at === length);
          this.#next(at < length);
          break;
        case "malformed":
        case "too_large":
          return this.#breakOff(reader.event);
      }
    }
    this.#socket.destroy();
  }

  #passOn({ asker }: Turn): void {
    const piece = this.#gathered.take();
    if (piece) asker.body(piece);
  }

  #hear(): void {
    this.#heard = true;
    this.#turns[0]?.asker.heard();
  }

  #takeHead({ asker }: Turn): void {
    this.#events.answered();
    if (!this.#reader.head.keepsAlive) this.#endBehindFront();
    this.#answer?.leaveBytes();
    this.#answer = new WireAnswer(this.#reader.head, this.#scratch);
    asker.head(this.#reader.head, this.#answer);
  }

  #finish({ asker }: Turn): void {
    this.#turns.shift();
    this.#hasAnswered = true;
    asker.end();
  }

  /** Only behind an answer that keeps the connection is there anybody. */
  #next(hasBytes: boolean): void {
    const [front] = this.#turns;
    if (front === undefined) return;
    this.#expect(front.isHead);
    front.asker.turn();
    if (hasBytes) this.#hear();
  }

  #expect(isHead: boolean): void {
    this.#heard = false;
    expectAnswer(this.#reader, isHead);
  }

  #release(isAllRead: boolean): void {
    // The rest of a request that was answered early is in memory that its gateway's next check takes.
    const isWritten = this.#socket.writableLength === 0;
    const isReusable = isAllRead && isWritten && this.#reader.head.keepsAlive && !this.#isLast;
    if (!isReusable || !this.usable) return this.close();
    // Whoever reads a long answer slowly may not have wanted its end yet.
    if (this.#socket.isPaused()) this.#socket.resume();
    this.#idleUntil = this.#clock.time + Math.min(IDLE_MS, this.#reader.head.idleMs);
    this.#events.free(this);
  }

  #offerTurn(): void {
    if (this.hasTurn) this.#events.share(this);
  }

  #endBehindFront(): void {
    this.#isLast = true;
    this.#askAnew(this.#turns.splice(1));
  }

  #askAnew(turns: readonly Turn[]): void {
    for (const { asker } of turns) asker.stale(this.peer);
  }

  #breakOff(reason: "malformed" | "too_large" | "reset"): void {
    // As with a connection of one check at a time.
    const isStale =
      reason === "reset" && !this.#heard && (this.#asked > 1 || this.#upstream.servers.length > 1);
    const left = this.#turns.splice(0);
    this.#socket.destroy();
    for (const { asker, isShared, isStream } of left) {
      if ((isShared && !isStream) || isStale) asker.stale(this.peer);
      else asker.failed(reason);
    }
  }

  #ended(): void {
    const [front] = this.#turns;
    if (front === undefined || endOfBytes(this.#reader) !== "end") return this.#breakOff("reset");
    this.#finish(front);
    this.close();
  }
}
