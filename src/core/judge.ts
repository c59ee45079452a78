/**
 * What the probes of one round say of a check in question, and of the upstream.
 *
 * - One deciding probe that is answered as ever clears: the upstream is well, and the client caused what was seen.
 * - A bad one confirms, unless a check of the same kind got a verdict within the last second: then the upstream is busy
 *   or one of several servers is bad, and neither must open a door.
 * - A clean verdict of another kind confirms row 3 alone. It opens nothing.
 * - An unproven probe may be wrong itself. Where it would let somebody in, and for the breaker, it counts only if nobody
 *   answers it at all while no check was answered since the start. Elsewhere all it can do is show the emergency login.
 */
import { type Finding, type Meaning, meaningOf } from "./probe.ts";
import type { FallbackMode, Judgement, ProvenVerdict } from "./types.ts";

/** What a probe found, and what a healthy upstream is known to answer to it; null: that is not known. */
export interface Probed {
  readonly proven: ProvenVerdict | null;
  readonly finding: Finding;
}

/** A check in question, and what else is known. */
export interface Question {
  readonly row: 2 | 3;
  readonly mode: FallbackMode;
  /** Whether a check was answered since the start. */
  readonly isAnswered: boolean;
  /** Whether a check of the same kind got a verdict within the last second. */
  readonly hasVerdict: boolean;
}

/** null: nothing can be said, so the check is shed. */
export function judgementOf(round: readonly Probed[], question: Question): Judgement | null {
  const [only] = round;
  if (only === undefined) return null;
  if (only.proven === null) return judgementOfUnproven(only.finding, question);
  const meanings = meaningsOf(round);
  if (meanings.includes("as-proven")) return "cleared";
  const isBad = meanings.includes("bad");
  const isOtherwise = meanings.includes("otherwise");
  if (isBad || (isOtherwise && question.row === 3)) return question.hasVerdict ? null : "confirmed";
  return isOtherwise ? "cleared" : null;
}

function judgementOfUnproven({ result, isSilence }: Finding, question: Question): Judgement | null {
  if (result.kind === "unknown") return null;
  if (result.kind === "fine") return "cleared";
  if (question.hasVerdict) return null;
  if (question.mode !== "allow") return "confirmed";
  return isSilence && !question.isAnswered ? "confirmed" : null;
}

/** What is known where a probe is unproven. */
interface Doubt {
  /** Whether a check was answered since the start. */
  readonly isAnswered: boolean;
  /** The route decides nothing, so no wrong probe can let anybody in. */
  readonly isPlainProxy: boolean;
}

/** Whether a round shows that the upstream is broken for everybody, so that the breaker counts it. */
export function isBroken(round: readonly Probed[], { isAnswered, isPlainProxy }: Doubt): boolean {
  const faults = round.filter(({ finding }) => finding.result.kind === "fault");
  if (faults.length === 0 || meaningsOf(round).includes("as-proven")) return false;
  const isBelieved = ({ isSilence }: Finding): boolean => isPlainProxy || (isSilence && !isAnswered);
  return faults.some(({ proven, finding }) => proven !== null || isBelieved(finding));
}

/** What each of them means. Those of unproven probes mean nothing, and are left out. */
export function meaningsOf(round: readonly Probed[]): readonly Meaning[] {
  return round.flatMap(({ proven, finding }) => (proven === null ? [] : [meaningOf(finding, proven)]));
}
