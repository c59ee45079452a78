/**
 * What the status page shows and `/status.json` says (docs/status.md). Fields may be added, and those that are here
 * stay as long as `format` does. None of them holds a client's words, a secret, a person's name or the address of an
 * upstream.
 */
import type { BreakerState } from "../../core/breaker.ts";
import type { Route } from "../../core/snapshot.ts";
import type {
  FallbackMode,
  FallbackReason,
  FaultReason,
  OverrideMode,
  ProbeStanding,
  Source,
} from "../../core/types.ts";
import { countEndpoints, type EndpointCounts, type FallbackFacts, type WorkersReport } from "../report.ts";
import type { TimelineEntry } from "../timeline.ts";
import { BUCKET_MS, type Quantile, quantile, type Recent, sum } from "./history.ts";
import type { LoginCounts, RouteFacts } from "./route-facts.ts";
import {
  counted,
  failingLoginsText,
  fallbackText,
  letsInText,
  numberText,
  recoveringText,
  refusedProbeText,
  type Tone,
} from "./wording.ts";

/** Starting and draining processes get no new traffic. */
export type Readiness = "starting" | "ready" | "draining";

export interface Status {
  readonly format: 1;
  readonly time: string;
  readonly version: string;
  /** Host name of the machine or container. */
  readonly instance: string;
  readonly readiness: Readiness;
  readonly started: Moment;
  /** One sentence about all routes. */
  readonly summary: string;
  readonly config: ConfigStatus;
  /** null: one process does everything. */
  readonly workers: WorkersReport | null;
  readonly routes: readonly RouteStatus[];
  /** The newest first, 100 at most. */
  readonly events: readonly EventStatus[];
}

/** `seconds` is how long ago it was at `time`, or how long it will take from then. */
export interface Moment {
  readonly at: string;
  readonly seconds: number;
}

interface ConfigStatus {
  /** When the config in use was taken into use. */
  readonly since: Moment;
  /** `refused`: what was read last is not in use. */
  readonly lastReload: "ok" | "refused";
}

/**
 * `answering`: the upstream decides. `idle`: nobody has asked for 15 minutes. `errors`: the upstream decides, but
 * more than one reply in ten of the last minute was an error. `fallback`: some or all checks fall back.
 * `recovering`: none has fallen back for 15 s.
 */
export type RouteStatusState = "answering" | "idle" | "errors" | "fallback" | "recovering";

export interface RouteStatus {
  readonly name: string;
  /** `fallback.mode` of the config. */
  readonly mode: FallbackMode;
  readonly state: RouteStatusState;
  /** The state as a sentence. */
  readonly summary: string;
  readonly since: Moment;
  /** A phrase that says which clients the fallback lets in. */
  readonly letsIn: string;
  readonly warnings: readonly string[];
  readonly fallback: FallbackStatus | null;
  readonly override: OverrideStatus | null;
  readonly breaker: { readonly state: BreakerState; readonly since: Moment | null };
  readonly lastFault: (Moment & { readonly reason: FaultReason }) | null;
  /** null: a `none` route, whose probes decide nothing. */
  readonly probe: ProbeStanding | null;
  readonly endpoints: EndpointCounts;
  /** Since the start, by the source of the decision. */
  readonly checks: Readonly<Record<Source, number>>;
  readonly recent: RecentStatus;
  /** Since the start. */
  readonly emergencyLogins: LoginCounts;
  readonly htpasswdUsers: number | null;
}

interface FallbackStatus {
  /** How it began. */
  readonly mode: FallbackMode;
  readonly reason: FallbackReason;
  readonly since: Moment;
  /** Whether every check falls back, and not only those that meet a fault. */
  readonly everyCheck: boolean;
  readonly lastServed: Moment | null;
  readonly checks: number;
}

interface OverrideStatus {
  readonly mode: OverrideMode;
  readonly until: Moment;
  readonly reason: string | null;
}

/** The last 15 minutes: lists of counts, oldest first, the last one still growing. */
export interface RecentStatus {
  readonly bucketSeconds: number;
  readonly checks: readonly number[];
  readonly fallbacks: readonly number[];
  readonly errors: readonly number[];
  readonly shed: readonly number[];
  readonly latency: { readonly p50: Quantile; readonly p99: Quantile };
}

export interface EventStatus extends Moment {
  readonly kind: TimelineEntry["kind"];
  readonly route: string | null;
  readonly worker: number | null;
  readonly tone: Tone;
  readonly text: string;
}

/** All that is known about a route. Times are Unix milliseconds. */
export interface KnownRoute {
  readonly route: Route;
  readonly facts: RouteFacts;
  readonly recent: Recent;
  readonly override: OverrideFacts | null;
}

export interface OverrideFacts {
  readonly mode: OverrideMode;
  readonly until: number;
  readonly reason: string | null;
}

/** A shorter time without a fallback says little. */
const RECOVERING_AFTER_MS = 15_000;
/** The buckets of the last minute, and the one that is still growing. */
const MINUTE = 60_000 / BUCKET_MS + 1;
/** Checks that teach a probe prove it within a minute or two of quiet. */
const PROVEN_WITHIN = (5 * 60_000) / BUCKET_MS;
const ERROR_SHARE = 0.1;
const MOST_EVENTS = 100;

export function routeStatusState(
  { facts, recent }: Pick<KnownRoute, "facts" | "recent">,
  now: number,
): RouteStatusState {
  const { fallback } = facts;
  if (fallback !== null) return isQuiet(fallback, now) ? "recovering" : "fallback";
  if (sum(recent.checks) === 0) return "idle";
  return sum(lastMinute(recent.errors)) > ERROR_SHARE * sum(lastMinute(recent.checks))
    ? "errors"
    : "answering";
}

function isQuiet({ isHeld, served, since }: FallbackFacts, now: number): boolean {
  return !isHeld && now - (served ?? since) > RECOVERING_AFTER_MS;
}

/** `since` is when a state began that is no fallback. */
export function routeStatus(
  known: KnownRoute,
  state: RouteStatusState,
  since: number,
  now: number,
): RouteStatus {
  const { route, facts, recent, override } = known;
  const { fallback, breaker, lastFault } = facts;
  const moment = (at: number): Moment => momentOf(at, now);
  return {
    name: route.name,
    mode: route.fallback.mode,
    state,
    summary: summaryOf(known, state, now),
    since: moment(fallback === null ? since : sinceOf(fallback, state)),
    letsIn: letsInText(route, facts.users),
    warnings: warningsOf(known),
    fallback: fallback && {
      mode: fallback.mode,
      reason: fallback.reason,
      since: moment(fallback.since),
      everyCheck: fallback.isHeld,
      lastServed: fallback.served === null ? null : moment(fallback.served),
      checks: fallback.checks,
    },
    override: override && { mode: override.mode, until: moment(override.until), reason: override.reason },
    breaker: { state: breaker.state, since: breaker.since === null ? null : moment(breaker.since) },
    lastFault: lastFault && { ...moment(lastFault.at), reason: lastFault.reason },
    probe: facts.probe,
    endpoints: countEndpoints(facts.endpoints),
    checks: facts.checks,
    recent: {
      bucketSeconds: BUCKET_MS / 1_000,
      checks: recent.checks,
      fallbacks: recent.fallbacks,
      errors: recent.errors,
      shed: recent.shed,
      latency: { p50: quantile(recent.durations, 0.5), p99: quantile(recent.durations, 0.99) },
    },
    emergencyLogins: facts.logins,
    htpasswdUsers: facts.users,
  };
}

function sinceOf({ since, served }: FallbackFacts, state: RouteStatusState): number {
  return state === "recovering" ? (served ?? since) : since;
}

function summaryOf({ facts, recent }: KnownRoute, state: RouteStatusState, now: number): string {
  const { fallback, checks } = facts;
  if (fallback !== null) {
    if (state === "fallback") return fallbackText(fallback, secondsBetween(fallback.since, now));
    const last = fallback.served ?? fallback.since;
    return recoveringText(fallback, secondsBetween(last, now), secondsBetween(fallback.since, last));
  }
  if (state === "idle") {
    return sum(Object.values(checks)) === 0 ? "No check yet" : "No check in the last 15 minutes";
  }
  if (state === "errors") {
    const errors = sum(lastMinute(recent.errors));
    const all = counted(sum(lastMinute(recent.checks)), "check");
    return `Answering with errors: ${numberText(errors)} of ${all} in the last minute`;
  }
  return "Answering";
}

function warningsOf({ route, facts, recent }: KnownRoute): readonly string[] {
  const shed = sum(lastMinute(recent.shed));
  return [
    ...(facts.users === 0
      ? [
          `Nobody can log in in an emergency${route.hosts.length > 0 ? " on some hosts" : ""}: no htpasswd user`,
        ]
      : []),
    ...(facts.failingLogins === null ? [] : [failingLoginsText(facts.failingLogins)]),
    ...probeWarnings(facts, recent),
    ...(shed > 0 ? [`${counted(shed, "check")} of the last minute refused by sparekey's own limits`] : []),
  ];
}

function probeWarnings({ probe }: RouteFacts, recent: Recent): readonly string[] {
  if (probe === null) return [];
  if (probe.refused !== null) return [refusedProbeText(probe.refused)];
  // Right after the start, and where nobody comes, there was nothing yet that could prove it.
  const isOverdue = sum(recent.checks.slice(0, -PROVEN_WITHIN)) > 0;
  return probe.proven === null && isOverdue ? [UNPROVEN] : [];
}

const UNPROVEN =
  "No probe is known to work, so sparekey may misjudge an outage: see what sparekey probe prints";

function lastMinute(counts: readonly number[]): readonly number[] {
  return counts.slice(-MINUTE);
}

/** One sentence about all routes, which names the worst. */
export function overallText(readiness: Readiness, states: readonly RouteStatusState[]): string {
  if (readiness === "draining") return "Draining: sparekey is about to end";
  if (readiness === "starting") return "Starting";
  const all = states.length;
  const count = (state: RouteStatusState): number => states.filter((one) => one === state).length;
  const some = (state: RouteStatusState, one: string, several: string): string | null => {
    const number = count(state);
    if (number === 0) return null;
    return all === 1 ? `The route ${one}` : `${number} of ${all} routes ${number === 1 ? one : several}`;
  };
  const troubles = [
    some("fallback", "is in fallback", "are in fallback"),
    some("errors", "answers with errors", "answer with errors"),
    some("recovering", "is recovering", "are recovering"),
  ].filter((text) => text !== null);
  const [worst] = troubles;
  if (worst !== undefined) return worst;
  if (count("answering") === all) return all === 1 ? "The route answers" : `All ${all} routes answer`;
  return "No route is in fallback";
}

/** The names of people, files and addresses stay behind. */
function eventStatus(entry: TimelineEntry, now: number): EventStatus {
  const { at, kind, route, worker, tone, text } = entry;
  return { ...momentOf(at, now), kind, route, worker, tone, text };
}

/** The events that are for everybody, the newest first. */
export function publicEvents(entries: readonly TimelineEntry[], now: number): readonly EventStatus[] {
  return entries
    .filter(({ kind }) => kind !== "emergency_login")
    .slice(0, MOST_EVENTS)
    .map((entry) => eventStatus(entry, now));
}

export function momentOf(at: number, now: number): Moment {
  return { at: new Date(at).toISOString(), seconds: secondsBetween(at, now) };
}

function secondsBetween(a: number, b: number): number {
  return Math.round(Math.abs(b - a) / 1_000);
}
