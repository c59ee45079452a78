/**
 * Asks an upstream once, over plain HTTP and in bytes, by the rules of upstream/undici/exchange.ts: it always settles,
 * within `timeouts.total`, and never rejects. Only the cost differs: an idle connection is used without a wait, and one
 * timer looks after all deadlines.
 */
import type { Upstream } from "../../core/snapshot.ts";
import type { Forwarded, Gone, Outcome, Waiting } from "../../core/types.ts";
import type { WireCheck } from "../../wire/wire-check.ts";
import type { Pools } from "../pool.ts";
import type { ConnectionKind, Pooled } from "../pooled-connection.ts";
import { AskableConnection } from "./connection.ts";
import { Deadlines } from "./deadline-tick.ts";
import { Exchange } from "./exchange.ts";
import { PipelinedConnection } from "./pipelined-connection.ts";
import { SingleConnection } from "./single-connection.ts";

const IDLE_TICK_MS = 1_000;

interface ByteExchanger {
  exchange(
    upstream: Upstream,
    check: WireCheck,
    forwarded: Forwarded,
    gone: Gone,
    waiting: Waiting,
  ): Promise<Outcome>;
  close(): void;
}

/** `now` is in milliseconds and never goes back. */
export function createByteExchanger(pools: Pick<Pools, "of">, now: () => number): ByteExchanger {
  const connections = new Set<AskableConnection>();
  const deadlines = new Deadlines(now);
  let idleTick: NodeJS.Timeout | null = null;
  const kind: ConnectionKind<AskableConnection> = {
    reading: "bytes",
    create: (socket, peer, upstream, events) => {
      const closed = (gone: Pooled): void => {
        connections.delete(connection);
        events.closed(gone);
      };
      const Connection = upstream.pipelining > 1 ? PipelinedConnection : SingleConnection;
      const connection = new Connection({
        ...{ socket, peer, upstream, clock: deadlines },
        events: { ...events, closed },
      });
      connections.add(connection);
      // Messages and probes may never need it.
      idleTick ??= setInterval(closeIdle, IDLE_TICK_MS).unref();
      return connection;
    },
    isOne: (connection) => connection instanceof AskableConnection,
  };
  const closeIdle = (): void => {
    const time = now();
    for (const connection of connections) connection.closeIfIdle(time);
  };
  return {
    exchange: (upstream, check, forwarded, gone, waiting) =>
      new Promise((settle) => {
        const pool = pools.of(upstream);
        new Exchange({ kind, pool, upstream, check, forwarded, gone, waiting, deadlines, settle }).begin();
      }),
    close: () => clearInterval(idleTick ?? undefined),
  };
}
