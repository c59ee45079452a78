/**
 * Headers of requests that sparekey makes itself. Their values may be secrets, so no message shows one. The names are
 * checked in the file's own mapping, because zod skips `__proto__` and does not see one name in two spellings.
 */
import * as z from "zod/mini";
import { HOP_BY_HOP } from "../core/headers.ts";
import type { RawHeaders } from "../core/types.ts";
import { asMapping } from "./plain-data.ts";
import type { Finding, Path } from "./problem.ts";
import { wrong } from "./values.ts";

const MOST_HEADERS = 32;
const NAME = /^[A-Za-z0-9-]{1,64}$/;
/** Printable Latin-1 without blanks at the ends, which recipients would strip (RFC 9110, 5.5). */
const VALUE = /^(?:[!-~\u00a1-\u00ff](?:[ -~\u00a0-\u00ff]{0,4094}[!-~\u00a1-\u00ff])?)?$/;

const NOT_A_VALUE = {
  error:
    "not a header value; write up to 4096 printable Latin-1 characters, no blank at the ends, in quotes if a number",
};

/** A mapping of names to values. */
export function requestHeaders() {
  const name = z.string();
  z.globalRegistry.add(name, { pattern: NAME.source });
  const value = z.string(NOT_A_VALUE).check(z.regex(VALUE, NOT_A_VALUE));
  const mapping = z.record(name, value, wrong("a mapping", "NAME: VALUE under it"));
  z.globalRegistry.add(mapping, { maxProperties: MOST_HEADERS });
  return z.pipe(
    mapping,
    z.transform((headers): RawHeaders => Object.entries(headers).flat()),
  );
}

/** Framing and hop-by-hop headers belong to the connection a request goes over. */
const OF_THE_CONNECTION: ReadonlySet<string> = new Set([...HOP_BY_HOP, "content-length", "expect"]);

/** What has the headers, for messages, and the key that sets Host instead. */
export interface HeaderOwner {
  readonly what: string;
  readonly host: string;
}

/** Finds what is wrong with the names in `raw`, the mapping at `path`. */
export function headerFindings(raw: unknown, path: Path, owner: HeaderOwner): Finding[] {
  const names = Object.keys(asMapping(raw));
  if (names.length > MOST_HEADERS) {
    return [{ path, message: `holds ${names.length} headers; at most ${MOST_HEADERS}`, at: "key" }];
  }
  const seen = new Set<string>();
  return names.flatMap((name) => {
    const message = nameProblem(name, seen, owner);
    seen.add(name.toLowerCase());
    return message === null ? [] : [{ path: [...path, name], message, at: "key" as const }];
  });
}

function nameProblem(name: string, seen: ReadonlySet<string>, owner: HeaderOwner): string | null {
  const lower = name.toLowerCase();
  if (!NAME.test(name)) return "not a header name; write 1 to 64 of letters, digits and -";
  if (lower === "host") return `belongs to ${owner.host}; write it there`;
  if (OF_THE_CONNECTION.has(lower)) return `belongs to the connection, not to ${owner.what}; leave it out`;
  return seen.has(lower) ? "given twice, in another spelling; keep one" : null;
}
