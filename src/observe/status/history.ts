/**
 * The last 15 minutes of each route, in 60 buckets of 15 s. The clock feeds it with counts that are there already,
 * and what they grew by goes into the bucket of the moment. It costs a check nothing, and 4.3 KB a route.
 */
import { DURATION_BOUNDS } from "../route-record.ts";
import type { RouteFacts } from "./route-facts.ts";

export const BUCKETS = 60;
export const BUCKET_MS = 15_000;

/** The oldest comes first, and the last one is still being filled. */
export interface Recent {
  readonly checks: readonly number[];
  readonly fallbacks: readonly number[];
  readonly errors: readonly number[];
  readonly shed: readonly number[];
  /** Of all buckets together: one count per bound of `DURATION_BOUNDS`, and one for what took longer. */
  readonly durations: readonly number[];
}

interface History {
  /** Call it at least once per bucket with all routes; others are forgotten. `now`: monotonic milliseconds. */
  take(facts: readonly RouteFacts[], now: number): void;
  of(route: string): Recent;
}

interface Past {
  /** The counts that were taken last. */
  counts: readonly number[];
  /** `BUCKETS` times `WIDTH`; a bucket's place is its number modulo `BUCKETS`. */
  readonly buckets: Uint32Array;
}

const CHECKS = 0;
const FALLBACKS = 1;
const ERRORS = 2;
const SHED = 3;
const DURATIONS = 4;
const WIDTH = DURATIONS + DURATION_BOUNDS.length + 1;

export function createHistory(): History {
  let pasts: ReadonlyMap<string, Past> = new Map();
  /** The number of the bucket being filled. */
  let filling = 0;

  const empty = (from: number, to: number): void => {
    // After a pause longer than all buckets together, each is emptied once.
    for (let bucket = Math.max(from, to - BUCKETS + 1); bucket <= to; bucket += 1) {
      const at = (bucket % BUCKETS) * WIDTH;
      for (const { buckets } of pasts.values()) buckets.fill(0, at, at + WIDTH);
    }
  };

  const add = ({ route, ...facts }: RouteFacts): [string, Past] => {
    const counts = countsOf(facts);
    const past = pasts.get(route) ?? { counts: [], buckets: new Uint32Array(BUCKETS * WIDTH) };
    const at = (filling % BUCKETS) * WIDTH;
    for (const [column, count] of counts.entries()) {
      const before = past.counts[column] ?? 0;
      // A route that was removed and came back under its name counts from 0.
      const grown = count >= before ? count - before : count;
      past.buckets[at + column] = (past.buckets[at + column] ?? 0) + grown;
    }
    past.counts = counts;
    return [route, past];
  };

  const columnOf = ({ buckets }: Past, column: number): number[] =>
    Array.from({ length: BUCKETS }, (_, index) => {
      const place = (filling + 1 + index) % BUCKETS;
      return buckets[place * WIDTH + column] ?? 0;
    });

  return {
    take: (facts, now) => {
      const bucket = Math.floor(now / BUCKET_MS);
      if (bucket > filling) empty(filling + 1, bucket);
      filling = Math.max(filling, bucket);
      pasts = new Map(facts.map(add));
    },
    of: (route) => {
      const past = pasts.get(route);
      if (past === undefined) return NOTHING;
      const durations = Array.from({ length: WIDTH - DURATIONS }, (_, index) =>
        sum(columnOf(past, DURATIONS + index)),
      );
      return {
        checks: columnOf(past, CHECKS),
        fallbacks: columnOf(past, FALLBACKS),
        errors: columnOf(past, ERRORS),
        shed: columnOf(past, SHED),
        durations,
      };
    },
  };
}

function countsOf({ checks, fallbacks, errors, durations }: Omit<RouteFacts, "route">): readonly number[] {
  return [sum(Object.values(checks)), fallbacks, errors, checks.shed, ...durations];
}

export function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}

const NO_COUNTS: readonly number[] = Array.from({ length: BUCKETS }, () => 0);
const NOTHING: Recent = {
  checks: NO_COUNTS,
  fallbacks: NO_COUNTS,
  errors: NO_COUNTS,
  shed: NO_COUNTS,
  durations: Array.from({ length: WIDTH - DURATIONS }, () => 0),
};

/** Seconds that a value stays within or exceeds; null: there are no values. */
export type Quantile = { readonly atMost: number } | { readonly moreThan: number } | null;

/** The least bound within which `share` of the values lie. `counts` are as in `Recent.durations`. */
export function quantile(counts: readonly number[], share: number): Quantile {
  const all = sum(counts);
  if (all === 0) return null;
  let within = 0;
  for (const [index, bound] of DURATION_BOUNDS.entries()) {
    within += counts[index] ?? 0;
    if (within >= all * share) return { atMost: bound };
  }
  return { moreThan: DURATION_BOUNDS.at(-1) ?? 0 };
}
