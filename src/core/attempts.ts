/**
 * The attempts of one check: when it is asked once more, and what all of its attempts show together.
 *
 * - Behind one address or name there are often several servers, and one that is silent, odd or gone says nothing of
 *   the others. So a check is asked at another endpoint, or over another connection, before anything is concluded.
 * - A failed attempt is followed by a retry at once. A silent one is not failed for long, so it gets a hedge beside it.
 * - A verdict wins at once. If no attempt brings one, the check has the evidence of its least trusted attempt: row 3
 *   before row 2 before row 1. So more attempts never make it more likely that a check is let through.
 */
import { rowOf } from "./classify.ts";
import type { FaultRules } from "./snapshot.ts";
import { isUnreachable } from "./treatment.ts";
import type { FailureReason, Outcome } from "./types.ts";

/** All attempts of a check together. Two fresh connections of three bad ones would be no rare case. */
export const MAX_ATTEMPTS = 3;

/** What an attempt yielded about the upstream. */
export type AttemptOutcome = Extract<Outcome, { kind: "answer" | "failure" }>;

/** The row of the evidence table (core/classify.ts), or 0 for a verdict. */
export type EvidenceRow = 0 | 1 | 2 | 3;

export function evidenceRow(outcome: AttemptOutcome, rules: FaultRules): EvidenceRow {
  if (outcome.kind === "failure") return isUnreachable(outcome.reason) ? 1 : 2;
  return rowOf(outcome.answer, rules) ?? 0;
}

/** What two attempts without a verdict show together. */
export function leastTrusted(a: AttemptOutcome, b: AttemptOutcome, rules: FaultRules): AttemptOutcome {
  const [rowA, rowB] = [evidenceRow(a, rules), evidenceRow(b, rules)];
  if (rowA !== rowB) return rowA > rowB ? a : b;
  // Checks of other clients may have filled the queue, so this one is the less trusted.
  return b.kind === "failure" && b.unasked ? b : a;
}

const TIMEOUTS: ReadonlySet<FailureReason> = new Set(["connect_timeout", "read_timeout", "total_timeout"]);

/** An attempt that timed out is not retried, because its check would have to wait anew. A hedge came long before. */
export function isTimeout(outcome: AttemptOutcome): boolean {
  return outcome.kind === "failure" && TIMEOUTS.has(outcome.reason);
}
