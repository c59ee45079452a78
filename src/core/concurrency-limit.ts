/**
 * How many checks may be in flight at one endpoint. A server that has more to do than it can take loses connections, and
 * more of them would only make it slower.
 *
 * - The limit begins at the upstream's `maxConnections`. It is halved, at most once a second, when a connection is not
 *   opened in time while others are answered there, and it grows by one with every hundred answers.
 * - How long answers take never moves it, because a slow answer says nothing of its cause.
 * - After an outage it begins at 8 and doubles each second: everybody who has waited comes at once.
 */

const LEAST = 2;
const ANSWERS_TO_GROW = 100;
const SLOW_START = 8;
const SECOND_MS = 1_000;

export interface ConcurrencyLimit {
  at(now: number): number;
  /** A connection was not opened in time, while the endpoint answered others. */
  connectTimedOut(now: number): void;
  answered(): void;
}

/** `most`: where it begins, and the largest that it can be. */
export function createConcurrencyLimit(most: number): ConcurrencyLimit {
  return limitFrom(most, most, null);
}

/** For an endpoint that works again since `now`. */
export function createSlowStart(most: number, now: number): ConcurrencyLimit {
  return limitFrom(Math.min(SLOW_START, most), most, now);
}

function limitFrom(begin: number, most: number, startedAt: number | null): ConcurrencyLimit {
  let limit = begin;
  /** Since when it doubles each second. null: it does not. */
  let doublesSince = startedAt;
  let halvedAt = Number.NEGATIVE_INFINITY;
  let answers = 0;

  const at = (now: number): number => {
    const doubled = doublesSince === null ? 0 : Math.floor((now - doublesSince) / SECOND_MS);
    return Math.min(limit * 2 ** doubled, most);
  };

  return {
    at,
    connectTimedOut: (now) => {
      if (now - halvedAt < SECOND_MS) return;
      limit = Math.max(Math.floor(at(now) / 2), Math.min(LEAST, most));
      doublesSince = null;
      halvedAt = now;
      answers = 0;
    },
    answered: () => {
      if (doublesSince !== null) return;
      answers += 1;
      if (answers % ANSWERS_TO_GROW === 0) limit = Math.min(limit + 1, most);
    },
  };
}
