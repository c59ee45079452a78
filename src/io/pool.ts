/**
 * The connections kept to one upstream: the last used is taken first, at most `maxConnections` exist, and who
 * finds none waits in line until one is free or the exchange is interrupted. Both carriers have theirs here, so that
 * the limit and the line are the same for both.
 */
import type { LookupFunction, Socket } from "node:net";
import { performance } from "node:perf_hooks";
import type { Upstream } from "../core/snapshot.ts";
import type { Gone } from "../core/types.ts";
import { type Connected, type Connector, createConnector, type Peer, type Reading } from "./connect.ts";

/** One open connection to an upstream. It owns its socket until `close`. */
export interface Pooled {
  readonly peer: Peer;
  /** Whether it may carry another request, as far as is known. */
  readonly usable: boolean;
  close(): void;
}

export interface ConnectionEvents {
  /** The answer is through and the connection may carry another request. */
  free(connection: Pooled): void;
  /** The upstream gave an answer, whether or not it comes whole. */
  answered(): void;
  /** It is gone for good. */
  closed(connection: Pooled): void;
}

/** How a carrier has its connections; those of the other are not for it. */
export interface ConnectionKind<Connection extends Pooled> {
  readonly reading: Reading;
  create(socket: Socket, peer: Peer, upstream: Upstream, events: ConnectionEvents): Connection;
  isOne(connection: Pooled): connection is Connection;
}

export type Taken<Connection> =
  /** `queued`: it came after a wait in line, in which others were answered. */
  { readonly kind: "taken"; readonly connection: Connection; readonly queued: boolean } | NotTaken;
export type NotTaken = Exclude<Connected, { readonly kind: "connected" }>;

interface Waiter {
  /** A fresh one is needed. */
  readonly isPicky: boolean;
  /** Answers of the upstream when the wait began. */
  readonly answers: number;
  /** False: it is of no use here. */
  offer(connection: Pooled): boolean;
  fail(why: NotTaken): void;
  /** There is room now. */
  open(): void;
}

/** Owns its connections until `close`. */
export class Pool {
  readonly #upstream: Upstream;
  readonly #connect: Connector;
  readonly #idle: Pooled[] = [];
  readonly #all = new Set<Pooled>();
  readonly #waiters = new Set<Waiter>();
  readonly #events: ConnectionEvents = {
    free: (connection) => this.#free(connection),
    closed: (connection) => this.#forget(connection),
    answered: () => {
      this.#answers += 1;
    },
  };
  #opening = 0;
  /** Heard so far, whatever became of their connections. */
  #answers = 0;
  #closed = false;

  constructor(upstream: Upstream, lookup: LookupFunction) {
    this.#upstream = upstream;
    this.#connect = createConnector(upstream, lookup, () => performance.now());
  }

  /**
   * `died`: whom the connection led to that died under this request. It needs one that has carried nothing yet, to
   * somebody else where there is one. null: the first try, for which any will do. Interrupted while waiting in line: `overload` where others
   * were answered meanwhile, so that busy is never taken for broken; `interrupted` where none was.
   */
  take<Connection extends Pooled>(
    kind: ConnectionKind<Connection>,
    died: Peer | null,
    interrupt: Gone,
  ): Promise<Taken<Connection>> {
    const connection = died ? null : this.takeIdle(kind);
    if (connection) return Promise.resolve({ kind: "taken", connection, queued: false });
    if (this.#hasRoom()) return this.#open(kind, died, interrupt);
    const oldest = this.#idle.shift();
    if (!oldest) return this.#wait(kind, died, interrupt);
    oldest.close();
    return this.#open(kind, died, interrupt);
  }

  /** Without any wait; null: there is none. */
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

  #hasRoom(): boolean {
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

  async #wait<Connection extends Pooled>(
    kind: ConnectionKind<Connection>,
    died: Peer | null,
    interrupt: Gone,
  ): Promise<Taken<Connection>> {
    const answers = this.#answers;
    const taken = await this.#standInLine(kind, died, interrupt);
    if (this.#answers === answers) return taken;
    if (taken.kind === "interrupted") return { kind: "overload" };
    return taken.kind === "taken" ? { ...taken, queued: true } : taken;
  }

  #standInLine<Connection extends Pooled>(
    kind: ConnectionKind<Connection>,
    died: Peer | null,
    interrupt: Gone,
  ): Promise<Taken<Connection>> {
    if (interrupt.aborted) return Promise.resolve({ kind: "interrupted" });
    return new Promise((resolve) => {
      const onInterrupt = (): void => leave({ kind: "interrupted" });
      const leave = (taken: Taken<Connection>): void => {
        this.#waiters.delete(waiter);
        interrupt.removeEventListener("abort", onInterrupt);
        resolve(taken);
      };
      const waiter: Waiter = {
        isPicky: died !== null,
        answers: this.#answers,
        offer: (connection) => {
          if (!kind.isOne(connection)) return false;
          leave({ kind: "taken", connection, queued: false });
          return true;
        },
        fail: leave,
        open: () => {
          this.#waiters.delete(waiter);
          void this.#open(kind, died, interrupt).then(leave);
        },
      };
      interrupt.addEventListener("abort", onInterrupt);
      this.#waiters.add(waiter);
    });
  }

  /**
   * Those in line need not find out one by one that an upstream cannot be reached. Whoever has seen it answer
   * since tries for himself: one lost connection of a busy upstream says little.
   */
  #passOn(why: NotTaken): void {
    if (why.kind === "failure") {
      const unheard = [...this.#waiters].filter((waiter) => waiter.answers === this.#answers);
      for (const waiter of unheard) waiter.fail(why);
    }
    this.#openForNext();
  }

  #openForNext(): void {
    const [waiter] = this.#waiters;
    if (waiter && this.#hasRoom()) waiter.open();
  }

  #free(connection: Pooled): void {
    if (this.#closed) return connection.close();
    const [waiter] = this.#waiters;
    if (!waiter) this.#idle.push(connection);
    // Its end makes room for the one that is needed.
    else if (waiter.isPicky || !waiter.offer(connection)) connection.close();
  }

  #forget(connection: Pooled): void {
    this.#all.delete(connection);
    const index = this.#idle.indexOf(connection);
    if (index !== -1) this.#idle.splice(index, 1);
    this.#openForNext();
  }
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
