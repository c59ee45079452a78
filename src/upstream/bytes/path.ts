/** The fast path: checks are asked over plain HTTP and in bytes, and an idle connection is used without a wait. */
import type { WireCheck } from "../../wire/wire-check.ts";
import type { AttemptPath } from "../attempt.ts";
import type { Deadlines } from "../deadline-tick.ts";
import type { ConnectionKind, Pooled } from "../pooled-connection.ts";
import { ByteAttempt } from "./attempt.ts";
import { AskableConnection } from "./connection.ts";
import { PipelinedConnection } from "./pipelined-connection.ts";
import { SingleConnection } from "./single-connection.ts";

const IDLE_TICK_MS = 1_000;

/** A check, and the request that all of its attempts share. */
export interface ByteSubject {
  readonly check: WireCheck;
  readonly staysHere: (authorization: string) => boolean;
  readonly repeatable: boolean;
}

export interface BytePath extends AttemptPath<ByteSubject> {
  close(): void;
}

/** `now` is in milliseconds and never goes back. */
export function createBytePath(deadlines: Deadlines, now: () => number): BytePath {
  const connections = new Set<AskableConnection>();
  let idleTick: NodeJS.Timeout | null = null;
  const kind: ConnectionKind<AskableConnection> = {
    reading: "bytes",
    create: (socket, record, upstream, events) => {
      const closed = (gone: Pooled): void => {
        connections.delete(connection);
        events.closed(gone);
      };
      const Connection = upstream.pipelining > 1 ? PipelinedConnection : SingleConnection;
      const connection = new Connection({
        ...{ socket, record, upstream, clock: deadlines },
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
    attempt: (owner, subject) => new ByteAttempt(owner, subject, kind),
    close: () => clearInterval(idleTick ?? undefined),
  };
}
