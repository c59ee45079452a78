/** The figures of the bench. A ratio is to the reference's run just before, so that disturbances cancel out. */
import { type Spread, spreadOf } from "../statistics.ts";
import type { Pace } from "./pace.ts";

/** One subject under load for a while. */
export interface Run {
  readonly cpuMicros: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly residentMb: number;
}
export type Metric = keyof Run;
export const METRICS: readonly Metric[] = ["cpuMicros", "perSecond", "p50Ms", "p99Ms", "residentMb"];

export interface Pair {
  readonly subject: Run;
  /** The run of the reference just before. */
  readonly reference: Run;
}

export interface SubjectFigures {
  readonly subject: string;
  readonly runs: number;
  /** Resident memory before the first check. */
  readonly idleMb: number;
  readonly figures: Readonly<Record<Metric, Spread>>;
  /** null: the subject is the reference. */
  readonly ratios: Readonly<Record<Metric, Spread>> | null;
}

export interface CaseFigures {
  readonly name: string;
  readonly title: string;
  /** The first one is the reference. */
  readonly subjects: readonly SubjectFigures[];
}

/** Times of single replies while the upstream hangs. */
export interface HungFigures {
  readonly subject: string;
  readonly replies: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** Emergency logins beside an attacker. */
export interface LoginFigures {
  readonly subject: string;
  /** Checks with a remembered login. */
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly guessesPerSecond: number;
  /** null: the subject reports no delay of its event loop. */
  readonly loopDelay: { readonly p99Ms: number; readonly maxMs: number } | null;
}

/** `none` is a recorder that does nothing. The others are the real one with this `log.access`. */
export const RECORDERS = ["none", "off", "sampled", "all"] as const;

/** The cost of one check. */
export interface DecisionFigures extends Pace {
  readonly what: string;
}

export interface Results {
  readonly versions: Readonly<Record<string, string>>;
  readonly settings: {
    readonly rounds: number;
    readonly secondsPerRun: number;
    readonly headBytes: number;
    /** Whether the subject and its load had a core each. */
    readonly coresApart: boolean;
    readonly subjects: Readonly<Record<string, string>>;
  };
  readonly cases: readonly CaseFigures[];
  readonly hung: readonly HungFigures[];
  readonly logins: readonly LoginFigures[];
  readonly decisions: readonly DecisionFigures[];
  /** What had to be measured again or could not be measured. */
  readonly remarks: readonly string[];
}

export function figuresOf(subject: string, idleMb: number, pairs: readonly Pair[]): SubjectFigures {
  return {
    subject,
    runs: pairs.length,
    idleMb,
    figures: eachMetric((metric) => spreadOf(pairs.map((pair) => pair.subject[metric]))),
    ratios: eachMetric((metric) =>
      spreadOf(pairs.map((pair) => pair.subject[metric] / pair.reference[metric])),
    ),
  };
}

export function referenceFigures(subject: string, idleMb: number, runs: readonly Run[]): SubjectFigures {
  const figures = eachMetric((metric) => spreadOf(runs.map((run) => run[metric])));
  return { subject, runs: runs.length, idleMb, figures, ratios: null };
}

function eachMetric(spread: (metric: Metric) => Spread): Record<Metric, Spread> {
  return {
    cpuMicros: spread("cpuMicros"),
    perSecond: spread("perSecond"),
    p50Ms: spread("p50Ms"),
    p99Ms: spread("p99Ms"),
    residentMb: spread("residentMb"),
  };
}
