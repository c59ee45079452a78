/** Takes a connection for one attempt that finds none idle: it opens one, or waits in the pool's queue. */
import type { FairPlace } from "../core/fair-queue.ts";
import type { Place } from "../core/linked-list.ts";
import { isStarved, stalledSoFar } from "./deadline.ts";
import type { Endpoint } from "./endpoint.ts";
import { interrupted, type Wait } from "./interrupt.ts";
import type { Patient, Pool } from "./pool.ts";
import type { Asker, ConnectionKind, Pooled } from "./pooled-connection.ts";
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
  readonly asker: Asker;
  /** Whether it may be asked behind other checks, on a connection that is busy. */
  readonly mayShare: boolean;
  /** How many answers the upstream had given when the check came. */
  readonly answers: number;
  readonly taker: Taker<Connection>;
}

/** Most answers come sooner. */
const PATIENCE_MS = 20;
/** An upstream whose connections are all taken for so long is not worth a longer wait. */
const QUEUE_MS = 2_000;

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
  #place: FairPlace<Waiter> | null = null;
  #queuedUntil: number | null = null;
  #stalledBefore = 0;
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
    this.hasCookie = deps.asker.hasCookie;
    this.answers = deps.answers;
  }

  /** `chosen`: the endpoint that has no connection free for it. */
  begin(chosen: Endpoint | null): void {
    const { pool, kind } = this.#deps;
    const first = pool.withRoom(chosen, this.hasCookie);
    if (first !== null && pool.isLeftOut(first)) {
      this.#leftOut = first;
      return this.#openOrQueue(first);
    }
    if (first !== null && pool.mayOpen && pool.isWorthWaiting(first, this.hasCookie)) {
      this.#first = first;
      this.#patience = pool.awaitProven(this);
      return;
    }
    const isOther = first !== null && first !== chosen;
    const ofOther = isOther ? pool.takeIdle(kind, first, this.hasCookie) : null;
    const idle = ofOther ?? (pool.mayOpen ? null : pool.takeAnyIdle(kind));
    if (idle) return this.#taken(idle);
    this.#openOrQueue(first);
  }

  /** Found out only where it waits. */
  get client(): string | null {
    return this.#deps.asker.client;
  }

  /** A wait for a connection that is busy lasts a moment only, and one in the queue not long either. */
  look(now: number): void {
    if (this.#place !== null) return this.#lookInQueue(this.#place, now);
    if (this.#patience === null || this.#patience.item === null) return;
    this.#patientUntil ??= now + PATIENCE_MS;
    if (now < this.#patientUntil) return;
    this.#deps.pool.leavePatient(this.#patience);
    this.#openOrQueue(this.#first);
  }

  #lookInQueue(place: FairPlace<Waiter>, now: number): void {
    if (place.place === null) return;
    this.#queuedUntil ??= now + QUEUE_MS;
    if (now < this.#queuedUntil) return;
    this.#deps.pool.leaveQueue(place);
    const isOurs = isStarved(QUEUE_MS, this.#stalledBefore);
    const outcome = interrupted(isOurs ? "starved" : "total_timeout", this.wait);
    this.fail(outcome.kind === "failure" || outcome.kind === "busy" ? outcome : SHED);
  }

  /** For a connection that has carried nothing yet. `hasWaited`: the check has waited for another before. */
  beginFresh(first: Endpoint | null, hasWaited: boolean): void {
    this.#isAnew = true;
    this.#hasWaited = hasWaited;
    this.#openOrQueue(first);
  }

  #openOrQueue(first: Endpoint | null): void {
    const { pool } = this.#deps;
    if (pool.mayOpen || pool.makeRoom()) return this.openAt(first);
    this.#stalledBefore = stalledSoFar();
    this.#place = pool.joinQueue(this);
  }

  /** Opens a connection without a wait, in a place that is known to be free. */
  openAt(first: Endpoint | null): void {
    const { pool, kind, asker, taker } = this.#deps;
    taker.opening();
    this.#dial = pool.open(kind, first, asker, (opened) => {
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
    if (this.#place?.place) this.#deps.pool.leaveQueue(this.#place);
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
    const { pool, kind } = this.#deps;
    const idle = this.needsFresh ? null : pool.takeAnyIdle(kind);
    if (idle) return this.#taken(idle);
    // One of the other path may be in the way.
    if (!pool.mayOpen) pool.makeRoom();
    this.openAt(pool.withRoom(this.#leftOut, this.hasCookie));
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

const SHED = { kind: "overload" } as const;
