/**
 * When a route enters and leaves fallback, as the gauge sparekey_fallback_active has it: one change each, whatever
 * comes first (a fallback, an open breaker) and whatever ends it (a quiet minute, a breaker that closes, a reload
 * that removes the route). Times are monotonic milliseconds.
 */
import type { FallbackChange, FallbackMode, FallbackReason } from "../core/types.ts";
import { isActive } from "./fallback-activity.ts";
import type { RouteRecord } from "./route-record.ts";

type State = Pick<RouteRecord, "route" | "activity" | "breaker">;

export interface FallbackChanges {
  /** Before anything changes a route, and about once a second: sees that it has left. */
  beforeChange(record: State, now: number): void;
  /** A fallback was served, or the breaker changed: sees that the route has entered. */
  afterChange(record: State, mode: FallbackMode, reason: FallbackReason, now: number): void;
  /** About once a second: routes that are not `known` any more have left. */
  forgetOthers(known: (route: string) => boolean): void;
}

interface Period {
  readonly mode: FallbackMode;
  readonly reason: FallbackReason;
  readonly since: number;
  /** When the last fallback was served, or the breaker last seen to be not closed. */
  last: number;
}

export function createFallbackChanges(onChange: (change: FallbackChange) => void): FallbackChanges {
  const periods = new Map<string, Period>();

  const end = (route: string, { mode, reason, since, last }: Period): void => {
    periods.delete(route);
    onChange({ event: "fallback_ended", route, mode, reason, seconds: Math.round((last - since) / 1000) });
  };

  return {
    beforeChange: ({ route: { name }, activity, breaker }, now) => {
      const period = periods.get(name);
      if (period === undefined) return;
      if (breaker.state !== "closed") period.last = now;
      if (!isActive(activity, breaker.state, now)) end(name, period);
    },
    afterChange: ({ route: { name }, activity, breaker }, mode, reason, now) => {
      if (!isActive(activity, breaker.state, now)) return;
      const period = periods.get(name);
      if (period !== undefined) {
        period.last = now;
        return;
      }
      periods.set(name, { mode, reason, since: now, last: now });
      onChange({ event: "fallback_began", route: name, mode, reason });
    },
    forgetOthers: (known) => {
      for (const [route, period] of periods) if (!known(route)) end(route, period);
    },
  };
}
