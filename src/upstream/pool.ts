/**
 * The connections kept to one upstream. At most `maxConnections` exist. A check takes the most recently used one of the
 * endpoint that is chosen for it, or opens one there. When all are taken, it waits in a queue until one is free or the
 * check is interrupted. The connections of both paths are here, so that both have the same limit and the same queue.
 */
import { type AttemptBudget, createAttemptBudget } from "../core/attempt-budget.ts";
import { isRedirect } from "../core/classify.ts";
import { createLatencyWindow, type LatencyWindow } from "../core/latency.ts";
import { LinkedList, type Place } from "../core/linked-list.ts";
import type { Upstream } from "../core/snapshot.ts";
import { type Connected, Dial } from "./connect.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Endpoints } from "./endpoints.ts";
import {
  type ConnectionEvents,
  type ConnectionKind,
  ConnectionRecord,
  type Pooled,
} from "./pooled-connection.ts";
import { Proof } from "./proof.ts";
import { type Waiter, WaitQueue } from "./wait-queue.ts";

/** A connection older than this is replaced, so that those to a Service spread over its servers again. */
const AGE_MS = 300_000;
const AGE_JITTER = 0.2;
/** No connection that works is given up so soon after a failure. */
const QUIET_MS = 60_000;
/** A check that waits a moment for a busy connection. It has left before `take` is called. */
export interface Patient {
  readonly hasCookie: boolean;
  fits(connection: Pooled): boolean;
  take(connection: Pooled): void;
}

interface PoolDeps {
  readonly upstream: Upstream;
  readonly endpoints: Endpoints;
  /** Milliseconds that never go back. */
  now(): number;
  /** 0 to 1. */
  random(): number;
}

/** What a dial led to. */
export type OpenedConnection<Connection> =
  | { readonly kind: "opened"; readonly connection: Connection }
  | Exclude<Connected, { readonly kind: "connected" }>;

/** Owns its connections until `close`. */
export class Pool {
  readonly endpoints: Endpoints;
  readonly upstream: Upstream;
  readonly budget: AttemptBudget;
  /** Of all answers that are measured. */
  readonly latency: LatencyWindow = createLatencyWindow();
  readonly #latencies = {
    allow: createLatencyWindow(),
    challenge: createLatencyWindow(),
    deny: createLatencyWindow(),
  };
  readonly #deps: PoolDeps;
  readonly #proof: Proof;
  readonly #all = new Set<Pooled>();
  readonly #waitQueue = new WaitQueue();
  readonly #patient = new LinkedList<Patient>();
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
  #idle = 0;
  #opening = 0;
  #answers = 0;
  #failedAt = Number.NEGATIVE_INFINITY;
  #isRenewing = false;
  #closed = false;

  constructor(deps: PoolDeps) {
    this.#deps = deps;
    this.endpoints = deps.endpoints;
    this.upstream = deps.upstream;
    this.budget = createAttemptBudget(deps.now());
    this.#proof = new Proof(deps.now);
  }

  /** How many answers the upstream has given so far, whatever became of their connections. */
  get answers(): number {
    return this.#answers;
  }

  /**
   * Of answers of one kind. A challenge often writes a session to a store, and a refusal looks nothing up, so what is
   * usual for one is slow for the other.
   */
  latencyOf(status: number): LatencyWindow {
    if (status < 300) return this.#latencies.allow;
    return isRedirect(status) || status === 401 ? this.#latencies.challenge : this.#latencies.deny;
  }

  get mayOpen(): boolean {
    return this.#all.size + this.#opening < this.#deps.upstream.maxConnections;
  }

  /** Whether a connection is free, or one may be opened. */
  get hasPlace(): boolean {
    return this.mayOpen || this.#idle > 0;
  }

  /** The most recently used connection that is free at `endpoint`. null: there is none. */
  takeIdle<Connection extends Pooled>(
    kind: ConnectionKind<Connection>,
    { idle }: Endpoint,
    hasCookie: boolean,
  ): Connection | null {
    const needsChallenge = !hasCookie && this.#proof.isSuspected;
    return this.#takeIdle(kind, idle, needsChallenge ? (record) => this.#proof.hasChallenged(record) : null);
  }

  /** One that is free at `endpoint` and has shown that its server is well: see proof.ts. null: there is none. */
  takeProven<Connection extends Pooled>(
    kind: ConnectionKind<Connection>,
    { idle }: Endpoint,
    hasCookie: boolean,
  ): Connection | null {
    return this.#takeIdle(kind, idle, (record) => this.#proof.holds(record, hasCookie));
  }

  /** One that is free anywhere, where no more may be opened. null: there is none of the kind. */
  takeAnyIdle<Connection extends Pooled>(kind: ConnectionKind<Connection>): Connection | null {
    for (const { idle } of this.endpoints.all) {
      const found = this.#takeIdle(kind, idle, null);
      if (found) return found;
    }
    return null;
  }

  /**
   * Whether all places are taken and `endpoint` has none, while another has several: without a place of theirs, one that
   * is new or comes back would never be asked as long as there is much to do.
   */
  isLeftOut(endpoint: Endpoint): boolean {
    if (this.mayOpen || endpoint.inFlight > 0) return false;
    const others = new Set<Endpoint>();
    for (const { record } of this.#all) {
      if (record.endpoint === endpoint) return false;
      others.add(record.endpoint);
    }
    return others.size < this.#all.size;
  }

  /** Closes a free connection, so that another may be opened in its place. Returns false if there is none. */
  makeRoom(): boolean {
    for (const { idle } of this.endpoints.all) {
      // Probes and checks share their endpoints, but not their places.
      const oldest = idle.find((connection) => this.#all.has(connection));
      if (oldest === undefined) continue;
      this.vacate(oldest);
      return true;
    }
    return false;
  }

  /**
   * Closes a connection that brought no verdict, and keeps its place for the check's next attempt. `passOn` must follow:
   * it gives the place, where it is still free, to the check that waits longest.
   */
  vacate(connection: Pooled): void {
    connection.record.isSpent = true;
    // It ends with their answers.
    if (connection.hasOthers) return;
    this.#remove(connection);
    connection.close();
  }

  passOn(): void {
    this.#openForNext();
  }

  /** `first`: the endpoint to try first. The dial is over when `done` is called or it is cancelled. */
  open<Connection extends Pooled>(
    kind: ConnectionKind<Connection>,
    first: Endpoint | null,
    hasCookie: boolean,
    done: (opened: OpenedConnection<Connection>) => void,
  ): { cancel(): void } {
    const { upstream, endpoints } = this.#deps;
    this.#opening += 1;
    if (first) first.inFlight += 1;
    const over = (): void => {
      this.#opening -= 1;
      if (first) first.inFlight -= 1;
    };
    const dial = new Dial({
      ...{ upstream, endpoints, first, hasCookie, reading: kind.reading },
      done: (connected) => {
        over();
        if (connected.kind === "connected")
          return done({ kind: "opened", connection: this.#add(kind, connected) });
        this.noteFailure();
        if (connected.kind === "failure") this.#waitQueue.failUnheard(connected, this.#answers);
        this.#openForNext();
        done(connected);
      },
    });
    return {
      cancel: () => {
        dial.cancel();
        over();
        this.#openForNext();
      },
    };
  }

  /**
   * Whether a check for which no connection is free at `endpoint` waits a moment for one that is busy: a fresh one may
   * lead to a bad server if one was met of late, while this one has just shown that its own is well.
   */
  isWorthWaiting(endpoint: Endpoint, hasCookie: boolean): boolean {
    if (this.#deps.now() - endpoint.doubtedAt >= QUIET_MS) return false;
    for (const { record } of this.#all)
      if (record.endpoint === endpoint && this.#proof.holds(record, hasCookie)) return true;
    return false;
  }

  awaitProven(patient: Patient): Place<Patient> {
    return this.#patient.add(patient);
  }

  leavePatient(place: Place<Patient>): void {
    this.#patient.leave(place);
  }

  joinQueue(waiter: Waiter): Place<Waiter> {
    const place = this.#waitQueue.add(waiter);
    this.#shareBusy();
    return place;
  }

  leaveQueue(place: Place<Waiter>): void {
    this.#waitQueue.leave(place);
    this.#shareBusy();
  }

  /**
   * An attempt brought a verdict. `isChallenge`: one to a check without a cookie. `slowSince`: when one began that was
   * slow by core/latency.ts; null: it was not.
   */
  noteVerdict(
    record: ConnectionRecord,
    now: number,
    hasCookie: boolean,
    isChallenge: boolean,
    slowSince: number | null,
  ): void {
    const { endpoint } = record;
    record.verdictAt = now;
    endpoint.answeredAt = now;
    if (isChallenge) record.challengedAt = now;
    if (record.replaces) this.#retire(record);
    if (slowSince !== null) {
      record.slow += 1;
      return this.endpoints.slow(endpoint, slowSince);
    }
    record.slow = 0;
    this.endpoints.worked(endpoint, hasCookie);
  }

  /** An attempt brought no verdict. */
  noteFailure(): void {
    this.#failedAt = this.#deps.now();
  }

  /** A check without a cookie brought a suspect. */
  noteSuspect(): void {
    this.#proof.suspected();
  }

  /** Idle connections end at once, the others with their answers. */
  close(): void {
    this.#closed = true;
    for (const connection of this.#all)
      if (connection.record.endpoint.idle.includes(connection)) connection.close();
  }

  #add<Connection extends Pooled>(
    kind: ConnectionKind<Connection>,
    { socket, endpoint }: Extract<Connected, { kind: "connected" }>,
  ): Connection {
    const { now, random, upstream } = this.#deps;
    const age = AGE_MS * (1 - AGE_JITTER + 2 * AGE_JITTER * random());
    const connection = kind.create(
      socket,
      new ConnectionRecord(endpoint, kind, now() + age),
      upstream,
      this.#events,
    );
    this.#all.add(connection);
    return connection;
  }

  #takeIdle<Connection extends Pooled>(
    kind: ConnectionKind<Connection>,
    idle: Pooled[],
    fits: ((record: ConnectionRecord) => boolean) | null,
  ): Connection | null {
    for (let index = idle.length - 1; index >= 0; index -= 1) {
      const connection = idle[index];
      if (connection === undefined || !this.#all.has(connection)) continue;
      if (!kind.isOne(connection) || fits?.(connection.record) === false) continue;
      this.#removeIdle(idle, index);
      if (connection.usable) return connection;
    }
    return null;
  }

  #removeIdle(idle: Pooled[], index: number): void {
    this.#idle -= 1;
    if (index === idle.length - 1) idle.pop();
    else idle.splice(index, 1);
  }

  #openForNext(): void {
    if (this.mayOpen) this.#waitQueue.shift()?.open();
    this.#shareBusy();
  }

  #free(connection: Pooled): void {
    const { record } = connection;
    if (this.#closed || !record.mayBeKept) return connection.close();
    if (this.#patient.first !== null && this.#giveToPatient(connection)) return;
    const waiter = this.#waitQueue.first;
    if (waiter === null) this.#keep(connection);
    // In its place, the check opens one that fits.
    else if (waiter.needsFresh || !waiter.fits(connection)) {
      this.vacate(connection);
      return this.#openForNext();
    } else this.#waitQueue.shift()?.take(connection);
    this.#shareBusy();
  }

  #giveToPatient(connection: Pooled): boolean {
    let taker: Patient | null = null;
    this.#patient.each((patient, place) => {
      if (taker !== null || !patient.fits(connection)) return;
      if (!this.#proof.holds(connection.record, patient.hasCookie)) return;
      this.#patient.leave(place);
      taker = patient;
      patient.take(connection);
    });
    return taker !== null;
  }

  /** A slow one is the last to be taken. */
  #keep(connection: Pooled): void {
    const { idle } = connection.record.endpoint;
    this.#idle += 1;
    if (connection.record.slow > 0) idle.unshift(connection);
    else idle.push(connection);
    if (this.#deps.now() > connection.record.oldAt) this.#renew(connection);
  }

  /** The old one goes once a fresh one to the same endpoint has brought a verdict. */
  #renew(old: Pooled): void {
    const { now } = this.#deps;
    const { endpoint, kind } = old.record;
    if (this.#isRenewing || !this.mayOpen || now() - this.#failedAt < QUIET_MS) return;
    this.#isRenewing = true;
    this.open(kind, endpoint, true, (opened) => {
      this.#isRenewing = false;
      if (opened.kind !== "opened") return;
      // Where that endpoint was silent, the connection leads to another one.
      if (opened.connection.record.endpoint === endpoint) opened.connection.record.replaces = old;
      this.#free(opened.connection);
    });
  }

  /** The one that it replaces has nothing more to carry. */
  #retire(record: ConnectionRecord): void {
    const old = record.replaces;
    record.replaces = null;
    if (old === null) return;
    old.record.isSpent = true;
    if (old.record.endpoint.idle.includes(old)) old.close();
  }

  #forget(connection: Pooled): void {
    if (this.#remove(connection)) this.#openForNext();
  }

  #remove(connection: Pooled): boolean {
    this.#shareable.delete(connection);
    const { idle } = connection.record.endpoint;
    const index = idle.indexOf(connection);
    if (index !== -1) this.#removeIdle(idle, index);
    return this.#all.delete(connection);
  }

  /** In the order of the queue, and only while no connection is idle and no more may be opened. */
  #shareBusy(): void {
    if (this.#shareable.size === 0) return;
    for (const connection of this.#shareable) {
      const waiter = this.#waitQueue.first;
      if (!waiter?.mayShare || this.#idle > 0 || this.mayOpen) return;
      this.#shareable.delete(connection);
      if (!connection.hasTurn) continue;
      this.#waitQueue.shift();
      waiter.take(connection);
      if (connection.hasTurn) this.#shareable.add(connection);
    }
  }
}
