/** What the pool knows of the connections of both paths, and the rules that they share. */
import type { Socket } from "node:net";
import type { Upstream } from "../core/snapshot.ts";
import type { Peer, SocketMode } from "./connect.ts";

/** An idle connection is kept so long, unless the upstream's Keep-Alive header names less. */
export const IDLE_MS = 60_000;

/** One open connection to an upstream. It owns its socket until `close`. */
export interface Pooled {
  readonly peer: Peer;
  /** Whether it may carry another request, as far as is known. */
  readonly usable: boolean;
  /** Whether it may carry another request behind those that it carries. */
  readonly hasTurn: boolean;
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
  create(socket: Socket, peer: Peer, upstream: Upstream, events: ConnectionEvents): Connection;
  isOne(connection: Pooled): connection is Connection;
}

/**
 * Whether a connection that died says nothing about its upstream yet, so that its request may be sent once more. No
 * byte of the answer has come, and the connection was a reused one (RFC 9112 section 9.3.1) or leads to one server of
 * several: a server that shuts down still takes connections and loses them, while the others are well.
 */
export function isStale({ servers }: Upstream, requests: number, hasHeard: boolean): boolean {
  return !hasHeard && (requests > 1 || servers.length > 1);
}
