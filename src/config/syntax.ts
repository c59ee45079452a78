/** Messages about broken YAML, in words that help to mend it. */
import type { ErrorCode, YAMLError } from "yaml";
import { knownKeys } from "./json-schema.ts";

const MOST_ERRORS = 5;

/** These errors affect one value only. After any other error the parser is lost, and what follows is an echo of it. */
const STANDS_ALONE: ReadonlySet<ErrorCode> = new Set([
  "BAD_ALIAS",
  "BAD_DQ_ESCAPE",
  "BAD_SCALAR_START",
  "TAG_RESOLVE_FAILED",
]);

/** The errors in the order of the text, up to the first one that causes others. */
export function withoutEchoes(errors: readonly YAMLError[]): readonly YAMLError[] {
  const ordered = errors.toSorted((a, b) => a.pos[0] - b.pos[0]);
  const cause = ordered.findIndex(({ code }) => !STANDS_ALONE.has(code));
  return ordered.slice(0, cause === -1 ? MOST_ERRORS : Math.min(cause + 1, MOST_ERRORS));
}

/** `tooDeep`: the message for a file with too many levels. */
export function syntaxMessage({ code, message, pos }: YAMLError, text: string, tooDeep: string): string {
  if (isOverflow(message)) return tooDeep;
  const [rest = ""] = text.slice(pos[0]).split("\n", 1);
  switch (code) {
    case "MULTIPLE_DOCS":
      return "a second YAML document begins here; keep one";
    case "MULTILINE_IMPLICIT_KEY":
    case "MISSING_CHAR":
      return withoutBlank(rest) ?? message;
    case "BLOCK_AS_IMPLICIT_KEY":
      return /:(\s|$)/.test(rest)
        ? 'text that holds ": " must stand in quotes'
        : "the line after this one is indented further; a key begins where the key above it does";
    case "BAD_ALIAS":
      return "an * or & begins an alias or anchor of YAML; text that begins so must stand in quotes";
    case "BAD_DIRECTIVE":
      return "a % begins a directive of YAML; text that begins so must stand in quotes";
    case "TAG_RESOLVE_FAILED":
      return "an ! begins a tag of YAML, and this one is not known; text that begins so must stand in quotes";
    default:
      return withoutSource(message, text);
  }
}

/** Some of the parser's messages end with text of the file, which may be a secret. */
function withoutSource(message: string, text: string): string {
  const colon = message.indexOf(": ");
  return colon !== -1 && text.includes(message.slice(colon + 2)) ? message.slice(0, colon) : message;
}

/** The parser recurses, so many brackets overflow the stack. It throws that, or reports it as a syntax error. */
export function isOverflow(message: string): boolean {
  return /call stack|stack overflow/i.test(message);
}

/** A message for text such as `mode:basic-auth`, which YAML takes for one word; null: it names no key of the config. */
export function withoutBlank(text: string): string | null {
  const [, key = ""] = /^([A-Za-z0-9]{1,64}):\S/.exec(text) ?? [];
  return knownKeys().has(key) ? `a blank is missing after ${key}:` : null;
}
