/**
 * Decides when a route is in fallback. A period begins with the first fallback served, the breaker's opening or a
 * person's override. It ends once none of these holds the route and no fallback was served for a minute, so that an
 * upstream that flaps makes one period and not a hundred. The log has a line at the begin and one at the end, and
 * sparekey_fallback_active is 1 in between.
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

/** What the rules here need to know about a route. */
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

interface FallbackPeriods {
  /** Ends a period that is over. Call it before anything about a route changes, and about once a second. */
  update(record: State): void;
  /** The route is in fallback from now on, if it was not. `isProven`: no client can have brought it about. */
  enter(record: State, mode: FallbackMode, reason: FallbackReason, isProven: boolean): void;
  /** It is known now that no client brought the period about. */
  prove(record: State): void;
  /** Ends the period at once, whatever holds the route in it. */
  end(record: State): void;
  /** Ends the periods of routes that are gone. Call it about once a second. */
  forgetOthers(recordOf: (route: string) => State | undefined): void;
}

interface FallbackPeriodsDeps {
  readonly report: Report;
  now(): number;
}

/** Whether the route is in fallback. */
export function isActive({ period, ...record }: State, now: number): boolean {
  return isHeld(record) || (period !== null && now - period.served < QUIET_AFTER);
}

/** With an open breaker or an override the next check falls back, so the period goes on even while none comes. */
function isHeld({ breaker, isOverridden }: Pick<State, "breaker" | "isOverridden">): boolean {
  return breaker.state !== "closed" || isOverridden;
}

export function createFallbackPeriods({ report, now }: FallbackPeriodsDeps): FallbackPeriods {
  /** By route, with those of routes that are gone. */
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
  /** Ends the period of a route of this name that a reload has removed. */
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
        // Before the first fallback is served, the minute of quiet has not begun.
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

/** Seconds, rounded to the millisecond. */
function secondsOf({ since, served, held }: FallbackPeriod): number {
  return Math.round(Math.max(served, held) - since) / 1000;
}
