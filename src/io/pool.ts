/**
 * The connections kept to one upstream: the last used is taken first, at most `maxConnections` exist, and who
 * finds none waits in line until one is free or the exchange is interrupted.
 */
import type { Upstream } from "../core/types.ts";
import { type Connected, connect } from "./connect.ts";
import { Connection } from "./connection.ts";

export type Taken =
  | { readonly kind: "taken"; readonly connection: Connection }
  | Exclude<Connected, { readonly kind: "connected" }>;

interface Waiter {
  readonly fresh: boolean;
  readonly interrupt: AbortSignal;
  give(taken: Taken): void;
}

/** Owns its connections until `close`. */
export class Pool {
  readonly #upstream: Upstream;
  readonly #idle: Connection[] = [];
  readonly #all = new Set<Connection>();
  readonly #waiters = new Set<Waiter>();
  #opening = 0;
  #answers = 0;
  #closed = false;

  constructor(upstream: Upstream) {
    this.#upstream = upstream;
  }

  /**
   * `fresh`: a connection that has carried nothing yet. Interrupted while waiting in line: `overload` where other
   * exchanges went on meanwhile, so that busy is never taken for broken; `interrupted` where none did.
   */
  take(fresh: boolean, interrupt: AbortSignal): Promise<Taken> {
    const connection = fresh ? undefined : this.#popIdle();
    if (connection) return Promise.resolve({ kind: "taken", connection });
    if (this.#hasRoom()) return this.#open(interrupt);
    const oldest = this.#idle.shift();
    if (!oldest) return this.#wait(fresh, interrupt);
    oldest.close();
    return this.#open(interrupt);
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

  async #open(interrupt: AbortSignal): Promise<Taken> {
    this.#opening += 1;
    const connected = await connect(this.#upstream, interrupt);
    this.#opening -= 1;
    if (connected.kind !== "connected") {
      this.#passOn(connected);
      return connected;
    }
    const connection = new Connection(connected.socket, this.#upstream, {
      free: (freed) => this.#free(freed),
      closed: (gone) => this.#forget(gone),
    });
    this.#all.add(connection);
    return { kind: "taken", connection };
  }

  #wait(fresh: boolean, interrupt: AbortSignal): Promise<Taken> {
    if (interrupt.aborted) return Promise.resolve({ kind: "interrupted" });
    const answers = this.#answers;
    return new Promise((resolve) => {
      const onInterrupt = (): void =>
        waiter.give({ kind: this.#answers === answers ? "interrupted" : "overload" });
      const waiter: Waiter = {
        fresh,
        interrupt,
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

  /** An upstream that refuses one connection refuses those in line as well: they need not find out one by one. */
  #passOn(connected: Taken): void {
    if (connected.kind !== "failure") return this.#openForNext();
    for (const waiter of [...this.#waiters]) waiter.give(connected);
  }

  #openForNext(): void {
    const [waiter] = this.#waiters;
    if (!waiter || !this.#hasRoom()) return;
    this.#waiters.delete(waiter);
    void this.#open(waiter.interrupt).then(waiter.give);
  }

  #free(connection: Connection): void {
    this.#answers += 1;
    if (this.#closed) return connection.close();
    const [waiter] = this.#waiters;
    if (!waiter) this.#idle.push(connection);
    // Its end makes room for the fresh one.
    else if (waiter.fresh) connection.close();
    else waiter.give({ kind: "taken", connection });
  }

  #forget(connection: Connection): void {
    this.#all.delete(connection);
    const index = this.#idle.indexOf(connection);
    if (index !== -1) this.#idle.splice(index, 1);
    this.#openForNext();
  }
}
