/** Takes what the data path reports: it is counted, and becomes an event when a person should know. */
import type { BreakerState } from "../core/breaker.ts";
import type { AttemptKind, EndpointChange } from "../core/endpoint.ts";
import { BAD_HOLDS_MS } from "../core/probe.ts";
import type { LogOptions, Route } from "../core/snapshot.ts";
import { isClientProof } from "../core/treatment.ts";
import type {
  Check,
  Decision,
  FallbackReason,
  FaultReason,
  Judgement,
  LoginEnd,
  OverrideMode,
  ProbeStanding,
} from "../core/types.ts";
import { createCheckLines } from "./check-lines.ts";
import type { Report } from "./event.ts";
import { createFallbackPeriods, type FallbackPeriod } from "./fallback-periods.ts";
import { clientText, type Logger } from "./log/logger.ts";
import {
  countAnswer,
  countCheck,
  countFault,
  countSuspect,
  type ProbeLabel,
  type RouteRecord,
  type RouteRecords,
} from "./route-record.ts";

export interface Recorder {
  /** One reply went out, so many milliseconds after the check came in. */
  check(route: Route, check: Check, decision: Decision, milliseconds: number): void;
  /** The upstream gave a final answer. */
  answer(route: Route, status: number, milliseconds: number): void;
  fault(route: Route, reason: FaultReason): void;
  /** A probe judged what a check had seen. A confirmed suspicion is also a fault, which is reported by itself. */
  suspect(route: Route, reason: FaultReason, judgement: Judgement): void;
  /** One probe came to its end. `ok`: the upstream gave a verdict. */
  probe(route: Route, result: ProbeLabel): void;
  /** A gateway gave up on a check that had waited unusually long. */
  abandoned(route: Route): void;
  /** How far the route's probes can be believed from now on. */
  proven(route: Route, standing: ProbeStanding): void;
  /** A login came to its end at the pages that the route carries. `client` is as in core/login-progress.ts. */
  login(route: Route, end: LoginEnd, client: string | null): void;
  /** A check was asked once more. */
  attempt(route: Route, kind: AttemptKind): void;
  /** An endpoint of the upstream was ejected or restored, or its name gained or lost an address. */
  endpoint(route: Route, change: EndpointChange): void;
  /** The breaker changed its state because of `reason`; null: nothing was wrong. */
  breaker(route: Route, state: BreakerState, reason: FallbackReason | null): void;
  /** A person chose a mode for a route; null: the choice has ended. */
  override(route: string, mode: OverrideMode | null): void;
  /** Call it about once a second: it sees the end of fallback periods, and whether logins fail. */
  tick(): void;
}

interface RecorderDeps {
  readonly records: Pick<RouteRecords, "of" | "all">;
  readonly logger: Logger;
  /** What the config in use says. */
  access(): LogOptions["access"];
  /** The client's address; null when the gateway names none. */
  clientOf(check: Check): string | null;
  /** Milliseconds, monotonic; the same clock as the metrics'. */
  now(): number;
  readonly report: Report;
}

const BETWEEN_LOGIN_LINES = 60_000;
/** A probe that is refused now and then must not fill the log. */
const BETWEEN_REFUSAL_LINES = 600_000;

/** Checks of routes that a reload has removed are not counted, because their series are gone. */
export function createRecorder({ records, logger, access, clientOf, now, report }: RecorderDeps): Recorder {
  const periods = createFallbackPeriods({ report, now });
  const writeCheckLine = createCheckLines({ logger, access, clientOf, now });

  return {
    check(route, check, decision, milliseconds) {
      const record = records.of(route.name);
      if (record === undefined) return;
      countCheck(record, decision, milliseconds);
      const { fallback } = decision;
      if (fallback !== null) {
        const { mode, reason, login } = fallback;
        periods.update(record);
        // A login that was still verified when the override ended begins nothing.
        if (reason !== "override" || record.isOverridden) {
          const isProven =
            isClientProof(reason, mode, route.fault) || isMetByProbe(record, now() - milliseconds);
          periods.enter(record, mode, reason, isProven);
        }
        if (record.period) countServed(record.period, now());
        if (login?.kind === "ok") noteLogin(record, login.user, clientOf(check), now(), report);
      }
      writeCheckLine(record, check, decision, milliseconds);
    },
    answer(route, status, milliseconds) {
      const record = records.of(route.name);
      if (record !== undefined) countAnswer(record, status, milliseconds);
    },
    fault(route, reason) {
      const record = records.of(route.name);
      if (record !== undefined) countFault(record, reason, now());
    },
    suspect(route, reason, judgement) {
      const record = records.of(route.name);
      if (record !== undefined) countSuspect(record, reason, judgement);
    },
    probe(route, result) {
      const record = records.of(route.name);
      if (record === undefined) return;
      record.counts.probes[result] += 1;
      record.faultProbeAt = result === "fault" ? now() : null;
      if (result === "fault") periods.prove(record);
    },
    abandoned(route) {
      const record = records.of(route.name);
      if (record !== undefined) record.counts.abandoned += 1;
    },
    proven(route, standing) {
      const record = records.of(route.name);
      if (record !== undefined) noteStanding(record, standing, now(), report);
    },
    login(route, end, client) {
      const record = records.of(route.name);
      if (record === undefined) return;
      record.counts.loginEnds[end] += 1;
      record.loginHistory.add(end, client, now());
    },
    attempt(route, kind) {
      const record = records.of(route.name);
      if (record !== undefined) record.counts.attempts[kind] += 1;
    },
    endpoint({ name }, change) {
      if (records.of(name) !== undefined) report({ kind: "endpoint", route: name, change });
    },
    breaker(route, state, reason) {
      const record = records.of(route.name);
      if (record === undefined) return;
      periods.update(record);
      noteBreaker(record, state, reason, now(), report);
      if (state !== "closed") periods.enter(record, route.fallback.mode, reason ?? "breaker_open", true);
    },
    override(name, mode) {
      const record = records.of(name);
      if (record === undefined) return;
      periods.update(record);
      if (record.isOverridden === (mode === "fallback")) return;
      // A fallback that goes on after a person's choice has another reason, so it is a period of its own.
      if (record.isOverridden) periods.end(record);
      record.isOverridden = mode === "fallback";
      const { route, breaker } = record;
      if (record.isOverridden) periods.enter(record, route.fallback.mode, "override", true);
      else if (breaker.state !== "closed") periods.enter(record, route.fallback.mode, "breaker_open", true);
    },
    tick() {
      const time = now();
      for (const record of records.all()) {
        periods.update(record);
        forgetLogins(record, time);
        noteFailingLogins(record, time, report);
      }
      periods.forgetOthers(records.of);
    },
  };
}

/** Each trial goes half-open and back, and people need to know of the first opening and the closing alone. */
function noteBreaker(
  record: RouteRecord,
  state: BreakerState,
  reason: FallbackReason | null,
  now: number,
  report: Report,
): void {
  const before = record.breaker;
  const route = record.route.name;
  if (state === before.state) return;
  if (state === "closed") {
    record.breaker = { state };
    if (before.state !== "closed") {
      const seconds = secondsBetween(before.since, now);
      report({ kind: "breaker_closed", route, seconds });
    }
    return;
  }
  if (before.state === "closed") {
    record.breaker = { state, since: now };
    report({ kind: "breaker_opened", route, reason });
    return;
  }
  record.breaker = { state, since: before.since };
  report({ kind: "breaker_trial", route, state, reason });
}

/** That another verdict is proven now is no event, because the results can be believed as before. */
function noteStanding(record: RouteRecord, standing: ProbeStanding, now: number, report: Report): void {
  const before = record.standing;
  const { proven, refused } = standing;
  const route = record.route.name;
  record.standing = standing;
  if (before.proven === null && proven !== null) report({ kind: "probe_proven", route, verdict: proven });
  if (before.proven !== null && proven === null) report({ kind: "probe_unproven", route });
  if (refused === null || refused === before.refused) return;
  const told = record.refusalTold;
  if (told?.status === refused && now - told.at < BETWEEN_REFUSAL_LINES) return;
  record.refusalTold = { status: refused, at: now };
  report({ kind: "probe_refused", route, status: refused });
}

/** Whether a probe met a fault since `begin`, or so shortly before that its result still held. */
function isMetByProbe({ faultProbeAt }: RouteRecord, begin: number): boolean {
  return faultProbeAt !== null && faultProbeAt >= begin - BAD_HOLDS_MS;
}

function countServed(period: FallbackPeriod, now: number): void {
  period.served = now;
  period.checks += 1;
}

/** A browser sends its password with each of a page's hundred requests, and one event a minute says it. */
function noteLogin(
  record: RouteRecord,
  user: string,
  client: string | null,
  now: number,
  report: Report,
): void {
  const { logins } = record.lines;
  const last = logins.get(user);
  if (last !== undefined && now - last < BETWEEN_LOGIN_LINES) return;
  logins.set(user, now);
  const route = record.route.name;
  report({ kind: "emergency_login", route, user: clientText(user), client });
}

function forgetLogins({ lines }: RouteRecord, now: number): void {
  for (const [user, last] of lines.logins) {
    if (now - last >= BETWEEN_LOGIN_LINES) lines.logins.delete(user);
  }
}

/** They are looked at by the clock, because a flood of made-up logins must cost little, and because they end by it. */
function noteFailingLogins(record: RouteRecord, now: number, report: Report): void {
  const before = record.failingLogins;
  const failing = record.loginHistory.failing(now);
  record.failingLogins = failing && { ...failing, since: before?.since ?? now };
  const route = record.route.name;
  if (before === null && failing !== null) report({ kind: "logins_failing", route, ...failing });
  if (before === null || failing !== null) return;
  const wentWell = (record.loginHistory.wentWellAt ?? before.since) > before.since;
  const seconds = secondsBetween(before.since, now);
  report({ kind: "logins_failing_ended", route, seconds, wentWell });
}

/** Seconds, rounded to the millisecond. */
function secondsBetween(begin: number, end: number): number {
  return Math.round(end - begin) / 1000;
}
