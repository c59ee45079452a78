/**
 * The attempts of one check: when it is asked once more, and what all of its attempts show together.
 *
 * - Behind one address or name there are often several servers, and one that is silent, odd or gone says nothing of
 *   the others. So a check is asked at another endpoint, or over another connection, before anything is concluded.
 * - A failed attempt is followed by a retry at once. A silent one is not failed for long, so it gets a hedge beside it.
 * - A verdict wins at once. If no attempt brings one, the check has the evidence of its least trusted attempt: row 3
 *   before row 2 before row 1. So more attempts never make it more likely that a check is let through.
 */
import { isChallenge, rowOf } from "./classify.ts";
import { isUnreachable } from "./treatment.ts";
import type { FailureReason, Outcome, ProvenVerdict, Trying } from "./types.ts";

/** All attempts of a check together. Two fresh connections of three bad ones would be no rare case. */
export const MAX_ATTEMPTS = 3;

/** What an attempt yielded about the upstream. */
export type AttemptOutcome = Extract<Outcome, { kind: "answer" | "failure" }>;

/** The row of the evidence table (core/classify.ts), or 0 for a verdict. */
export type EvidenceRow = 0 | 1 | 2 | 3;

/** What may have several attempts. */
export type Retried = Exclude<Trying, { readonly kind: "once" }>;

/** Each check passes here, so a header or the client's host is looked at only where the status makes it matter. */
export function evidenceRow(outcome: AttemptOutcome, trying: Retried): EvidenceRow {
  if (outcome.kind === "failure") return isUnreachable(outcome.reason) ? 1 : 2;
  const { answer } = outcome;
  const row = rowOf(answer, trying.fault, trying.kind === "check" ? trying.isProvenHost : NO_HOST);
  if (row !== null) return row;
  return trying.kind === "probe" && isOtherwise(answer.status, trying.holds) ? 3 : 0;
}

/** For a request that is about no client's host. */
export const NO_HOST = (): boolean => false;

/** Whether a healthy upstream answers a probe otherwise, so that the answer may be one bad server's. */
function isOtherwise(status: number, holds: ProvenVerdict | null): boolean {
  // An allow that became a challenge shows an upstream that works: somebody has closed what was open.
  if (holds === null || isChallenge(status)) return false;
  return holds === "challenge" || status >= 300;
}

/** What two attempts without a verdict show together. */
export function leastTrusted(a: AttemptOutcome, b: AttemptOutcome, trying: Retried): AttemptOutcome {
  const [rowA, rowB] = [evidenceRow(a, trying), evidenceRow(b, trying)];
  if (rowA !== rowB) return rowA > rowB ? a : b;
  // Checks of other clients may have filled the queue, so this one is the less trusted.
  return b.kind === "failure" && b.unasked ? b : a;
}

const TIMEOUTS: ReadonlySet<FailureReason> = new Set(["connect_timeout", "read_timeout", "total_timeout"]);

/** An attempt that timed out is not retried, because its check would have to wait anew. A hedge came long before. */
export function isTimeout(outcome: AttemptOutcome): boolean {
  return outcome.kind === "failure" && TIMEOUTS.has(outcome.reason);
}
