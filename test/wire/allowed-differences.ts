/** What may differ between the carriers, and why. Whatever no rule here names must be the same, byte for byte. */
import { isDeepStrictEqual } from "node:util";
import type { Seen } from "./both-carriers.ts";

export interface Rule {
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

const CUT_SHORT: Rule = {
  name: "no reply, for what stands behind in the same write",
  reason:
    "Node's parser meets what is garbled or follows a last check before the replies in front of it are out, and Fastify cuts the connection; the wire reads a check once the one before is answered. Each of them gives the beginning of what the same heads get one by one",
};

export const RULES: readonly Rule[] = [UNDICI_HEAD, ANSWER_SPACES, CUT_SHORT];

export interface Rules {
  /** `here`: by the wire; `there`: by Fastify. */
  areSame(here: Seen, there: Seen): boolean;
  /** Both by one carrier: in one write, and one by one. */
  isBeginning(cut: Seen, patient: Seen): boolean;
  /** Names of the rules that nothing has needed. */
  unused(): readonly string[];
}

/** Counts which rules were needed. */
export function newRules(): Rules {
  const used = new Set<Rule>();
  const equal = (rule: Rule, here: string, there: string, rewrite: (text: string) => string): boolean => {
    if (here === there) return true;
    if (rewrite(here) !== there) return false;
    used.add(rule);
    return true;
  };
  const areEqual = (
    rule: Rule,
    here: readonly string[],
    there: readonly string[],
    rewrite: (text: string) => string,
  ): boolean =>
    here.length === there.length && here.every((text, at) => equal(rule, text, there[at] ?? "", rewrite));
  return {
    areSame: (here, there) =>
      areEqual(UNDICI_HEAD, here.asked, there.asked, asUndiciWrites) &&
      areEqual(ANSWER_SPACES, here.replies, there.replies, withOneSpace) &&
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

/** A request of the wire in undici's words. */
function asUndiciWrites(request: string): string {
  const end = request.indexOf("\r\n\r\n");
  const [first = "", ...lines] = request.slice(0, end).split("\r\n");
  const at = lines.findIndex((line) => /^host: /i.test(line));
  const host = `host: ${(lines[at] ?? "").slice("host: ".length)}`;
  // Who answers HEAD with a body would have it read as the next answer: neither carrier uses the connection again.
  const connection = `connection: ${first.startsWith("HEAD ") ? "close" : "keep-alive"}`;
  const head = [first, host, connection, ...lines.toSpliced(at, 1)].join("\r\n");
  return head + request.slice(end);
}

function withOneSpace(reply: string): string {
  const end = reply.indexOf("\r\n\r\n");
  return reply.slice(0, end).replace(/^([\w-]+):[ \t]*/gm, "$1: ") + reply.slice(end);
}
