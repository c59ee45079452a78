/**
 * When a fallback period begins and ends: it lasts from the first fallback to 60 s after the last one,
 * so that an upstream that flaps is one period and not a hundred. Times are monotonic milliseconds.
 */

export const QUIET_AFTER = 60_000;

/** null: no fallback was served of late. `checks` counts the fallbacks of the period. */
export type FallbackActivity = {
  readonly since: number;
  readonly last: number;
  readonly checks: number;
} | null;

export function isActive(activity: FallbackActivity, now: number): boolean {
  return activity !== null && now - activity.last < QUIET_AFTER;
}

/** The period after one more fallback; a new one (`checks` is 1) when the last one is over. */
export function afterFallback(activity: FallbackActivity, now: number): NonNullable<FallbackActivity> {
  if (activity === null || !isActive(activity, now)) return { since: now, last: now, checks: 1 };
  return { since: activity.since, last: now, checks: activity.checks + 1 };
}
