/**
 * The probe: a check that sparekey makes itself, to see whether the upstream or a client caused a fault.
 *
 * - A probe repeats the host, protocol and method of a check that passed or was challenged, and nothing else: no
 *   path, cookie, credential or other header. So a client that breaks the upstream cannot break the probe too.
 * - A refused check teaches nothing, because a refused client could otherwise choose what the probe asks.
 * - Before any check has passed, a probe is guessed from the check in question, and takes only plain values of it.
 */
import { classify } from "./classify.ts";
import { firstHeader, overridden } from "./headers.ts";
import type { FaultRules, ProbeRules, Route } from "./snapshot.ts";
import type { Check, FaultReason, Judgement, Outcome, RawHeaders, UpstreamRequest } from "./types.ts";

/**
 * `fine`: the upstream gave a verdict; `passed` is false when that was a refusal. `suspect`: the upstream answers,
 * but a healthy one would not answer a probe so (row 3 of the evidence table). `fault`: rows 1 and 2.
 * `unknown`: our own limits kept the probe from being sent.
 */
export type ProbeResult =
  | { readonly kind: "fine"; readonly passed: boolean }
  | { readonly kind: "suspect"; readonly reason: FaultReason }
  | { readonly kind: "fault"; readonly reason: FaultReason }
  | { readonly kind: "unknown" };

/** How long a `suspect` or `fault` holds. */
export const BAD_HOLDS_MS = 1_000;

export function probeResultOf(outcome: Outcome, rules: FaultRules): ProbeResult {
  if (outcome.kind !== "answer" && outcome.kind !== "failure") return UNKNOWN;
  const verdict = classify(outcome, rules);
  if (verdict.kind === "fault" || verdict.kind === "suspect")
    return { kind: verdict.kind, reason: verdict.reason };
  return { kind: "fine", passed: verdict.kind !== "deny" };
}

/** The result of several probes sent together: one verdict, even a refusal, shows that the upstream gives verdicts. */
export function bestOf(results: readonly ProbeResult[]): ProbeResult {
  return results.toSorted((a, b) => rank(b) - rank(a))[0] ?? UNKNOWN;
}

/** The result of several processes: the worst one, because one process may see a fault that the others do not. */
export function worstOf(results: readonly ProbeResult[]): ProbeResult {
  return results.toSorted((a, b) => rank(a) - rank(b)).find(({ kind }) => kind !== "unknown") ?? UNKNOWN;
}

function rank(result: ProbeResult): number {
  if (result.kind === "fine") return result.passed ? 4 : 3;
  return { suspect: 2, fault: 1, unknown: 0 }[result.kind];
}

const UNKNOWN: ProbeResult = { kind: "unknown" };

/** Whether the upstream is broken and not the client's check. `unknown` confirms nothing, so it lets nobody in. */
export function confirms(result: ProbeResult): boolean {
  return result.kind === "suspect" || result.kind === "fault";
}

/** null: the probe could not be sent. */
export function judgementOf(result: ProbeResult): Judgement | null {
  if (result.kind === "unknown") return null;
  return confirms(result) ? "confirmed" : "cleared";
}

/** For how many milliseconds other checks may use the result. */
export function holds(result: ProbeResult, rules: ProbeRules): number {
  if (result.kind === "unknown") return 0;
  if (result.kind !== "fine") return BAD_HOLDS_MS;
  // The check that the probe was guessed from may have caused a refusal, so a refusal clears only that check.
  return result.passed ? rules.minInterval : 0;
}

/** The parts of a probe that come from a check. */
export interface ProbeTemplate {
  readonly method: string;
  readonly headers: RawHeaders;
}

const COPIED_HEADERS = ["Host", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Method"] as const;
const HOST = /^[a-z0-9.-]{1,253}(?::[0-9]{1,5})?$/i;
const PLAIN: Readonly<Record<(typeof COPIED_HEADERS)[number], RegExp>> = {
  Host: HOST,
  "X-Forwarded-Host": HOST,
  "X-Forwarded-Proto": /^https?$/,
  "X-Forwarded-Method": /^GET$/,
};

/** For a probe when there is no check to take anything from. */
export const BARE_TEMPLATE: ProbeTemplate = { method: "GET", headers: [] };

/** For a check that passed or was challenged: the upstream can answer it, whatever its values are. */
export function learnedTemplate(check: Check): ProbeTemplate {
  return { method: check.method, headers: copiedHeaders(check, () => true) };
}

/**
 * For a check in question, when no check has passed yet. Only plain values are taken: with an odd method or host the
 * probe would fail as the check did, and so confirm a fault that the client itself caused.
 */
export function guessedTemplate(check: Check): ProbeTemplate {
  return { method: "GET", headers: copiedHeaders(check, (name, value) => PLAIN[name].test(value)) };
}

function copiedHeaders(
  check: Check,
  isCopied: (name: (typeof COPIED_HEADERS)[number], value: string) => boolean,
): RawHeaders {
  return COPIED_HEADERS.flatMap((name) => {
    const value = firstHeader(check.headers, name.toLowerCase());
    return value !== null && isCopied(name, value) ? [name, value] : [];
  });
}

export function probeRequest(route: Route, template: ProbeTemplate, userAgent: string): UpstreamRequest {
  const own = ["X-Forwarded-Uri", route.probe.uri, "User-Agent", userAgent];
  const headers = [...withHost(template.headers, route.probe.host), ...own];
  return {
    method: template.method,
    target: route.path.kind === "exact" ? route.path.path : route.path.prefix,
    headers: overridden(headers, route.probe.headers),
    body: null,
    repeatable: true,
    trying: { kind: "probe", fault: route.fault },
  };
}

function withHost(headers: RawHeaders, host: ProbeRules["host"]): RawHeaders {
  return host === null ? headers : overridden(headers, ["Host", host, "X-Forwarded-Host", host]);
}
