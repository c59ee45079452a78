/**
 * When a route stops asking its upstream, and when it asks again.
 *
 *  closed     Checks are sent. `failures` counted faults in a row open the breaker; any verdict resets the count.
 *  open       No check is sent. One trial is due at `tryAt`: a probe, or one live check if no probe ever passed or
 *             probes have failed for long. So a wrong probe never keeps a route open.
 *  half-open  The trial is on its way. `successes` good trials in a row close the breaker; a bad one doubles the wait.
 *
 * Each opening, trial and closing begins a new generation. A result of an older generation changes nothing, and a
 * trial that never settles expires (sony/gobreaker, `afterRequest`).
 */
import type { BreakerRules } from "./snapshot.ts";

export type Breaker =
  | { readonly kind: "closed"; readonly generation: number; readonly faults: number }
  | (Opened & { readonly kind: "open"; readonly tryAt: number })
  | (Opened & { readonly kind: "half-open"; readonly expiresAt: number });

interface Opened {
  readonly generation: number;
  readonly since: number;
  /** Good trials so far, in a row. */
  readonly successes: number;
  /** The wait before the next trial, jitter aside. */
  readonly wait: number;
}

export type BreakerState = Breaker["kind"];

/** `good`: the upstream gave a verdict. `fault`: it gave none, and no client can have caused that. */
export type BreakerEvidence = "good" | "fault";

/** This share of each wait is random, so that replicas that opened together do not try together. */
const JITTER = 0.2;

export const CLOSED: Breaker = { kind: "closed", generation: 0, faults: 0 };

/** Whether `good` evidence changes nothing. */
export function isAtRest(breaker: Breaker): boolean {
  return breaker.kind === "closed" && breaker.faults === 0;
}

/** The state after a check that was admitted in `generation`. `random`: 0 to 1. */
export function afterCheck(
  breaker: Breaker,
  rules: BreakerRules,
  generation: number,
  evidence: BreakerEvidence,
  now: number,
  random: number,
): Breaker {
  if (breaker.kind !== "closed" || breaker.generation !== generation) return breaker;
  if (evidence === "good") return breaker.faults === 0 ? breaker : { ...breaker, faults: 0 };
  const faults = breaker.faults + 1;
  if (faults < rules.failures) return { ...breaker, faults };
  const opened = { generation: generation + 1, since: now, successes: 0, wait: rules.interval };
  return { kind: "open", ...opened, tryAt: now + withJitter(opened.wait, random) };
}

/** Whether a trial may start now. */
export function isTrialDue(breaker: Breaker, now: number): boolean {
  if (breaker.kind === "open") return now >= breaker.tryAt;
  return breaker.kind === "half-open" && now >= breaker.expiresAt;
}

/** Starts a trial, which has `expiry` milliseconds to settle. The new state's generation is the trial's. */
export function startTrial(
  breaker: Exclude<Breaker, { kind: "closed" }>,
  now: number,
  expiry: number,
): Breaker {
  const { since, successes, wait } = breaker;
  const generation = breaker.generation + 1;
  return { kind: "half-open", generation, since, successes, wait, expiresAt: now + expiry };
}

/** The state after the trial of `generation`. */
export function afterTrial(
  breaker: Breaker,
  rules: BreakerRules,
  generation: number,
  evidence: BreakerEvidence,
  now: number,
  random: number,
): Breaker {
  if (breaker.kind !== "half-open" || breaker.generation !== generation) return breaker;
  const successes = evidence === "good" ? breaker.successes + 1 : 0;
  if (successes >= rules.successes) return { kind: "closed", generation: generation + 1, faults: 0 };
  const wait = evidence === "good" ? rules.interval : Math.min(breaker.wait * 2, rules.maxInterval);
  const { since } = breaker;
  return { kind: "open", generation, since, successes, wait, tryAt: now + withJitter(wait, random) };
}

/** The state after a trial of `generation` that said nothing about the upstream. */
export function withoutResult(breaker: Breaker, generation: number, now: number, random: number): Breaker {
  if (breaker.kind !== "half-open" || breaker.generation !== generation) return breaker;
  const { since, successes, wait } = breaker;
  return { kind: "open", generation, since, successes, wait, tryAt: now + withJitter(wait, random) };
}

function withJitter(wait: number, random: number): number {
  return wait * (1 - JITTER * random);
}
