/**
 * The probe: a check that sparekey makes itself, to see whether the upstream or a client caused a fault. It says a host
 * that a template names (core/templates.ts) in the words of the route's gateway (core/dialect.ts), and holds no path,
 * cookie, credential or other header of a client. So a client that breaks the upstream cannot break the probe too.
 */
import { classify } from "./classify.ts";
import { type ProbeSubject, probeHeaders, probeTarget } from "./dialect.ts";
import { overridden } from "./headers.ts";
import type { FaultRules, ProbeRules, Route } from "./snapshot.ts";
import { isUnreachable } from "./treatment.ts";
import type { FaultReason, Outcome, ProvenVerdict, UpstreamRequest } from "./types.ts";

/**
 * `fine`: the upstream gave a verdict; `passed` is false when that was a refusal. `suspect`: the upstream answers,
 * but a healthy one would not answer a probe so (row 3 of the evidence table). `fault`: rows 1 and 2.
 * `unknown`: our own limits kept the probe from being sent, or the upstream is busy with others.
 */
export type ProbeResult =
  | { readonly kind: "fine"; readonly passed: boolean }
  | { readonly kind: "suspect"; readonly reason: FaultReason }
  | { readonly kind: "fault"; readonly reason: FaultReason }
  | { readonly kind: "unknown" };

/** What one probe found. */
export interface Finding {
  readonly result: ProbeResult;
  /** The verdict that it got; null: none. */
  readonly verdict: ProbeVerdict | null;
  /** It could not reach the upstream, or not a byte came: no wrong probe brings that about. */
  readonly isSilence: boolean;
}

interface ProbeVerdict {
  readonly kind: "allow" | "challenge" | "deny";
  readonly status: number;
  /** An allow with the headers that name a user. */
  readonly isNamed: boolean;
}

/** What a finding means beside what a probe of the same template was answered in quiet times. */
export type Meaning =
  /** As ever: the upstream is well. */
  | "as-proven"
  /** A clean verdict, but another one. */
  | "otherwise"
  | "bad"
  | "unknown";

/** How long a bad finding holds. */
export const BAD_HOLDS_MS = 1_000;

const UNKNOWN: ProbeResult = { kind: "unknown" };
export const NOTHING_FOUND: Finding = { result: UNKNOWN, verdict: null, isSilence: false };
export const LOGIN_DOWN: Finding = {
  result: { kind: "suspect", reason: "login_down" },
  verdict: null,
  isSilence: false,
};

export function findingOf(outcome: Outcome, rules: FaultRules): Finding {
  if (outcome.kind !== "answer" && outcome.kind !== "failure") return NOTHING_FOUND;
  const verdict = classify(outcome, rules, () => false);
  if (verdict.kind === "fault") {
    const { reason, silent } = verdict;
    const isSilence = isUnreachable(reason) || silent === true;
    return { result: { kind: "fault", reason }, verdict: null, isSilence };
  }
  if (verdict.kind === "suspect") {
    return { result: { kind: "suspect", reason: verdict.reason }, verdict: null, isSilence: false };
  }
  const { kind } = verdict;
  const isNamed = kind === "allow" && rules.expect.allow.headers.length > 0;
  const { status } = verdict.answer;
  const result = { kind: "fine", passed: kind !== "deny" } as const;
  return { result, verdict: { kind, status, isNamed }, isSilence: false };
}

export function meaningOf({ result, verdict }: Finding, proven: ProvenVerdict): Meaning {
  if (result.kind === "unknown") return "unknown";
  if (verdict === null) return "bad";
  const { kind, isNamed } = verdict;
  // An app that asks for a login where it did not before is an operator's change, and no fault.
  if (kind === "challenge" || kind === proven) return "as-proven";
  return isNamed ? "as-proven" : "otherwise";
}

/** The result of several processes: the worst one, because one process may see a fault that the others do not. */
export function worstOf(results: readonly ProbeResult[]): ProbeResult {
  return results.toSorted((a, b) => rank(a) - rank(b)).find(({ kind }) => kind !== "unknown") ?? UNKNOWN;
}

/** The result of several probes sent together: one verdict, even a refusal, shows that the upstream gives verdicts. */
export function bestOf(results: readonly ProbeResult[]): ProbeResult {
  return results.toSorted((a, b) => rank(b) - rank(a))[0] ?? UNKNOWN;
}

function rank(result: ProbeResult): number {
  if (result.kind === "fine") return result.passed ? 4 : 3;
  return { suspect: 2, fault: 1, unknown: 0 }[result.kind];
}

/** Whether the upstream is broken and not the client's check. `unknown` confirms nothing, so it lets nobody in. */
export function confirms({ kind }: ProbeResult): boolean {
  return kind === "suspect" || kind === "fault";
}

/** For how many milliseconds other checks may use a finding. */
export function holds({ result }: Finding, rules: ProbeRules): number {
  if (result.kind === "unknown") return 0;
  if (result.kind !== "fine") return BAD_HOLDS_MS;
  // The check that the probe was guessed from may have caused a refusal, so a refusal clears only that check.
  return result.passed ? rules.minInterval : 0;
}

/** The 4xx other than 401 that a probe of a route with logins was answered, so that it proves nothing; null: none. */
export function oddRefusal({ verdict }: Finding, { fallback }: Route): number | null {
  const hasLogins = fallback.mode === "basic-auth" || fallback.mode === "deny";
  return hasLogins && verdict?.kind === "deny" ? verdict.status : null;
}

/** `patience`: milliseconds for the whole probe; null: the upstream's timeouts. */
export function probeRequest(
  { gateway, path, probe, fault }: Route,
  subject: ProbeSubject,
  userAgent: string,
  proven: ProvenVerdict | null,
  patience: number | null,
): UpstreamRequest {
  const headers = [...probeHeaders(gateway, subject, probe.uri), "User-Agent", userAgent];
  return {
    method: "GET",
    target: probeTarget(gateway, path, probe.uri),
    headers: overridden(headers, probe.headers),
    body: null,
    repeatable: true,
    trying: { kind: "probe", fault, holds: proven, patience },
  };
}
