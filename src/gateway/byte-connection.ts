/**
 * One connection of a gateway, read as bytes. Plain checks are answered here, one after another; at the first thing
 * that is not one, the connection goes to the other carrier whole, with the bytes read so far.
 */

import { once } from "node:events";
import type { Socket } from "node:net";
import type { Routing } from "../core/answer-check.ts";
import { answerCheck } from "../core/answer-check.ts";
import { internalError } from "../core/replies.ts";
import { destinationOf } from "../core/route-table.ts";
import type { Body, Decision, Gone, Reply } from "../core/types.ts";
import { listenForBytes, READ_BUFFER } from "../http/bytes-socket.ts";
import {
  addBytes,
  dropFirst,
  type Heads,
  heldBytes,
  letGo,
  mayBecomePlain,
  newHeads,
} from "../wire/pipelined-heads.ts";
import { keptEndsFor, type ReplyContext, streamHead, wholeReply } from "../wire/reply-bytes.ts";
import { newRequestHead, type RequestHead, readRequestHead } from "../wire/request-head.ts";
import { ScratchBuffer } from "../wire/scratch.ts";
import { WireCheck } from "../wire/wire-check.ts";
import { type FastPathDeps, KEEP_ALIVE_MS } from "./check-server.ts";
import type { FastConnection, SocketUse } from "./open-sockets.ts";

const KEPT_ENDS = keptEndsFor(Math.floor(KEEP_ALIVE_MS / 1_000));
const CHUNK_END = "\r\n";
const LAST_CHUNK = "0\r\n\r\n";
/** One for all: a head is read in one go. */
const HEAD: RequestHead = newRequestHead();

/** For the check it carries, it is what tells that nobody waits any more. */
export class ByteConnection implements Gone, FastConnection {
  readonly #socket: Socket;
  readonly #options: FastPathDeps;
  readonly #use: SocketUse;
  readonly #stopListening: () => void;
  readonly #heads: Heads = newHeads();
  readonly #checkRoom = new ScratchBuffer();
  readonly #replies = new ScratchBuffer();
  /** The last check that is in `#checkRoom`. */
  #inRoom: WireCheck | null = null;
  /** Whether bytes of a head have come, or the first head is waited for. */
  #awaitsHead = true;
  #isHead = false;
  /** Whether what is written goes out at once, though the gateway has not acknowledged what was before. */
  #isPrompt = false;
  #keepsAlive = true;
  /** Of the check in flight. */
  #current: Routing | null = null;
  #onGone: (() => void) | null = null;
  /** Of a reply that is a stream: aborted when it cannot go on. */
  #stream: AbortController | null = null;
  /** Since when the gateway has taken nothing of it; null: it takes what comes. */
  #blockedSince: number | null = null;
  #awaitsDrain = false;
  aborted = false;

  constructor(use: SocketUse, options: FastPathDeps) {
    const { socket } = use;
    this.#socket = socket;
    this.#use = use;
    this.#options = options;
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

  /** Call it every few seconds. */
  closeIfLate(now: number): void {
    if (this.#blockedSince !== null && now - this.#blockedSince >= KEEP_ALIVE_MS) this.#stream?.abort();
    if (this.#use.inFlight > 0) return;
    const idle = now - this.#use.since;
    if (this.#awaitsHead) {
      if (idle >= this.#options.headMs) this.#options.refuse(this.#socket, "too slow");
    } else if (idle >= KEEP_ALIVE_MS) this.#socket.destroy();
  }

  readonly #onBytes = (length: number): void => {
    const heads = this.#heads;
    // Who does not take its replies gets no more of them.
    const isFree = this.#use.inFlight === 0 && !this.#socket.writableNeedDrain;
    if (isFree && heldBytes(heads) === 0 && this.#answerWhole(length)) return;
    if (!this.#awaitsHead && this.#use.inFlight === 0) {
      this.#awaitsHead = true;
      this.#use.since = this.#options.deps.now();
    }
    addBytes(heads, READ_BUFFER.subarray(0, length));
    if (isFree) return this.#readHead();
    // No gateway pipelines; a sender who does could fill the memory.
    if (heads.complete >= this.#options.maxPipelined) this.#socket.destroy();
    else if (heldBytes(heads) > this.#options.headBytes) this.#socket.pause();
  };

  /** Nearly always, what comes is one whole head; false: look closer. */
  #answerWhole(length: number): boolean {
    const { headBytes, maxHeaderLines } = this.#options;
    const isPlain = length <= headBytes && readRequestHead(READ_BUFFER, 0, length, maxHeaderLines, HEAD);
    if (!isPlain) return false;
    this.#inRoom?.leaveBytes();
    const bytes = this.#checkRoom.take(length);
    READ_BUFFER.copy(bytes, 0, 0, length);
    this.#inRoom = new WireCheck(bytes, HEAD);
    return this.#answer(this.#inRoom, HEAD.keepsAlive);
  }

  #readHead(): void {
    const heads = this.#heads;
    const { headBytes, maxHeaderLines, maxPipelined } = this.#options;
    if (heads.complete > maxPipelined) return void this.#socket.destroy();
    if (heads.complete === 0) {
      if (heldBytes(heads) > headBytes || !mayBecomePlain(heads)) this.#handOver();
      return;
    }
    const { buffer, start, firstEnd } = heads;
    const isPlain =
      firstEnd - start <= headBytes && readRequestHead(buffer, start, firstEnd, maxHeaderLines, HEAD);
    if (isPlain && this.#answer(new WireCheck(buffer, HEAD), HEAD.keepsAlive)) dropFirst(heads);
    else this.#handOver();
  }

  /** False: it is none of ours. */
  #answer(check: WireCheck, keepsAlive: boolean): boolean {
    const { deps, current: currentOf } = this.#options;
    const current = currentOf();
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
    answerCheck(check, context, deps).then(this.#onDecision, this.#onDefect);
    return true;
  }

  readonly #onDecision = (decision: Decision | null): void => {
    if (decision === null) return this.#finish();
    const { reply } = decision;
    if (!this.#isPrompt && this.#keepsAlive) this.#beginPrompt();
    try {
      if (reply.body.kind === "whole") this.#writeWhole(reply, reply.body.bytes);
      else void this.#writeStream(reply, reply.body);
    } catch (error) {
      this.#onDefect(error);
    }
  };

  readonly #onDefect = (error: unknown): void => {
    this.#options.onDefect(error);
    this.#keepsAlive = false;
    const reply = internalError();
    if (reply.body.kind === "whole") this.#writeWhole(reply, reply.body.bytes);
  };

  #beginPrompt(): void {
    this.#isPrompt = true;
    this.#socket.setNoDelay(true);
  }

  #writeWhole(reply: Reply, body: Uint8Array): void {
    const context = this.#context();
    const bytes = wholeReply(reply, body, context, this.#replyRoom());
    this.#socket.write(bytes);
    if (context.isLast) this.#closeOnceWritten();
    this.#finish();
  }

  /** To close it tells its end as well, and costs less than to end it first. */
  #closeOnceWritten(): void {
    const socket = this.#socket;
    if (socket.writableLength === 0) socket.destroy();
    else socket.end(() => socket.destroy());
  }

  /** A stream that breaks off cuts the connection, so that no half answer looks whole. */
  async #writeStream(reply: Reply, body: Extract<Body, { kind: "stream" }>): Promise<void> {
    const socket = this.#socket;
    const context = this.#context();
    const broken = new AbortController();
    this.#stream = broken;
    // Also while the gateway takes nothing, and no next chunk is asked for.
    void body.ended.then((reason) => {
      if (reason !== null) broken.abort();
    });
    if (!this.#isPrompt) this.#beginPrompt();
    try {
      const { bytes, isChunked } = streamHead(reply, context, this.#replyRoom());
      socket.write(bytes);
      await this.#taken(broken.signal);
      for await (const chunk of body.chunks) {
        if (context.isHead) continue;
        this.#writeChunk(chunk, isChunked);
        await this.#taken(broken.signal);
      }
      if (isChunked && !context.isHead) socket.write(LAST_CHUNK, "latin1");
      if (context.isLast) this.#closeOnceWritten();
    } catch {
      body.cancel();
      // To a gateway, a plain close could be the end of a whole answer.
      socket.resetAndDestroy();
    }
    this.#stream = null;
    this.#finish();
  }

  #writeChunk(chunk: Uint8Array, isChunked: boolean): void {
    const socket = this.#socket;
    if (!isChunked) return void socket.write(chunk);
    socket.cork();
    socket.write(`${chunk.length.toString(16)}${CHUNK_END}`, "latin1");
    socket.write(chunk);
    socket.write(CHUNK_END, "latin1");
    socket.uncork();
  }

  /** Settles once there is room for more; rejects when the gateway is gone or the stream `broken`. */
  async #taken(broken: AbortSignal): Promise<void> {
    broken.throwIfAborted();
    if (!this.#socket.writableNeedDrain) return;
    this.#blockedSince = this.#options.deps.now();
    await once(this.#socket, "drain", { signal: broken });
    this.#blockedSince = null;
  }

  /** Of a reply that the gateway has not taken yet, the bytes stay as they are. */
  #replyRoom(): ScratchBuffer {
    return this.#socket.writableLength === 0 ? this.#replies : new ScratchBuffer();
  }

  #context(): ReplyContext {
    const isLast = !this.#keepsAlive || this.#options.isDraining();
    return { isHead: this.#isHead, isLast, dateLine, keptEnds: KEPT_ENDS };
  }

  #finish(): void {
    const current = this.#current;
    this.#current = null;
    this.#onGone = null;
    this.#blockedSince = null;
    this.#use.inFlight = 0;
    this.#use.since = this.#options.deps.now();
    current?.release();
    if (heldBytes(this.#heads) > 0 || this.#socket.writableNeedDrain) this.#readNext();
  }

  /** What a sender pipelined is looked at once the reply before it has gone out. */
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
    this.#options.handOver(this.#use, bytes);
  }

  readonly #onEnd = (): void => {
    if (this.#use.inFlight === 0 && heldBytes(this.#heads) > 0)
      this.#options.refuse(this.#socket, "cut short");
    else this.#socket.destroy();
  };

  closed(): void {
    this.aborted = true;
    letGo(this.#heads);
    this.#stream?.abort();
    this.#onGone?.();
  }
}

function ignore(): void {}

let lastSecond = 0;
let lastLine = "";

/** As of now, to the second (RFC 9110 section 6.6.1). */
function dateLine(): string {
  const second = Math.floor(Date.now() / 1_000);
  if (second !== lastSecond) {
    lastSecond = second;
    lastLine = `Date: ${new Date(second * 1_000).toUTCString()}\r\n`;
  }
  return lastLine;
}
