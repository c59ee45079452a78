/**
 * One connection of a gateway, read as bytes. Plain checks are answered here, one after another. At the first thing
 * that is not a plain check, the whole connection goes to the slow path, with the bytes read so far.
 */
import type { Socket } from "node:net";
import { answerCheck, type Routing } from "../core/answer-check.ts";
import { internalError } from "../core/replies.ts";
import { destinationOf } from "../core/route-table.ts";
import type { Decision, Gone, Reply } from "../core/types.ts";
import { listenForBytes, READ_BUFFER } from "../http/bytes-socket.ts";
import { refuseMalformed } from "../http/refuse-malformed.ts";
import {
  addBytes,
  dropFirst,
  type Heads,
  heldBytes,
  letGo,
  mayBecomePlain,
  newHeads,
} from "../wire/pipelined-heads.ts";
import { newRequestHead, type RequestHead, readRequestHead } from "../wire/request-head.ts";
import { ScratchBuffer } from "../wire/scratch.ts";
import { WireCheck } from "../wire/wire-check.ts";
import { HEAD_MS, KEEP_ALIVE_MS, MAX_HEADER_LINES, MAX_PIPELINED, type PathDeps } from "./listener-rules.ts";
import type { FastConnection, SocketUse } from "./open-sockets.ts";
import { ReplyWriter } from "./reply-writer.ts";

const CUT_SHORT = new Error("the head was cut short");
const TOO_SLOW = Object.assign(new Error("the head was too slow"), { code: "ERR_HTTP_REQUEST_TIMEOUT" });
/** One for all connections: a head is read in one go. */
const HEAD: RequestHead = newRequestHead();

export interface ByteConnectionDeps extends PathDeps {
  readonly headBytes: number;
  /** Fastify has the connection from here. `bytes` were read and belong to it. */
  handOver(use: SocketUse, bytes: Buffer): void;
}

/** It also tells the check in flight when the gateway no longer waits. */
export class ByteConnection implements Gone, FastConnection {
  readonly #socket: Socket;
  readonly #deps: ByteConnectionDeps;
  readonly #use: SocketUse;
  readonly #stopListening: () => void;
  readonly #heads: Heads = newHeads();
  readonly #scratch = new ScratchBuffer();
  /** The last check. Its bytes lie in `#scratch`. */
  #lastCheck: WireCheck | null = null;
  readonly #writer: ReplyWriter;
  /** Bytes of a head have come, or the first head is waited for. */
  #awaitsHead = true;
  #awaitsDrain = false;
  /** These three belong to the check in flight. */
  #isHead = false;
  #keepsAlive = true;
  #current: Routing | null = null;
  #onGone: (() => void) | null = null;
  aborted = false;

  constructor(use: SocketUse, deps: ByteConnectionDeps) {
    const { socket } = use;
    this.#socket = socket;
    this.#use = use;
    this.#deps = deps;
    this.#writer = new ReplyWriter(socket, deps.answering.now);
    this.#stopListening = listenForBytes(socket, this.#onBytes);
    socket.on("end", this.#onEnd);
    socket.on("error", ignore);
  }

  addEventListener(_type: "abort", listener: () => void): void {
    this.#onGone = listener;
  }

  removeEventListener(): void {
    this.#onGone = null;
  }

  closeIfLate(now: number): void {
    this.#writer.closeIfBlocked(now);
    if (this.#use.inFlight > 0) return;
    const idle = now - this.#use.since;
    if (this.#awaitsHead) {
      if (idle >= HEAD_MS) refuseMalformed(TOO_SLOW, this.#socket, false);
    } else if (idle >= KEEP_ALIVE_MS) this.#socket.destroy();
  }

  readonly #onBytes = (length: number): void => {
    const heads = this.#heads;
    // A gateway that does not take its replies gets no more of them.
    const isFree = this.#use.inFlight === 0 && !this.#socket.writableNeedDrain;
    if (isFree && heldBytes(heads) === 0 && this.#answerWhole(length)) return;
    if (!this.#awaitsHead && this.#use.inFlight === 0) {
      this.#awaitsHead = true;
      this.#use.since = this.#deps.answering.now();
    }
    addBytes(heads, READ_BUFFER.subarray(0, length));
    if (isFree) return this.#readHead();
    if (heads.complete >= MAX_PIPELINED) this.#socket.destroy();
    else if (heldBytes(heads) > this.#deps.headBytes) this.#socket.pause();
  };

  /** Nearly always, what comes is one whole head. Returns false if it needs a closer look. */
  #answerWhole(length: number): boolean {
    const isPlain =
      length <= this.#deps.headBytes && readRequestHead(READ_BUFFER, 0, length, MAX_HEADER_LINES, HEAD);
    if (!isPlain) return false;
    this.#lastCheck?.leaveBytes();
    const bytes = this.#scratch.take(length);
    READ_BUFFER.copy(bytes, 0, 0, length);
    this.#lastCheck = new WireCheck(bytes, HEAD);
    return this.#answer(this.#lastCheck, HEAD.keepsAlive);
  }

  #readHead(): void {
    const heads = this.#heads;
    const { headBytes } = this.#deps;
    if (heads.complete > MAX_PIPELINED) return void this.#socket.destroy();
    if (heads.complete === 0) {
      if (heldBytes(heads) > headBytes || !mayBecomePlain(heads)) this.#handOver();
      return;
    }
    const { buffer, start, firstEnd } = heads;
    const isPlain =
      firstEnd - start <= headBytes && readRequestHead(buffer, start, firstEnd, MAX_HEADER_LINES, HEAD);
    if (isPlain && this.#answer(new WireCheck(buffer, HEAD), HEAD.keepsAlive)) dropFirst(heads);
    else this.#handOver();
  }

  /** Returns false if the check is for the slow path. */
  #answer(check: WireCheck, keepsAlive: boolean): boolean {
    const current = this.#deps.current();
    const route = destinationOf(current.table, check.path);
    if (typeof route === "string" || route.upstream.protocol !== "http:") return false;
    this.#isHead = check.method === "HEAD";
    this.#keepsAlive = keepsAlive;
    this.#awaitsHead = false;
    this.#use.inFlight = 1;
    this.#current = current;
    current.hold();
    const { trustedProxies } = current;
    const context = { route, state: current.stateOf(route), trustedProxies, gone: this };
    answerCheck(check, context, this.#deps.answering).then(this.#onDecision, this.#onDefect);
    return true;
  }

  readonly #onDecision = (decision: Decision | null): void => {
    if (decision === null) return this.#finish();
    try {
      this.#reply(decision.reply);
    } catch (error) {
      this.#onDefect(error);
    }
  };

  readonly #onDefect = (error: unknown): void => {
    this.#deps.onDefect(error);
    this.#keepsAlive = false;
    this.#reply(internalError());
  };

  #reply(reply: Reply): void {
    const isLast = !this.#keepsAlive || this.#deps.isDraining();
    const writing = this.#writer.write(reply, this.#isHead, isLast);
    if (writing === null) this.#finish();
    else void writing.then(() => this.#finish());
  }

  #finish(): void {
    const current = this.#current;
    this.#current = null;
    this.#onGone = null;
    this.#use.inFlight = 0;
    this.#use.since = this.#deps.answering.now();
    current?.release();
    if (heldBytes(this.#heads) > 0 || this.#socket.writableNeedDrain) this.#readNext();
  }

  /** Pipelined checks are read once the reply before them has gone out. */
  #readNext(): void {
    const socket = this.#socket;
    if (this.#use.inFlight > 0 || socket.destroyed || !socket.writable) return;
    if (socket.writableNeedDrain) return this.#awaitDrain();
    socket.resume();
    if (heldBytes(this.#heads) === 0) return;
    this.#awaitsHead = true;
    this.#readHead();
  }

  #awaitDrain(): void {
    if (this.#awaitsDrain) return;
    this.#awaitsDrain = true;
    this.#socket.pause();
    this.#socket.once("drain", () => {
      this.#awaitsDrain = false;
      this.#readNext();
    });
  }

  #handOver(): void {
    const socket = this.#socket;
    const { buffer, start, end } = this.#heads;
    const bytes = buffer.subarray(start, end);
    letGo(this.#heads);
    this.#stopListening();
    socket.removeListener("end", this.#onEnd);
    socket.removeListener("error", ignore);
    socket.pause();
    this.#deps.handOver(this.#use, bytes);
  }

  readonly #onEnd = (): void => {
    if (this.#use.inFlight === 0 && heldBytes(this.#heads) > 0)
      refuseMalformed(CUT_SHORT, this.#socket, false);
    else this.#socket.destroy();
  };

  closed(): void {
    this.aborted = true;
    letGo(this.#heads);
    this.#writer.abort();
    this.#onGone?.();
  }
}

function ignore(): void {}
