/**
 * Asks an upstream once, over plain HTTP and in bytes, by the rules of upstream/undici/exchange.ts: always settles, within
 * `timeouts.total`; never rejects. What differs is what it costs: a connection at hand is used without a wait, and one
 * timer looks after all deadlines.
 */
import type { Upstream } from "../../core/snapshot.ts";
import type { Forwarded, Gone, Outcome, Waiting } from "../../core/types.ts";
import type { WireCheck } from "../../wire/wire-check.ts";
import type { ConnectionKind, Pooled, Pools } from "../pool.ts";
import { type AskableConnection, ByteUpstreamConnection } from "./connection.ts";
import { Deadlines } from "./deadline-tick.ts";
import { Exchange } from "./exchange.ts";
import { PipelinedConnection } from "./pipelined-connection.ts";

const IDLE_TICK_MS = 1_000;

/** Of checks that are bytes, to upstreams over plain HTTP. */
export interface ByteExchanger {
  exchange(
    upstream: Upstream,
    check: WireCheck,
    forwarded: Forwarded,
    gone: Gone,
    waiting: Waiting,
  ): Promise<Outcome>;
  close(): void;
}

/** `now`: milliseconds, monotonic. */
export function createByteExchanger(pools: Pick<Pools, "of">, now: () => number): ByteExchanger {
  const connections = new Set<AskableConnection>();
  const deadlines = new Deadlines(now);
  const kind: ConnectionKind<AskableConnection> = {
    reading: "bytes",
    create: (socket, peer, upstream, events) => {
      const closed = (gone: Pooled): void => {
        connections.delete(connection);
        events.closed(gone);
      };
      const Connection = upstream.pipelining > 1 ? PipelinedConnection : ByteUpstreamConnection;
      const connection = new Connection(socket, peer, upstream, { ...events, closed }, deadlines);
      connections.add(connection);
      return connection;
    },
    isOne: (connection): connection is AskableConnection =>
      connection instanceof ByteUpstreamConnection || connection instanceof PipelinedConnection,
  };
  const idleTick = setInterval(() => {
    const time = now();
    for (const connection of connections) connection.closeIfIdle(time);
  }, IDLE_TICK_MS).unref();
  return {
    exchange: (upstream, check, forwarded, gone, waiting) =>
      new Promise((settle) => {
        const around = { kind, pool: pools.of(upstream), upstream, gone, waiting, deadlines, settle };
        new Exchange(around, check, forwarded).begin();
      }),
    close: () => clearInterval(idleTick),
  };
}
