/**
 * The connections kept to one upstream: the last used is taken first, at most `maxConnections` exist, and who
 * finds none waits in line until one is free or the exchange is interrupted.
 */
import type { LookupFunction } from "node:net";
import { performance } from "node:perf_hooks";
import type { Upstream } from "../core/snapshot.ts";
import { type Connected, type Connector, createConnector, type Peer } from "./connect.ts";
import { Connection } from "./connection.ts";

export type Taken =
  /** `queued`: it came after a wait in line, in which others were answered. */
  | { readonly kind: "taken"; readonly connection: Connection; readonly queued: boolean }
  | Exclude<Connected, { readonly kind: "connected" }>;

interface Waiter {
  readonly died: Peer | null;
  readonly interrupt: AbortSignal;
  /** Answers of the upstream when the wait began. */
  readonly answers: number;
  give(taken: Taken): void;
}

/** Owns its connections until `close`. */
export class Pool {
  readonly #upstream: Upstream;
  readonly #connect: Connector;
  readonly #idle: Connection[] = [];
  readonly #all = new Set<Connection>();
  readonly #waiters = new Set<Waiter>();
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
  take(died: Peer | null, interrupt: AbortSignal): Promise<Taken> {
    const connection = died ? undefined : this.#popIdle();
    if (connection) return Promise.resolve({ kind: "taken", connection, queued: false });
    if (this.#hasRoom()) return this.#open(died, interrupt);
    const oldest = this.#idle.shift();
    if (!oldest) return this.#wait(died, interrupt);
    oldest.close();
    return this.#open(died, interrupt);
  }

  /** Idle connections end at once, the others with their answers. */
  close(): void {
    this.#closed = true;
    for (const connection of this.#idle.splice(0)) connection.close();
  }

  #popIdle(): Connection | undefined {
    let connection = this.#idle.pop();
    while (connection && !connection.usable) connection = this.#idle.pop();
    return connection;
  }

  #hasRoom(): boolean {
    return this.#all.size + this.#opening < this.#upstream.maxConnections;
  }

  async #open(died: Peer | null, interrupt: AbortSignal): Promise<Taken> {
    this.#opening += 1;
    const connected = await this.#connect(died, interrupt);
    this.#opening -= 1;
    if (connected.kind !== "connected") {
      this.#passOn(connected);
      return connected;
    }
    const connection = new Connection(connected.socket, connected.peer, this.#upstream, {
      free: (freed) => this.#free(freed),
      closed: (gone) => this.#forget(gone),
      answered: () => {
        this.#answers += 1;
      },
    });
    this.#all.add(connection);
    return { kind: "taken", connection, queued: false };
  }

  async #wait(died: Peer | null, interrupt: AbortSignal): Promise<Taken> {
    const answers = this.#answers;
    const taken = await this.#standInLine(died, interrupt);
    if (this.#answers === answers) return taken;
    if (taken.kind === "interrupted") return { kind: "overload" };
    return taken.kind === "taken" ? { ...taken, queued: true } : taken;
  }

  #standInLine(died: Peer | null, interrupt: AbortSignal): Promise<Taken> {
    if (interrupt.aborted) return Promise.resolve({ kind: "interrupted" });
    return new Promise((resolve) => {
      const onInterrupt = (): void => waiter.give({ kind: "interrupted" });
      const waiter: Waiter = {
        died,
        interrupt,
        answers: this.#answers,
        give: (taken) => {
          this.#waiters.delete(waiter);
          interrupt.removeEventListener("abort", onInterrupt);
          resolve(taken);
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
  #passOn(connected: Taken): void {
    if (connected.kind === "failure") {
      const unheard = [...this.#waiters].filter((waiter) => waiter.answers === this.#answers);
      for (const waiter of unheard) waiter.give(connected);
    }
    this.#openForNext();
  }

  #openForNext(): void {
    const [waiter] = this.#waiters;
    if (!waiter || !this.#hasRoom()) return;
    this.#waiters.delete(waiter);
    void this.#open(waiter.died, waiter.interrupt).then(waiter.give);
  }

  #free(connection: Connection): void {
    if (this.#closed) return connection.close();
    const [waiter] = this.#waiters;
    if (!waiter) this.#idle.push(connection);
    // Its end makes room for the fresh one.
    else if (waiter.died) connection.close();
    else waiter.give({ kind: "taken", connection, queued: false });
  }

  #forget(connection: Connection): void {
    this.#all.delete(connection);
    const index = this.#idle.indexOf(connection);
    if (index !== -1) this.#idle.splice(index, 1);
    this.#openForNext();
  }
}
