/**
 * A route's numbers as labelled series. A series of what can happen on a route is there from the start at 0, because
 * Prometheus cannot see the first increase of a series that appears with it. Labels hold the config's words and our
 * own, never a client's.
 */
import type { BreakerState } from "../../core/breaker.ts";
import type { AttemptKind } from "../../core/endpoint.ts";
import type { Fallback, FaultRules, Route } from "../../core/snapshot.ts";
import { treatmentOf } from "../../core/treatment.ts";
import type {
  FailureReason,
  FallbackMode,
  FallbackReason,
  FallbackResult,
  FaultReason,
  Judgement,
  LoginEnd,
  LoginResult,
  Source,
  SuspectReason,
  VerdictLabel,
} from "../../core/types.ts";
import { countEndpoints, type RouteReport } from "../report.ts";
import { noJudgements, noResults, OTHER_STATUS, type ProbeLabel } from "../route-record.ts";

export interface Series<Label extends string> {
  readonly labels: Readonly<Record<Label, string>>;
  readonly value: number;
}

/** The numbers of a route, of all processes together, beside what the config says of it. */
export interface RouteNumbers extends Omit<RouteReport, "route"> {
  readonly route: Route;
}

export function* checkSeries({
  route,
  counts,
}: RouteNumbers): Iterable<Series<"route" | "source" | "verdict">> {
  const { checks } = counts;
  for (const source of SOURCES) {
    for (const verdict of VERDICTS) {
      const value = checks[source][verdict];
      if (value === 0 && !canHappen(route, source, verdict)) continue;
      yield { labels: { route: route.name, source, verdict }, value };
    }
  }
}

/** The modes are those of the route and its hosts. Another mode stays as long as it has counted something. */
export function* fallbackSeries({
  route,
  counts,
}: RouteNumbers): Iterable<Series<"route" | "mode" | "reason" | "result">> {
  const { fallbacks } = counts;
  const possible = possibleResults(route);
  for (const mode of MODES) {
    const results = possible.get(mode);
    const reasons = new Set([...(results ? fallbackReasons(route, mode) : []), ...fallbacks[mode].keys()]);
    for (const reason of reasons) {
      const served = fallbacks[mode].get(reason) ?? noResults();
      for (const result of RESULTS) {
        const value = served[result];
        if (value === 0 && !results?.has(result)) continue;
        yield { labels: { route: route.name, mode, reason, result }, value };
      }
    }
  }
}

export function* faultSeries({ route, counts }: RouteNumbers): Iterable<Series<"route" | "reason">> {
  const { faults } = counts;
  for (const reason of new Set([...faultReasons(route), ...faults.keys()])) {
    yield { labels: { route: route.name, reason }, value: faults.get(reason) ?? 0 };
  }
}

/** The reasons that a probe has to confirm are there from the start, and others (another 5xx) once they were seen. */
export function* suspectSeries({
  route,
  counts,
}: RouteNumbers): Iterable<Series<"route" | "reason" | "finding">> {
  const { suspects } = counts;
  for (const reason of new Set([...judgedReasons(route), ...suspects.keys()])) {
    const judged = suspects.get(reason) ?? noJudgements();
    for (const finding of FINDINGS) {
      yield { labels: { route: route.name, reason, finding }, value: judged[finding] };
    }
  }
}

export function* probeSeries({ route, counts }: RouteNumbers): Iterable<Series<"route" | "result">> {
  for (const result of PROBE_RESULTS)
    yield { labels: { route: route.name, result }, value: counts.probes[result] };
}

/** Nobody waits unusually long on a `none` route: its pages take as long as they take. */
export function* abandonedSeries({ route, counts }: RouteNumbers): Iterable<Series<"route">> {
  const { abandoned } = counts;
  if (abandoned === 0 && isPlainProxy(route)) return;
  yield { labels: { route: route.name }, value: abandoned };
}

/** As with the breaker: while no process lives, nothing is known of the probes. */
export function* provenSeries({ route, probe }: RouteNumbers): Iterable<Series<"route">> {
  if (probe !== null) yield { labels: { route: route.name }, value: probe.proven === null ? 0 : 1 };
}

export function* attemptSeries({ route, counts }: RouteNumbers): Iterable<Series<"route" | "kind">> {
  for (const kind of ATTEMPTS) yield { labels: { route: route.name, kind }, value: counts.attempts[kind] };
}

export function* breakerSeries({ route, breaker }: RouteNumbers): Iterable<Series<"route" | "state">> {
  if (breaker === null) return;
  for (const state of BREAKER_STATES) {
    yield { labels: { route: route.name, state }, value: breaker.state === state ? 1 : 0 };
  }
}

/** As with the breaker: while no process lives, nothing is known of the endpoints. */
export function* endpointSeries({
  route,
  breaker,
  endpoints,
}: RouteNumbers): Iterable<Series<"route" | "state">> {
  if (breaker === null) return;
  const { all, ejected, ejectedCookieless } = countEndpoints(endpoints);
  const states = {
    in_use: all - ejected - ejectedCookieless,
    ejected,
    ejected_cookieless: ejectedCookieless,
  };
  for (const [state, value] of Object.entries(states)) yield { labels: { route: route.name, state }, value };
}

/** Of all statuses, those that say something about the health of an upstream are there from the start. */
export function* answerSeries({ route, counts }: RouteNumbers): Iterable<Series<"route" | "code">> {
  const { answers } = counts;
  const { suspectStatuses } = route.fault;
  const known = [...USUAL_STATUSES, ...faultStatuses(route), ...suspectStatuses];
  for (const status of new Set([...known, ...answers.keys()])) {
    const code = status === OTHER_STATUS ? "other" : String(status);
    yield { labels: { route: route.name, code }, value: answers.get(status) ?? 0 };
  }
}

export function* loginSeries({ route, counts }: RouteNumbers): Iterable<Series<"route" | "result">> {
  const { logins } = counts;
  const asksForLogin = possibleFallbacks(route).some(({ mode }) => mode === "basic-auth");
  for (const result of LOGIN_RESULTS) {
    const value = logins[result];
    if (value === 0 && !asksForLogin) continue;
    yield { labels: { route: route.name, result }, value };
  }
}

/** Logins at the pages that the route carries. */
export function* loginEndSeries({ route, counts }: RouteNumbers): Iterable<Series<"route" | "result">> {
  if (route.loginOf === null) return;
  for (const result of LOGIN_ENDS)
    yield { labels: { route: route.name, result }, value: counts.loginEnds[result] };
}

function canHappen(route: Route, source: Source, verdict: VerdictLabel): boolean {
  const fallbacks = possibleFallbacks(route);
  const canFallBackTo = fallbacks.some(({ mode }) => VERDICTS_OF_MODE[mode].has(verdict));
  switch (source) {
    case "upstream":
      return true;
    case "fallback":
      return canFallBackTo;
    case "override":
      return verdict === "error" || canFallBackTo;
    case "grace":
      return verdict === "allow" && fallbacks.some(hasGrace);
    case "shed":
      return verdict === "deny";
  }
}

function possibleFallbacks({ fallback, hosts }: Route): readonly Fallback[] {
  return [fallback, ...hosts.map((host) => host.fallback)];
}

function possibleResults(route: Route): ReadonlyMap<FallbackMode, ReadonlySet<FallbackResult>> {
  const possible = new Map<FallbackMode, ReadonlySet<FallbackResult>>();
  for (const fallback of possibleFallbacks(route)) {
    const before = possible.get(fallback.mode) ?? RESULTS_OF_MODE[fallback.mode];
    possible.set(fallback.mode, hasGrace(fallback) ? new Set([...before, "allowed"]) : before);
  }
  return possible;
}

function hasGrace(fallback: Fallback): boolean {
  return "grace" in fallback && fallback.grace !== null;
}

function isPlainProxy({ fallback }: Route): boolean {
  return fallback.mode === "none";
}

function faultReasons(route: Route): readonly FaultReason[] {
  const abandoned = isPlainProxy(route) ? [] : (["abandoned"] as const);
  return [...answeredReasons(route), ...abandoned];
}

/** The faults of checks whose gateway still waits for a reply. */
function answeredReasons(route: Route): readonly FaultReason[] {
  const login = route.probe.loginHealth.length === 0 ? [] : (["login_down"] as const);
  return [...FAILURES, ...faultStatuses(route).map(statusReason), ...suspectReasons(route), ...login];
}

/** Plain proxying relays an answer with a fault status instead of falling back. */
function fallbackReasons(route: Route, mode: FallbackMode): readonly FallbackReason[] {
  const faults = isPlainProxy(route) ? FAILURES : answeredReasons(route);
  const overload = mode === "allow" && staysUp(route) ? (["overload"] as const) : [];
  // Envoy alone says how long it waits, so that a check falls back just before its gateway gives up.
  const abandoned = route.gateway === "envoy" && !isPlainProxy(route) ? (["abandoned"] as const) : [];
  return [...faults, ...overload, ...abandoned, "breaker_open", "override"];
}

/** Whether the fallback lets checks through also while the upstream is merely busy. */
function staysUp(route: Route): boolean {
  return possibleFallbacks(route).some((one) => one.mode === "allow" && one.onOverload === "fallback");
}

function judgedReasons(route: Route): readonly FaultReason[] {
  const { mode } = route.fallback;
  const faults = [...FAILURES, ...faultStatuses(route).map(statusReason)].filter(
    (reason) => treatmentOf({ kind: "fault", reason, answer: null }, mode, route.fault.confirm) === "confirm",
  );
  return [...faults, ...suspectReasons(route)];
}

function faultStatuses({ fault }: Route): readonly number[] {
  return [...fault.statuses, ...fault.match.map(({ status }) => status)];
}

/** Without a probe that confirms it, a suspect answer is relayed and never a fault. */
function suspectReasons({ fault, fallback }: Route): readonly SuspectReason[] {
  if (fallback.mode === "none" || fault.confirm === "never") return [];
  const suspects = new Set([...USUAL_SUSPECTS, ...fault.suspectStatuses]);
  const statuses = [...suspects].filter((status) => !fault.statuses.has(status));
  return [
    ...statuses.map(statusReason),
    ...(fault.bare400 ? (["bare_400"] as const) : []),
    ...(expectsAnything(fault) ? (["unexpected"] as const) : []),
  ];
}

function expectsAnything({ expect }: FaultRules): boolean {
  const parts = [expect.challenge, expect.allow].flatMap((one) => Object.values(one));
  return parts.some((part) => (Array.isArray(part) ? part.length > 0 : part !== null));
}

function statusReason(status: number): SuspectReason {
  return `status_${status}`;
}

/** The keys of a record, of which the compiler lets none be missing. */
function keysOf<Key extends string>(record: Readonly<Record<Key, true>>): readonly Key[] {
  return Object.keys(record) as Key[];
}

const SOURCES = keysOf<Source>({ upstream: true, fallback: true, grace: true, override: true, shed: true });
const VERDICTS = keysOf<VerdictLabel>({ allow: true, challenge: true, deny: true, error: true });
const MODES = keysOf<FallbackMode>({ allow: true, "basic-auth": true, deny: true, none: true });
const RESULTS = keysOf<FallbackResult>({
  allowed: true,
  challenged: true,
  rejected: true,
  limited: true,
  denied: true,
});
const LOGIN_RESULTS = keysOf<LoginResult["kind"]>({
  ok: true,
  bad: true,
  missing: true,
  limited: true,
  forbidden: true,
});
const LOGIN_ENDS = keysOf<LoginEnd>({ ok: true, failed: true, loop: true });
const FINDINGS = keysOf<Judgement>({ confirmed: true, cleared: true });
const PROBE_RESULTS = keysOf<ProbeLabel>({ ok: true, fault: true });
const ATTEMPTS = keysOf<AttemptKind>({ retry: true, hedge: true });
const BREAKER_STATES = keysOf<BreakerState>({ closed: true, open: true, "half-open": true });
const FAILURES = keysOf<FailureReason>({
  refused: true,
  unreachable: true,
  connect_timeout: true,
  dns: true,
  tls: true,
  read_timeout: true,
  total_timeout: true,
  reset: true,
  malformed: true,
  too_large: true,
});
const USUAL_STATUSES: readonly number[] = [200, 302, 400, 401, 403, 404, 500];
/** Every 5xx is suspect, even where `suspectStatuses` names others. */
const USUAL_SUSPECTS: readonly number[] = [500];

/** What core/fallback.ts makes of each mode. */
const VERDICTS_OF_MODE: Readonly<Record<FallbackMode, ReadonlySet<VerdictLabel>>> = {
  allow: new Set(["allow"]),
  "basic-auth": new Set(["allow", "challenge", "deny"]),
  deny: new Set(["deny"]),
  none: new Set(["error"]),
};
const RESULTS_OF_MODE: Readonly<Record<FallbackMode, ReadonlySet<FallbackResult>>> = {
  allow: new Set(["allowed"]),
  "basic-auth": new Set(RESULTS),
  deny: new Set(["denied"]),
  none: new Set(["denied"]),
};
