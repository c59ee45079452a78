/** What the pool knows of the connections of both paths, and the rules that they share. */
import type { Socket } from "node:net";
import type { Upstream } from "../core/snapshot.ts";
import type { SocketMode } from "./connect.ts";
import type { Endpoint } from "./endpoint.ts";

/** For whom a connection is taken or opened. */
export interface Asker {
  readonly hasCookie: boolean;
  readonly isProbe: boolean;
  /** Whose check it is. null: it is a request of our own, or a plain proxy's. It is found out when it is asked for. */
  readonly client: string | null;
}

/** An idle connection is kept so long, unless the upstream's Keep-Alive header names less. */
export const IDLE_MS = 60_000;

/** So many slow answers in a row close a connection. */
const MOST_SLOW = 3;

/**
 * What a connection has brought. Behind one address the connection is the server, and one that has just answered is the
 * only proof that there is one. Times are milliseconds of the monotonic clock.
 */
export class ConnectionRecord {
  readonly endpoint: Endpoint;
  readonly kind: ConnectionKind<Pooled>;
  /** When it is to be replaced by a fresh one. */
  readonly oldAt: number;
  verdictAt = Number.NEGATIVE_INFINITY;
  /** When it brought a challenge for a check without a cookie last. */
  challengedAt = Number.NEGATIVE_INFINITY;
  /** Slow answers in a row. */
  slow = 0;
  /** It carries no other request: it brought no verdict, or it was opened for one probe. */
  isSpent = false;
  /** Who is asked on it, or was asked last where several are. null: nobody. */
  asker: Asker | null = null;
  /** An old connection that ends once this one has brought a verdict. */
  replaces: Pooled | null = null;

  constructor(endpoint: Endpoint, kind: ConnectionKind<Pooled>, oldAt: number) {
    this.endpoint = endpoint;
    this.kind = kind;
    this.oldAt = oldAt;
  }

  get mayBeKept(): boolean {
    return !this.isSpent && this.slow < MOST_SLOW && !this.endpoint.hasLeft;
  }
}

/** One open connection to an upstream. It owns its socket until `close`. */
export interface Pooled {
  readonly record: ConnectionRecord;
  /** Whether it may carry another request, as far as is known. */
  readonly usable: boolean;
  /** Whether it may carry another request behind those that it carries. */
  readonly hasTurn: boolean;
  /** Whether other checks wait for their answers on it, once one has got its own or has left. */
  readonly hasOthers: boolean;
  close(): void;
}

export interface ConnectionEvents {
  /** The answer is through and the connection may carry another request. */
  free(connection: Pooled): void;
  /** It is busy and has a turn. It says so again with each answer, and with each request that it gets while idle. */
  share(connection: Pooled): void;
  /** The upstream gave an answer, whether or not it comes whole. */
  answered(): void;
  /** It is gone for good. */
  closed(connection: Pooled): void;
}

/** How one path has its connections, which are of no use to the other path. */
export interface ConnectionKind<Connection extends Pooled> {
  readonly reading: SocketMode;
  create(socket: Socket, record: ConnectionRecord, upstream: Upstream, events: ConnectionEvents): Connection;
  isOne(connection: Pooled): connection is Connection;
}
