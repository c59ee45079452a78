/**
 * The connections kept to one upstream: the last used is taken first, at most `maxConnections` exist, and who
 * finds none waits in line until one is free or the exchange is interrupted. Both carriers have theirs here, so that
 * the limit and the line are the same for both.
 */
import type { LookupFunction, Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { LinkedList, type Place } from "../core/linked-list.ts";
import type { Upstream } from "../core/snapshot.ts";
import type { Gone, Outcome } from "../core/types.ts";
import { type Connected, type Connector, createConnector, type Peer, type SocketMode } from "./connect.ts";
import type { Interrupt } from "./interrupt.ts";

/** One open connection to an upstream. It owns its socket until `close`. */
export interface Pooled {
  readonly peer: Peer;
  /** Whether it may carry another request, as far as is known. */
  readonly usable: boolean;
  /** Whether it may carry another request behind those it carries. */
  readonly hasTurn: boolean;
  close(): void;
}

export interface ConnectionEvents {
  /** The answer is through and the connection may carry another request. */
  free(connection: Pooled): void;
  /** It is busy and has a turn. Told again with each request it gets while it is idle, and each answer. */
  share(connection: Pooled): void;
  /** The upstream gave an answer, whether or not it comes whole. */
  answered(): void;
  /** It is gone for good. */
  closed(connection: Pooled): void;
}

/** How a carrier has its connections; those of the other are not for it. */
export interface ConnectionKind<Connection extends Pooled> {
  readonly reading: SocketMode;
  create(socket: Socket, peer: Peer, upstream: Upstream, events: ConnectionEvents): Connection;
  isOne(connection: Pooled): connection is Connection;
}

export type Taken<Connection> =
  /** `queued`: it came after a wait in line, in which others were answered. */
  { readonly kind: "taken"; readonly connection: Connection; readonly queued: boolean } | NotTaken;
export type NotTaken = Exclude<Connected, { readonly kind: "connected" }>;

/** Who stands in line for a connection. Whatever it is told, it has left the line before. */
export interface Waiter {
  /** A fresh one is needed. */
  readonly needsFresh: boolean;
  /** One that is busy with others' checks would do. */
  readonly mayShare: boolean;
  /** Answers of the upstream when the wait began. */
  readonly answers: number;
  /** False: it is of no use here, and the wait goes on. */
  fits(connection: Pooled): boolean;
  take(connection: Pooled): void;
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
  readonly #waitQueue = new LinkedList<Waiter>();
  /** Busy ones that had a turn when last looked at, in the order they were last asked. */
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

  /** How many answers the upstream has given, whatever became of their connections. */
  get answers(): number {
    return this.#answers;
  }

  /** Null: it need not wait, for there is a connection at hand or room for one. */
  joinQueue(waiter: Waiter): Place<Waiter> | null {
    if (this.#idle.length > 0 || this.#hasRoom()) return null;
    const place = this.#waitQueue.add(waiter);
    this.#shareBusy();
    return place;
  }

  leaveQueue(place: Place<Waiter>): void {
    this.#waitQueue.leave(place);
    this.#shareBusy();
  }

  async #wait<Connection extends Pooled>(
    kind: ConnectionKind<Connection>,
    died: Peer | null,
    interrupt: Gone,
  ): Promise<Taken<Connection>> {
    const answers = this.#answers;
    return this.afterWait(await this.#waitInLine(kind, died, interrupt), answers);
  }

  /** What it means for one in line since there were so many `answers`. */
  afterWait<Connection>(taken: Taken<Connection>, answers: number): Taken<Connection> {
    if (this.#answers === answers) return taken;
    if (taken.kind === "interrupted") return { kind: "overload" };
    return taken.kind === "taken" ? { ...taken, queued: true } : taken;
  }

  #waitInLine<Connection extends Pooled>(
    kind: ConnectionKind<Connection>,
    died: Peer | null,
    interrupt: Gone,
  ): Promise<Taken<Connection>> {
    if (interrupt.aborted) return Promise.resolve({ kind: "interrupted" });
    return new Promise((resolve) => {
      const onInterrupt = (): void => {
        this.leaveQueue(place);
        settle({ kind: "interrupted" });
      };
      const settle = (taken: Taken<Connection>): void => {
        interrupt.removeEventListener("abort", onInterrupt);
        resolve(taken);
      };
      interrupt.addEventListener("abort", onInterrupt);
      const place = this.#waitQueue.add({
        needsFresh: died !== null,
        mayShare: false,
        answers: this.#answers,
        fits: (connection) => kind.isOne(connection),
        take: (connection) => {
          if (kind.isOne(connection)) settle({ kind: "taken", connection, queued: false });
        },
        fail: settle,
        open: () => void this.#open(kind, died, interrupt).then(settle),
      });
    });
  }

  /**
   * Those in line need not find out one by one that an upstream cannot be reached. Whoever has seen it answer
   * since tries for himself: one lost connection of a busy upstream says little.
   */
  #passOn(why: NotTaken): void {
    if (why.kind === "failure") {
      const unheard: Waiter[] = [];
      this.#waitQueue.each((waiter, place) => {
        if (waiter.answers !== this.#answers) return;
        this.#waitQueue.leave(place);
        unheard.push(waiter);
      });
      for (const waiter of unheard) waiter.fail(why);
    }
    this.#openForNext();
  }

  #openForNext(): void {
    if (this.#hasRoom()) this.#waitQueue.shift()?.open();
    this.#shareBusy();
  }

  #free(connection: Pooled): void {
    if (this.#closed) return connection.close();
    const waiter = this.#waitQueue.first;
    if (waiter === null) this.#idle.push(connection);
    // Its end makes room for the one that is needed.
    else if (waiter.needsFresh || !waiter.fits(connection)) connection.close();
    else this.#waitQueue.shift()?.take(connection);
    this.#shareBusy();
  }

  /** In the order of the line, and only while there is no idle connection and no room for a new one. */
  #shareBusy(): void {
    if (this.#shareable.size === 0) return;
    for (const connection of this.#shareable) {
      const waiter = this.#waitQueue.first;
      if (!waiter?.mayShare || this.#idle.length > 0 || this.#hasRoom()) return;
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

/** What came of an exchange that got no connection. */
export function withoutConnection(taken: NotTaken, interrupt: Pick<Interrupt, "reason">): Outcome {
  if (interrupt.reason === "abandoned" || interrupt.reason === "released") return { kind: interrupt.reason };
  if (interrupt.reason === "starved") return { kind: "overload" };
  if (taken.kind === "interrupted") return { kind: "failure", reason: "total_timeout", unasked: true };
  return taken;
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
