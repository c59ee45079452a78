/**
 * One check on its way to an upstream, from its first attempt to what came of all of them. It always settles, within
 * `timeouts.total`. The rules of further attempts are in core/attempts.ts, their budget is in core/attempt-budget.ts.
 *
 *  first attempt   the endpoint with fewer checks in flight, and its most recently used connection
 *  retry           at once after an attempt that failed, unless it was silent
 *  hedge           beside an attempt that takes far longer than usual, and once more after as long again
 *  deadlines       `read` and `total` count from the first attempt, so no attempt makes a check wait anew
 *  late            who made the check is told once it has waited for twice as long as a hedge does
 *  hurried         it ends before its gateway leaves, where that says when
 *
 * A further attempt never queues. Where all connections are taken, it takes the place of the check's own first one.
 */
import { type AttemptOutcome, evidenceRow, isTimeout, MAX_ATTEMPTS, NO_HOST } from "../core/attempts.ts";
import { SLOW_ANSWER_MS } from "../core/busy.ts";
import { classify, isChallenge } from "../core/classify.ts";
import type { AttemptKind } from "../core/endpoint.ts";
import { hedgeDelay, hurryDelay, isSlow, lateDelay } from "../core/latency.ts";
import type { Place } from "../core/linked-list.ts";
import type { Upstream } from "../core/snapshot.ts";
import type { Answer, Check, FaultReason, Forwarded, Gone, Outcome, Waiting } from "../core/types.ts";
import type { Attempt, AttemptOwner, AttemptPath, Failed } from "./attempt.ts";
import { blameOthers } from "./blame.ts";
import { isStarved, stalledSoFar } from "./deadline.ts";
import type { Deadlines, Timed } from "./deadline-tick.ts";
import type { Endpoint } from "./endpoint.ts";
import { Findings } from "./findings.ts";
import { type InterruptReason, interrupted, type Wait } from "./interrupt.ts";
import type { Pool } from "./pool.ts";

/** A probe is not hedged by what is usual: it must find out whether anybody answers at all. */
const PROBE_HEDGE_MS = 1_000;
/** How often it is told that a check waits unusually long. */
const LATE_AGAIN_MS = 1_000;

/** What all exchanges of a path share. */
export interface ExchangeDeps<Subject> {
  readonly path: AttemptPath<Subject>;
  readonly deadlines: Deadlines;
  /** Milliseconds that never go back. */
  now(): number;
  onAttempt(upstream: Upstream, kind: AttemptKind): void;
}

/** One check or request of our own: what is asked, how, and who waits for the answer. */
interface Question<Subject> {
  readonly pool: Pool;
  readonly subject: Subject;
  readonly how: Pick<Forwarded, "repeatable" | "trying" | "begin">;
  readonly has: Pick<Check, "hasCookie" | "hasAuthorization">;
  readonly gone: Gone;
  readonly waiting: Waiting;
  /** It is called once. */
  settle(outcome: Outcome): void;
}

export class Exchange<Subject> implements AttemptOwner, Timed {
  readonly answers: number;
  readonly #deps: ExchangeDeps<Subject>;
  readonly #question: Question<Subject>;
  readonly #onGone = (): void => this.#interrupt("abandoned");
  readonly #onRelease = (): void => this.#interrupt("released");
  #attempts: Attempt[] = NONE;
  #placeInDeadlines: Place<Timed> | null = null;
  #placeInWaiting: Place<() => void> | null = null;
  #totalAt = 0;
  /** The time of the deadlines' clock when the check came. */
  #tick = 0;
  #readBy = Number.POSITIVE_INFINITY;
  /** When the latest attempt was under way, by the deadlines' clock. */
  #begunAt = Number.POSITIVE_INFINITY;
  /** Since when the upstream has been waited for, by the same clock. null: it is not, or others are in front. */
  #waitsSince: number | null = null;
  #toldLateAt = Number.NEGATIVE_INFINITY;
  #stalledBefore = 0;
  /** null: nothing has failed, as with nearly every check. */
  #findings: Findings | null = null;
  #stream: Attempt | null = null;
  #client: string | null = null;
  #isSettled = false;
  #isOver = false;

  constructor(deps: ExchangeDeps<Subject>, question: Question<Subject>) {
    this.#deps = deps;
    this.#question = question;
    this.answers = question.pool.answers;
  }

  begin(): void {
    const { deadlines } = this.#deps;
    const { gone, waiting, pool, settle } = this.#question;
    const { trying } = this.#question.how;
    if (gone.aborted) return settle({ kind: "abandoned", isLate: false });
    gone.addEventListener("abort", this.#onGone);
    this.#placeInWaiting = waiting.add(this.#onRelease);
    this.#placeInDeadlines = deadlines.add(this);
    const { time } = deadlines;
    this.#tick = time;
    this.#totalAt = time + this.#totalMs;
    this.#stalledBefore = stalledSoFar();
    pool.endpoints.use();
    if (trying.kind === "check") pool.budget.check(time);
    this.#newAttempt().begin(this.#firstEndpoint());
  }

  get pool(): Pool {
    return this.#question.pool;
  }

  get hasCookie(): boolean {
    return this.#question.has.hasCookie;
  }

  get isProbe(): boolean {
    return this.#question.how.trying.kind === "probe";
  }

  /** Whose check it is. null: it is a request of our own, or a plain proxy's. */
  get client(): string | null {
    const { trying } = this.#question.how;
    if (trying.kind !== "check") return null;
    this.#client ??= trying.client();
    return this.#client;
  }

  get cameAt(): number {
    return this.#question.how.begin;
  }

  now(): number {
    return this.#deps.now();
  }

  readBy(): number {
    if (this.#readBy === Number.POSITIVE_INFINITY) {
      this.#readBy = this.readFrom();
      return this.#readBy;
    }
    // It has passed only where the first attempt was heard, so the check is not in silence.
    return this.#readBy > this.#deps.deadlines.time ? this.#readBy : this.readFrom();
  }

  readFrom(): number {
    return this.#deps.deadlines.time + this.readMs;
  }

  get readMs(): number {
    return this.#probePatience ?? this.pool.upstream.timeouts.read;
  }

  get #totalMs(): number {
    return this.#probePatience ?? this.pool.upstream.timeouts.total;
  }

  /** A probe's own deadline. null: it has none, or this is no probe. */
  get #probePatience(): number | null {
    const { trying } = this.#question.how;
    return trying.kind === "probe" ? trying.patience : null;
  }

  begun(): void {
    const { time } = this.#deps.deadlines;
    this.#begunAt = time;
    this.#waitsSince ??= time;
  }

  queued(): void {
    this.#readBy = Number.POSITIVE_INFINITY;
    this.#begunAt = Number.POSITIVE_INFINITY;
    this.#waitsSince = null;
  }

  look(now: number): void {
    if (now >= this.#totalAt) return this.#interrupt(this.#lateAs);
    if (this.#isHurried(now)) return this.#interrupt("hurried");
    for (const attempt of this.#attempts) if (!attempt.isOver) attempt.look(now);
    if (!this.#isSettled && now >= this.#begunAt + this.#hedgeDelay) this.#hedge();
    if (!this.#isSettled) this.#tellLate(now);
  }

  get #lateAs(): InterruptReason {
    if (isStarved(this.#totalMs, this.#stalledBefore)) return "starved";
    return this.#probePatience === null ? "total_timeout" : "read_timeout";
  }

  #isHurried(now: number): boolean {
    const { trying, begin } = this.#question.how;
    if (trying.kind !== "check" || trying.patience === null || this.#isSettled) return false;
    return now >= begin + hurryDelay(trying.patience);
  }

  #tellLate(now: number): void {
    const { trying, repeatable } = this.#question.how;
    if (trying.kind !== "check" || this.#waitsSince === null) return;
    const late = lateDelay(this.#hedgeDelay, this.pool.latency.median, repeatable);
    if (now < this.#waitsSince + late || now < this.#toldLateAt + LATE_AGAIN_MS) return;
    this.#toldLateAt = now;
    trying.late();
  }

  /** Whether the upstream has been waited for as long as it is before a hedge. */
  get #isLate(): boolean {
    const isCheck = this.#question.how.trying.kind === "check";
    return isCheck && this.#waitsSince !== null && this.now() - this.#waitsSince >= this.#hedgeDelay;
  }

  get #hedgeDelay(): number {
    const { pool } = this.#question;
    const { hasAuthorization } = this.#question.has;
    return this.isProbe ? PROBE_HEDGE_MS : hedgeDelay(pool.latency.median, hasAuthorization);
  }

  answered(attempt: Attempt, answer: Answer, isStream: boolean): void {
    const { trying } = this.#question.how;
    const outcome: AttemptOutcome = { kind: "answer", answer };
    const row = trying.kind === "once" ? 0 : evidenceRow(outcome, trying);
    if (trying.kind === "once" || row === 0) return this.#win(attempt, outcome, isStream);
    const verdict = classify(outcome, trying.fault, trying.kind === "check" ? trying.isProvenHost : NO_HOST);
    // Its connection carries the rest of its page, and nothing else.
    if (isStream && attempt.record) attempt.record.isSpent = true;
    else if (attempt.connection) this.pool.vacate(attempt.connection);
    this.#noteBad(attempt, row === 3, "reason" in verdict ? verdict.reason : "unexpected");
    // Nothing holds a page of an error that is so long while another attempt is made.
    if (isStream) return this.#settleStream(attempt, outcome);
    this.#failedWith(attempt, outcome);
  }

  failed(attempt: Attempt, failed: Failed): void {
    if (this.#isSettled) return;
    switch (failed.kind) {
      case "unsendable":
        return this.#conclude(failed);
      case "failure":
        if (attempt.connection) this.pool.vacate(attempt.connection);
        // A connection that could not be opened is told of by its dial.
        if (attempt.record && !this.#isBusy(failed)) this.#noteBad(attempt, false, failed.reason);
        return this.#failedWith(attempt, failed);
      case "busy":
      case "overload":
        if (attempt.connection) this.pool.vacate(attempt.connection);
        this.#found.saidNothing(failed);
        return this.#concludeIfLast();
      case "stale":
        return this.#stale(attempt, failed);
    }
  }

  /** What is sent again costs no budget where its connection says nothing of the upstream. */
  #stale(attempt: Attempt, { sent, isReused }: Extract<Failed, { kind: "stale" }>): void {
    const { pool } = this.#question;
    const { trying, repeatable } = this.#question.how;
    const isOnce = trying.kind === "once";
    // A server that shuts down still takes connections and loses them, while the others of a list are well.
    const saysNothing = isReused || (isOnce && pool.endpoints.all.length > 1);
    if (sent && !saysNothing) return this.failed(attempt, RESET);
    // Where it ended for others' sake, it may still carry the one in front.
    if (attempt.connection?.usable === false) pool.vacate(attempt.connection);
    const most = isOnce ? 2 : MAX_ATTEMPTS;
    if ((repeatable || !sent) && this.#attempts.length < most) {
      const endpoint = this.#nextEndpoint();
      this.#readBy = Number.POSITIVE_INFINITY;
      // It may have to wait in the queue.
      if (this.#attempts.every(({ isOver }) => isOver)) this.#waitsSince = null;
      this.#newAttempt().beginAnew(endpoint, attempt.wait !== "none");
      return pool.passOn();
    }
    this.#found.saidNothing(RESET);
    this.#concludeIfLast();
  }

  over(): void {
    this.#finish();
  }

  /** The endpoint to ask first. A probe goes to the one in question. */
  #firstEndpoint(): Endpoint | null {
    const { pool, how, has } = this.#question;
    const { trying, repeatable } = how;
    const { hasCookie } = has;
    const inQuestion = this.isProbe ? pool.endpoints.inQuestion() : null;
    // A plain proxy's endpoints are ejected only where no connection can be opened, so a trial sends nothing in vain.
    const mayTry = trying.kind === "once" || (trying.kind === "check" && repeatable);
    return inQuestion ?? pool.endpoints.first(hasCookie, mayTry);
  }

  #newAttempt(): Attempt {
    const { path } = this.#deps;
    const { subject } = this.#question;
    const attempt = path.attempt(this, subject);
    // A list that begins with one has no room to spare, which each check would pay for.
    if (this.#attempts === NONE) this.#attempts = [attempt];
    else this.#attempts.push(attempt);
    return attempt;
  }

  #noteBad(attempt: Attempt, isSuspect: boolean, reason: FaultReason): void {
    const { pool, how, has } = this.#question;
    const { trying } = how;
    const { hasCookie } = has;
    const { endpoint } = attempt;
    // A client can bring about a suspect at will, and must not keep old connections from being replaced.
    if (!isSuspect) pool.noteFailure();
    if (endpoint === null || trying.kind === "once") return;
    if (!isSuspect) return pool.endpoints.failed(endpoint, reason, "all");
    pool.endpoints.suspected(endpoint);
    if (!hasCookie) pool.noteSuspect();
    this.#found.suspected({ endpoint, reason });
  }

  get #found(): Findings {
    this.#findings ??= new Findings();
    return this.#findings;
  }

  #failedWith(attempt: Attempt, outcome: AttemptOutcome): void {
    this.#found.failed(outcome, this.#question.how.trying);
    const mayRetry = !isTimeout(outcome) && this.#mayRepeat(attempt);
    if (!mayRetry || !this.#hasPlace || !this.#spend() || !this.#further()) return this.#concludeIfLast();
    this.#deps.onAttempt(this.pool.upstream, "retry");
    this.pool.passOn();
  }

  #mayRepeat(attempt: Attempt): boolean {
    const { repeatable, trying } = this.#question.how;
    if (trying.kind === "once" || this.#attempts.length >= MAX_ATTEMPTS) return false;
    return repeatable || attempt.record === null;
  }

  /** Whether the budget has room for one more. Probes are few, and need none. */
  #spend(): boolean {
    const { deadlines } = this.#deps;
    const { pool } = this.#question;
    const { trying } = this.#question.how;
    return trying.kind !== "check" || pool.budget.take(trying.client, deadlines.time);
  }

  #hedge(): void {
    const { deadlines } = this.#deps;
    const { pool } = this.#question;
    const { trying, repeatable } = this.#question.how;
    this.#begunAt = Number.POSITIVE_INFINITY;
    if (!repeatable || trying.kind === "once" || this.#attempts.length >= MAX_ATTEMPTS) return;
    if (this.#hasPlace && this.#spend() && this.#further())
      return this.#deps.onAttempt(pool.upstream, "hedge");
    // There may be room later.
    this.#begunAt = deadlines.time;
  }

  /** One that this check has not tried, where there is one. */
  #nextEndpoint(): Endpoint | null {
    const { pool } = this.#question;
    const { hasCookie } = this.#question.has;
    const tried = this.#attempts.flatMap(({ endpoint }) => (endpoint ? [endpoint] : []));
    return pool.endpoints.next(hasCookie, tried);
  }

  /** Whether one more attempt has a place. What is spent without one would be missing where there is. */
  get #hasPlace(): boolean {
    return this.#question.pool.hasPlace || this.#replaceable !== null;
  }

  /** The attempt whose connection a further one may replace. null: there is none, or other checks share connections. */
  get #replaceable(): Attempt | null {
    if (this.#question.pool.upstream.pipelining > 1) return null;
    return this.#attempts.find(({ isOver, connection }) => !isOver && connection !== null) ?? null;
  }

  /** Makes one more attempt. Returns false where there is no place for it. */
  #further(): boolean {
    const { pool } = this.#question;
    const endpoint = this.#nextEndpoint();
    if (endpoint === null) return false;
    // What a connection has shown may be from before its server went bad, so it is believed once for each check.
    const believes =
      !this.isProbe && !this.#attempts.some((one) => one.isProven && one.endpoint === endpoint);
    const attempt = this.#newAttempt();
    if (attempt.beginFurther(endpoint, believes)) return true;
    const own = this.#replaceable;
    if (own?.connection) {
      own.cut();
      this.#found.madeWay();
      pool.vacate(own.connection);
      if (attempt.beginFurther(endpoint, believes)) return true;
    }
    this.#attempts.pop();
    return false;
  }

  #win(attempt: Attempt, outcome: AttemptOutcome & { kind: "answer" }, isStream: boolean): void {
    const { deadlines } = this.#deps;
    const { pool, how, has } = this.#question;
    const { trying } = how;
    const { hasCookie } = has;
    if (attempt.record !== null) {
      const { status } = outcome.answer;
      const challenged = !hasCookie && isChallenge(status);
      // What a plain proxy asks may take any time. Whatever it is answered, the endpoint can be reached.
      const isSlow = trying.kind !== "once" && this.#isSlow(attempt, status);
      const slowSince = isSlow ? attempt.beganAt : null;
      pool.noteVerdict(attempt.record, deadlines.time, hasCookie, challenged, slowSince);
    }
    if (deadlines.time - this.#tick >= SLOW_ANSWER_MS) this.#noteSlow(attempt);
    if (this.#attempts.length > 1) this.#winOver(attempt);
    if (isStream) return this.#settleStream(attempt, outcome);
    this.#finish();
    this.#settle(outcome);
  }

  /**
   * Whether an answer took far longer than is usual for answers of its kind. One that comes within a tick of the clock
   * did not.
   */
  #isSlow(attempt: Attempt, status: number): boolean {
    const { deadlines } = this.#deps;
    const { pool } = this.#question;
    const { hasAuthorization } = this.#question.has;
    // Where the upstream checks a password, it is slow on purpose.
    if (hasAuthorization) return false;
    const usual = pool.latencyOf(status);
    const isDue = usual.isDue(deadlines.time);
    if (!isDue && deadlines.time === this.#tick) return false;
    const took = this.now() - attempt.beganAt;
    const { median } = usual;
    if (isDue) {
      usual.add(took);
      pool.latency.add(took);
    }
    return isSlow(took, median);
  }

  /** How long the upstream took, without the time that the check waited for us. */
  #noteSlow(winner: Attempt): void {
    const { time } = this.#deps.deadlines;
    const took = time - Math.max(winner.beganAt, this.#waitsSince ?? this.#tick);
    const { client } = this;
    if (client === null || took < SLOW_ANSWER_MS) return;
    this.pool.endpoints.slowAnswers.add(this.hasCookie, { at: time, took, client });
  }

  /** Whether it is a timeout of an upstream that was busy with the checks of others. */
  #isBusy(outcome: Outcome): boolean {
    if (this.#question.how.trying.kind === "once") return false;
    if (outcome.kind !== "hurried" && !this.#isTimeout(outcome)) return false;
    const { hasCookie, client } = this;
    const { time } = this.#deps.deadlines;
    const since = this.#waitsSince ?? this.#tick;
    return this.pool.endpoints.slowAnswers.explain({ hasCookie, client, since, now: time });
  }

  #winOver(winner: Attempt): void {
    const { pool, has } = this.#question;
    blameOthers(pool.endpoints, {
      winner,
      attempts: this.#attempts,
      suspects: this.#findings?.suspects ?? [],
      hasCookie: has.hasCookie,
      hedgeDelay: this.#hedgeDelay,
      now: this.now(),
    });
    if (this.client !== null) pool.budget.worked(this.client, this.#deps.deadlines.time);
  }

  #concludeIfLast(): void {
    if (this.#attempts.some(({ isOver }) => !isOver)) return this.pool.passOn();
    this.#conclude(this.#found.outcome(this.#question.how.trying));
    this.pool.passOn();
  }

  /** Ends all attempts with what they came to. */
  #conclude(outcome: Outcome): void {
    for (const attempt of this.#attempts) attempt.cut();
    this.#finish();
    if (this.#isBusy(outcome)) return this.#settle({ kind: "busy" });
    this.#settle(this.#isSilent(outcome) ? { ...outcome, silent: true } : outcome);
  }

  /** Whether the upstream was waited for in vain, and not a connection that others have. */
  #isTimeout(outcome: Outcome): outcome is Extract<Outcome, { kind: "failure" }> {
    if (outcome.kind !== "failure" || !isTimeout(outcome)) return false;
    return this.#waitsSince !== null || outcome.reason === "connect_timeout";
  }

  /** Whether it timed out with not a byte of an answer on any attempt. */
  #isSilent(outcome: Outcome): outcome is Extract<Outcome, { kind: "failure" }> {
    return this.#isTimeout(outcome) && !this.#attempts.some(({ hasHeard }) => hasHeard);
  }

  #interrupt(reason: InterruptReason): void {
    if (this.#isOver) return;
    if (this.#stream) return this.#stream.breakOff(interrupted(reason, "none"));
    if (reason === "abandoned") return this.#conclude({ kind: reason, isLate: this.#isLate });
    if (reason === "released") return this.#conclude({ kind: reason });
    if (reason === "hurried") return this.#conclude(interrupted(reason, this.#wait));
    for (const attempt of this.#attempts) {
      if (attempt.isOver) continue;
      const failed = attempt.late(reason);
      if (failed.kind === "unsendable") return this.#conclude(failed);
      if (failed.kind === "failure") this.#found.failed(failed, this.#question.how.trying);
      else if (failed.kind !== "stale") this.#found.saidNothing(failed);
    }
    this.#concludeIfLast();
  }

  /** How its attempts wait. An attempt that is under way counts before one that is not. */
  get #wait(): Wait {
    const left = this.#attempts.filter(({ isOver }) => !isOver);
    return left.find(({ wait }) => wait === "none")?.wait ?? left[0]?.wait ?? "none";
  }

  /** The answer counts, and a breaker that opens has no say in it any more. */
  #settleStream(attempt: Attempt, outcome: Outcome): void {
    this.#stream = attempt;
    for (const other of this.#attempts) if (other !== attempt) other.cut();
    this.#leaveWaiting();
    this.#settle(outcome);
  }

  #settle(outcome: Outcome): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#question.settle(outcome);
  }

  #leaveWaiting(): void {
    if (this.#placeInWaiting) this.#question.waiting.leave(this.#placeInWaiting);
  }

  #finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { deadlines } = this.#deps;
    const { gone } = this.#question;
    gone.removeEventListener("abort", this.#onGone);
    this.#leaveWaiting();
    if (this.#placeInDeadlines) deadlines.leave(this.#placeInDeadlines);
  }
}

/** It is never written to. */
const NONE: Attempt[] = [];
const RESET = { kind: "failure", reason: "reset" } as const;
