/**
 * The probes of one route: what they are made of is learned and proven here, and all checks in question share the probes
 * that are on their way. The rules are in core/templates.ts, core/probe.ts and core/judge.ts.
 */
import { clientHost, configuredSubject, mayTeach, type ProbeSubject, subjectOf } from "../core/dialect.ts";
import { meaningsOf, type Probed } from "../core/judge.ts";
import { type Finding, holds, meaningOf, NOTHING_FOUND, oddRefusal, probeRequest } from "../core/probe.ts";
import type { Route, Upstream } from "../core/snapshot.ts";
import { createTemplates, type Template, type Templates, unprovenSubject } from "../core/templates.ts";
import type { Check, ProbeStanding, ProvenVerdict } from "../core/types.ts";
import { createLoginPages, type LoginPages } from "./login-pages.ts";
import { type SendProbeDeps, sendProbe } from "./send-probe.ts";
import { createSharedFinding, type SharedFinding } from "./shared-finding.ts";

/**
 * One check of so long a span is learned from, so that learning costs next to nothing. The span is short until a host is
 * proven, because a flood must not keep honest checks from teaching.
 */
const LEARN_EVERY_MS = 50;
const LEARN_FIRST_EVERY_MS = 1;

export interface ProbesDeps extends SendProbeDeps {
  /** Milliseconds, monotonic. */
  now(): number;
  onResult(result: "ok" | "fault"): void;
  onStanding(standing: ProbeStanding): void;
}

/** How long and how old a round's probes may be. */
export interface RoundLimits {
  /** Milliseconds for a probe that is sent now; null: the upstream's timeouts. */
  readonly patience: number | null;
  /** Probes that began earlier do not count. */
  readonly notBefore?: number;
  /** The key of the address of the client whose check is in question. */
  readonly client: string;
}

/** A check that got a verdict. */
interface Taught {
  readonly check: Check;
  readonly verdict: ProvenVerdict;
  readonly client: () => string;
  readonly now: number;
}

export class Probes {
  /** Outlives a reload that leaves the upstream and its question as they are. */
  readonly templates: Templates;
  readonly loginPages: LoginPages;
  readonly upstream: Upstream;
  readonly #route: Route;
  readonly #deps: ProbesDeps;
  readonly #configured: readonly ProbeSubject[];
  readonly #findings = new WeakMap<Template, SharedFinding>();
  readonly #unproven: SharedFinding;
  /** What its good findings are about. */
  readonly #hostOfUnproven = new WeakMap<Finding, string | null>();
  #learnedAt = Number.NEGATIVE_INFINITY;
  #standing: ProbeStanding;

  /** `kept`: what the state before a reload had learned of the same upstream; null: nothing. */
  constructor(route: Route, deps: ProbesDeps, kept: Templates | null) {
    this.#route = route;
    this.#deps = deps;
    this.#configured = route.probe.hosts.map(configuredSubject);
    this.templates = kept ?? createTemplates(this.#configured);
    this.#standing = { proven: this.templates.proven, refused: null };
    this.loginPages = createLoginPages(route, deps, deps.now);
    this.upstream = { ...route.upstream, maxConnections: route.upstream.probeConnections };
    this.#unproven = this.#shared();
  }

  get standing(): ProbeStanding {
    return this.#standing;
  }

  isProvenHost(check: Check): boolean {
    return this.templates.isProven(clientHost(check, this.#route.gateway));
  }

  /** Learns from a check that got a verdict in quiet times. `isQuiet` is asked again before a proof counts. */
  learn({ check, verdict, client, now }: Taught, isQuiet: (verdict: ProvenVerdict) => boolean): void {
    const { proven } = this.templates;
    // Nothing is left to learn from an allow where a challenge is proven.
    if (proven === "challenge" && verdict === "allow") return;
    if (now - this.#learnedAt < (proven === null ? LEARN_FIRST_EVERY_MS : LEARN_EVERY_MS)) return;
    this.#learnedAt = now;
    if (!mayTeach(check)) return;
    const subject = subjectOf(check, this.#route.gateway);
    for (const template of this.templates.learn({ subject, verdict, client: client() }, now))
      void this.#prove(template, isQuiet);
  }

  /**
   * The probes that decide for a check, or for nobody in particular. It settles with the first that is answered as ever,
   * or when all have come to their end. Nothing of the check is kept until then, because a flood of checks that their
   * gateways gave up on may wait for one probe.
   */
  round(check: Check | null, limits: RoundLimits): Promise<readonly Probed[]> {
    const host = check && clientHost(check, this.#route.gateway);
    const templates = this.templates.deciding(host);
    if (templates.length === 0) return this.#unprovenRound(this.#guess(check), limits);
    const probes = templates.map((template) => this.#probed(template, limits));
    const all = Promise.all(probes);
    void all.then((probed) => this.#compare(templates, probed, limits.client));
    return Promise.race([all, firstAsProven(probes)]);
  }

  /** What the probes of a round say of their templates. */
  #compare(templates: readonly Template[], probed: readonly Probed[], client: string): void {
    const meanings = meaningsOf(probed);
    const isWell = meanings.includes("as-proven");
    for (const [index, template] of templates.entries()) {
      if (meanings[index] === "as-proven") this.templates.answeredAsProven(template);
      if (meanings[index] !== "otherwise") continue;
      if (isWell) this.templates.unprove(template);
      else this.templates.answeredOtherwise(template, client, this.#deps.now());
    }
    this.#tell(this.#standing);
  }

  /** What is known at once. Empty: nothing, unless what holds is of all that decide, any of which may clear. */
  held(check: Check): readonly Probed[] {
    const templates = this.templates.deciding(clientHost(check, this.#route.gateway));
    if (templates.length === 0) {
      const { held } = this.#unproven;
      return held ? [{ proven: null, finding: held }] : [];
    }
    const all = templates.flatMap((template) => {
      const finding = this.#of(template).held;
      return finding ? [{ proven: template.proven, finding }] : [];
    });
    return all.length === templates.length ? all : [];
  }

  /** Probes early, for a check that still waits. What was found within `maxAge` is not asked again. */
  early(check: Check, patience: number, maxAge: number): void {
    const templates = this.templates.deciding(clientHost(check, this.#route.gateway));
    if (templates.length === 0) {
      const subject = this.#guess(check);
      return this.#unproven.renew(() => this.#guessed(subject, patience), maxAge);
    }
    for (const template of templates) {
      const { subject, proven } = template;
      this.#of(template).renew(() => this.#send(subject, proven, patience), maxAge);
    }
  }

  async #prove(template: Template, isQuiet: (verdict: ProvenVerdict) => boolean): Promise<void> {
    // What it finds is kept from checks in question, because it says nothing of what comes right after it.
    const finding = await this.#send(template.subject, null, null);
    this.#tellRefusal(finding);
    const { verdict } = finding;
    if (verdict === null || verdict.kind === "deny" || !isQuiet(verdict.kind)) return;
    this.templates.proved(template, verdict.kind);
    this.#tell({ ...this.#standing, refused: null });
  }

  async #probed(template: Template, { patience, notBefore }: RoundLimits): Promise<Probed> {
    const { subject, proven } = template;
    const finding = await this.#of(template).get(() => this.#send(subject, proven, patience), notBefore);
    return { proven, finding };
  }

  async #unprovenRound(subject: ProbeSubject, limits: RoundLimits): Promise<readonly Probed[]> {
    const shared = await this.#askUnproven(subject, limits);
    // A client may ask for a host that needs no login, and must not clear the others by it.
    const isOthers = this.#clearsOther(shared, subject);
    const own = isOthers ? await this.#askUnproven(subject, { ...limits, notBefore: Infinity }) : shared;
    const finding = this.#clearsOther(own, subject) ? NOTHING_FOUND : own;
    this.#tellRefusal(finding);
    return [{ proven: null, finding }];
  }

  #askUnproven(subject: ProbeSubject, { patience, notBefore }: RoundLimits): Promise<Finding> {
    return this.#unproven.get(() => this.#guessed(subject, patience), notBefore);
  }

  async #guessed(subject: ProbeSubject, patience: number | null): Promise<Finding> {
    const finding = await this.#send(subject, null, patience);
    this.#hostOfUnproven.set(finding, subject.host);
    return finding;
  }

  #clearsOther(finding: Finding, { host }: ProbeSubject): boolean {
    return finding.result.kind === "fine" && this.#hostOfUnproven.get(finding) !== host;
  }

  #guess(check: Check | null): ProbeSubject {
    return unprovenSubject(this.#configured, check && subjectOf(check, this.#route.gateway));
  }

  async #send(
    subject: ProbeSubject,
    proven: ProvenVerdict | null,
    patience: number | null,
  ): Promise<Finding> {
    const request = probeRequest(this.#route, subject, this.#deps.userAgent, proven, patience);
    const isLoginUp = () => this.loginPages.areUpNow();
    const { finding } = await sendProbe(this.#route, this.upstream, request, isLoginUp, this.#deps);
    const { kind } = finding.result;
    if (kind !== "unknown") this.#deps.onResult(kind === "fine" ? "ok" : "fault");
    return finding;
  }

  #of(template: Template): SharedFinding {
    const before = this.#findings.get(template);
    if (before) return before;
    const fresh = this.#shared();
    this.#findings.set(template, fresh);
    return fresh;
  }

  #shared(): SharedFinding {
    return createSharedFinding((finding) => holds(finding, this.#route.probe), this.#deps.now);
  }

  #tellRefusal(finding: Finding): void {
    const refused = oddRefusal(finding, this.#route);
    if (refused !== null) this.#tell({ ...this.#standing, refused });
  }

  #tell(standing: ProbeStanding): void {
    const next = { ...standing, proven: this.templates.proven };
    if (next.proven === this.#standing.proven && next.refused === this.#standing.refused) return;
    this.#standing = next;
    this.#deps.onStanding(next);
  }
}

/** Settles with the first probe that was answered as ever, and never without one. */
function firstAsProven(probes: readonly Promise<Probed>[]): Promise<readonly Probed[]> {
  return new Promise((settle) => {
    for (const probe of probes) {
      void probe.then((probed) => {
        const { proven, finding } = probed;
        if (proven !== null && meaningOf(finding, proven) === "as-proven") settle([probed]);
      });
    }
  });
}
