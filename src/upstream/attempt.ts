/**
 * One attempt of a check: a connection, a request on it, and what came of it. How the request is written and the answer
 * is read is for bytes/attempt.ts and undici/attempt.ts to say; the check as a whole is in exchange.ts.
 */
import type { Answer, Outcome } from "../core/types.ts";
import type { Endpoint } from "./endpoint.ts";
import type { InterruptReason, Wait } from "./interrupt.ts";
import { interrupted } from "./interrupt.ts";
import type { Pool } from "./pool.ts";
import type { Asker, ConnectionKind, ConnectionRecord, Pooled } from "./pooled-connection.ts";
import { ConnectionTake, type Taker } from "./take-connection.ts";
import type { NotTaken } from "./wait-queue.ts";

/**
 * Why an attempt yielded no answer. "stale": its connection died before a byte of the answer came. Where it had carried
 * other requests (`isReused`), or was shared and ended for others' sake, that says nothing of the upstream (RFC 9112
 * section 9.3.1). `sent`: some of the request may have gone out.
 */
export type Failed =
  | Extract<Outcome, { kind: "failure" | "busy" | "overload" | "unsendable" }>
  | { readonly kind: "stale"; readonly sent: boolean; readonly isReused: boolean };

/** What an attempt belongs to. */
export interface AttemptOwner extends Asker {
  readonly pool: Pool;
  /** How many answers the upstream had given when the check came. */
  readonly answers: number;
  /** The latest time of the deadlines' clock for its first byte. It is fixed when the first attempt is asked. */
  readBy(): number;
  /** The latest time for the next byte, when one has just come. */
  readFrom(): number;
  /** Milliseconds to the next byte. */
  readonly readMs: number;
  /** When the check came in, in milliseconds of the monotonic clock. */
  readonly cameAt: number;
  now(): number;
  /** The attempt is under way: it is asked, or a connection is opened for it. */
  begun(): void;
  /** It waits behind others, which is not the upstream's delay. */
  queued(): void;
  /** `isStream`: the body goes on; `over` follows. */
  answered(attempt: Attempt, answer: Answer, isStream: boolean): void;
  failed(attempt: Attempt, failed: Failed): void;
  /** The stream of its answer has ended. */
  over(): void;
}

/** What it needs, whichever path it takes. */
export interface Attempt {
  /** Where it goes. null: that is not known yet. */
  readonly endpoint: Endpoint | null;
  /** null: it has no connection yet. */
  readonly record: ConnectionRecord | null;
  /** When it was asked, or a connection began to be opened for it, in milliseconds of the monotonic clock. */
  readonly beganAt: number;
  /** It has ended, with or without an answer. */
  readonly isOver: boolean;
  /** Whether a byte of an answer has come. */
  readonly hasHeard: boolean;
  /** Its connection had shown just before that its server is well. */
  readonly isProven: boolean;
  /** The connection that it was asked on. null: there was none. */
  readonly connection: Pooled | null;
  /** How it has waited for its connection. */
  readonly wait: Wait;
  /** `endpoint` was chosen for it. */
  begin(endpoint: Endpoint | null): void;
  /**
   * A further attempt, which does not wait. `believes`: it may go over a connection that has shown that its server is
   * well, and else over a fresh one only. Returns false where there is no room for it.
   */
  beginFurther(endpoint: Endpoint, believes: boolean): boolean;
  /**
   * In place of an attempt that says nothing: over a fresh connection, and not behind other checks. `hasWaited`: for
   * some of its time it waited behind others.
   */
  beginAnew(endpoint: Endpoint | null, hasWaited: boolean): void;
  /** Does what is due at `now`. */
  look(now: number): void;
  /** Ends it, because nothing is wanted from it any more. It tells its owner nothing. */
  cut(): void;
  /** The time of its check is up. Says what that means, and ends it. */
  late(reason: InterruptReason): Failed;
  /** Breaks off the stream of its answer. */
  breakOff(outcome: Outcome): void;
}

/** How one path makes attempts. `Subject`: what is asked. */
export interface AttemptPath<Subject> {
  attempt(owner: AttemptOwner, subject: Subject): Attempt;
}

export abstract class BaseAttempt<Connection extends Pooled> implements Attempt, Taker<Connection> {
  endpoint: Endpoint | null = null;
  record: ConnectionRecord | null = null;
  connection: Connection | null = null;
  beganAt = Number.POSITIVE_INFINITY;
  isOver = false;
  isProven = false;
  protected readonly owner: AttemptOwner;
  /** It is null as long as an idle connection was at hand. */
  protected take: ConnectionTake<Connection> | null = null;
  protected abstract readonly kind: ConnectionKind<Connection>;

  constructor(owner: AttemptOwner) {
    this.owner = owner;
  }

  abstract readonly hasHeard: boolean;
  /** Whether it may stand behind other checks on a connection. */
  protected abstract readonly mayShare: boolean;
  protected abstract ask(connection: Connection): void;
  /** Ends the request that is on its way. */
  protected abstract drop(): void;
  abstract breakOff(outcome: Outcome): void;

  begin(endpoint: Endpoint | null): void {
    const { pool, isProbe } = this.owner;
    this.endpoint = endpoint;
    const idle =
      endpoint === null || isProbe ? null : pool.takeIdle(this.kind, endpoint, this.owner.hasCookie);
    if (idle) {
      this.beganAt = this.owner.cameAt;
      return this.#asked(idle);
    }
    this.take = this.#newTake(this.mayShare);
    this.take.begin(endpoint);
  }

  beginFurther(endpoint: Endpoint, believes: boolean): boolean {
    const { pool, hasCookie } = this.owner;
    this.endpoint = endpoint;
    const proven = believes ? pool.takeProven(this.kind, endpoint, hasCookie) : null;
    this.isProven = proven !== null;
    if (!proven && !pool.mayOpen && !pool.makeRoom()) return false;
    if (proven) this.taken(proven);
    else {
      this.take = this.#newTake(false);
      this.take.openAt(endpoint);
    }
    return true;
  }

  beginAnew(endpoint: Endpoint | null, hasWaited: boolean): void {
    this.endpoint = endpoint;
    this.take = this.#newTake(false);
    this.take.beginFresh(endpoint, hasWaited);
  }

  look(now: number): void {
    if (this.connection === null) this.take?.look(now);
  }

  opening(): void {
    this.beganAt = this.owner.now();
    this.owner.begun();
  }

  taken(connection: Connection): void {
    this.beganAt = this.owner.now();
    this.#asked(connection);
  }

  #asked(connection: Connection): void {
    const { record } = connection;
    this.connection = connection;
    this.record = record;
    this.endpoint = record.endpoint;
    record.endpoint.inFlight += 1;
    record.asker = this.owner;
    if (this.owner.isProbe) record.isSpent = true;
    this.owner.begun();
    this.ask(connection);
  }

  notTaken(why: NotTaken): void {
    this.isOver = true;
    this.owner.failed(this, why);
  }

  cut(): void {
    if (this.isOver) return;
    if (this.connection) this.drop();
    else this.take?.cancel();
    this.ended();
  }

  late(reason: InterruptReason): Failed {
    const failed = this.lateAs(reason);
    this.cut();
    return failed;
  }

  protected lateAs(reason: InterruptReason): Failed {
    const outcome = interrupted(reason, this.wait);
    return outcome.kind === "failure" || outcome.kind === "busy" ? outcome : OVERLOAD;
  }

  get wait(): Wait {
    return this.take ? this.take.wait : "none";
  }

  /** Nothing more is waited for. */
  protected ended(): void {
    if (this.isOver) return;
    this.isOver = true;
    if (this.record === null) return;
    this.record.endpoint.inFlight -= 1;
    // What is idle must not keep a check in memory. Where several are asked, the last one counts.
    if (this.record.asker === this.owner) this.record.asker = null;
  }

  #newTake(mayShare: boolean): ConnectionTake<Connection> {
    const { pool, answers } = this.owner;
    return new ConnectionTake({ kind: this.kind, pool, asker: this.owner, mayShare, answers, taker: this });
  }
}

const OVERLOAD: Failed = { kind: "overload" };
