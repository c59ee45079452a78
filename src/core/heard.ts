/**
 * What a route has lately heard of its upstream, by the kind of the check: with a cookie or without. A session store
 * that is full or hangs fails those without, while people with a session notice nothing.
 */
import { createLatencyWindow, isSlow } from "./latency.ts";

interface OfKind {
  verdictAt: number;
  usualAt: number;
  readonly latency: ReturnType<typeof createLatencyWindow>;
}

/** Times are milliseconds of the monotonic clock; negative infinity: never. */
export interface Heard {
  /** A check got a verdict that shows this kind of check at work, `took` milliseconds after it came. */
  verdict(hasCookie: boolean, took: number, now: number): void;
  verdictAt(hasCookie: boolean): number;
  /** When a check of the kind last got its verdict at the usual speed. */
  usualAt(hasCookie: boolean): number;
  /** The median for the kind; null: none yet. */
  usual(hasCookie: boolean): number | null;
}

export function createHeard(): Heard {
  const withCookie = ofKind();
  const without = ofKind();
  const of = (hasCookie: boolean): OfKind => (hasCookie ? withCookie : without);
  return {
    verdict: (hasCookie, took, now) => {
      const kind = of(hasCookie);
      kind.verdictAt = now;
      if (!isSlow(took, kind.latency.median)) kind.usualAt = now;
      if (kind.latency.isDue(Math.floor(now / SAMPLE_MS))) kind.latency.add(took);
    },
    verdictAt: (hasCookie) => of(hasCookie).verdictAt,
    usualAt: (hasCookie) => of(hasCookie).usualAt,
    usual: (hasCookie) => of(hasCookie).latency.median,
  };
}

/** One answer of each such span is measured. */
const SAMPLE_MS = 50;

function ofKind(): OfKind {
  return {
    verdictAt: Number.NEGATIVE_INFINITY,
    usualAt: Number.NEGATIVE_INFINITY,
    latency: createLatencyWindow(),
  };
}
