/** What the status page shows of a route: totals of its counts, beside the rest of its report. */
import type { LoginResult, Source } from "../../core/types.ts";
import { type BreakerFacts, emptyRouteReport, type RouteReport } from "../report.ts";

export type LoginCounts = Readonly<Record<LoginResult["kind"], number>>;

export interface RouteFacts extends Omit<RouteReport, "counts" | "breaker" | "isInFallback"> {
  readonly breaker: BreakerFacts;
  /** By source of the decision. */
  readonly checks: Readonly<Record<Source, number>>;
  /** Checks that a fallback decided, be it by grace or by a person's choice. */
  readonly fallbacks: number;
  /** Checks for which an error went back and no fallback. */
  readonly errors: number;
  /** One count per bound of `DURATION_BOUNDS`, and one for what took longer. */
  readonly durations: readonly number[];
  readonly logins: LoginCounts;
}

export function factsOf({ counts, breaker, isInFallback: _shown, ...report }: RouteReport): RouteFacts {
  const { checks, logins, checkDurations } = counts;
  const notKept = checks.override.error;
  return {
    ...report,
    breaker: breaker ?? CLOSED,
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
  };
}

/** Before any process has reported. */
export function noFacts(route: string): RouteFacts {
  return factsOf(emptyRouteReport(route));
}

const CLOSED: BreakerFacts = { state: "closed", since: null };

function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}
