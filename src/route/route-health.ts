/**
 * What a route knows of its upstream: the state of the breaker, and what its checks and probes have shown. The rules are
 * in core/breaker.ts and core/judge.ts. This file has the timers, and brings both together.
 */

import type { Questioned } from "../core/answer-check.ts";
import type { Ask } from "../core/ask.ts";
import {
  afterCheck,
  afterTrial,
  type Breaker,
  type BreakerEvidence,
  CLOSED,
  isAtRest,
  isTrialDue,
  startTrial,
  withoutResult,
} from "../core/breaker.ts";
import { createHeard } from "../core/heard.ts";
import { isBroken, judgementOf, type Probed, type Question } from "../core/judge.ts";
import { LinkedList } from "../core/linked-list.ts";
import { createLitter, litterKey } from "../core/litter.ts";
import { bestOf, type ProbeResult } from "../core/probe.ts";
import type { Route, Upstream } from "../core/snapshot.ts";
import type { Templates } from "../core/templates.ts";
import { isUnreachable } from "../core/treatment.ts";
import type {
  Admission,
  Asking,
  Check,
  Decided,
  FallbackMode,
  FallbackReason,
  Judgement,
  ProbeStanding,
  ProvenVerdict,
  Undecided,
  Verdict,
  Waiting,
} from "../core/types.ts";
import { Probes, type RoundLimits } from "./probes.ts";

/** A verdict as young as this stands against a bad finding of a probe. */
const VERDICT_HOLDS_MS = 1_000;
/** What is younger is not asked again for checks that still wait. */
const EARLY_MAX_AGE_MS = 1_000;
/** After something was confirmed, nothing is learned for so long. */
const QUIET_MS = 60_000;
/** Silence for so long says something, where an answer usually takes a tenth of it. */
const SHORTEST_PATIENCE_MS = 1_000;
const USUAL_FACTOR = 10;

export interface RouteHealthDeps {
  readonly ask: Ask;
  readonly record: {
    probe(route: Route, result: "ok" | "fault"): void;
    proven(route: Route, standing: ProbeStanding): void;
    breaker(route: Route, state: Breaker["kind"], reason: FallbackReason | null): void;
  };
  /** The breaker has closed: the upstream is to be asked by few at first. */
  recovered(upstream: Upstream): void;
  /** Milliseconds, monotonic. */
  now(): number;
  /** 0 to 1. */
  random(): number;
  readonly userAgent: string;
}

/** Checks whose gateways are gone may wait for a probe, and so many of them show all that more of them would. */
const MOST_AWAITING = 1_000;

/** Owns its timer until `close`. */
export class RouteHealth {
  readonly #route: Route;
  readonly #deps: RouteHealthDeps;
  readonly #probes: Probes;
  readonly #waiting: Waiting = new LinkedList();
  readonly #closed = new AbortController();
  readonly #heard = createHeard();
  readonly #litter = createLitter();
  #breaker: Breaker = CLOSED;
  /** A check was answered since the start. */
  #isAnswered = false;
  #confirmedAt = Number.NEGATIVE_INFINITY;
  /** The same, by a probe that was proven. */
  #surelyConfirmedAt = Number.NEGATIVE_INFINITY;
  /** Checks that count for the breaker once a probe has confirmed it. */
  #awaiting = 0;
  /** The probes that run beside a live trial. */
  #besideTrial: Promise<readonly Probed[]> = Promise.resolve([]);
  /** The probe that a person asked for, while it runs. */
  #forPerson: Promise<ProbeResult> | null = null;
  #timer: NodeJS.Timeout | null = null;

  /** `kept`: what was learned of the same upstream before a reload; null: nothing. */
  constructor(route: Route, deps: RouteHealthDeps, kept: Templates | null) {
    this.#route = route;
    this.#deps = deps;
    const { ask, userAgent, now, record } = deps;
    this.#probes = new Probes(
      route,
      {
        ...{ ask, userAgent, now, stop: this.#closed.signal },
        onResult: (result) => record.probe(route, result),
        onStanding: (standing) => {
          record.proven(route, standing);
          // From the first proof on, the trials of the breaker are probes.
          this.#scheduleTrial();
        },
      },
      kept,
    );
  }

  /** What was learned for probes. */
  get templates(): Templates {
    return this.#probes.templates;
  }

  /** How far its probes can be believed. */
  get standing(): ProbeStanding {
    return this.#probes.standing;
  }

  /** It decides nothing, so no probe can let anybody in, and whatever an upstream answers to one shows that it is there. */
  get #isPlainProxy(): boolean {
    return this.#route.fallback.mode === "none";
  }

  /** The upstreams of the route's checks and probes, and those of its login pages. */
  get upstreams(): readonly Upstream[] {
    const { upstream, probe } = this.#route;
    return [upstream, this.#probes.upstream, ...probe.loginHealth.map((page) => page.upstream)];
  }

  admit(check: Check): Admission {
    const { generation, kind } = this.#breaker;
    if (kind === "closed") return { kind: "ask", generation, isTrial: false, waiting: this.#waiting };
    if (!this.#triesByCheck() || !isTrialDue(this.#breaker, this.#deps.now())) return { kind: "refused" };
    const trial = this.#beginTrial(new LinkedList());
    // The probe keeps a client from holding the breaker open by taking the trial and hanging up.
    this.#besideTrial = this.#probes.round(check, FOR_NOBODY);
    void this.#besideTrial.then((round) => {
      if (trialEvidence(round) === "good") this.#updateBreaker(trial, "good", null);
    });
    return trial;
  }

  /** Called for each admitted check that has an outcome. null: that says nothing about the upstream. */
  observe(asking: Asking, questioned: Questioned, verdict: Verdict | null, now: number): void {
    if (verdict === null) return this.#observeLostTrial(asking);
    if (verdict.kind === "suspect") return this.#updateBreaker(asking, asking.isTrial ? "good" : null, null);
    if (verdict.kind !== "fault") {
      this.#observeVerdict(questioned, verdict, now);
      return this.#updateBreaker(asking, "good", null);
    }
    const { reason } = verdict;
    if (reason === "login_down") return this.#updateBreaker(asking, "good", null);
    if (isUnreachable(reason) || this.#route.fault.confirm === "never")
      return this.#updateBreaker(asking, "fault", reason);
    this.#observeOnceConfirmed(asking, questioned, reason);
  }

  /** The check's gateway gave up after the check had waited unusually long: row 4. */
  gaveUp(asking: Asking, questioned: Questioned): void {
    if (asking.isTrial) return this.#observeLostTrial(asking);
    if (this.#isUsualFor(questioned)) return;
    this.#observeOnceConfirmed(asking, questioned, "abandoned");
  }

  /** Waits for probes, unless a finding still holds. null: nothing can be said. */
  async judge(questioned: Questioned, verdict: Undecided, mode: FallbackMode): Promise<Judgement | null> {
    const { check, begin, client } = questioned;
    const row = verdict.kind === "suspect" ? 3 : 2;
    const key = row === 3 ? litterKey(check, verdict, client(), this.#route.gateway) : null;
    if (key !== null && this.#litter.isCleared(key, this.#deps.now())) return "cleared";
    const limits = this.#limits(questioned);
    const isSilent = verdict.kind === "fault" && SILENCES.has(verdict.reason);
    const round = await this.#probes.round(check, isSilent ? this.#sinceBegin(limits, begin) : limits);
    // A suspect answer to somebody whose session is gone is the challenge that does not come. That others with a session
    // are let in says nothing of challenges, so it must not keep him from the emergency login.
    const isAboutChallenges = row === 3 && this.#probes.templates.proven === "challenge";
    const hasCookie = check.hasCookie && !isAboutChallenges;
    const judgement = judgementOf(round, { row, mode, ...this.#known(hasCookie) });
    const now = this.#deps.now();
    if (judgement === "confirmed") {
      this.#confirmedAt = now;
      if (round.some(({ proven }) => proven !== null)) this.#surelyConfirmedAt = now;
      this.#litter.forget();
    }
    if (judgement === "cleared" && key !== null)
      this.#litter.cleared(key, this.#route.probe.minInterval, now);
    return judgement;
  }

  /** Whether it is known at once that the upstream is broken for such a check. */
  isKnownBad(check: Check, mode: FallbackMode): boolean {
    return (
      judgementOf(this.#probes.held(check), { row: 2, mode, ...this.#known(check.hasCookie) }) === "confirmed"
    );
  }

  /** A check waits unusually long. Its probe is to be over when the check's own time is. */
  late(questioned: Questioned): void {
    if (this.#breaker.kind !== "closed" || this.#isUsualFor(questioned)) return;
    const { read } = this.#route.upstream.timeouts;
    const patience = questioned.begin + read - this.#deps.now();
    if (patience > 0) this.#probes.early(questioned.check, patience, EARLY_MAX_AGE_MS);
  }

  isProvenHost(check: Check): boolean {
    return this.#probes.isProvenHost(check);
  }

  /** Whether the login pages work; always true without `loginHealth`. */
  areLoginsUp(): Promise<boolean> {
    return this.#probes.loginPages.areUp();
  }

  /** Probes for a person. While the breaker is open this is its trial, so that a repair shows at once. */
  probeNow(): Promise<ProbeResult> {
    this.#forPerson ??= (
      this.#breaker.kind === "open" ? this.#tryNow() : this.#probes.round(null, FOR_NOBODY).then(resultOf)
    ).finally(() => {
      this.#forPerson = null;
    });
    return this.#forPerson;
  }

  close(): void {
    this.#closed.abort();
    if (this.#timer) clearTimeout(this.#timer);
  }

  #observeVerdict({ check, begin, client }: Questioned, { kind }: Decided, now: number): void {
    this.#isAnswered = true;
    if (kind === "deny") return;
    const { hasCookie } = check;
    // Where sessions are asked for, what is passed without one was not looked up, and a challenge tells a client with a
    // cookie nothing of the sessions of others.
    const isChallenged = this.#probes.templates.proven === "challenge";
    const counts = isChallenged ? (kind === "challenge") !== hasCookie : true;
    if (counts) this.#heard.verdict(hasCookie, now - begin, now);
    if (!this.#isPlainProxy && this.#isQuiet(kind, now))
      this.#probes.learn({ check, verdict: kind, client, now }, this.#isQuietNow);
  }

  /**
   * Whether `verdict` may teach. What an unproven probe confirmed keeps an allow from it, but no challenge, which shows
   * sessions at work: a client with a host that is always answered oddly must not keep everything from being proven.
   */
  #isQuiet(verdict: ProvenVerdict, now: number): boolean {
    const confirmedAt = verdict === "challenge" ? this.#surelyConfirmedAt : this.#confirmedAt;
    return isAtRest(this.#breaker) && now - confirmedAt >= QUIET_MS;
  }

  readonly #isQuietNow = (verdict: ProvenVerdict): boolean => this.#isQuiet(verdict, this.#deps.now());

  /** Whether checks of the same kind have been answered as fast as ever since this one came. */
  #isUsualFor({ check, begin }: Questioned): boolean {
    return this.#heard.usualAt(check.hasCookie) > begin;
  }

  #known(hasCookie: boolean): Pick<Question, "isAnswered" | "hasVerdict"> {
    const hasVerdict = this.#deps.now() - this.#heard.verdictAt(hasCookie) < VERDICT_HOLDS_MS;
    return { isAnswered: this.#isAnswered, hasVerdict };
  }

  /** The last waiting check is to be answered within `read` and a second of its begin. */
  #limits({ check, begin, client }: Questioned): RoundLimits {
    const { read } = this.#route.upstream.timeouts;
    const usual = this.#heard.usual(check.hasCookie) ?? 0;
    const least = Math.min(Math.max(SHORTEST_PATIENCE_MS, usual * USUAL_FACTOR), read);
    const left = begin + read + SHORTEST_PATIENCE_MS - this.#deps.now();
    return { patience: Math.min(Math.max(left, least), read), client: client() };
  }

  /** A good finding from before a silence began says nothing of it, but for a short one it may be a moment old. */
  #sinceBegin(limits: RoundLimits, begin: number): RoundLimits {
    return { ...limits, notBefore: Math.min(begin, this.#deps.now() - EARLY_MAX_AGE_MS) };
  }

  /** Row 2 and 4: the breaker counts what a probe confirms, unless any check was answered meanwhile. */
  #observeOnceConfirmed(asking: Asking, questioned: Questioned, reason: FallbackReason): void {
    const { check, begin } = questioned;
    if (this.#awaiting >= MOST_AWAITING && !asking.isTrial) return;
    this.#awaiting += 1;
    const round = asking.isTrial
      ? this.#besideTrial
      : this.#probes.round(check, this.#sinceBegin(this.#limits(questioned), begin));
    void round.then((probed) => {
      this.#awaiting -= 1;
      if (asking.isTrial) return this.#updateBreaker(asking, trialEvidence(probed), reason);
      const isHeard = this.#heard.verdictAt(true) > begin || this.#heard.verdictAt(false) > begin;
      const doubt = { isAnswered: this.#isAnswered, isPlainProxy: this.#isPlainProxy };
      if (isHeard || !isBroken(probed, doubt)) return;
      this.#confirmedAt = this.#deps.now();
      this.#surelyConfirmedAt = this.#confirmedAt;
      this.#updateBreaker(asking, "fault", reason);
    });
  }

  /** When the client of a live trial has left, the probe beside it decides. */
  #observeLostTrial(asking: Asking): void {
    if (!asking.isTrial) return;
    void this.#besideTrial.then((round) => this.#updateBreaker(asking, trialEvidence(round), null));
  }

  #updateBreaker(asking: Asking, evidence: BreakerEvidence | null, reason: FallbackReason | null): void {
    const { generation, isTrial } = asking;
    if (evidence === "good" && isAtRest(this.#breaker)) return;
    const [rules, now, random] = [this.#route.breaker, this.#deps.now(), this.#deps.random()];
    if (evidence !== null) {
      const after = isTrial ? afterTrial : afterCheck;
      this.#setBreaker(after(this.#breaker, rules, generation, evidence, now, random), reason);
    } else if (isTrial) this.#setBreaker(withoutResult(this.#breaker, generation, now, random), null);
  }

  /**
   * Whether the next trial is a live check: when no probe ever passed, and when probes have failed for long, because
   * a wrong probe must not keep the breaker open.
   */
  #triesByCheck(): boolean {
    if (this.#breaker.kind === "closed") return false;
    return this.#probes.templates.proven === null || this.#breaker.wait >= this.#route.breaker.maxInterval;
  }

  #beginTrial(waiting: Waiting): Asking {
    if (this.#breaker.kind !== "closed") {
      // The time for the trial's own exchange, a probe to confirm it, and that probe's request to the login page.
      const expiry = 3 * this.#route.upstream.timeouts.total;
      this.#setBreaker(startTrial(this.#breaker, this.#deps.now(), expiry), null);
    }
    return { kind: "ask", generation: this.#breaker.generation, isTrial: true, waiting };
  }

  async #tryByProbe(): Promise<void> {
    if (this.#breaker.kind === "closed") return;
    if (!isTrialDue(this.#breaker, this.#deps.now())) return this.#scheduleTrial();
    await this.#tryNow();
  }

  async #tryNow(): Promise<ProbeResult> {
    const trial = this.#beginTrial(this.#waiting);
    const round = await this.#probes.round(null, FOR_NOBODY);
    const result = resultOf(round);
    // A refusal of an unproven probe shows nothing: a server that does not know the host refuses it in any state.
    const isUnproven = !this.#isPlainProxy && round.every(({ proven }) => proven === null);
    const isOdd = isUnproven && result.kind !== "fault" && !(result.kind === "fine" && result.passed);
    this.#updateBreaker(trial, isOdd ? null : trialEvidence(round), null);
    return result;
  }

  #setBreaker(next: Breaker, reason: FallbackReason | null): void {
    const before = this.#breaker;
    if (next === before) return;
    this.#breaker = next;
    if (next.kind !== before.kind) this.#deps.record.breaker(this.#route, next.kind, reason);
    this.#scheduleTrial();
    if (before.kind === "closed" && next.kind === "open") this.#waiting.each((release) => release());
    if (before.kind !== "closed" && next.kind === "closed") this.#deps.recovered(this.#route.upstream);
  }

  #scheduleTrial(): void {
    if (this.#timer) clearTimeout(this.#timer);
    if (this.#breaker.kind === "closed" || this.#closed.signal.aborted) return;
    const at = this.#breaker.kind === "open" ? this.#breaker.tryAt : this.#breaker.expiresAt;
    // When a live check is to be the trial, the probe waits until one had time to come.
    const patience = this.#triesByCheck() ? this.#route.breaker.maxInterval : 0;
    // The time is rounded up, because a timer that fires early would find no trial due.
    const wait = Math.max(0, Math.ceil(at + patience - this.#deps.now())) + 1;
    this.#timer = setTimeout(() => void this.#tryByProbe(), wait).unref();
  }
}

/** A merely suspect answer ends a trial well: the upstream can be asked, and clients with a session get their 200. */
function trialEvidence(round: readonly Probed[]): BreakerEvidence | null {
  const { kind } = resultOf(round);
  if (kind === "unknown") return null;
  return kind === "fault" ? "fault" : "good";
}

function resultOf(round: readonly Probed[]): ProbeResult {
  return bestOf(round.map(({ finding }) => finding.result));
}

const SILENCES: ReadonlySet<FallbackReason> = new Set(["connect_timeout", "read_timeout", "total_timeout"]);
/** For a trial and for a person, who want to know how it is now. */
const FOR_NOBODY: RoundLimits = {
  patience: null,
  notBefore: Number.POSITIVE_INFINITY,
  client: "unknown",
};
