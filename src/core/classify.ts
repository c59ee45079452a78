/**
 * What an outcome means: the evidence table. core/treatment.ts says what each row leads to.
 *
 *    outcome                                         verdict   cause
 *  1 cannot be reached                               fault     only the upstream, or the network before it
 *  2 silent, broken off, malformed, a fault status,
 *    or an answer that the config calls a fault      fault     mostly the upstream, and who floods it
 *  3 another 5xx, a bare 400, a verdict that lacks
 *    what it always has, a refusal where a probe of
 *    the same host is proven                         suspect   the upstream, or an odd check of a client
 *  4 none: its gateway gave up first                           either
 *  – any other answer                                allow, challenge or deny
 */
import { isEmptyOnceDecoded } from "./coded-body.ts";
import { firstHeader, headerValues } from "./headers.ts";
import type { AnswerMatch, Expectations, FaultRules } from "./snapshot.ts";
import type { Answer, Decided, Outcome, SuspectReason, Verdict } from "./types.ts";

/** The outcomes that say something about the upstream by themselves. */
type Evidence = Extract<Outcome, { kind: "answer" | "failure" }>;

/** Any other status is malformed: RFC 9110 section 15 defines none, and each gateway treats it differently. */
export function isFinalStatus(status: number): boolean {
  return status >= 200 && status <= 599;
}

/**
 * Why an answer is suspect (row 3), "fault" for row 2, and null for a verdict. `isProvenHost` is asked for the
 * refusals alone that a healthy upstream seldom gives. Headers are read only where a rule needs them, because they
 * become text only then.
 */
export function oddityOf(
  answer: Answer,
  rules: FaultRules,
  isProvenHost: () => boolean,
): SuspectReason | "fault" | null {
  const { status } = answer;
  if (rules.statuses.has(status) || isMatched(answer, rules.match)) return "fault";
  if (status >= 500 || rules.suspectStatuses.has(status)) return `status_${status}`;
  if (rules.bare400 && isBare400(answer)) return "bare_400";
  if (missesExpectation(answer, rules.expect)) return "unexpected";
  return isOddRefusal(status) && isProvenHost() ? `status_${status}` : null;
}

/** The row of an answer in the table above; null: it is a verdict. */
export function rowOf(answer: Answer, rules: FaultRules, isProvenHost: () => boolean): 2 | 3 | null {
  const oddity = oddityOf(answer, rules, isProvenHost);
  if (oddity === null) return null;
  return oddity === "fault" ? 2 : 3;
}

export function classify(evidence: Evidence, rules: FaultRules, isProvenHost: () => boolean): Verdict {
  if (evidence.kind === "failure") {
    const { kind: _, ...failure } = evidence;
    return { kind: "fault", ...failure, answer: null };
  }
  const { answer } = evidence;
  const oddity = oddityOf(answer, rules, isProvenHost);
  if (oddity === null) return verdictOf(answer);
  if (oddity === "fault") return { kind: "fault", reason: `status_${answer.status}`, answer };
  return { kind: "suspect", reason: oddity, answer };
}

/** What an answer says by its status alone. */
export function verdictOf(answer: Answer): Decided {
  const { status } = answer;
  if (status < 300) return { kind: "allow", answer };
  return { kind: isChallenge(status) ? "challenge" : "deny", answer };
}

/** Whether an answer lacks one of `names` (lower case). An empty value counts as lacking. */
export function lacksHeader(answer: Answer, names: readonly string[]): boolean {
  if (names.length === 0) return false;
  return answer.lacks ? answer.lacks(names) : names.some((name) => !firstHeader(answer.headers, name));
}

/** RFC 9110 section 15.4. */
export function isRedirect(status: number): boolean {
  return status >= 300 && status <= 399;
}

/** A redirect to a login, or 401. */
export function isChallenge(status: number): boolean {
  return isRedirect(status) || status === 401;
}

/** A 4xx other than those that a healthy upstream gives by right: 401, 403 and 429. */
export function isOddRefusal(status: number): boolean {
  return status >= 400 && status <= 499 && status !== 401 && status !== 403 && status !== 429;
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

/**
 * Outposts of 2025.6 answer a 302 without a cookie when their store is full, and those of 2025.10 a 200 that names
 * nobody. Authelia's store shows in nothing but the cookie that its challenge lacks.
 */
function missesExpectation(answer: Answer, { allow, challenge }: Expectations): boolean {
  const { status } = answer;
  if (status < 300) return allow.headers.length > 0 && lacksHeader(answer, allow.headers);
  if (!isChallenge(status)) return false;
  const { headers, cookie, location } = challenge;
  if (headers.length > 0 && lacksHeader(answer, headers)) return true;
  if (cookie !== null && !headerValues(answer.headers, "set-cookie").some((one) => one.startsWith(cookie)))
    return true;
  if (location === null || !isRedirect(status)) return false;
  return !(firstHeader(answer.headers, "location") ?? "").startsWith(location);
}

/** Nearly no route has any, and every answer passes here. */
function isMatched(answer: Answer, matches: readonly AnswerMatch[]): boolean {
  return matches.length > 0 && matches.some((match) => isMatch(answer, match));
}

function isMatch(answer: Answer, { status, header, body }: AnswerMatch): boolean {
  if (answer.status !== status) return false;
  if (header !== null && headerValues(answer.headers, header).length === 0) return false;
  return body === null || (answer.body.kind === "whole" && Buffer.from(answer.body.bytes).includes(body));
}
