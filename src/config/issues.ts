import type * as z from "zod/mini";
import type { ConfigDocument } from "./document.ts";
import { configJsonSchema } from "./json-schema.ts";
import { asMapping, type Mapping } from "./plain-data.ts";
import type { Finding, Path } from "./problem.ts";
import { configSchema } from "./schema.ts";
import { withoutBlank } from "./syntax.ts";

/** Finds everything that is wrong with a key by itself. */
export function findIssues(document: ConfigDocument): Finding[] {
  const reading = configSchema.safeParse(document.data);
  if (reading.success) return [];
  return reading.error.issues.flatMap((issue) => findingsOf(issue, []));
}

function findingsOf(issue: z.core.$ZodIssue, around: Path): Finding[] {
  const path = [...around, ...issue.path.filter((step) => typeof step !== "symbol")];
  if (issue.code === "unrecognized_keys") return issue.keys.map((key) => unknownKey(path, key));
  const meant = issue.code === "invalid_union" ? meantOption(issue.errors) : null;
  if (meant !== null) return meant.flatMap((inner) => findingsOf(inner, path));
  return [{ path, message: issue.message }];
}

/** The issues of the one option that has the value's type; null: no option has, or several have. */
function meantOption(options: readonly (readonly z.core.$ZodIssue[])[]) {
  const isOtherType = ({ code, path }: z.core.$ZodIssue): boolean =>
    code === "invalid_type" && path.length === 0;
  const [meant, ...more] = options.filter((issues) => !issues.some(isOtherType));
  return meant !== undefined && more.length === 0 ? meant : null;
}

function unknownKey(parent: Path, key: string): Finding {
  const here = keysAt(parent);
  const allowed = Object.keys(here);
  const blank = withoutBlank(key);
  // When a blank is missing, the value is part of the key and may be a secret.
  if (blank !== null) return { path: parent, message: blank };
  const near = nearest(key, allowed);
  const home = near === null ? homeOf(key, here) : null;
  const hint = near === null ? "" : ` (did you mean ${near}?)`;
  const message =
    home === null
      ? `unknown key${hint}; allowed here: ${allowed.join(", ")}`
      : `unknown key; it belongs ${home}`;
  return { path: [...parent, key], message, at: "key" };
}

/** The schemas of the keys allowed in the mapping at `path`. */
function keysAt(path: Path): Mapping {
  let node: unknown = configJsonSchema();
  for (const step of path) {
    const { items, properties } = asMapping(node);
    node = typeof step === "number" ? items : asMapping(properties)[step];
  }
  return asMapping(asMapping(node).properties);
}

/** The one or two sections beside `key` that know it, because it was written a level too high; null: none or many do. */
function homeOf(key: string, here: Mapping): string | null {
  const homes = Object.entries(here).flatMap(([name, schema]) => {
    const { items, properties } = asMapping(schema);
    if (Object.hasOwn(asMapping(properties), key)) return [`under ${name}`];
    return Object.hasOwn(asMapping(asMapping(items).properties), key) ? [`in an entry of ${name}`] : [];
  });
  return homes.length === 1 || homes.length === 2 ? homes.join(" or ") : null;
}

/** The allowed key that differs from `key` by a typo: by at most two edits, and by fewer for short keys. */
function nearest(key: string, allowed: readonly string[]): string | null {
  const most = Math.min(2, Math.floor(key.length / 3));
  const near = allowed
    .map((name) => ({ name, distance: distance(key.toLowerCase(), name.toLowerCase(), most) }))
    .filter((candidate) => candidate.distance <= most)
    .sort((a, b) => a.distance - b.distance);
  return near[0]?.name ?? null;
}

/** Levenshtein's edit distance. If the lengths differ by more than `most`, the result is only a lower bound. */
function distance(from: string, to: string, most: number): number {
  if (Math.abs(from.length - to.length) > most) return most + 1;
  let row = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (const [index, char] of [...from].entries()) {
    const next = [index + 1];
    for (let column = 1; column <= to.length; column++) {
      const replaced = (row[column - 1] ?? 0) + (char === to[column - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? most + 1;
}
