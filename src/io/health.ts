/**
 * What a route knows of its upstream: the breaker, the probe and its last finding. The rules are in core/breaker.ts
 * and core/probe.ts; here are the timers, and the one probe that everybody who wonders waits for.
 */
import {
  afterCheck,
  afterTrial,
  type Breaker,
  CLOSED,
  type Evidence,
  isTrialDue,
  startTrial,
  withoutResult,
} from "../core/breaker.ts";
import { isRedirect } from "../core/classify.ts";
import {
  confirms,
  type Finding,
  findingOf,
  guessed,
  holds,
  learned,
  type ProbeTemplate,
  probeRequest,
} from "../core/probe.ts";
import { isUnreachable } from "../core/treatment.ts";
import type {
  Admission,
  Asking,
  Check,
  FallbackReason,
  Outcome,
  Route,
  Upstream,
  UpstreamRequest,
  Verdict,
  Waiting,
} from "../core/types.ts";

/** Connections for probes, apart from those that checks may have taken all. */
const PROBE_CONNECTIONS = 2;

export interface HealthPorts {
  exchange(
    upstream: Upstream,
    request: UpstreamRequest,
    gone: AbortSignal,
    waiting: Waiting,
  ): Promise<Outcome>;
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

/** One finding at a time, shared by all who ask while it is being made and as long as it holds. */
interface SharedFinding {
  finding: Finding;
  heldUntil: number;
  running: Promise<Finding> | null;
}

/** Owns its timer until `close`. */
export class RouteHealth {
  readonly #route: Route;
  readonly #ports: HealthPorts;
  readonly #probeUpstream: Upstream;
  readonly #waiting: Waiting = new Set();
  readonly #upstream: SharedFinding = { finding: { kind: "unknown" }, heldUntil: 0, running: null };
  readonly #login: SharedFinding = { finding: { kind: "unknown" }, heldUntil: 0, running: null };
  readonly #closed = new AbortController();
  #breaker: Breaker = CLOSED;
  #template: ProbeTemplate | null = null;
  #probeWorked = false;
  #timer: NodeJS.Timeout | null = null;

  constructor(route: Route, ports: HealthPorts) {
    this.#route = route;
    this.#ports = ports;
    this.#probeUpstream = { ...route.upstream, maxConnections: PROBE_CONNECTIONS };
  }

  /** All it may ask, and those of its route's checks. */
  get upstreams(): readonly Upstream[] {
    const { upstream, probe } = this.#route;
    return [upstream, this.#probeUpstream, ...(probe.loginHealth ? [probe.loginHealth.upstream] : [])];
  }

  admit(): Admission {
    const { generation, kind } = this.#breaker;
    if (kind === "closed") return { kind: "ask", generation, isTrial: false, waiting: this.#waiting };
    if (this.#probeWorked || !isTrialDue(this.#breaker, this.#ports.now())) return { kind: "refused" };
    return { kind: "ask", generation: this.#beginTrial(), isTrial: true, waiting: new Set() };
  }

  /** What an admitted check brought. null: nothing that says anything of the upstream. */
  observe(asking: Asking, check: Check, verdict: Verdict | null): void {
    if (verdict === null) return this.#judge(asking, null, null);
    if (verdict.kind === "suspect") return this.#judge(asking, asking.isTrial ? "good" : null, null);
    if (verdict.kind !== "fault") {
      if (verdict.kind !== "deny") this.#template = learned(check);
      return this.#judge(asking, "good", null);
    }
    const { reason } = verdict;
    if (reason === "login_down") return this.#judge(asking, "good", null);
    if (isUnreachable(reason) || this.#route.fault.confirm === "never")
      return this.#judge(asking, "fault", reason);
    void this.#find(check).then((finding) =>
      this.#judge(asking, evidenceOf(finding, asking.isTrial), reason),
    );
  }

  /** Whether a probe finds the upstream at fault too. Waits for one, unless a finding still holds. */
  async confirms(check: Check): Promise<boolean> {
    return confirms(await this.#find(check));
  }

  /** Whether a redirect leads anywhere; always, where no `loginHealth` is set. */
  async isLoginUp(): Promise<boolean> {
    const { loginHealth } = this.#route.probe;
    if (loginHealth === null) return true;
    return !confirms(await this.#share(this.#login, () => this.#askLogin(loginHealth)));
  }

  close(): void {
    this.#closed.abort();
    if (this.#timer) clearTimeout(this.#timer);
  }

  #find(check: Check): Promise<Finding> {
    return this.#share(this.#upstream, () => this.#probe(this.#template ?? guessed(check)));
  }

  #share(shared: SharedFinding, find: () => Promise<Finding>): Promise<Finding> {
    if (this.#ports.now() < shared.heldUntil) return Promise.resolve(shared.finding);
    shared.running ??= find().then((finding) => {
      shared.finding = finding;
      shared.heldUntil = this.#ports.now() + holds(finding, this.#route.probe);
      shared.running = null;
      return finding;
    });
    return shared.running;
  }

  async #probe(template: ProbeTemplate): Promise<Finding> {
    const request = probeRequest(this.#route, template, this.#ports.userAgent);
    const outcome = await this.#ask(this.#probeUpstream, request);
    const redirected = outcome.kind === "answer" && isRedirect(outcome.answer.status);
    const finding = findingOf(outcome, this.#route.fault);
    const found = redirected && !(await this.isLoginUp()) ? LOGIN_DOWN : finding;
    if (found.kind !== "unknown")
      this.#ports.record.probe(this.#route, found.kind === "fine" ? "ok" : "fault");
    if (found.kind === "fine") {
      this.#probeWorked = true;
      this.#template = template;
    }
    return found;
  }

  async #askLogin({ upstream, target }: NonNullable<Route["probe"]["loginHealth"]>): Promise<Finding> {
    const headers = ["Host", `${upstream.host}:${upstream.port}`, "User-Agent", this.#ports.userAgent];
    const request = { method: "GET", target, headers, body: null, repeatable: true };
    const outcome = await this.#ask(upstream, request);
    if (outcome.kind === "failure") return LOGIN_DOWN;
    if (outcome.kind !== "answer") return { kind: "unknown" };
    const { status } = outcome.answer;
    return status >= 200 && status < 300 ? { kind: "fine" } : LOGIN_DOWN;
  }

  async #ask(upstream: Upstream, request: UpstreamRequest): Promise<Outcome> {
    const outcome = await this.#ports.exchange(upstream, request, this.#closed.signal, new Set());
    // What a probe's answer says is not read, so its connection need not bring it.
    if (outcome.kind === "answer" && outcome.answer.body.kind === "stream") outcome.answer.body.cancel();
    return outcome;
  }

  #judge(asking: Asking, evidence: Evidence | null, reason: FallbackReason | null): void {
    const { generation, isTrial } = asking;
    const { breaker: rules } = this.#route;
    const now = this.#ports.now();
    if (isTrial && evidence === null)
      return this.#become(withoutResult(this.#breaker, generation, now), null);
    if (evidence === null) return;
    const after = isTrial ? afterTrial : afterCheck;
    this.#become(after(this.#breaker, rules, generation, evidence, now, this.#ports.random()), reason);
  }

  #beginTrial(): number {
    if (this.#breaker.kind === "closed") return this.#breaker.generation;
    const { total } = this.#route.upstream.timeouts;
    // Its own exchange, a probe to confirm, and that one's look at the login page.
    this.#become(startTrial(this.#breaker, this.#ports.now(), 3 * total), null);
    return this.#breaker.generation;
  }

  async #tryByProbe(): Promise<void> {
    // Where no probe ever worked, the next check is the trial: `admit`.
    if (!this.#probeWorked || this.#template === null) return;
    if (!isTrialDue(this.#breaker, this.#ports.now())) return;
    const generation = this.#beginTrial();
    const finding = await this.#probe(this.#template);
    const trial = { kind: "ask", generation, isTrial: true, waiting: this.#waiting } as const;
    this.#judge(trial, evidenceOf(finding, true), null);
  }

  #become(next: Breaker, reason: FallbackReason | null): void {
    const before = this.#breaker;
    if (next === before) return;
    this.#breaker = next;
    if (next.kind !== before.kind) this.#ports.record.breaker(this.#route, next.kind, reason);
    if (next.kind === "open") this.#schedule(next.tryAt - this.#ports.now());
    if (before.kind === "closed" && next.kind === "open") {
      for (const release of [...this.#waiting]) release();
    }
  }

  #schedule(wait: number): void {
    if (this.#timer) clearTimeout(this.#timer);
    // Rounded up: a timer that comes early would find no trial due, and nothing would wake it again.
    this.#timer = setTimeout(() => void this.#tryByProbe(), Math.ceil(wait) + 1).unref();
  }
}

const LOGIN_DOWN: Finding = { kind: "suspect", reason: "login_down" };

/** An answer that is merely suspect shows an upstream that can be asked: people with a session get their 200. */
function evidenceOf(finding: Finding, isTrial: boolean): Evidence | null {
  if (finding.kind === "fault") return "fault";
  return isTrial && finding.kind !== "unknown" ? "good" : null;
}
