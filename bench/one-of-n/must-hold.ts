/**
 * What must hold while one of several replicas is bad. A run holds when all its lines do, and a cell when 19 of 20 runs
 * hold.
 */
import { percentile } from "../statistics.ts";
import type { Bad } from "./cells.ts";
import type { RunFigures } from "./figures.ts";

const MOST_MISSED = 0.002;
const HEDGE = { medians: 10, leastMs: 100, mostMs: 1_000 } as const;
const AFTER_HEDGE_MS = 200;
const TIMES_USUAL = 3;
/** timeouts.read of the defaults, and 1.5 s. */
const LAST_WAITING_MS = 6_500;
const RUNS_PER_EXCEPTION = 20;

export interface Usual {
  readonly p50: number;
  readonly p99: number;
}

export interface Line {
  readonly name: string;
  holds(run: RunFigures, usual: Usual): boolean;
}

const NONE_LATE: Line = {
  name: "no fallback for a check that came later than 1 s after the onset",
  holds: ({ missedLate }) => missedLate === 0,
};
const FEW: Line = {
  name: "at most 0.2 % fall back",
  holds: ({ missed, checks }) => checks > 0 && missed / checks <= MOST_MISSED,
};
export const WITHIN_HEDGE: Line = {
  name: "p99 of the first 10 s within the hedge's delay + 200 ms",
  holds: ({ early }, usual) => early.p99 <= hedgeMs(usual) + AFTER_HEDGE_MS,
};
const AS_USUAL: Line = {
  name: "p99 after that at most 3 times the usual",
  holds: ({ after }, usual) => after.p99 <= TIMES_USUAL * usual.p99,
};
const REPLIED: Line = {
  name: "the last waiting check has its reply 6.5 s after the onset",
  holds: ({ lastWaitingMs }) => lastWaitingMs !== null && lastWaitingMs <= LAST_WAITING_MS,
};

export function linesFor(bad: Bad): readonly Line[] {
  switch (bad) {
    case "none":
      return [NONE_LATE, FEW];
    case "all":
      return [REPLIED];
    case "slow":
      return [AS_USUAL];
    case "hung":
    case "refusing":
    case "dropped":
    case "503":
    case "500":
    case "400":
    case "store-full":
    case "reset":
    case "drip":
      return [NONE_LATE, FEW, WITHIN_HEDGE, AS_USUAL];
  }
}

/** After which time a second attempt starts beside a slow one. */
export function hedgeMs({ p50 }: Usual): number {
  return Math.min(HEDGE.mostMs, Math.max(HEDGE.leastMs, HEDGE.medians * p50));
}

/** Of the quiet times of all runs of a cell, because one run has too few checks for a p99. */
export function usualOf(runs: readonly RunFigures[]): Usual {
  const quiet = runs.flatMap((run) => run.quiet);
  return { p50: percentile(quiet, 0.5), p99: percentile(quiet, 0.99) };
}

export interface Judgement {
  readonly holds: boolean;
  /** In how many runs something broke. */
  readonly brokenRuns: number;
  /** The lines that broke in at least one run, and in how many. */
  readonly broken: readonly { readonly name: string; readonly runs: number }[];
}

export function judge(bad: Bad, runs: readonly RunFigures[]): Judgement {
  const usual = usualOf(runs);
  const lines = linesFor(bad);
  const brokenRuns = runs.filter((run) => !lines.every((line) => line.holds(run, usual))).length;
  return {
    holds: brokenRuns <= Math.floor(runs.length / RUNS_PER_EXCEPTION),
    brokenRuns,
    broken: lines
      .map((line) => ({ name: line.name, runs: runs.filter((run) => !line.holds(run, usual)).length }))
      .filter((line) => line.runs > 0),
  };
}
