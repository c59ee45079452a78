/**
 * When an endpoint is not asked while others are, and when it is asked again.
 *
 *  in_use    Checks are sent. A refused or unreachable connection ejects it at once, because no client can cause that.
 *            Any other failure ejects it as the third in a row, if another endpoint answered meanwhile: when none
 *            does, the fault is not this endpoint's own. The last one in use is never ejected.
 *  ejected   No check is sent. One trial is due at `tryAt`. What an older attempt finds out changes nothing: the late
 *            answers of a slow endpoint must not bring it back.
 *  on_trial  One check is on its way. A verdict brings the endpoint back; a failure doubles the wait, up to 15 s. A
 *            trial that never settles expires, and another one is due.
 */
import type { EjectionReason } from "./endpoint.ts";

/** All times are milliseconds of one clock that never goes back. */
export type Ejection =
  | { readonly kind: "in_use"; readonly failures: number; readonly firstFailureAt: number }
  | (Ejected & { readonly kind: "ejected"; readonly tryAt: number })
  | (Ejected & { readonly kind: "on_trial"; readonly expiresAt: number });

interface Ejected {
  /** When it was ejected. Failed trials do not change it. */
  readonly since: number;
  /** The reason of the latest failure. */
  readonly reason: EjectionReason;
  /** The wait before the next trial, jitter aside. */
  readonly wait: number;
}

export interface Others {
  /** When another endpoint answered last; -Infinity: never. */
  readonly answeredAt: number;
  /** Whether another endpoint is in use. The last one in use is never ejected. */
  readonly inUse: boolean;
}

/** Failures in a row that eject. */
const FAILURES = 3;
/** Another's answer counts if it came at most so long before the first failure: where checks are rare, answers are too. */
const ANSWER_MS = 1_000;
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 15_000;
/** Each wait is longer or shorter by up to this share, so that replicas of ours do not try together. */
const JITTER = 0.2;

export const IN_USE: Ejection = { kind: "in_use", failures: 0, firstFailureAt: 0 };

export function isInUse(state: Ejection): boolean {
  return state.kind === "in_use";
}

/** The state after an attempt that failed, be it the trial or any other. `random`: 0 to 1. */
export function afterFailure(
  state: Ejection,
  reason: EjectionReason,
  others: Others,
  now: number,
  random: number,
): Ejection {
  switch (state.kind) {
    case "in_use": {
      const firstFailureAt = state.failures === 0 ? now : state.firstFailureAt;
      const failures = Math.min(state.failures + 1, FAILURES);
      const isOwn =
        ejectsAtOnce(reason) || (failures === FAILURES && others.answeredAt >= firstFailureAt - ANSWER_MS);
      if (isOwn && others.inUse) return ejected({ since: now, reason, wait: FIRST_WAIT_MS }, now, random);
      return { kind: "in_use", failures, firstFailureAt };
    }
    case "ejected":
      return state;
    case "on_trial": {
      const wait = Math.min(state.wait * 2, LONGEST_WAIT_MS);
      return ejected({ since: state.since, reason, wait }, now, random);
    }
  }
}

/** The state after a verdict. An endpoint in use comes back as `IN_USE` itself, so that callers can compare by identity. */
export function afterVerdict(state: Ejection): Ejection {
  return state.kind === "ejected" ? state : IN_USE;
}

/** Whether a trial may start now. */
export function isEjectionTrialDue(state: Ejection, now: number): boolean {
  if (state.kind === "ejected") return now >= state.tryAt;
  return state.kind === "on_trial" && now >= state.expiresAt;
}

/** Starts a trial, which has `expiry` milliseconds to settle. */
export function startEjectionTrial(state: Ejection, now: number, expiry: number): Ejection {
  if (state.kind === "in_use") return state;
  const { since, reason, wait } = state;
  return { kind: "on_trial", since, reason, wait, expiresAt: now + expiry };
}

function ejectsAtOnce(reason: EjectionReason): boolean {
  return reason === "refused" || reason === "unreachable";
}

function ejected({ since, reason, wait }: Ejected, now: number, random: number): Ejection {
  return { kind: "ejected", since, reason, wait, tryAt: now + wait * (1 - JITTER + 2 * JITTER * random) };
}
