/**
 * What a process has counted, as plain data: one process may report to another, and the reports of several are summed
 * here, once. A process's own report refers to counts that go on growing. The sum is then rendered as metrics
 * (metrics/) and as status (status/). Counts are since the start and never fall. Times are Unix milliseconds.
 */
import type { BreakerState } from "../core/breaker.ts";
import type { EjectedFrom, EjectionReason, EndpointStatus } from "../core/endpoint.ts";
import type { FailingLogins } from "../core/login-progress.ts";
import type {
  FallbackMode,
  FallbackReason,
  FaultReason,
  ProbeStanding,
  ProvenVerdict,
} from "../core/types.ts";
import { isActive } from "./fallback-periods.ts";
import {
  addCounts,
  fewestUsers,
  newRouteCounts,
  type RouteCounts,
  type RouteRecord,
} from "./route-record.ts";
import type { WallClock } from "./wall-clock.ts";

export interface ProcessReport {
  readonly routes: readonly RouteReport[];
  /** Checks being worked on. */
  readonly inFlight: number;
  /** Open connections of gateways. */
  readonly connections: number;
  /** CPU time spent, user and system. */
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  /** What was left of the event loop's turn when the report was asked for. */
  readonly lagSeconds: number;
}

export interface RouteReport {
  readonly route: string;
  readonly counts: RouteCounts;
  /** null: no process that lives has reported the route. */
  readonly breaker: BreakerFacts | null;
  /** Whether a fallback was served a short while ago, or the next check falls back whatever it meets; null: as above. */
  readonly isInFallback: boolean | null;
  /** null: it is not in fallback. */
  readonly fallback: FallbackFacts | null;
  readonly lastFault: { readonly reason: FaultReason; readonly at: number } | null;
  /** null: no process that lives has reported the route, or it is a `none` route, whose probes decide nothing. */
  readonly probe: ProbeStanding | null;
  /** null: logins at the pages that the route carries do not fail, or it carries none. */
  readonly failingLogins: FailingLogins | null;
  /** The users of the emergency login; null: nothing asks for one. */
  readonly users: number | null;
  /** Those of the upstream that are known now. */
  readonly endpoints: readonly EndpointReport[];
}

export interface EndpointReport {
  /** Address and port, which are internal. */
  readonly endpoint: string;
  /** null: it is asked. */
  readonly ejected: EjectionFacts | null;
}

export interface EjectionFacts {
  readonly from: EjectedFrom;
  readonly reason: EjectionReason;
  readonly since: number;
}

/** `ejected` ones are not asked at all, `ejectedCookieless` ones for checks without a cookie. */
export interface EndpointCounts {
  readonly all: number;
  readonly ejected: number;
  readonly ejectedCookieless: number;
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
  /** Fallbacks served. */
  readonly checks: number;
}

/** `silent`: so many of `serving` did not report in time, and count with what they reported last. */
export interface WorkersReport {
  readonly wanted: number;
  readonly serving: number;
  readonly silent: number;
}

interface RouteReportDeps {
  /** Milliseconds, monotonic; the clock of the records. */
  now(): number;
  readonly wallClock: WallClock;
  /** Users in an htpasswd file; 0 when it cannot be read. */
  htpasswdUsers(file: string): number;
  /** Those of the upstream of a route, by name. */
  endpoints(route: string): readonly EndpointStatus[];
}

export function routeReport(record: RouteRecord, deps: RouteReportDeps): RouteReport {
  const { route, counts, breaker, lastFault, standing, failingLogins } = record;
  const { wallClock } = deps;
  return {
    route: route.name,
    counts,
    breaker: {
      state: breaker.state,
      since: breaker.state === "closed" ? null : wallClock(breaker.since),
    },
    isInFallback: isActive(record, deps.now()),
    fallback: fallbackFacts(record, deps),
    lastFault: lastFault && { reason: lastFault.reason, at: wallClock(lastFault.at) },
    probe: route.fallback.mode === "none" ? null : standing,
    failingLogins: failingLogins && { failed: failingLogins.failed, addresses: failingLogins.addresses },
    users: fewestUsers(route, deps.htpasswdUsers),
    endpoints: deps.endpoints(route.name).map(({ endpoint, ejected }) => ({
      endpoint,
      ejected: ejected && { ...ejected, since: wallClock(ejected.since) },
    })),
  };
}

export function countEndpoints(endpoints: readonly EndpointReport[]): EndpointCounts {
  const from = (wanted: EjectedFrom): number =>
    endpoints.filter(({ ejected }) => ejected?.from === wanted).length;
  return { all: endpoints.length, ejected: from("all"), ejectedCookieless: from("cookieless") };
}

function fallbackFacts(record: RouteRecord, { now, wallClock }: RouteReportDeps): FallbackFacts | null {
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

/** Before any process has reported. */
export function emptyRouteReport(route: string): RouteReport {
  return {
    route,
    counts: newRouteCounts(),
    breaker: null,
    isInFallback: null,
    fallback: null,
    lastFault: null,
    probe: null,
    failingLogins: null,
    users: null,
    endpoints: [],
  };
}

/**
 * Counts are summed. A breaker is shown in the worst state that any process has it in, so that one state of a route
 * is 1, as with one process. An endpoint is ejected where any process has ejected it, and a probe is proven where all
 * have proven it. The reports of processes that have ended come last.
 */
export function sumReports(reports: readonly ProcessReport[]): ProcessReport {
  const sumOf = (number: (report: ProcessReport) => number): number =>
    reports.reduce((sum, report) => sum + number(report), 0);
  return {
    routes: sumRoutes(reports.flatMap(({ routes }) => routes)),
    inFlight: sumOf(({ inFlight }) => inFlight),
    connections: sumOf(({ connections }) => connections),
    cpuSeconds: sumOf(({ cpuSeconds }) => cpuSeconds),
    residentBytes: sumOf(({ residentBytes }) => residentBytes),
    lagSeconds: Math.max(0, ...reports.map(({ lagSeconds }) => lagSeconds)),
  };
}

/** The counts of processes that have ended last for as long as their route is there. */
export function endedReport(reports: readonly ProcessReport[], routes: ReadonlySet<string>): ProcessReport {
  const { cpuSeconds, ...sum } = sumReports(reports);
  return {
    ...NOTHING,
    cpuSeconds,
    routes: sum.routes
      .filter(({ route }) => routes.has(route))
      .map((one) => ({ ...emptyRouteReport(one.route), counts: one.counts, lastFault: one.lastFault })),
  };
}

const NOTHING: ProcessReport = {
  routes: [],
  inFlight: 0,
  connections: 0,
  cpuSeconds: 0,
  residentBytes: 0,
  lagSeconds: 0,
};
/** The worst state comes last. */
const BY_SEVERITY: readonly BreakerState[] = ["closed", "half-open", "open"];

export function sumRoutes(reports: readonly RouteReport[]): readonly RouteReport[] {
  const sums = new Map<string, RouteReport>();
  for (const report of reports) {
    const sum = sums.get(report.route);
    sums.set(report.route, sum ? sumOfTwo(sum, report) : report);
  }
  return [...sums.values()];
}

function sumOfTwo(a: RouteReport, b: RouteReport): RouteReport {
  return {
    route: a.route,
    counts: addCounts(a.counts, b.counts),
    breaker: both(a.breaker, b.breaker, worst),
    isInFallback: both(a.isInFallback, b.isInFallback, (one, other) => one || other),
    fallback: both(a.fallback, b.fallback, together),
    lastFault: both(a.lastFault, b.lastFault, (one, other) => (one.at >= other.at ? one : other)),
    probe: both(a.probe, b.probe, weaker),
    failingLogins: both(a.failingLogins, b.failingLogins, ofBoth),
    users: both(a.users, b.users, Math.min),
    endpoints: sumEndpoints(a.endpoints, b.endpoints),
  };
}

function worst(a: BreakerFacts, b: BreakerFacts): BreakerFacts {
  const { state } = BY_SEVERITY.indexOf(a.state) >= BY_SEVERITY.indexOf(b.state) ? a : b;
  return { state, since: both(a.since, b.since, Math.min) };
}

/** The fallback began as it began for the first of the processes. */
function together(a: FallbackFacts, b: FallbackFacts): FallbackFacts {
  const { mode, reason, since } = a.since <= b.since ? a : b;
  const served = both(a.served, b.served, Math.max);
  return { mode, reason, since, served, isHeld: a.isHeld || b.isHeld, checks: a.checks + b.checks };
}

function weaker(a: ProbeStanding, b: ProbeStanding): ProbeStanding {
  return { proven: lowest(a.proven, b.proven), refused: a.refused ?? b.refused };
}

/** A challenge is the better proof of the two. */
function lowest(a: ProvenVerdict | null, b: ProvenVerdict | null): ProvenVerdict | null {
  if (a === null || b === null) return null;
  return a === "allow" ? a : b;
}

/** The same clients may have failed at both. */
function ofBoth(a: FailingLogins, b: FailingLogins): FailingLogins {
  return { failed: a.failed + b.failed, addresses: Math.max(a.addresses, b.addresses) };
}

function sumEndpoints(a: readonly EndpointReport[], b: readonly EndpointReport[]): readonly EndpointReport[] {
  const sums = new Map(a.map((one) => [one.endpoint, one]));
  for (const one of b) {
    const ejected = both(sums.get(one.endpoint)?.ejected ?? null, one.ejected, wider);
    sums.set(one.endpoint, { ...one, ejected });
  }
  return [...sums.values()];
}

/** The ejection from all checks comes before one from some, and then the earlier one. */
function wider(a: EjectionFacts, b: EjectionFacts): EjectionFacts {
  if (a.from !== b.from) return a.from === "all" ? a : b;
  return a.since <= b.since ? a : b;
}

function both<Value>(a: Value | null, b: Value | null, join: (a: Value, b: Value) => Value): Value | null {
  if (a === null || b === null) return a ?? b;
  return join(a, b);
}
