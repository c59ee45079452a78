/**
 * What an outcome means: the evidence table. core/treatment.ts says what each row leads to.
 *
 *    outcome                                         verdict   cause
 *  1 cannot be reached                               fault     only the upstream, or the network before it
 *  2 silent, broken off, malformed, a fault status   fault     mostly the upstream
 *  3 another 5xx, or a bare 400                      suspect   the upstream, or an odd check of a client
 *  4 any other answer                                allow, challenge or deny
 */
import { isEmptyOnceDecoded } from "./coded-body.ts";
import { firstHeader } from "./headers.ts";
import type { FaultRules } from "./snapshot.ts";
import type { Answer, Outcome, SuspectReason, Verdict } from "./types.ts";

/** The outcomes that say something about the upstream. */
type Evidence = Extract<Outcome, { kind: "answer" | "failure" }>;

/** Any other status is malformed: RFC 9110 section 15 defines none, and each gateway treats it differently. */
export function isFinalStatus(status: number): boolean {
  return status >= 200 && status <= 599;
}

/** The row of an answer in the table above; null: it is a verdict. */
export function rowOf(answer: Answer, rules: FaultRules): 2 | 3 | null {
  const { status } = answer;
  if (rules.statuses.has(status)) return 2;
  if (status >= 500 || rules.suspectStatuses.has(status)) return 3;
  return rules.bare400 && isBare400(answer) ? 3 : null;
}

export function classify(evidence: Evidence, rules: FaultRules): Verdict {
  if (evidence.kind === "failure") {
    const { kind: _, ...failure } = evidence;
    return { kind: "fault", ...failure, answer: null };
  }
  const { answer } = evidence;
  const { status } = answer;
  const row = rowOf(answer, rules);
  if (row === 2) return { kind: "fault", reason: `status_${status}`, answer };
  if (row === 3) return { kind: "suspect", reason: suspectReason(answer, rules), answer };
  if (status < 300) return { kind: "allow", answer };
  if (status < 400 || status === 401) return { kind: "challenge", answer };
  return { kind: "deny", answer };
}

function suspectReason({ status }: Answer, { suspectStatuses }: FaultRules): SuspectReason {
  return status >= 500 || suspectStatuses.has(status) ? `status_${status}` : "bare_400";
}

/** Whether an answer lacks one of `names` (lower case). An empty value counts as lacking. */
export function lacksHeader(answer: Answer, names: readonly string[]): boolean {
  return names.some((name) => !firstHeader(answer.headers, name));
}

/** RFC 9110 section 15.4. */
export function isRedirect(status: number): boolean {
  return status >= 300 && status <= 399;
}

/** An outpost with a full session store answers so (incident of 2026-04-18). The outpost's own refusals carry JSON. */
function isBare400(answer: Answer): boolean {
  // The headers become text only when they are asked for, and nearly no answer needs that.
  if (answer.status !== 400) return false;
  const { headers, body } = answer;
  if (body.kind !== "whole" || firstHeader(headers, "set-cookie") !== null) return false;
  // An answer to HEAD never has a body, but its Content-Length tells whether a GET would get one.
  if (body.bytes.length === 0) return (firstHeader(headers, "content-length") ?? "0") === "0";
  return isEmptyOnceDecoded(body.bytes, firstHeader(headers, "content-encoding"));
}
