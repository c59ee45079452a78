/** Measures how long one call takes, and how much garbage it makes. */
import { getHeapStatistics } from "node:v8";
import { type Spread, spreadOf } from "../statistics.ts";

/** The figures of one call. */
export interface Pace {
  readonly nanos: Spread;
  readonly allocatedBytes: Spread;
}

const ROUNDS = 7;
const CALLS = 200_000;
const NANOS_PER_MS = 1e6;

/** `call` returns a number above 0, because the compiler may omit unused work. The first round does not count. */
export function paceOf(call: () => number): Pace {
  roundOf(call);
  const rounds = Array.from({ length: ROUNDS }, () => roundOf(call));
  return {
    nanos: spreadOf(rounds.map(({ nanos }) => nanos)),
    allocatedBytes: spreadOf(rounds.map(({ bytes }) => bytes)),
  };
}

function roundOf(call: () => number): { readonly nanos: number; readonly bytes: number } {
  let sum = 0;
  const before = getHeapStatistics().total_allocated_bytes;
  const begin = performance.now();
  for (let turn = 0; turn < CALLS; turn += 1) sum += call();
  const took = performance.now() - begin;
  const allocated = getHeapStatistics().total_allocated_bytes - before;
  if (sum === 0) throw new Error("nothing was done");
  return { nanos: (took * NANOS_PER_MS) / CALLS, bytes: allocated / CALLS };
}
