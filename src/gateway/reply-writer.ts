/** Writes replies as bytes. A stream that breaks off cuts the connection, so that no half answer looks whole. */
import { once } from "node:events";
import type { Socket } from "node:net";
import type { Body, Reply } from "../core/types.ts";
import { keptEndsFor, type ReplyContext, streamHead, wholeReply } from "../wire/reply-bytes.ts";
import { ScratchBuffer } from "../wire/scratch.ts";
import { KEEP_ALIVE_MS } from "./listener-rules.ts";

const KEPT_ENDS = keptEndsFor(Math.floor(KEEP_ALIVE_MS / 1_000));
const CHUNK_END = "\r\n";
const LAST_CHUNK = "0\r\n\r\n";

export class ReplyWriter {
  readonly #socket: Socket;
  readonly #now: () => number;
  readonly #scratch = new ScratchBuffer();
  /** What is written goes out at once, even if the gateway has not acknowledged what was before. */
  #isPrompt = false;
  /** Aborted when the stream that is being written cannot go on. */
  #stream: AbortController | null = null;
  /** Since when the gateway has taken nothing of a stream; null while it takes what comes. */
  #blockedSince: number | null = null;

  constructor(socket: Socket, now: () => number) {
    this.#socket = socket;
    this.#now = now;
  }

  /** Returns null if all is written, or for a stream a promise of that. Throws if a header cannot be written. */
  write(reply: Reply, isHead: boolean, isLast: boolean): Promise<void> | null {
    const context = { isHead, isLast, dateLine, keptEnds: KEPT_ENDS };
    const { body } = reply;
    // A connection that ends with this reply sends all of it anyway.
    if (!this.#isPrompt && (!isLast || body.kind === "stream")) this.#beginPrompt();
    if (body.kind === "stream") return this.#writeStream(reply, body, context);
    this.#socket.write(wholeReply(reply, body.bytes, context, this.#memory()));
    if (isLast) this.#closeOnceWritten();
    return null;
  }

  closeIfBlocked(now: number): void {
    if (this.#blockedSince !== null && now - this.#blockedSince >= KEEP_ALIVE_MS) this.abort();
  }

  abort(): void {
    this.#stream?.abort();
  }

  async #writeStream(
    reply: Reply,
    body: Extract<Body, { kind: "stream" }>,
    context: ReplyContext,
  ): Promise<void> {
    const socket = this.#socket;
    const broken = new AbortController();
    this.#stream = broken;
    // This also holds while the gateway takes nothing and no next chunk is asked for.
    void body.ended.then((reason) => {
      if (reason !== null) broken.abort();
    });
    try {
      const { bytes, isChunked } = streamHead(reply, context, this.#memory());
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
      // A gateway could take a plain close for the end of a whole answer.
      socket.resetAndDestroy();
    }
    this.#stream = null;
    this.#blockedSince = null;
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

  /** Settles once more can be written; rejects when the gateway is gone or the stream is `broken`. */
  async #taken(broken: AbortSignal): Promise<void> {
    broken.throwIfAborted();
    if (!this.#socket.writableNeedDrain) return;
    this.#blockedSince = this.#now();
    await once(this.#socket, "drain", { signal: broken });
    this.#blockedSince = null;
  }

  #beginPrompt(): void {
    this.#isPrompt = true;
    this.#socket.setNoDelay(true);
  }

  /** While the gateway has not taken all of a reply, its bytes must stay as they are. */
  #memory(): ScratchBuffer {
    return this.#socket.writableLength === 0 ? this.#scratch : new ScratchBuffer();
  }

  /** A closed connection tells its end as well as an ended one, and costs less. */
  #closeOnceWritten(): void {
    const socket = this.#socket;
    if (socket.writableLength === 0) socket.destroy();
    else socket.end(() => socket.destroy());
  }
}

let lastSecond = 0;
let lastLine = "";

/** The Date line of now, to the second (RFC 9110 section 6.6.1). */
function dateLine(): string {
  const second = Math.floor(Date.now() / 1_000);
  if (second !== lastSecond) {
    lastSecond = second;
    lastLine = `Date: ${new Date(second * 1_000).toUTCString()}\r\n`;
  }
  return lastLine;
}
