/** Random numbers that are the same in every run. */

export interface Draws {
  /** 0 to 1. */
  next(): number;
  /** 0 to `count` - 1. */
  below(count: number): number;
  pick<Value>(from: readonly [Value, ...Value[]]): Value;
  /** True with this probability. */
  chance(share: number): boolean;
}

/** mulberry32. */
export function draws(seed: number): Draws {
  let state = seed;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  const below = (count: number): number => Math.floor(next() * count);
  return {
    next,
    below,
    pick: (from) => from[below(from.length)] ?? from[0],
    chance: (share) => next() < share,
  };
}
