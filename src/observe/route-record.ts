/**
 * What a process remembers of one route: plain numbers, so that a check costs a few additions. Counting through the
 * labelled children of the metrics package was measured to cost 0.5 µs a check, most of it for hashing labels.
 */
import type { BreakerState } from "../core/breaker.ts";
import type { AttemptKind } from "../core/endpoint.ts";
import { createLoginHistory, type FailingLogins, type LoginHistory } from "../core/login-progress.ts";
import type { Route } from "../core/snapshot.ts";
import type {
  Decision,
  FallbackMode,
  FallbackReason,
  FallbackResult,
  FaultReason,
  Judgement,
  LoginEnd,
  LoginResult,
  ProbeStanding,
  Source,
  VerdictLabel,
} from "../core/types.ts";
import type { FallbackPeriod } from "./fallback-periods.ts";

/** What can be summed over processes. Counts are since the start and never fall. */
export interface RouteCounts {
  readonly checks: Readonly<Record<Source, Record<VerdictLabel, number>>>;
  readonly fallbacks: Readonly<Record<FallbackMode, Map<FallbackReason, Record<FallbackResult, number>>>>;
  readonly faults: Map<FaultReason, number>;
  readonly suspects: Map<FaultReason, Record<Judgement, number>>;
  readonly probes: Record<ProbeLabel, number>;
  /** Checks that their gateway gave up on after they had waited unusually long. */
  abandoned: number;
  /** Further attempts of checks; the first one of each is not counted. */
  readonly attempts: Record<AttemptKind, number>;
  /** By status. A status that no HTTP answer can have counts under `OTHER_STATUS`. */
  readonly answers: Map<number, number>;
  /** Emergency logins. */
  readonly logins: Record<LoginResult["kind"], number>;
  /** Logins at the pages that the route carries: core/login-progress.ts. */
  readonly loginEnds: Record<LoginEnd, number>;
  readonly checkDurations: Durations;
  readonly answerDurations: Durations;
}

export interface RouteRecord {
  /** The route of the newest config. */
  route: Route;
  readonly counts: RouteCounts;
  /** Monotonic milliseconds; null: there was none. */
  lastFault: { readonly reason: FaultReason; readonly at: number } | null;
  breaker: BreakerRecord;
  /** When a probe last met a fault; null: the last one did not. */
  faultProbeAt: number | null;
  standing: ProbeStanding;
  /** The refusal of probes that an event told last; null: none did. */
  refusalTold: { readonly status: number; readonly at: number } | null;
  readonly loginHistory: LoginHistory;
  /** `since`: when they began to fail. null: they do not. */
  failingLogins: (FailingLogins & { readonly since: number }) | null;
  /** A person has put the route into its fallback. */
  isOverridden: boolean;
  /** null: it is not in fallback. */
  period: FallbackPeriod | null;
  readonly lines: LineSampling;
}

export type ProbeLabel = "ok" | "fault";

/** `since`: when it left `closed`; monotonic milliseconds. */
type BreakerRecord =
  | { readonly state: "closed" }
  | { readonly state: Exclude<BreakerState, "closed">; readonly since: number };

export interface Durations {
  /** One count per bound of `DURATION_BOUNDS`, and one for what is longer. They are not cumulative. */
  readonly counts: number[];
  seconds: number;
}

/** What keeps the log of an outage short. Times are monotonic milliseconds. */
export interface LineSampling {
  lastLine: number;
  /** Checks left out since `lastLine`. */
  omitted: number;
  /** The last line about an emergency login, by user. */
  readonly logins: Map<string, number>;
}

/** Seconds, from a check on the same machine to a little more than the longest default timeout (8 s). */
export const DURATION_BOUNDS: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

export const OTHER_STATUS = 0;
const STATUS = "status_";

export function newRouteRecord(route: Route): RouteRecord {
  return {
    route,
    counts: newRouteCounts(),
    lastFault: null,
    breaker: { state: "closed" },
    faultProbeAt: null,
    standing: { proven: null, refused: null },
    refusalTold: null,
    loginHistory: createLoginHistory(),
    failingLogins: null,
    isOverridden: false,
    period: null,
    lines: { lastLine: Number.NEGATIVE_INFINITY, omitted: 0, logins: new Map() },
  };
}

export function newRouteCounts(): RouteCounts {
  return {
    checks: {
      upstream: noVerdicts(),
      fallback: noVerdicts(),
      grace: noVerdicts(),
      override: noVerdicts(),
      shed: noVerdicts(),
    },
    fallbacks: { allow: new Map(), "basic-auth": new Map(), deny: new Map(), none: new Map() },
    faults: new Map(),
    suspects: new Map(),
    probes: { ok: 0, fault: 0 },
    abandoned: 0,
    attempts: { retry: 0, hedge: 0 },
    answers: new Map(),
    logins: { ok: 0, missing: 0, bad: 0, limited: 0, forbidden: 0 },
    loginEnds: { ok: 0, failed: 0, loop: 0 },
    checkDurations: newDurations(),
    answerDurations: newDurations(),
  };
}

/** The records of a process, one for each route. */
export interface RouteRecords {
  /** Takes the routes of a config. Those that stay (by name) keep their numbers, and removed ones vanish. */
  use(routes: readonly Route[]): void;
  /** undefined: there is no such route now. */
  of(route: string): RouteRecord | undefined;
  all(): Iterable<RouteRecord>;
}

export function createRouteRecords(): RouteRecords {
  let records: ReadonlyMap<string, RouteRecord> = new Map();
  const kept = (route: Route): RouteRecord => {
    const record = records.get(route.name) ?? newRouteRecord(route);
    record.route = route;
    return record;
  };
  return {
    use: (routes) => {
      records = new Map(routes.map((route) => [route.name, kept(route)]));
    },
    of: (route) => records.get(route),
    all: () => records.values(),
  };
}

/** The sum of what two processes have counted; neither is changed. */
export function addCounts<Counts>(a: Counts, b: Counts): Counts {
  return added(a, b) as Counts;
}

/** Counts are numbers, at any depth of objects, lists and maps. Only maps may have keys that the other one lacks. */
function added(a: unknown, b: unknown): unknown {
  if (a === undefined) return b;
  if (b === undefined) return a;
  if (a instanceof Map && b instanceof Map) {
    const keys = new Set([...a.keys(), ...b.keys()]);
    return new Map(Array.from(keys, (key) => [key, added(a.get(key), b.get(key))]));
  }
  if (Array.isArray(a) && Array.isArray(b)) return a.map((one, index) => added(one, b[index]));
  if (typeof a === "object" && a !== null && typeof b === "object" && b !== null) {
    const others = new Map<string, unknown>(Object.entries(b));
    return Object.fromEntries(Object.entries(a).map(([key, one]) => [key, added(one, others.get(key))]));
  }
  return Number(a) + Number(b);
}

export function countCheck(record: RouteRecord, decision: Decision, milliseconds: number): void {
  record.counts.checks[decision.source][decision.verdict] += 1;
  addDuration(record.counts.checkDurations, milliseconds);
  if (decision.fallback === null) return;
  const { mode, result, login } = decision.fallback;
  const byReason = record.counts.fallbacks[mode];
  const reason = boundedReason(decision.fallback.reason, record.route);
  const results = byReason.get(reason) ?? noResults();
  results[result] += 1;
  byReason.set(reason, results);
  if (login !== null) record.counts.logins[login.kind] += 1;
}

export function countAnswer(record: RouteRecord, status: number, milliseconds: number): void {
  addOne(record.counts.answers, isStatus(status, 100) ? status : OTHER_STATUS);
  addDuration(record.counts.answerDurations, milliseconds);
}

/** `now`: monotonic milliseconds. */
export function countFault(record: RouteRecord, reason: FaultReason, now: number): void {
  const bounded = boundedReason(reason, record.route);
  addOne(record.counts.faults, bounded);
  record.lastFault = { reason: bounded, at: now };
}

export function countSuspect(record: RouteRecord, reason: FaultReason, judgement: Judgement): void {
  const bounded = boundedReason(reason, record.route);
  const judgements = record.counts.suspects.get(bounded) ?? noJudgements();
  judgements[judgement] += 1;
  record.counts.suspects.set(bounded, judgements);
}

export function noJudgements(): Record<Judgement, number> {
  return { confirmed: 0, cleared: 0 };
}

export function noResults(): Record<FallbackResult, number> {
  return { allowed: 0, challenged: 0, rejected: 0, limited: 0, denied: 0 };
}

/** An upstream must not be able to make up series. */
function isStatus(status: number, lowest: number): boolean {
  return Number.isInteger(status) && status >= lowest && status <= 599;
}

/** A status below 400 is at fault only where `fault.match` names it, and one above 599 is a malformed answer. */
function boundedReason<Reason extends FallbackReason>(
  reason: Reason,
  { fault }: Route,
): Reason | "malformed" {
  if (!reason.startsWith(STATUS)) return reason;
  const status = Number(reason.slice(STATUS.length));
  const canBe = isStatus(status, 400) || fault.match.some((one) => one.status === status);
  return canBe ? reason : "malformed";
}

function addOne<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function addDuration(durations: Durations, milliseconds: number): void {
  // One NaN would spoil the sum until the process ends.
  if (!Number.isFinite(milliseconds)) return;
  const seconds = Math.max(0, milliseconds) / 1000;
  let bucket = 0;
  while (seconds > (DURATION_BOUNDS[bucket] ?? Number.POSITIVE_INFINITY)) bucket += 1;
  durations.counts[bucket] = (durations.counts[bucket] ?? 0) + 1;
  durations.seconds += seconds;
}

function newDurations(): Durations {
  return { counts: Array.from({ length: DURATION_BOUNDS.length + 1 }, () => 0), seconds: 0 };
}

function noVerdicts(): Record<VerdictLabel, number> {
  return { allow: 0, challenge: 0, deny: 0, error: 0 };
}

/** The fewest users of any file that the route or one of its hosts uses, so that an alert on 0 sees an empty one. */
export function fewestUsers(
  { fallback, hosts }: Route,
  htpasswdUsers: (file: string) => number,
): number | null {
  const all = [fallback, ...hosts.map((host) => host.fallback)];
  const users = all.flatMap((used) => (used.mode === "basic-auth" ? [htpasswdUsers(used.htpasswd)] : []));
  return users.length === 0 ? null : Math.min(...users);
}
