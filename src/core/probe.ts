/**
 * The check we make ourselves. It repeats host, proto and method of the last check that passed or was challenged,
 * and no other word of any client: no path, cookie, credential or header. A client that breaks the upstream with
 * something else of its own cannot break the probe, and one that was refused cannot teach it what to ask.
 */
import { classify } from "./classify.ts";
import { firstHeader, overridden } from "./headers.ts";
import type { FaultRules, ProbeRules, Route } from "./snapshot.ts";
import type { Check, FaultReason, Judgement, Outcome, RawHeaders, UpstreamRequest } from "./types.ts";

/**
 * What a probe found. `fine`: a verdict; `passed`: not a refusal, so its template is worth keeping. `suspect`: the upstream answers, but no probe should get such an answer
 * (row 3 of the evidence). `fault`: rows 1 and 2. `unknown`: our own limits kept it from asking.
 */
export type ProbeResult =
  | { readonly kind: "fine"; readonly passed: boolean }
  | { readonly kind: "suspect"; readonly reason: FaultReason }
  | { readonly kind: "fault"; readonly reason: FaultReason }
  | { readonly kind: "unknown" };

/** How long a finding of an upstream at fault holds. */
export const BAD_HOLDS_MS = 1_000;

/** `outcome`: of a probe. */
export function findingOf(outcome: Outcome, rules: FaultRules): ProbeResult {
  if (outcome.kind !== "answer" && outcome.kind !== "failure") return { kind: "unknown" };
  const verdict = classify(outcome, rules);
  if (verdict.kind === "fault" || verdict.kind === "suspect")
    return { kind: verdict.kind, reason: verdict.reason };
  return { kind: "fine", passed: verdict.kind !== "deny" };
}

/** The finding that speaks for several: one verdict, be it a refusal, shows an upstream that gives verdicts. */
export function bestOf(findings: readonly ProbeResult[]): ProbeResult {
  return findings.toSorted((a, b) => rank(b) - rank(a))[0] ?? UNKNOWN;
}

function rank(finding: ProbeResult): number {
  if (finding.kind === "fine") return finding.passed ? 4 : 3;
  return { suspect: 2, fault: 1, unknown: 0 }[finding.kind];
}

const UNKNOWN: ProbeResult = { kind: "unknown" };

/** Of several processes: what the one says that has it worst. */
export function worstOf(findings: readonly ProbeResult[]): ProbeResult {
  return findings.toSorted((a, b) => rank(a) - rank(b)).find(({ kind }) => kind !== "unknown") ?? UNKNOWN;
}

/** Whether a probe's finding says that the upstream is broken, and not the client. Unknown is no reason to let anybody in. */
export function confirms(finding: ProbeResult): boolean {
  return finding.kind === "suspect" || finding.kind === "fault";
}

/** null: nothing was found out. */
export function judgementOf(finding: ProbeResult): Judgement | null {
  if (finding.kind === "unknown") return null;
  return confirms(finding) ? "confirmed" : "cleared";
}

/** Milliseconds. */
export function holds(finding: ProbeResult, rules: ProbeRules): number {
  if (finding.kind === "unknown") return 0;
  if (finding.kind !== "fine") return BAD_HOLDS_MS;
  // A refusal may be the doing of the one check that was guessed from: it clears that one only.
  return finding.passed ? rules.minInterval : 0;
}

/** What is learned from a check. */
export interface ProbeTemplate {
  readonly method: string;
  readonly headers: RawHeaders;
}

const LEARNED = ["Host", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Method"] as const;
const HOST = /^[a-z0-9.-]{1,253}(?::[0-9]{1,5})?$/i;
const PLAIN: Readonly<Record<(typeof LEARNED)[number], RegExp>> = {
  Host: HOST,
  "X-Forwarded-Host": HOST,
  "X-Forwarded-Proto": /^https?$/,
  "X-Forwarded-Method": /^GET$/,
};

/** Where no check can be learned or guessed from. */
export const BARE: ProbeTemplate = { method: "GET", headers: [] };

/** Of a check that got a verdict: whatever it holds, the upstream can answer it. */
export function learned(check: Check): ProbeTemplate {
  return { method: check.method, headers: taken(check, () => true) };
}

/**
 * Of a check that is itself in question, while none has got a verdict: only what is plain. An odd method or host
 * would make the probe fail just as the check did, and so confirm what its sender brought about.
 */
export function guessed(check: Check): ProbeTemplate {
  return { method: "GET", headers: taken(check, (name, value) => PLAIN[name].test(value)) };
}

function taken(
  check: Check,
  isTaken: (name: (typeof LEARNED)[number], value: string) => boolean,
): RawHeaders {
  return LEARNED.flatMap((name) => {
    const value = firstHeader(check.headers, name.toLowerCase());
    return value !== null && isTaken(name, value) ? [name, value] : [];
  });
}

/** `userAgent`: sparekey's own. */
export function probeRequest(route: Route, template: ProbeTemplate, userAgent: string): UpstreamRequest {
  const own = ["X-Forwarded-Uri", route.probe.uri, "User-Agent", userAgent];
  const headers = [...withHost(template.headers, route.probe.host), ...own];
  return {
    method: template.method,
    target: route.path.kind === "exact" ? route.path.path : route.path.prefix,
    headers: overridden(headers, route.probe.headers),
    body: null,
    repeatable: true,
  };
}

function withHost(headers: RawHeaders, host: ProbeRules["host"]): RawHeaders {
  return host === null ? headers : overridden(headers, ["Host", host, "X-Forwarded-Host", host]);
}
