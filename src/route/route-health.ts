/**
 * What a route knows of its upstream: the state of the breaker, and how to probe it. The rules are in core/breaker.ts
 * and core/probe.ts. This file has the timers, and lets all checks in question share one probe.
 */
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
import { LinkedList } from "../core/linked-list.ts";
import {
  BARE_TEMPLATE,
  bestOf,
  confirms,
  guessedTemplate,
  judgementOf,
  learnedTemplate,
  type ProbeResult,
  type ProbeTemplate,
} from "../core/probe.ts";
import type { Route, Upstream } from "../core/snapshot.ts";
import { isUnreachable } from "../core/treatment.ts";
import type { Admission, Asking, Check, FallbackReason, Judgement, Verdict, Waiting } from "../core/types.ts";
import { askLogin, type SendProbeDeps, sendProbe } from "./send-probe.ts";
import { createSharedProbeResult, type SharedProbeResult } from "./shared-probe-result.ts";

const UNKNOWN: ProbeResult = { kind: "unknown" };
/**
 * Probes have connections of their own, because checks may have taken all the others. Two probes go side by side, and a
 * silent one is repeated on up to two more.
 */
const PROBE_CONNECTIONS = 6;

export interface RouteHealthDeps {
  readonly ask: Ask;
  readonly record: {
    probe(route: Route, result: "ok" | "fault"): void;
    breaker(route: Route, state: Breaker["kind"], reason: FallbackReason | null): void;
  };
  /** Milliseconds, monotonic. */
  now(): number;
  /** 0 to 1. */
  random(): number;
  readonly userAgent: string;
}

/** Owns its timer until `close`. */
export class RouteHealth {
  readonly #route: Route;
  readonly #deps: RouteHealthDeps;
  readonly #probeDeps: SendProbeDeps;
  readonly #probeUpstream: Upstream;
  readonly #waiting: Waiting = new LinkedList();
  readonly #upstreamResult: SharedProbeResult;
  readonly #loginResult: SharedProbeResult;
  readonly #closed = new AbortController();
  #breaker: Breaker = CLOSED;
  /**
   * From the first and the last check that passed or was challenged, because one client can hardly send both. The
   * last check becomes a template only when a probe is due, to save that work on every other check.
   */
  #firstPassed: ProbeTemplate | null = null;
  #lastPassed: Check | null = null;
  /** The template of the last probe that passed; null: no probe ever passed. */
  #proven: ProbeTemplate | null = null;
  /** From the last check that met a fault while nothing was learned yet. */
  #guess: ProbeTemplate = BARE_TEMPLATE;
  /** The probe that runs beside a live trial. */
  #probeBesideTrial: Promise<ProbeResult> = Promise.resolve(UNKNOWN);
  /** The probe that a person asked for, while it runs. */
  #probeForPerson: Promise<ProbeResult> | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(route: Route, deps: RouteHealthDeps) {
    this.#route = route;
    this.#deps = deps;
    this.#probeDeps = { ask: deps.ask, userAgent: deps.userAgent, stop: this.#closed.signal };
    this.#upstreamResult = createSharedProbeResult(route.probe, deps.now);
    this.#loginResult = createSharedProbeResult(route.probe, deps.now);
    this.#probeUpstream = { ...route.upstream, maxConnections: PROBE_CONNECTIONS };
  }

  /** The upstreams of the route's checks and probes, and that of its login page. */
  get upstreams(): readonly Upstream[] {
    const { upstream, probe } = this.#route;
    return [upstream, this.#probeUpstream, ...(probe.loginHealth ? [probe.loginHealth.upstream] : [])];
  }

  admit(check: Check): Admission {
    const { generation, kind } = this.#breaker;
    if (kind === "closed") return { kind: "ask", generation, isTrial: false, waiting: this.#waiting };
    if (!this.#triesByCheck() || !isTrialDue(this.#breaker, this.#deps.now())) return { kind: "refused" };
    const trial = this.#beginTrial(new LinkedList());
    // The probe keeps a client from holding the breaker open by taking the trial and hanging up.
    this.#probeBesideTrial = this.#sendProbes(check);
    void this.#probeBesideTrial.then((result) => {
      if (evidenceOf(result, true) === "good") this.#updateBreaker(trial, "good", null);
    });
    return trial;
  }

  /** Called once for each admitted check. null: its outcome says nothing about the upstream. */
  observe(asking: Asking, check: Check, verdict: Verdict | null): void {
    if (verdict === null) return this.#observeLostTrial(asking);
    if (verdict.kind === "suspect") return this.#updateBreaker(asking, asking.isTrial ? "good" : null, null);
    if (verdict.kind !== "fault") {
      if (verdict.kind !== "deny") this.#learn(check);
      return this.#updateBreaker(asking, "good", null);
    }
    const { reason } = verdict;
    if (this.#templates().length === 0) this.#guess = guessedTemplate(check);
    if (reason === "login_down") return this.#updateBreaker(asking, "good", null);
    if (isUnreachable(reason) || this.#route.fault.confirm === "never")
      return this.#updateBreaker(asking, "fault", reason);
    const result = asking.isTrial ? this.#probeBesideTrial : this.#sharedResult(check);
    void result.then((found) => this.#updateBreaker(asking, evidenceOf(found, asking.isTrial), reason));
  }

  /** Waits for a probe, unless a result still holds. null: our own limits kept the probe back. */
  async judge(check: Check): Promise<Judgement | null> {
    return judgementOf(await this.#sharedResult(check));
  }

  /**
   * Whether the login page works; always true without `loginHealth`. While a page that was just down is asked again,
   * it counts as down, because a hung page would hold up every check. No client can cause that.
   */
  async isLoginUp(): Promise<boolean> {
    if (this.#route.probe.loginHealth === null) return true;
    return !confirms(await this.#loginResult.getSoon(this.#askLogin));
  }

  /** Probes for a person. While the breaker is open this is its trial, so that a repair shows at once. */
  probeNow(): Promise<ProbeResult> {
    this.#probeForPerson ??= (
      this.#breaker.kind === "open" ? this.#tryNow() : this.#sendProbes(null)
    ).finally(() => {
      this.#probeForPerson = null;
    });
    return this.#probeForPerson;
  }

  close(): void {
    this.#closed.abort();
    if (this.#timer) clearTimeout(this.#timer);
  }

  readonly #askLogin = (): Promise<ProbeResult> => askLogin(this.#route, this.#probeDeps);

  /** Never uses a result that no longer holds, because an old fault must not let anybody in. */
  #sharedResult(check: Check): Promise<ProbeResult> {
    return this.#upstreamResult.get(() => this.#sendProbes(check));
  }

  /**
   * Sends two probes at once: one from the template that is known to work, which may be out of date, and one from the
   * check that passed last, which may work only with that client's session. While nothing is learned, one probe is
   * guessed from `check` or from the last check in question.
   */
  async #sendProbes(check: Check | null): Promise<ProbeResult> {
    const known = this.#templates();
    const templates = known.length > 0 ? known : [check === null ? this.#guess : guessedTemplate(check)];
    const results = await Promise.all(templates.map((template) => this.#probe(template)));
    const passed = results.findIndex((result) => result.kind === "fine" && result.passed);
    const template = templates[passed];
    if (template) this.#keepProven(template);
    return bestOf(results);
  }

  #learn(check: Check): void {
    this.#firstPassed ??= learnedTemplate(check);
    check.hold();
    this.#lastPassed?.release();
    this.#lastPassed = check;
  }

  #templates(): readonly ProbeTemplate[] {
    const first = this.#proven ?? this.#firstPassed;
    const last = this.#lastPassed && learnedTemplate(this.#lastPassed);
    if (first === null) return last === null ? [] : [last];
    return last === null || isSame(last, first) ? [first] : [first, last];
  }

  #keepProven(template: ProbeTemplate): void {
    const isFirst = this.#proven === null;
    this.#proven = template;
    if (isFirst) this.#scheduleTrial();
  }

  async #probe(template: ProbeTemplate): Promise<ProbeResult> {
    const isLoginUp = async (): Promise<boolean> => !confirms(await this.#loginResult.get(this.#askLogin));
    const sent = await sendProbe(this.#route, this.#probeUpstream, template, isLoginUp, this.#probeDeps);
    const { result } = sent;
    if (result.kind !== "unknown")
      this.#deps.record.probe(this.#route, result.kind === "fine" ? "ok" : "fault");
    return result;
  }

  /** When the client of a live trial has left, the probe beside it decides. */
  #observeLostTrial(asking: Asking): void {
    if (!asking.isTrial) return;
    void this.#probeBesideTrial.then((result) => this.#updateBreaker(asking, evidenceOf(result, true), null));
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
    return this.#proven === null || this.#breaker.wait >= this.#route.breaker.maxInterval;
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
    const isGuess = this.#templates().length === 0;
    const result = await this.#sendProbes(null);
    // A refusal of a guessed probe shows nothing: a server that does not know the host refuses it in any state.
    const isOdd = isGuess && result.kind !== "fault" && !(result.kind === "fine" && result.passed);
    this.#updateBreaker(trial, isOdd ? null : evidenceOf(result, true), null);
    return result;
  }

  #setBreaker(next: Breaker, reason: FallbackReason | null): void {
    const before = this.#breaker;
    if (next === before) return;
    this.#breaker = next;
    if (next.kind !== before.kind) this.#deps.record.breaker(this.#route, next.kind, reason);
    this.#scheduleTrial();
    if (before.kind === "closed" && next.kind === "open") this.#waiting.each((release) => release());
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
function evidenceOf(result: ProbeResult, isTrial: boolean): BreakerEvidence | null {
  if (result.kind === "fault") return "fault";
  return isTrial && result.kind !== "unknown" ? "good" : null;
}

function isSame(a: ProbeTemplate, b: ProbeTemplate): boolean {
  return a.method === b.method && a.headers.join("\n") === b.headers.join("\n");
}
