/** The part of the schema for `fault` and `expect` of a route: which answers show that the upstream cannot decide. */
import * as z from "zod/mini";
import { answerHeader, bodyPart, cookiePrefix, locationPrefix } from "./texts.ts";
import { described, list, oneOf, optional, orNull, section, wholeNumber, yesOrNo } from "./values.ts";

const MOST_MATCHES = 16;
const MOST_EXPECTED = 16;

// 401 and 403 are verdicts. If they were faults, a denied client would reach the fallback.
function faultStatus() {
  const notVerdict = z.refine<number>((status) => status !== 401 && status !== 403, {
    error: "{value} is a verdict, never a fault; leave it out",
  });
  return wholeNumber(400, 599).check(notVerdict);
}

/** Here 401 and 403 may be faults, because it takes more than the status to match. */
export const matchShape = {
  status: described(wholeNumber(200, 599), "The status of such an answer."),
  header: orNull(answerHeader(), "A header that it has; this or body."),
  body: orNull(bodyPart(), "A part of its body; this or header."),
};

export const faultShape = {
  statuses: described(
    z.optional(list(faultStatus(), "[502, 503, 504]")),
    "Statuses that mean the upstream is broken. Default: [502, 503, 504].",
  ),
  suspectStatuses: described(
    z.optional(list(faultStatus(), "[500]")),
    "Statuses that may mean it; every other 5xx is suspect as well. Default: [500].",
  ),
  bare400: optional(yesOrNo(), true, "Whether a 400 with an empty body and no Set-Cookie is suspect."),
  confirm: optional(
    oneOf(["auto", "always", "never"]),
    "auto",
    "Whether a probe must confirm suspects, and faults that a client could cause. auto: suspects, and in mode allow those faults; always: both; never: neither, and suspects go back as they came.",
  ),
  match: optional(
    list(section(matchShape), "[{ status: 403, header: X-Bouncer-Error }]", MOST_MATCHES),
    [],
    "Answers that are faults by a status together with a header or a part of the body.",
  ),
};

const expectedHeaders = () => list(answerHeader(), "[Set-Cookie]", MOST_EXPECTED);

const expectedChallengeShape = {
  headers: optional(expectedHeaders(), [], "Headers that it has; empty: none must be there."),
  location: orNull(locationPrefix(), "How its Location begins, where it is a redirect; null: any."),
  cookie: orNull(cookiePrefix(), "How the name of a cookie begins that it sets; null: any, or none."),
};

const expectedAllowShape = {
  headers: optional(expectedHeaders(), [], "Headers that it has; empty: none must be there."),
};

export const expectShape = {
  challenge: described(
    z.optional(section(expectedChallengeShape)),
    "What a challenge of a healthy upstream has. Default: the preset's; it is replaced as a whole.",
  ),
  allow: described(
    z.optional(section(expectedAllowShape)),
    "What an allow of a healthy upstream has. Default: the preset's; it is replaced as a whole.",
  ),
};
