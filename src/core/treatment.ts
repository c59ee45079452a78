/**
 * What a verdict leads to: the two right columns of the evidence table (DESIGN section 4).
 *
 *  evidence                                   basic-auth, deny   allow      opens the breaker
 *  1 cannot be reached                        fall back          fall back  yes
 *  2 silent, broken off, a fault status …     fall back          confirm    once a probe confirms
 *  3 another 5xx, a bare 400                  confirm            confirm    never
 *
 * What waited in line to the end without being asked is confirmed in every mode: others may have filled the line.
 * To confirm is to send a probe that holds no word of the client's: if that gets a verdict, the client caused
 * what was seen, and no fallback happens. So no client gets an `allow` out of a healthy upstream.
 */
import type { FaultRules } from "./snapshot.ts";
import type { AnswerFailure, FallbackMode, FallbackReason, FaultReason, Verdict } from "./types.ts";

export type Treatment = "relay" | "fall-back" | "confirm";

const CANNOT_BE_REACHED: ReadonlySet<FaultReason> = new Set([
  "refused",
  "unreachable",
  "connect_timeout",
  "dns",
  "tls",
]);

/** Row 1: only the upstream, or the network in front of it, can cause these. */
export function isUnreachable(reason: FaultReason): boolean {
  return CANNOT_BE_REACHED.has(reason);
}

export function treatmentOf(verdict: Verdict, mode: FallbackMode, confirm: FaultRules["confirm"]): Treatment {
  if (verdict.kind === "suspect") return mode === "none" || confirm === "never" ? "relay" : "confirm";
  if (verdict.kind !== "fault") return "relay";
  // Plain proxying has no policy to apply: an answer that came is better than one of ours.
  if (mode === "none") return verdict.answer ? "relay" : "fall-back";
  if (isUnreachable(verdict.reason) || confirm === "never") return "fall-back";
  // Found by asking the login page, which no client has a part in.
  if (verdict.reason === "login_down") return "fall-back";
  return mode === "allow" || confirm === "always" || verdict.unasked ? "confirm" : "fall-back";
}

const BROKEN_ANSWERS: ReadonlySet<FallbackReason> = new Set<AnswerFailure>([
  "read_timeout",
  "total_timeout",
  "reset",
  "malformed",
  "too_large",
]);

/**
 * Whether a check that fell back for this reason shows that the upstream is broken, or may have brought it about
 * itself: row 2 where no probe stood before the fallback.
 */
export function isClientProof(reason: FallbackReason, mode: FallbackMode, rules: FaultRules): boolean {
  const isRow2 = BROKEN_ANSWERS.has(reason) || isFaultStatus(reason, rules);
  return !isRow2 || mode === "allow" || rules.confirm !== "auto";
}

function isFaultStatus(reason: FallbackReason, { statuses }: FaultRules): boolean {
  return reason.startsWith("status_") && statuses.has(Number(reason.slice("status_".length)));
}
