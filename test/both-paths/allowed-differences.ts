/** What may differ between the paths, and why. Whatever no rule here names must be the same, byte for byte. */
import { isDeepStrictEqual } from "node:util";
import type { Case, Seen } from "./both-paths.ts";

interface Rule {
  readonly name: string;
  readonly reason: string;
}

const UNDICI_HEAD: Rule = {
  name: "Host and Connection of a request to the upstream",
  reason:
    "undici writes Host first, its name in lower case, and Connection behind it (docs/decisions/0001); the wire leaves Host where and as it stands and says nothing of the connection, which HTTP/1.1 keeps",
};

const ANSWER_SPACES: Rule = {
  name: "white space behind the colon of an answer's line",
  reason: "the wire passes lines on as they came, Node writes them with one space; it is no part of a value",
};

const REASON: Rule = {
  name: "the reason of an answer that comes in pieces",
  reason:
    "undici keeps the last piece of a reason (onStatus in lib/dispatcher/client-h1.js), the wire the whole one; a reason says nothing to a gateway (RFC 9112 section 4)",
};

const CUT_SHORT: Rule = {
  name: "no reply, for what stands behind in the same write",
  reason:
    "Node's parser meets what is malformed or follows a last check before the replies in front of it are out, and Fastify cuts the connection; the wire reads a check once the one before is answered. Each of them gives the beginning of what the same heads get one by one",
};

const RULES: readonly Rule[] = [UNDICI_HEAD, ANSWER_SPACES, REASON, CUT_SHORT];

export interface Rules {
  /** `here`: by the wire; `there`: by Fastify. */
  areSame(each: Case, here: Seen, there: Seen): boolean;
  /** Both by one path: in one write, and one by one. */
  isBeginning(cut: Seen, patient: Seen): boolean;
  /** Names of the rules that nothing has needed. */
  unused(): readonly string[];
}

/** Counts which rules were needed. */
export function newRules(): Rules {
  const used = new Set<Rule>();
  const isRewritten = (rule: Rule, rewritten: string, there: string): boolean => {
    if (rewritten === there) used.add(rule);
    return rewritten === there;
  };
  const isSameRequest = (here: string, there: string): boolean =>
    here === there || isRewritten(UNDICI_HEAD, asUndiciWrites(here), there);
  const isSameReply = ({ answer }: Case, here: string, there: string): boolean =>
    here === there ||
    isRewritten(ANSWER_SPACES, withOneSpace(here), there) ||
    (answer.singly === true && isRewritten(REASON, withReasonOf(here, there), there));
  return {
    areSame: (each, here, there) =>
      areAll(here.asked, there.asked, isSameRequest) &&
      areAll(here.replies, there.replies, (mine, theirs) => isSameReply(each, mine, theirs)) &&
      here.rest === there.rest &&
      here.end === there.end,
    isBeginning: (cut, patient) => {
      const beginning = patient.replies.slice(0, cut.replies.length);
      const fits =
        cut.end !== "open" &&
        cut.end !== "late" &&
        cut.rest === "" &&
        isDeepStrictEqual(cut.replies, beginning) &&
        cut.asked.every((request) => patient.asked.includes(request));
      if (fits && cut.replies.length < patient.replies.length) used.add(CUT_SHORT);
      return fits;
    },
    unused: () => RULES.filter((rule) => !used.has(rule)).map(({ name }) => name),
  };
}

function areAll(
  here: readonly string[],
  there: readonly string[],
  isSame: (mine: string, theirs: string) => boolean,
): boolean {
  return here.length === there.length && here.every((mine, at) => isSame(mine, there[at] ?? ""));
}

/** A request of the wire in undici's words. */
export function asUndiciWrites(request: string): string {
  const end = request.indexOf("\r\n\r\n");
  const [first = "", ...lines] = request.slice(0, end).split("\r\n");
  const at = lines.findIndex((line) => /^host: /i.test(line));
  const host = `host: ${(lines[at] ?? "").slice("host: ".length)}`;
  // Who answers HEAD with a body would have it read as the next answer: neither path uses the connection again.
  const connection = `connection: ${first.startsWith("HEAD ") ? "close" : "keep-alive"}`;
  const head = [first, host, connection, ...lines.toSpliced(at, 1)].join("\r\n");
  return head + request.slice(end);
}

function withOneSpace(reply: string): string {
  const end = reply.indexOf("\r\n\r\n");
  return reply.slice(0, end).replace(/^([^\s:]+):[ \t]*/gm, "$1: ") + reply.slice(end);
}

/** With the end of its reason that the other has, if that is an end of it. */
function withReasonOf(reply: string, other: string): string {
  const reason = (text: string): string => /^HTTP\/1\.1 \d{3} (.*)\r\n/.exec(text)?.[1] ?? "";
  const [mine, theirs] = [reason(reply), reason(other)];
  const at = "HTTP/1.1 200 ".length;
  return mine.endsWith(theirs) ? reply.slice(0, at) + theirs + reply.slice(at + mine.length) : reply;
}
