/**
 * The connections kept to one upstream. The last used one is taken first, and at most `maxConnections` exist. An
 * exchange that finds none waits in a queue until one is free or the exchange is interrupted. The connections of both
 * paths are here, so that both have the same limit and the same queue.
 */
import type { LookupFunction } from "node:net";
import { performance } from "node:perf_hooks";
import type { Place } from "../core/linked-list.ts";
import type { Upstream } from "../core/snapshot.ts";
import type { Gone, Outcome } from "../core/types.ts";
import { type Connector, createConnector, type Peer } from "./connect.ts";
import { type InterruptReason, interrupted } from "./interrupt.ts";
import type { ConnectionEvents, ConnectionKind, Pooled } from "./pooled-connection.ts";
import { type NotTaken, type Waiter, WaitQueue } from "./wait-queue.ts";

export type Taken<Connection> =
  /** `queued`: it came after a wait in the queue, in which others were answered. */
  { readonly kind: "taken"; readonly connection: Connection; readonly queued: boolean } | NotTaken;

/** Owns its connections until `close`. */
export class Pool {
  readonly #upstream: Upstream;
  readonly #connect: Connector;
  readonly #idle: Pooled[] = [];
  readonly #all = new Set<Pooled>();
  readonly #waitQueue = new WaitQueue();
  /** Busy connections that had a turn when last looked at, in the order in which they were last asked. */
  readonly #shareable = new Set<Pooled>();
  readonly #events: ConnectionEvents = {
    free: (connection) => this.#free(connection),
    share: (connection) => {
      this.#shareable.add(connection);
      this.#shareBusy();
    },
    closed: (connection) => this.#forget(connection),
    answered: () => {
      this.#answers += 1;
    },
  };
  #opening = 0;
  #answers = 0;
  #closed = false;

  constructor(upstream: Upstream, lookup: LookupFunction) {
    this.#upstream = upstream;
    this.#connect = createConnector(upstream, lookup, () => performance.now());
  }

  /**
   * `died` is null for the first try, for which any connection will do. Otherwise it is what the connection led to
   * that died under this request: a second try needs one that has carried nothing yet, to another server where there
   * is one. A wait that is interrupted yields "overload" if others were answered meanwhile, so that busy is never
   * taken for broken, and "interrupted" if none was.
   */
  take<Connection extends Pooled>(
    kind: ConnectionKind<Connection>,
    died: Peer | null,
    interrupt: Gone,
  ): Promise<Taken<Connection>> {
    const connection = died ? null : this.takeIdle(kind);
    if (connection) return Promise.resolve({ kind: "taken", connection, queued: false });
    if (this.#mayOpen()) return this.#open(kind, died, interrupt);
    const oldest = this.#idle.shift();
    if (!oldest) return this.#wait(kind, died, interrupt);
    oldest.close();
    return this.#open(kind, died, interrupt);
  }

  /** Takes an idle connection without any wait. Returns null when there is none. */
  takeIdle<Connection extends Pooled>(kind: ConnectionKind<Connection>): Connection | null {
    for (let index = this.#idle.length - 1; index >= 0; index -= 1) {
      const connection = this.#idle[index];
      if (connection === undefined || !kind.isOne(connection)) continue;
      if (index === this.#idle.length - 1) this.#idle.pop();
      else this.#idle.splice(index, 1);
      if (connection.usable) return connection;
    }
    return null;
  }

  /** Idle connections end at once, the others with their answers. */
  close(): void {
    this.#closed = true;
    for (const connection of this.#idle.splice(0)) connection.close();
  }

  #mayOpen(): boolean {
    return this.#all.size + this.#opening < this.#upstream.maxConnections;
  }

  async #open<Connection extends Pooled>(
    kind: ConnectionKind<Connection>,
    died: Peer | null,
    interrupt: Gone,
  ): Promise<Taken<Connection>> {
    this.#opening += 1;
    const connected = await this.#connect(died, interrupt, kind.reading);
    this.#opening -= 1;
    if (connected.kind !== "connected") {
      this.#passOn(connected);
      return connected;
    }
    const connection = kind.create(connected.socket, connected.peer, this.#upstream, this.#events);
    this.#all.add(connection);
    return { kind: "taken", connection, queued: false };
  }

  /** How many answers the upstream has given so far, whatever became of their connections. */
  get answers(): number {
    return this.#answers;
  }

  /** Returns null when there is no need to wait: a connection is idle, or one more may be opened. */
  joinQueue(waiter: Waiter): Place<Waiter> | null {
    if (this.#idle.length > 0 || this.#mayOpen()) return null;
    const place = this.#waitQueue.add(waiter);
    this.#shareBusy();
    return place;
  }

  leaveQueue(place: Place<Waiter>): void {
    this.#waitQueue.leave(place);
    this.#shareBusy();
  }

  /** What `taken` means to an exchange that has waited since there were so many `answers`. */
  afterWait<Connection>(taken: Taken<Connection>, answers: number): Taken<Connection> {
    if (this.#answers === answers) return taken;
    if (taken.kind === "interrupted") return { kind: "overload" };
    return taken.kind === "taken" ? { ...taken, queued: true } : taken;
  }

  #wait<Connection extends Pooled>(
    kind: ConnectionKind<Connection>,
    died: Peer | null,
    interrupt: Gone,
  ): Promise<Taken<Connection>> {
    if (interrupt.aborted) return Promise.resolve({ kind: "interrupted" });
    const answers = this.#answers;
    return new Promise((resolve) => {
      const onInterrupt = (): void => {
        this.leaveQueue(place);
        settle({ kind: "interrupted" });
      };
      const settle = (taken: Taken<Connection>): void => {
        interrupt.removeEventListener("abort", onInterrupt);
        resolve(this.afterWait(taken, answers));
      };
      interrupt.addEventListener("abort", onInterrupt);
      const place = this.#waitQueue.add({
        needsFresh: died !== null,
        mayShare: false,
        answers,
        fits: kind.isOne,
        take: (connection) => {
          if (kind.isOne(connection)) settle({ kind: "taken", connection, queued: false });
        },
        fail: settle,
        open: () => void this.#open(kind, died, interrupt).then(settle),
      });
    });
  }

  #passOn(why: NotTaken): void {
    if (why.kind === "failure") this.#waitQueue.failUnheard(why, this.#answers);
    this.#openForNext();
  }

  #openForNext(): void {
    if (this.#mayOpen()) this.#waitQueue.shift()?.open();
    this.#shareBusy();
  }

  #free(connection: Pooled): void {
    if (this.#closed) return connection.close();
    const waiter = this.#waitQueue.first;
    if (waiter === null) this.#idle.push(connection);
    // Its end lets the exchange open a connection that fits.
    else if (waiter.needsFresh || !waiter.fits(connection)) connection.close();
    else this.#waitQueue.shift()?.take(connection);
    this.#shareBusy();
  }

  /** In the order of the queue, and only while no connection is idle and no more may be opened. */
  #shareBusy(): void {
    if (this.#shareable.size === 0) return;
    for (const connection of this.#shareable) {
      const waiter = this.#waitQueue.first;
      if (!waiter?.mayShare || this.#idle.length > 0 || this.#mayOpen()) return;
      this.#shareable.delete(connection);
      if (!connection.hasTurn) continue;
      this.#waitQueue.shift();
      waiter.take(connection);
      if (connection.hasTurn) this.#shareable.add(connection);
    }
  }

  #forget(connection: Pooled): void {
    this.#all.delete(connection);
    this.#shareable.delete(connection);
    const index = this.#idle.indexOf(connection);
    if (index !== -1) this.#idle.splice(index, 1);
    this.#openForNext();
  }
}

/** What comes of an exchange that got no connection. `reason` is null if it was not interrupted. */
export function withoutConnection(why: NotTaken, reason: InterruptReason | null): Outcome {
  if (why.kind === "interrupted") return interrupted(reason ?? "total_timeout", "unasked");
  return reason === null || reason === "total_timeout" ? why : interrupted(reason, "unasked");
}

/** The pools of all upstreams in use. */
export interface Pools {
  of(upstream: Upstream): Pool;
  /** Drops the connections of all other upstreams: idle ones at once, busy ones after their answer. */
  use(upstreams: Iterable<Upstream>): void;
  close(): void;
}

/** `lookup`: names to addresses. */
export function createPools(lookup: LookupFunction): Pools {
  const pools = new Map<Upstream, Pool>();
  return {
    of: (upstream) => {
      let pool = pools.get(upstream);
      if (!pool) {
        pool = new Pool(upstream, lookup);
        pools.set(upstream, pool);
      }
      return pool;
    },
    use: (upstreams) => {
      const wanted = new Set(upstreams);
      for (const [upstream, pool] of pools) {
        if (wanted.has(upstream)) continue;
        pools.delete(upstream);
        pool.close();
      }
    },
    close: () => {
      for (const pool of pools.values()) pool.close();
    },
  };
}
