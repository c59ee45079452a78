/** Takes a connection for one exchange that finds none idle: it waits in the pool's queue, or opens a new one. */
import type { Place } from "../../core/linked-list.ts";
import type { Forwarded } from "../../core/types.ts";
import type { Peer } from "../connect.ts";
import type { Wait } from "../interrupt.ts";
import type { Pool } from "../pool.ts";
import type { ConnectionKind, Pooled } from "../pooled-connection.ts";
import type { NotTaken, Waiter } from "../wait-queue.ts";
import type { AskableConnection } from "./connection.ts";

/** What a connection is taken for. */
export interface Taker {
  taken(connection: AskableConnection): void;
  notTaken(why: NotTaken): void;
}

export interface TakeDeps {
  readonly kind: ConnectionKind<AskableConnection>;
  readonly pool: Pool;
  readonly forwarded: Forwarded;
}

export class ConnectionTake implements Waiter {
  readonly needsFresh = false;
  readonly answers: number;
  /** A connection died, and another is taken in its stead. */
  isSecond = false;
  readonly #deps: TakeDeps;
  readonly #taker: Taker;
  /** The place in the wait queue, also once it is left. */
  #place: Place<Waiter> | null = null;
  /** What ends the opening of a connection. */
  #opening: AbortController | null = null;
  #wasQueued = false;
  #stoodBehind = false;

  constructor(deps: TakeDeps, taker: Taker) {
    this.#deps = deps;
    this.#taker = taker;
    this.answers = deps.pool.answers;
  }

  begin(): void {
    this.#place = this.#deps.pool.joinQueue(this);
    if (this.#place === null) void this.#open(null, false);
  }

  /** The connection led to `died`, and died. */
  again(died: Peer): void {
    this.isSecond = true;
    void this.#open(died, this.#stoodBehind);
  }

  /** The check is asked behind others, which is to wait in the queue. */
  standBehind(): void {
    this.#stoodBehind = true;
  }

  get wait(): Wait {
    if (this.#wasQueued) return "busy";
    if (!this.#stoodBehind) return "none";
    return this.#deps.pool.answers === this.answers ? "unasked" : "busy";
  }

  /** To be called while no connection is taken. The taker is told that there will be none. */
  interrupt(): void {
    if (this.#place !== null && this.#place.item !== null) {
      this.#deps.pool.leaveQueue(this.#place);
      return this.fail({ kind: "interrupted" });
    }
    this.#opening?.abort();
  }

  /** An answer to HEAD may be followed by a body that another check would take for its answer. */
  get mayShare(): boolean {
    const { check, repeatable } = this.#deps.forwarded;
    return check.method !== "HEAD" && repeatable;
  }

  fits(connection: Pooled): boolean {
    return this.#deps.kind.isOne(connection);
  }

  take(connection: Pooled): void {
    const { kind, pool } = this.#deps;
    this.#wasQueued = pool.answers !== this.answers;
    if (kind.isOne(connection)) this.#taker.taken(connection);
  }

  fail(why: NotTaken): void {
    const taken = this.#deps.pool.afterWait<AskableConnection>(why, this.answers);
    if (taken.kind !== "taken") this.#taker.notTaken(taken);
  }

  open(): void {
    void this.#open(null, true);
  }

  async #open(died: Peer | null, hasWaited: boolean): Promise<void> {
    const { kind, pool } = this.#deps;
    this.#opening = new AbortController();
    const found = await pool.take(kind, died, this.#opening.signal);
    const taken = hasWaited ? pool.afterWait(found, this.answers) : found;
    if (taken.kind !== "taken") return this.#taker.notTaken(taken);
    this.#wasQueued = taken.queued;
    this.#taker.taken(taken.connection);
  }
}
