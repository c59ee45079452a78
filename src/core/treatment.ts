/**
 * What a verdict leads to. The rows are those of the evidence table in core/classify.ts, with `confirm: auto`:
 *
 *    outcome                                         basic-auth, deny   allow      counts for the breaker
 *  1 cannot be reached                               fall back          fall back  yes
 *  2 silent, broken off, malformed, a fault status   fall back          confirm    once a probe confirms it
 *  3 another 5xx, a bare 400, an odd answer          confirm            confirm    never
 *  4 its gateway gave up first                       –                  –          once a probe confirms it
 *
 * - To confirm, sparekey sends a probe, which holds nothing that this client chose (core/probe.ts). If the probe gets
 *   a verdict, the client caused the fault and does not fall back. So a healthy upstream never leads to an `allow`.
 * - A check that was never sent, because its time ran out in the wait queue or no connection was taken, is confirmed in
 *   both columns: checks of other clients may have filled our queue, or the upstream's.
 * - `confirm: always` confirms row 2 in both columns too. `confirm: never` relays row 3 and confirms nothing.
 * - Mode `none` relays every answer, and falls back only where there is none.
 */
import type { FaultRules } from "./snapshot.ts";
import type { AnswerFailure, FallbackMode, FallbackReason, FaultReason, Verdict } from "./types.ts";

export type Treatment = "relay" | "fall-back" | "confirm";

const CANNOT_BE_REACHED: ReadonlySet<FaultReason> = new Set(["refused", "unreachable", "dns", "tls"]);

/** Whether the reason is in row 1. */
export function isUnreachable(reason: FaultReason): boolean {
  return CANNOT_BE_REACHED.has(reason);
}

export function treatmentOf(verdict: Verdict, mode: FallbackMode, confirm: FaultRules["confirm"]): Treatment {
  if (verdict.kind === "suspect") return mode === "none" || confirm === "never" ? "relay" : "confirm";
  if (verdict.kind !== "fault") return "relay";
  // A plain proxy decides nothing, so any answer of the upstream is better than one of ours.
  if (mode === "none") return verdict.answer ? "relay" : "fall-back";
  if (isUnreachable(verdict.reason) || confirm === "never") return "fall-back";
  // sparekey asked the login page itself, so no client can have caused this.
  if (verdict.reason === "login_down") return "fall-back";
  const wasSent = verdict.reason !== "connect_timeout" && !verdict.unasked;
  return mode === "allow" || confirm === "always" || !wasSent ? "confirm" : "fall-back";
}

const BROKEN_ANSWERS: ReadonlySet<FallbackReason> = new Set<AnswerFailure>([
  "read_timeout",
  "total_timeout",
  "reset",
  "malformed",
  "too_large",
]);

/**
 * Whether a fallback for this reason proves that the upstream is broken. It does not in row 2 without a probe, where
 * the check itself may have caused the fault.
 */
export function isClientProof(reason: FallbackReason, mode: FallbackMode, rules: FaultRules): boolean {
  // A flood brings it about.
  if (reason === "overload") return false;
  const isRow2 = BROKEN_ANSWERS.has(reason) || isFaultStatus(reason, rules);
  return !isRow2 || mode === "allow" || rules.confirm !== "auto";
}

function isFaultStatus(reason: FallbackReason, { statuses, match }: FaultRules): boolean {
  if (!reason.startsWith("status_")) return false;
  const status = Number(reason.slice("status_".length));
  return statuses.has(status) || match.some((one) => one.status === status);
}
