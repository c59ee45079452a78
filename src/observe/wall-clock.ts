/** Monotonic times as Unix milliseconds. The same time is always the same, unless somebody sets the clock. */

/** A running clock is never corrected by as much at once, so such a step means that somebody set it. */
const SET_MS = 1_000;

export type WallClock = (monotonic: number) => number;

export function createWallClock(now: () => number, unixNow: () => number): WallClock {
  let offset = unixNow() - now();
  return (monotonic) => {
    const current = unixNow() - now();
    if (Math.abs(current - offset) > SET_MS) offset = current;
    return Math.round(monotonic + offset);
  };
}
