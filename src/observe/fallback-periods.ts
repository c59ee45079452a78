/**
 * When a route is in fallback: from the first one served, or the breaker's opening, or a person's override, until
 * none of these holds it and no fallback was served for a minute. So an upstream that flaps is one period and not a
 * hundred. A period is a log line at its begin and one at its end, and sparekey_fallback_active in between.
 *
 * A webhook hears of it once it is proven that no client can have brought it about, because one check that its own
 * client makes hang or break off must not page the operator. Times are monotonic milliseconds.
 */
import type { BreakerState } from "../core/breaker.ts";
import type { FallbackMode, FallbackReason } from "../core/types.ts";
import type { Report } from "./event.ts";

const QUIET_AFTER = 60_000;

export interface FallbackPeriod {
  readonly mode: FallbackMode;
  readonly reason: FallbackReason;
  readonly since: number;
  /** When the last fallback was served. */
  served: number;
  /** When the breaker or an override was last seen to hold the route in it. */
  held: number;
  /** Fallbacks served. */
  checks: number;
  isProven: boolean;
}

/** What is known of a route. */
interface State {
  readonly route: { readonly name: string };
  readonly breaker: { readonly state: BreakerState };
  /** A person has put it into its fallback. */
  readonly isOverridden: boolean;
  /** null: it is not in fallback. */
  period: FallbackPeriod | null;
  /** Checks without a line since the last one. */
  readonly lines: { omitted: number };
}

export interface FallbackPeriods {
  /** Before anything about a route changes, and about once a second: ends a period that is over. */
  update(record: State): void;
  /** The route is in fallback from now on, if it was not. `isProven`: no client can have brought it about. */
  enter(record: State, mode: FallbackMode, reason: FallbackReason, isProven: boolean): void;
  /** What held it shows now that no client brought it about. */
  prove(record: State): void;
  /** At once, whatever holds the route in it. */
  end(record: State): void;
  /** About once a second: the periods of routes that are gone have ended. */
  forgetOthers(recordOf: (route: string) => State | undefined): void;
}

export interface FallbackPeriodsDeps {
  readonly report: Report;
  now(): number;
}

/** Whether the route is in fallback. */
export function isActive({ period, ...record }: State, now: number): boolean {
  return isHeld(record) || (period !== null && now - period.served < QUIET_AFTER);
}

/** An open breaker and an override are a fallback for whoever comes next, even while nobody comes. */
function isHeld({ breaker, isOverridden }: Pick<State, "breaker" | "isOverridden">): boolean {
  return breaker.state !== "closed" || isOverridden;
}

export function createFallbackPeriods({ report, now }: FallbackPeriodsDeps): FallbackPeriods {
  /** By route; of routes that are gone as well. */
  const running = new Map<string, FallbackPeriod>();

  const prove = (route: string, period: FallbackPeriod): void => {
    if (period.isProven) return;
    period.isProven = true;
    report({ kind: "fallback_proven", route, mode: period.mode, reason: period.reason });
  };
  const endPeriod = (route: string, period: FallbackPeriod, omitted: number): void => {
    running.delete(route);
    const { mode, reason, checks, isProven } = period;
    const seconds = secondsOf(period);
    report({ kind: "fallback_ended", route, mode, reason, seconds, checks, omitted, isProven });
  };
  /** Of a route by this name that a reload has removed. */
  const endForgotten = (route: string, current: FallbackPeriod | null): void => {
    const period = running.get(route);
    if (period !== undefined && period !== current) endPeriod(route, period, 0);
  };
  const endOf = (record: State): void => {
    const { route, lines, period } = record;
    if (period === null) return;
    record.period = null;
    endPeriod(route.name, period, lines.omitted);
    lines.omitted = 0;
  };

  return {
    update: (record) => {
      if (record.period === null) return;
      if (isHeld(record)) record.period.held = now();
      if (!isActive(record, now())) endOf(record);
    },
    enter: (record, mode, reason, isProven) => {
      const route = record.route.name;
      if (record.period === null) {
        const time = now();
        // A minute after no fallback at all is no time of quiet.
        const served = Number.NEGATIVE_INFINITY;
        endForgotten(route, null);
        record.period = { mode, reason, since: time, served, held: time, checks: 0, isProven: false };
        running.set(route, record.period);
        report({ kind: "fallback_began", route, mode, reason });
      }
      if (isProven) prove(route, record.period);
    },
    prove: ({ route, period }) => {
      if (period !== null) prove(route.name, period);
    },
    end: endOf,
    forgetOthers: (recordOf) => {
      for (const route of running.keys()) endForgotten(route, recordOf(route)?.period ?? null);
    },
  };
}

/** To the millisecond. */
function secondsOf({ since, served, held }: FallbackPeriod): number {
  return Math.round(Math.max(served, held) - since) / 1000;
}
