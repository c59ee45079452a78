/**
 * When a fallback period begins and ends: it lasts from the first fallback to 60 s after the last one, so that
 * an upstream that flaps is one period and not a hundred, and it never ends before the breaker has closed.
 * Times are monotonic milliseconds.
 */
import type { Breaker } from "../core/breaker.ts";

export const QUIET_AFTER = 60_000;

export type BreakerState = Breaker["kind"];

/** null: no fallback was served of late. `checks` counts the fallbacks of the period. */
export type FallbackActivity = {
  readonly since: number;
  readonly last: number;
  readonly checks: number;
} | null;

/** An open breaker is a fallback for whoever comes next, even while nobody comes. */
export function isActive(activity: FallbackActivity, breaker: BreakerState, now: number): boolean {
  return breaker !== "closed" || (activity !== null && now - activity.last < QUIET_AFTER);
}

/** The period after one more fallback; a new one (`checks` is 1) when the last one is over. */
export function afterFallback(
  activity: FallbackActivity,
  breaker: BreakerState,
  now: number,
): NonNullable<FallbackActivity> {
  if (activity === null || !isActive(activity, breaker, now)) return { since: now, last: now, checks: 1 };
  return { since: activity.since, last: now, checks: activity.checks + 1 };
}
