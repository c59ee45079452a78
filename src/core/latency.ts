/**
 * How long a route's upstream usually takes, and what follows from it: when an attempt is late, and which answer was
 * slow. The usual is the median, which a few slow replicas do not move.
 */

const KEPT = 64;
/** From here on, the median is renewed after as many answers again. Before, each time their number has doubled. */
const RENEWED_EVERY = 16;

const HEDGE_FACTOR = 10;
const SHORTEST_HEDGE_MS = 100;
const LONGEST_HEDGE_MS = 1_000;

const SLOW_FACTOR = 4;
/** An answer within this time is never slow: so much can be our own jitter. */
const JITTER_MS = 5;

export interface LatencyWindow {
  /**
   * Whether the answer that ends at `now` is to be measured and added. A look at the clock costs more than all else that
   * is noted of an answer, so one for each value of a coarse clock is enough.
   */
  isDue(now: number): boolean;
  /** Milliseconds of an answer that gave a verdict. */
  add(milliseconds: number): void;
  /** The median of the last 64 at most; null: no answer yet. It lags behind by up to 15 answers. */
  readonly median: number | null;
}

export function createLatencyWindow(): LatencyWindow {
  /** What is not filled yet sorts to the end. */
  const latest = new Float64Array(KEPT).fill(Infinity);
  const sorted = new Float64Array(KEPT);
  let answers = 0;
  let renewAt = 1;
  let median: number | null = null;
  let measuredAt = Number.NEGATIVE_INFINITY;

  function renew(): void {
    sorted.set(latest);
    sorted.sort();
    const filled = Math.min(answers, KEPT);
    const lower = sorted[(filled - 1) >> 1] ?? 0;
    const upper = sorted[filled >> 1] ?? 0;
    median = (lower + upper) / 2;
    renewAt = answers + Math.min(answers, RENEWED_EVERY);
  }

  return {
    isDue: (now) => {
      if (now === measuredAt) return false;
      measuredAt = now;
      return true;
    },
    add: (milliseconds) => {
      latest[answers % KEPT] = milliseconds;
      answers += 1;
      if (answers === renewAt) renew();
    },
    get median() {
      return median;
    },
  };
}

/**
 * Milliseconds that an attempt may take before another is sent beside it. With Authorization it is the longest time:
 * the upstream may check a password then, which is slow on purpose.
 */
export function hedgeDelay(median: number | null, hasAuthorization: boolean): number {
  if (median === null || hasAuthorization) return LONGEST_HEDGE_MS;
  return Math.min(Math.max(median * HEDGE_FACTOR, SHORTEST_HEDGE_MS), LONGEST_HEDGE_MS);
}

/**
 * Milliseconds after which a check has waited unusually long: its hedge, too, has waited as long as it did. Where no hedge
 * was possible, it is when one would have been due. What is usual for a slow upstream is never unusual.
 */
export function lateDelay(hedgeDelay: number, median: number | null, hasHedge: boolean): number {
  return Math.max(hedgeDelay * (hasHedge ? 2 : 1), (median ?? 0) * SLOW_FACTOR);
}

/** Of the time that a gateway waits, so much is left for the reply on its way. */
const REPLY_SHARE = 0.1;
const SHORTEST_REPLY_MS = 30;
const LONGEST_REPLY_MS = 100;

/** Milliseconds after which a reply must be sent to a gateway that waits for so many. */
export function hurryDelay(patience: number): number {
  return patience - Math.min(Math.max(patience * REPLY_SHARE, SHORTEST_REPLY_MS), LONGEST_REPLY_MS);
}

/** Whether an answer took far longer than usual. */
export function isSlow(milliseconds: number, median: number | null): boolean {
  return median !== null && milliseconds > JITTER_MS && milliseconds > median * SLOW_FACTOR;
}
