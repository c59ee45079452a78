/**
 * The connections kept to one upstream. At most `maxConnections` exist. A check takes the most recently used one of the
 * endpoint that is chosen for it, or opens one there. When all are taken, it waits in the queue of its client until it
 * has a turn, and while others wait, no client has more than half of them (core/fair-queue.ts). An endpoint that cannot
 * take as many connections has fewer checks at a time (core/concurrency-limit.ts). The connections of both paths are here, so that both have the same limit and the same queue.
 */
import { type AttemptBudget, createAttemptBudget } from "../core/attempt-budget.ts";
import { isRedirect } from "../core/classify.ts";
import type { FairPlace } from "../core/fair-queue.ts";
import { createLatencyWindow, type LatencyWindow } from "../core/latency.ts";
import { LinkedList, type Place } from "../core/linked-list.ts";
import type { Upstream } from "../core/snapshot.ts";
import { type Connected, Dial } from "./connect.ts";
import type { Endpoint } from "./endpoint.ts";
import { EndpointLimits } from "./endpoint-limits.ts";
import type { Endpoints } from "./endpoints.ts";
import {
  type Asker,
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
const SHED = { kind: "overload" } as const;
/** Connections of our own accord are for no client. */
const NOBODY: Asker = { hasCookie: true, isProbe: false, client: null };

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
  readonly #limits: EndpointLimits;
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
  readonly #opening = new Set<{ readonly asker: Asker; readonly first: Endpoint | null }>();
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
    const { maxConnections } = deps.upstream;
    this.#limits = new EndpointLimits({
      maxConnections,
      now: deps.now,
      inFlight: (at) => this.#inFlight(at),
    });
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
    return !this.#isFull && this.#hasRoom;
  }

  get #isFull(): boolean {
    return this.#all.size + this.#opening.size >= this.#deps.upstream.maxConnections;
  }

  /** Whether any endpoint may have one more check. */
  get #hasRoom(): boolean {
    const { all } = this.endpoints;
    return !this.#limits.areSet || all.length === 0 || all.some((endpoint) => this.#limits.hasRoom(endpoint));
  }

  /** In place of an endpoint that may not have one more check, one that may. null: any. */
  withRoom(chosen: Endpoint | null, hasCookie: boolean): Endpoint | null {
    if (!this.#limits.areSet || (chosen !== null && this.#limits.hasRoom(chosen))) return chosen;
    const withRoom = this.endpoints.all.filter((endpoint) => this.#limits.hasRoom(endpoint));
    return withRoom.find((endpoint) => endpoint.isInUse(hasCookie)) ?? withRoom[0] ?? chosen;
  }

  /** Whether a connection is free, or one may be opened. */
  get hasPlace(): boolean {
    return this.mayOpen || (this.#idle > 0 && this.#hasRoom);
  }

  /** The most recently used connection that is free at `endpoint`. null: there is none. */
  takeIdle<Connection extends Pooled>(
    kind: ConnectionKind<Connection>,
    endpoint: Endpoint,
    hasCookie: boolean,
  ): Connection | null {
    const needsChallenge = !hasCookie && this.#proof.isSuspected;
    return this.#takeIdle(
      kind,
      endpoint,
      needsChallenge ? (record) => this.#proof.hasChallenged(record) : null,
    );
  }

  /** One that is free at `endpoint` and has shown that its server is well: see proof.ts. null: there is none. */
  takeProven<Connection extends Pooled>(
    kind: ConnectionKind<Connection>,
    endpoint: Endpoint,
    hasCookie: boolean,
  ): Connection | null {
    return this.#takeIdle(kind, endpoint, (record) => this.#proof.holds(record, hasCookie));
  }

  /** One that is free anywhere, where no more may be opened. null: there is none of the kind. */
  takeAnyIdle<Connection extends Pooled>(kind: ConnectionKind<Connection>): Connection | null {
    for (const endpoint of this.endpoints.all) {
      const found = this.#takeIdle(kind, endpoint, null);
      if (found) return found;
    }
    return null;
  }

  /**
   * Whether all places are taken and `endpoint` has none, while another has several: without a place of theirs, one that
   * is new or comes back would never be asked as long as there is much to do.
   */
  isLeftOut(endpoint: Endpoint): boolean {
    if (!this.#isFull || endpoint.inFlight > 0) return false;
    const others = new Set<Endpoint>();
    for (const { record } of this.#all) {
      if (record.endpoint === endpoint) return false;
      others.add(record.endpoint);
    }
    return others.size < this.#all.size;
  }

  /** Closes a free connection, so that another may be opened in its place. Returns false if there is none. */
  makeRoom(): boolean {
    if (!this.#hasRoom) return false;
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
    asker: Asker,
    done: (opened: OpenedConnection<Connection>) => void,
  ): { cancel(): void } {
    const { upstream, endpoints } = this.#deps;
    const { hasCookie } = asker;
    const opening = { asker, first };
    this.#opening.add(opening);
    if (first) first.inFlight += 1;
    const over = (): void => {
      this.#opening.delete(opening);
      if (first) first.inFlight -= 1;
    };
    const dial = new Dial({
      ...{ upstream, endpoints, first, hasCookie, reading: kind.reading },
      done: (connected) => {
        over();
        if (connected.kind === "connected")
          return done({ kind: "opened", connection: this.#add(kind, connected) });
        this.noteFailure();
        if (connected.kind === "failure" && connected.reason === "connect_timeout" && !asker.isProbe)
          this.#limits.connectTimedOut(endpoints.all);
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

  /** Where there is no more room, it or another one fails at once. */
  joinQueue(waiter: Waiter): FairPlace<Waiter> {
    const { place, lost } = this.#waitQueue.add(waiter, waiter.client);
    this.#shareBusy();
    lost?.fail(SHED);
    return place;
  }

  leaveQueue(place: FairPlace<Waiter>): void {
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
    if (this.#limits.areSet) this.#limits.answered(endpoint);
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

  /** The upstream works again after an outage, so few checks are sent at first. */
  recovered(): void {
    this.#limits.recovered(this.endpoints.all);
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
    endpoint: Endpoint,
    fits: ((record: ConnectionRecord) => boolean) | null,
  ): Connection | null {
    const { idle } = endpoint;
    if (this.#limits.areSet && !this.#limits.hasRoom(endpoint)) return null;
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
    const next = this.mayOpen ? this.#next : null;
    if (next) this.#serve(next).open();
    if (this.#limits.areSet) this.#serveWhileRoom();
    this.#shareBusy();
  }

  #free(connection: Pooled): void {
    const { record } = connection;
    if (this.#closed || !record.mayBeKept) return connection.close();
    if (this.#patient.first !== null && this.#giveToPatient(connection)) return;
    const next = this.#next;
    if (next === null || !this.#limits.hasRoom(record.endpoint)) this.#keep(connection);
    // In its place, the check opens one that fits.
    else if (next.item.needsFresh || !next.item.fits(connection)) {
      this.vacate(connection);
      return this.#openForNext();
    } else this.#serve(next).take(connection);
    if (this.#limits.areSet) this.#serveWhileRoom();
    this.#shareBusy();
  }

  /** A limit that has grown has room for several, and there may be connections that it has kept idle. */
  #serveWhileRoom(): void {
    for (let next = this.#next; next !== null && this.hasPlace; next = this.#next) this.#serve(next).open();
  }

  #inFlight(endpoint: Endpoint): number {
    let inFlight = 0;
    for (const { record } of this.#all) if (record.endpoint === endpoint && record.asker) inFlight += 1;
    for (const { first } of this.#opening) if (first === null || first === endpoint) inFlight += 1;
    return inFlight;
  }

  /** The check whose turn it is. null: none waits. */
  get #next(): FairPlace<Waiter> | null {
    return this.#waitQueue.size === 0 ? null : this.#waitQueue.next(this.#isHeldBack);
  }

  #serve(next: FairPlace<Waiter>): Waiter {
    this.#waitQueue.serve(next);
    return next.item;
  }

  /** Whether a client has half of the places. They are counted only where others wait. */
  readonly #isHeldBack = (client: string): boolean => {
    let left = Math.ceil(this.#limits.sum(this.endpoints.all) / 2);
    for (const { record } of this.#all) if (record.asker?.client === client) left -= 1;
    for (const { asker } of this.#opening) if (asker.client === client) left -= 1;
    return left <= 0;
  };

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
    this.open(kind, endpoint, NOBODY, (opened) => {
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
      const next = this.#next;
      if (!next?.item.mayShare || this.#idle > 0 || this.mayOpen) return;
      this.#shareable.delete(connection);
      if (!connection.hasTurn) continue;
      this.#serve(next).take(connection);
      if (connection.hasTurn) this.#shareable.add(connection);
    }
  }
}
