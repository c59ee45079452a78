/**
 * What is known of a route, as data: by one process, which may tell another, or by several together. Counts are
 * since the start and never fall. Times are Unix milliseconds.
 */
import type { FallbackMode, FallbackReason, FaultReason, LoginResult, Source } from "../../core/types.ts";
import { type BreakerState, isActive } from "../fallback-periods.ts";
import { DURATION_BOUNDS, fewestUsers, type RouteRecord } from "../route-record.ts";
import type { WallClock } from "./wall-clock.ts";

export type LoginCounts = Readonly<Record<LoginResult["kind"], number>>;

export interface RouteFacts {
  readonly route: string;
  /** By who decided. */
  readonly checks: Readonly<Record<Source, number>>;
  /** Decided by a fallback, be it by grace or by a person's choice. */
  readonly fallbacks: number;
  /** An error went back and no fallback. */
  readonly errors: number;
  /** One count per bound of `DURATION_BOUNDS`, and one for what took longer. */
  readonly durations: readonly number[];
  readonly logins: LoginCounts;
  readonly breaker: BreakerFacts;
  /** null: it is not in fallback. */
  readonly fallback: FallbackFacts | null;
  readonly lastFault: { readonly reason: FaultReason; readonly at: number } | null;
  /** Who can log in by the emergency login; null: nothing asks for one. */
  readonly users: number | null;
}

/** `since`: when it left `closed`. */
export interface BreakerFacts {
  readonly state: BreakerState;
  readonly since: number | null;
}

export interface FallbackFacts {
  /** How it began. */
  readonly mode: FallbackMode;
  readonly reason: FallbackReason;
  readonly since: number;
  /** When the last one was served; null: nobody has come yet. */
  readonly served: number | null;
  /** The next check falls back whatever it meets: the breaker is not closed, or a person wants it so. */
  readonly isHeld: boolean;
  /** Served. */
  readonly checks: number;
}

export interface RouteFactsDeps {
  /** Milliseconds, monotonic; the clock of the records. */
  now(): number;
  readonly wallClock: WallClock;
  /** Users in an htpasswd file; 0 when it cannot be read. */
  htpasswdUsers(file: string): number;
}

export function factsOf(record: RouteRecord, sources: RouteFactsDeps): RouteFacts {
  const { checks, route, logins, checkDurations, breaker, lastFault } = record;
  const { wallClock } = sources;
  const notKept = checks.override.error;
  return {
    route: route.name,
    checks: {
      upstream: total(checks.upstream),
      fallback: total(checks.fallback),
      grace: total(checks.grace),
      override: total(checks.override),
      shed: total(checks.shed),
    },
    fallbacks: total(checks.fallback) + total(checks.grace) + total(checks.override) - notKept,
    errors: checks.upstream.error + notKept,
    durations: [...checkDurations.counts],
    logins: { ...logins },
    breaker: {
      state: breaker.state,
      since: breaker.state === "closed" ? null : wallClock(breaker.since),
    },
    fallback: fallbackOf(record, sources),
    lastFault: lastFault && { reason: lastFault.reason, at: wallClock(lastFault.at) },
    users: fewestUsers(route, sources.htpasswdUsers),
  };
}

function fallbackOf(record: RouteRecord, { now, wallClock }: RouteFactsDeps): FallbackFacts | null {
  const { period, breaker, isOverridden } = record;
  if (period === null || !isActive(record, now())) return null;
  const { mode, reason, since, served, checks } = period;
  return {
    mode,
    reason,
    since: wallClock(since),
    served: Number.isFinite(served) ? wallClock(served) : null,
    isHeld: breaker.state !== "closed" || isOverridden,
    checks,
  };
}

/** Of several processes: counts as sums, a breaker as the worst of them has it. Ended ones come last. */
export function sumFacts(processes: readonly (readonly RouteFacts[])[]): readonly RouteFacts[] {
  const sums = new Map<string, RouteFacts>();
  for (const facts of processes.flat()) {
    const sum = sums.get(facts.route);
    sums.set(facts.route, sum ? sumOf(sum, facts) : facts);
  }
  return [...sums.values()];
}

/** What lasts of processes that ended, for as long as their route is there. */
export function endedFacts(
  processes: readonly (readonly RouteFacts[])[],
  routes: ReadonlySet<string>,
): readonly RouteFacts[] {
  const lasting = processes.map((facts) =>
    facts
      .filter(({ route }) => routes.has(route))
      .map((one): RouteFacts => ({ ...one, breaker: CLOSED, fallback: null, users: null })),
  );
  return sumFacts(lasting);
}

/** Before any process has told. */
export function noFacts(route: string): RouteFacts {
  return {
    route,
    checks: { upstream: 0, fallback: 0, grace: 0, override: 0, shed: 0 },
    fallbacks: 0,
    errors: 0,
    durations: Array.from({ length: DURATION_BOUNDS.length + 1 }, () => 0),
    logins: { ok: 0, missing: 0, bad: 0, limited: 0, forbidden: 0 },
    breaker: CLOSED,
    fallback: null,
    lastFault: null,
    users: null,
  };
}

const CLOSED: BreakerFacts = { state: "closed", since: null };
/** The worst last. */
const BY_SEVERITY: readonly BreakerState[] = ["closed", "half-open", "open"];

function sumOf(a: RouteFacts, b: RouteFacts): RouteFacts {
  return {
    route: a.route,
    checks: added(a.checks, b.checks),
    fallbacks: a.fallbacks + b.fallbacks,
    errors: a.errors + b.errors,
    durations: a.durations.map((count, index) => count + (b.durations[index] ?? 0)),
    logins: added(a.logins, b.logins),
    breaker: worst(a.breaker, b.breaker),
    fallback: both(a.fallback, b.fallback, together),
    lastFault: both(a.lastFault, b.lastFault, (one, other) => (one.at >= other.at ? one : other)),
    users: both(a.users, b.users, Math.min),
  };
}

function worst(a: BreakerFacts, b: BreakerFacts): BreakerFacts {
  const { state } = BY_SEVERITY.indexOf(a.state) >= BY_SEVERITY.indexOf(b.state) ? a : b;
  return { state, since: both(a.since, b.since, Math.min) };
}

/** As a person would tell it: how it began is how it began for the first of them. */
function together(a: FallbackFacts, b: FallbackFacts): FallbackFacts {
  const { mode, reason, since } = a.since <= b.since ? a : b;
  const served = both(a.served, b.served, Math.max);
  return { mode, reason, since, served, isHeld: a.isHeld || b.isHeld, checks: a.checks + b.checks };
}

function both<Value>(a: Value | null, b: Value | null, join: (a: Value, b: Value) => Value): Value | null {
  if (a === null || b === null) return a ?? b;
  return join(a, b);
}

function added<Key extends string>(
  a: Readonly<Record<Key, number>>,
  b: Readonly<Record<Key, number>>,
): Record<Key, number> {
  const sums = { ...a } as Record<Key, number>;
  for (const key of Object.keys(sums) as Key[]) sums[key] += b[key];
  return sums;
}

function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}
