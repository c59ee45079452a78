/**
 * One open connection to an upstream. undici writes the request and parses the answer, while the deadlines and the
 * moment an answer counts are ours. It carries one request at a time, so an answer can never reach another check.
 */
import type { Socket } from "node:net";
import { Readable } from "node:stream";
import type { Client } from "undici";
import { addressText } from "../../core/address-text.ts";
import type { Upstream } from "../../core/snapshot.ts";
import type { UpstreamRequest } from "../../core/types.ts";
import type { Endpoint } from "../endpoint.ts";
import {
  type ConnectionEvents,
  type ConnectionKind,
  type ConnectionRecord,
  IDLE_MS,
  type Pooled,
} from "../pooled-connection.ts";
import { AnswerHandler, type AnswerTaker } from "./answer-handler.ts";
import { createInterimFilter } from "./interim.ts";
import { undiciClient } from "./undici-client.ts";

/** Owns its socket until `close`. */
export class UndiciConnection implements Pooled {
  readonly record: ConnectionRecord;
  readonly hasTurn = false;
  readonly hasOthers = false;
  readonly #socket: Socket;
  readonly #client: Client;
  readonly #upstream: Upstream;
  readonly #events: ConnectionEvents;
  readonly #interim;
  #asked = 0;
  #heard = false;

  constructor(socket: Socket, record: ConnectionRecord, upstream: Upstream, events: ConnectionEvents) {
    this.record = record;
    this.#socket = socket;
    this.#upstream = upstream;
    this.#events = events;
    this.#interim = createInterimFilter(upstream.headBytes);
    this.#filterReads();
    this.#client = clientOver(socket, record.endpoint, upstream.headBytes);
    socket.once("close", () => {
      this.close();
      // undici tells the request first, which may open another connection in this place.
      queueMicrotask(() => events.closed(this));
    });
  }

  get usable(): boolean {
    return !this.#socket.destroyed && this.#socket.readable && this.#socket.writable;
  }

  ask(request: UpstreamRequest, taker: AnswerTaker): AnswerHandler {
    this.#asked += 1;
    this.#heard = false;
    this.#interim.restart();
    let dispatching = true;
    const handler = new AnswerHandler({
      socket: this.#socket,
      upstream: this.#upstream,
      taker,
      sendsBody: request.body !== null,
      method: request.method,
      refusedByUs: () => dispatching && !this.#client.destroyed,
      hasHeard: () => this.#heard,
      isReused: this.#asked > 1,
      heard: this.#events.answered,
      end: (reusable) => {
        if (reusable) queueMicrotask(() => this.#release());
        else this.close();
      },
    });
    const options = {
      method: request.method,
      path: request.target,
      headers: [...request.headers],
      body: request.body && Readable.from(request.body),
      // Without it undici parses a name out of Host, which is a client's word, and throws when it cannot.
      servername: this.record.endpoint.server.host,
    };
    this.#client.dispatch(options, handler);
    dispatching = false;
    return handler;
  }

  close(): void {
    this.#socket.setTimeout(0);
    void this.#client.destroy();
    this.#socket.destroy();
  }

  #release(): void {
    if (!this.usable) return this.close();
    this.#events.free(this);
  }

  #filterReads(): void {
    const read = this.#socket.read.bind(this.#socket);
    this.#socket.read = (size?: number): Buffer | null => {
      const chunk: Buffer | null = read(size);
      if (chunk === null) return null;
      this.#heard = true;
      const passed = this.#interim.pass(chunk);
      return passed.length === 0 ? null : passed;
    };
  }
}

export const CONNECTION: ConnectionKind<UndiciConnection> = {
  reading: "stream",
  create: (socket, record, upstream, events) => new UndiciConnection(socket, record, upstream, events),
  isOne: (connection) => connection instanceof UndiciConnection,
};

/** An undici client that uses this socket and never opens another. */
function clientOver(socket: Socket, { server }: Endpoint, headBytes: number): Client {
  let taken = false;
  // The socket is open, with TLS if the upstream has it. What is left for undici is HTTP.
  const UndiciClient = undiciClient();
  return new UndiciClient(`http://${addressText(server)}`, {
    pipelining: 1,
    allowH2: false,
    keepAliveTimeout: IDLE_MS,
    maxHeaderSize: headBytes,
    // Our deadlines are exact, while those of undici tick every half second.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: (_options, callback) => {
      // undici does not expect to be called back before it has returned.
      queueMicrotask(() => {
        if (taken) return callback(new Error("the connection closed"), null);
        taken = true;
        callback(null, socket);
      });
    },
  });
}
