/** Takes a connection for one attempt that finds none idle: it opens one, or waits in the pool's queue. */
import type { Place } from "../core/linked-list.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Wait } from "./interrupt.ts";
import type { Patient, Pool } from "./pool.ts";
import type { ConnectionKind, Pooled } from "./pooled-connection.ts";
import type { NotTaken, Waiter } from "./wait-queue.ts";

/** What a connection is taken for. */
export interface Taker<Connection> {
  /** The wait in the queue is over, or there was none: a connection is being opened. */
  opening(): void;
  taken(connection: Connection): void;
  notTaken(why: NotTaken): void;
}

interface TakeDeps<Connection extends Pooled> {
  readonly kind: ConnectionKind<Connection>;
  readonly pool: Pool;
  readonly hasCookie: boolean;
  /** Whether it may be asked behind other checks, on a connection that is busy. */
  readonly mayShare: boolean;
  /** How many answers the upstream had given when the check came. */
  readonly answers: number;
  readonly taker: Taker<Connection>;
}

/** Most answers come sooner. */
const PATIENCE_MS = 20;

export class ConnectionTake<Connection extends Pooled> implements Waiter {
  readonly mayShare: boolean;
  readonly answers: number;
  readonly hasCookie: boolean;
  readonly #deps: TakeDeps<Connection>;
  /** The place among those who wait for a busy connection, also once it is left. */
  #patience: Place<Patient> | null = null;
  #patientUntil: number | null = null;
  #first: Endpoint | null = null;
  /** The place in the wait queue, also once it is left. */
  #place: Place<Waiter> | null = null;
  #dial: { cancel(): void } | null = null;
  #isAnew = false;
  /** The endpoint that was chosen, where it had no connection and no place for one. */
  #leftOut: Endpoint | null = null;
  /** The check waited for another one, which is to wait in the queue. */
  #hasWaited = false;
  #isTaken = false;
  /** Others were answered while this one waited in the queue or for its turn. */
  #wasBusy = false;

  constructor(deps: TakeDeps<Connection>) {
    this.#deps = deps;
    this.mayShare = deps.mayShare;
    this.hasCookie = deps.hasCookie;
    this.answers = deps.answers;
  }

  /** `first`: the endpoint that was chosen, which has no connection free. */
  begin(first: Endpoint | null): void {
    const { pool, kind } = this.#deps;
    if (first !== null && pool.isLeftOut(first)) {
      this.#leftOut = first;
      return this.#openOrQueue(first);
    }
    if (first !== null && pool.mayOpen && pool.isWorthWaiting(first, this.hasCookie)) {
      this.#first = first;
      this.#patience = pool.awaitProven(this);
      return;
    }
    const idle = pool.mayOpen ? null : pool.takeAnyIdle(kind);
    if (idle) return this.#taken(idle);
    this.#openOrQueue(first);
  }

  /** A wait for a connection that is busy lasts a moment only. */
  look(now: number): void {
    if (this.#patience === null || this.#patience.item === null) return;
    this.#patientUntil ??= now + PATIENCE_MS;
    if (now < this.#patientUntil) return;
    this.#deps.pool.leavePatient(this.#patience);
    this.#openOrQueue(this.#first);
  }

  /** For a connection that has carried nothing yet. `hasWaited`: the check has waited for another before. */
  beginFresh(first: Endpoint | null, hasWaited: boolean): void {
    this.#isAnew = true;
    this.#hasWaited = hasWaited;
    this.#openOrQueue(first);
  }

  #openOrQueue(first: Endpoint | null): void {
    const { pool } = this.#deps;
    if (pool.mayOpen || pool.makeRoom()) this.openAt(first);
    else this.#place = pool.joinQueue(this);
  }

  /** Opens a connection without a wait, in a place that is known to be free. */
  openAt(first: Endpoint | null): void {
    const { pool, kind, hasCookie, taker } = this.#deps;
    taker.opening();
    this.#dial = pool.open(kind, first, hasCookie, (opened) => {
      this.#dial = null;
      if (opened.kind === "opened") this.#taken(opened.connection);
      else taker.notTaken(opened);
    });
  }

  get needsFresh(): boolean {
    return this.#isAnew || this.#isLeftOut;
  }

  /** Another check may have opened a connection there meanwhile. */
  get #isLeftOut(): boolean {
    return this.#leftOut !== null && this.#deps.pool.isLeftOut(this.#leftOut);
  }

  /** How the check has waited. */
  get wait(): Wait {
    const isBusy = this.#wasBusy || (!this.#isTaken && this.#place !== null && this.#hasSeenAnswers);
    if (isBusy || (this.#hasWaited && this.#hasSeenAnswers)) return "busy";
    return this.#isTaken && !this.#hasWaited ? "none" : "unasked";
  }

  /** The check is asked behind others. */
  standBehind(): void {
    this.#hasWaited = true;
  }

  /** No connection is wanted any more. The taker is not called again. */
  cancel(): void {
    if (this.#place?.item) this.#deps.pool.leaveQueue(this.#place);
    if (this.#patience) this.#deps.pool.leavePatient(this.#patience);
    this.#dial?.cancel();
    this.#dial = null;
  }

  fits(connection: Pooled): boolean {
    return this.#deps.kind.isOne(connection);
  }

  take(connection: Pooled): void {
    if (this.#deps.kind.isOne(connection)) this.#taken(connection);
  }

  fail(why: NotTaken): void {
    this.#deps.taker.notTaken(why);
  }

  open(): void {
    this.openAt(this.#leftOut);
  }

  #taken(connection: Connection): void {
    this.#isTaken = true;
    this.#wasBusy = this.#place !== null && this.#hasSeenAnswers;
    this.#deps.taker.taken(connection);
  }

  get #hasSeenAnswers(): boolean {
    return this.#deps.pool.answers !== this.answers;
  }
}
