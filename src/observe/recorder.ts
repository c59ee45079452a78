/** What the data path reports: counted, and logged when a person should know. */
import type {
  Check,
  Decision,
  FallbackChange,
  FallbackReason,
  FallenBack,
  FaultReason,
  Judgement,
  LogOptions,
  Route,
} from "../core/types.ts";
import { createCheckLines } from "./check-lines.ts";
import { afterFallback, type BreakerState, isActive } from "./fallback-activity.ts";
import { createFallbackChanges } from "./fallback-changes.ts";
import { clientText, type Logger } from "./logs.ts";
import type { Metrics } from "./metrics.ts";
import {
  countAnswer,
  countCheck,
  countFault,
  countSuspect,
  type ProbeResult,
  type RouteRecord,
} from "./route-record.ts";

export interface Recorder {
  /** One reply went out. `milliseconds`: since the check came in. */
  check(route: Route, check: Check, decision: Decision, milliseconds: number): void;
  /** The upstream gave a final answer. */
  answer(route: Route, status: number, milliseconds: number): void;
  fault(route: Route, reason: FaultReason): void;
  /** A probe judged what a check had seen. A confirmed one is a fault as well: that is reported by itself. */
  suspect(route: Route, reason: FaultReason, judgement: Judgement): void;
  /** One probe came to its end. `ok`: the upstream gave a verdict. */
  probe(route: Route, result: ProbeResult): void;
  /** The breaker changed its state. `reason`: what made it; null when nothing was wrong. */
  breaker(route: Route, state: BreakerState, reason: FallbackReason | null): void;
  /** Call it about once a second: it sees the end of fallback periods. */
  tick(): void;
}

export interface RecorderOptions {
  readonly metrics: Pick<Metrics, "recordOf" | "records">;
  readonly logger: Logger;
  /** As the config in use has it. */
  access(): LogOptions["access"];
  /** The client's address; null when the gateway's word for it is none. */
  clientOf(check: Check): string | null;
  /** Milliseconds, monotonic; the same clock as the metrics'. */
  now(): number;
  /** A route entered or left fallback. Must neither wait nor throw. */
  onActivity(change: FallbackChange): void;
}

const BETWEEN_LOGIN_LINES = 60_000;

/** Checks of routes that a reload has removed are not counted: their series are gone. */
export function createRecorder(options: RecorderOptions): Recorder {
  const { metrics, logger, access, clientOf, now, onActivity } = options;
  const changes = createFallbackChanges(onActivity);
  const writeCheckLine = createCheckLines({ logger, access, clientOf, now });

  return {
    check(route, check, decision, milliseconds) {
      const record = metrics.recordOf(route.name);
      if (record === undefined) return;
      countCheck(record, decision, milliseconds);
      const { fallback } = decision;
      if (fallback !== null) {
        changes.beforeChange(record, now());
        noteFallback(record, fallback, now(), logger);
        changes.afterChange(record, fallback.mode, fallback.reason, now());
        if (fallback.login?.kind === "ok")
          noteLogin(record, fallback.login.user, clientOf(check), now(), logger);
      }
      writeCheckLine(record, check, decision, milliseconds);
    },
    answer(route, status, milliseconds) {
      const record = metrics.recordOf(route.name);
      if (record !== undefined) countAnswer(record, status, milliseconds);
    },
    fault(route, reason) {
      const record = metrics.recordOf(route.name);
      if (record !== undefined) countFault(record, reason);
    },
    suspect(route, reason, judgement) {
      const record = metrics.recordOf(route.name);
      if (record !== undefined) countSuspect(record, reason, judgement);
    },
    probe(route, result) {
      const record = metrics.recordOf(route.name);
      if (record !== undefined) record.probes[result] += 1;
    },
    breaker(route, state, reason) {
      const record = metrics.recordOf(route.name);
      if (record === undefined) return;
      changes.beforeChange(record, now());
      noteBreaker(record, state, reason, now(), logger);
      changes.afterChange(record, route.fallback.mode, reason ?? "breaker_open", now());
    },
    tick() {
      const time = now();
      for (const record of metrics.records()) {
        endFallback(record, time, logger);
        changes.beforeChange(record, time);
        forgetLogins(record, time);
      }
      changes.forgetOthers((route) => metrics.recordOf(route) !== undefined);
    },
  };
}

/** Each trial goes half-open and back: only the first opening and the closing are news. */
function noteBreaker(
  record: RouteRecord,
  state: BreakerState,
  reason: FallbackReason | null,
  now: number,
  logger: Logger,
): void {
  const before = record.breaker;
  const route = record.route.name;
  if (state === before.state) return;
  if (state === "closed") {
    record.breaker = { state };
    if (before.state !== "closed") {
      logger.info("breaker closed", { route, seconds: secondsBetween(before.since, now) });
    }
    return;
  }
  if (before.state === "closed") {
    endFallback(record, now, logger);
    record.breaker = { state, since: now };
    logger.warn("breaker opened", { route, reason });
    return;
  }
  record.breaker = { state, since: before.since };
  logger.debug(state === "open" ? "breaker open again" : "breaker half-open", { route, reason });
}

function noteFallback(record: RouteRecord, fallback: FallenBack, now: number, logger: Logger): void {
  endFallback(record, now, logger);
  if (record.activity === null) {
    const { mode, reason } = fallback;
    logger.warn("fallback begins", { route: record.route.name, mode, reason });
  }
  record.activity = afterFallback(record.activity, record.breaker.state, now);
}

function endFallback(record: RouteRecord, now: number, logger: Logger): void {
  const { activity, breaker } = record;
  if (activity === null || isActive(activity, breaker.state, now)) return;
  record.activity = null;
  const seconds = secondsBetween(activity.since, activity.last);
  const { omitted } = record.lines;
  record.lines.omitted = 0;
  logger.info("fallback ended", { route: record.route.name, seconds, checks: activity.checks, omitted });
}

/** A browser sends its password with each of a page's hundred requests: one line a minute says it. */
function noteLogin(
  record: RouteRecord,
  user: string,
  client: string | null,
  now: number,
  logger: Logger,
): void {
  const { logins } = record.lines;
  const last = logins.get(user);
  if (last !== undefined && now - last < BETWEEN_LOGIN_LINES) return;
  logins.set(user, now);
  logger.warn("emergency login", { route: record.route.name, user: clientText(user), client });
}

function forgetLogins({ lines }: RouteRecord, now: number): void {
  for (const [user, last] of lines.logins) {
    if (now - last >= BETWEEN_LOGIN_LINES) lines.logins.delete(user);
  }
}

/** To the millisecond. */
function secondsBetween(begin: number, end: number): number {
  return Math.round(end - begin) / 1000;
}
