/**
 * What an outcome means. The evidence table (DESIGN section 4):
 *  1. cannot be reached                               → fault; only the upstream can cause it
 *  2. silent, broken off, malformed, a fault status   → fault; mostly the upstream
 *  3. another 5xx, or a bare 400                      → suspect; an odd check can cause it as well
 *  4. any other answer                                → a verdict
 */
import { firstHeader } from "./headers.ts";
import type { FaultRules } from "./snapshot.ts";
import type { Answer, Outcome, Verdict } from "./types.ts";

/** An outcome that says something of the upstream. */
export type Evidence = Extract<Outcome, { kind: "answer" | "failure" }>;

/** Outside RFC 9110 section 15, each gateway makes something else of it: such an answer is malformed. */
export function isFinalStatus(status: number): boolean {
  return status >= 200 && status <= 599;
}

export function classify(evidence: Evidence, rules: FaultRules): Verdict {
  if (evidence.kind === "failure") {
    const { kind: _, ...failure } = evidence;
    return { kind: "fault", ...failure, answer: null };
  }
  const { answer } = evidence;
  const { status } = answer;
  if (rules.statuses.has(status)) return { kind: "fault", reason: `status_${status}`, answer };
  if (status >= 500 || rules.suspectStatuses.has(status)) {
    return { kind: "suspect", reason: `status_${status}`, answer };
  }
  if (rules.bare400 && isBare400(answer)) return { kind: "suspect", reason: "bare_400", answer };
  if (status < 300) return { kind: "allow", answer };
  if (status < 400 || status === 401) return { kind: "challenge", answer };
  return { kind: "deny", answer };
}

/** Whether an answer lacks one of `names` (lower case). An empty value names nobody. */
export function lacksHeader(answer: Answer, names: readonly string[]): boolean {
  return names.some((name) => !firstHeader(answer.headers, name));
}

/** RFC 9110 section 15.4. */
export function isRedirect(status: number): boolean {
  return status >= 300 && status <= 399;
}

/** An outpost whose session store is full answers so (incident of 2026-04-18); its own refusals carry JSON. */
function isBare400(answer: Answer): boolean {
  if (answer.status !== 400 || answer.body.kind !== "whole" || answer.body.bytes.length > 0) return false;
  // An answer to HEAD has no body to show; its length tells that there would be one.
  if ((firstHeader(answer.headers, "content-length") ?? "0") !== "0") return false;
  return firstHeader(answer.headers, "set-cookie") === null;
}
