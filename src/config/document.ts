import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Pair,
  parseDocument,
  type Scalar,
} from "yaml";
import { expandEnvironment } from "./environment.ts";
import { type Finding, type Path, quote } from "./problem.ts";
import { isOverflow, syntaxMessage, withoutEchoes } from "./syntax.ts";

interface Position {
  readonly line: number;
  readonly column: number;
}

/** A YAML file as plain data that still knows where and how each value was written. */
export interface ConfigDocument {
  /** Lists, mappings without prototype, and scalars; environment variables are filled in. */
  readonly data: unknown;
  /** The position of the value at `path`, or of the nearest value around it. */
  position(path: Path, at?: "key" | "value"): Position;
  /** The scalar at `path` as written, before environment variables are filled in; null: there is none. */
  written(path: Path): string | null;
  /** The subject of a message: `value 5sec`, `a list`, `an empty value`. It never shows an expanded variable. */
  shown(path: Path): string;
}

type ReadDocument =
  | { readonly ok: true; readonly document: ConfigDocument; readonly findings: readonly Finding[] }
  | { readonly ok: false; readonly problems: readonly (Position & { readonly message: string })[] };

// These limits are far above any real config. They stop a file that is made to exhaust memory (an alias bomb).
const MOST_NODES = 100_000;
const MOST_ALIASES = 100;
const DEEPEST = 32;

interface Place {
  readonly key: number | null;
  readonly value: number;
  readonly written: string | null;
  readonly shown: string;
}

/** Reads one YAML 1.2 document. Only broken YAML makes it fail. All other mistakes are findings. */
export function readDocument(text: string, env: Readonly<Record<string, string | undefined>>): ReadDocument {
  const lines = new LineCounter();
  const parsed = parseYaml(text, lines);
  if (parsed === null) return { ok: false, problems: [{ line: 1, column: 1, message: TOO_DEEP }] };
  const mistakes = withoutEchoes([...parsed.errors, ...parsed.warnings]);
  if (mistakes.length > 0) {
    const problems = mistakes.map((error) => ({
      ...positionOf(lines, error.pos[0]),
      message: syntaxMessage(error, text, TOO_DEEP),
    }));
    return { ok: false, problems };
  }
  const walker = createWalker(parsed, env);
  const data = walker.read(parsed.contents, [], null);
  return { ok: true, document: view(data, walker.places, lines), findings: walker.findings };
}

const UNRESOLVED =
  "{value} begins with *, which YAML takes for an alias, and none of that name comes before; write text in quotes";
const TOO_DEEP = `the file is nested too deeply; at most ${DEEPEST} levels are read`;

function parseYaml(text: string, lines: LineCounter): Document | null {
  try {
    return parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      version: "1.2",
      uniqueKeys: false,
      merge: false,
      logLevel: "error",
    });
  } catch (error) {
    if (error instanceof Error && isOverflow(error.message)) return null;
    throw error;
  }
}

function positionOf(lines: LineCounter, offset: number): Position {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(line, 1), column: Math.max(col, 1) };
}

function view(data: unknown, places: ReadonlyMap<string, Place>, lines: LineCounter): ConfigDocument {
  const nearest = (path: Path): Place | null => {
    for (let length = path.length; length >= 0; length--) {
      const place = places.get(placeKey(path.slice(0, length)));
      if (place !== undefined) return place;
    }
    return null;
  };
  return {
    data,
    position(path, at = "value") {
      const place = nearest(path);
      if (place === null) return { line: 1, column: 1 };
      return positionOf(lines, at === "key" ? (place.key ?? place.value) : place.value);
    },
    written: (path) => places.get(placeKey(path))?.written ?? null,
    shown: (path) => places.get(placeKey(path))?.shown ?? "a missing value",
  };
}

function placeKey(path: Path): string {
  return JSON.stringify(path);
}

interface Ranged {
  readonly range?: readonly number[] | null | undefined;
}

interface Walker {
  readonly places: ReadonlyMap<string, Place>;
  readonly findings: readonly Finding[];
  read(node: unknown, path: Path, key: number | null): unknown;
}

/** Turns YAML nodes into data, follows aliases, and notes the place of each value. */
function createWalker(document: Document, env: Readonly<Record<string, string | undefined>>): Walker {
  const places = new Map<string, Place>();
  const findings: Finding[] = [];
  let nodes = 0;
  let aliases = 0;

  const refuse = (path: Path, message: string, at: "key" | "value" = "value"): null => {
    findings.push({ path, message, at });
    return null;
  };

  function read(node: unknown, path: Path, key: number | null): unknown {
    nodes += 1;
    if (nodes > MOST_NODES) return nodes === MOST_NODES + 1 ? refuse(path, "the file holds too much") : null;
    if (path.length > DEEPEST) return refuse([], TOO_DEEP);
    if (isAlias(node)) return readAlias(node, path, key);
    if (isScalar(node)) return readScalar(node, path, key);
    if (isMap(node)) {
      note(node, path, key, "a mapping");
      return readMap(node.items, path);
    }
    if (isSeq(node)) {
      note(node, path, key, "a list");
      return node.items.map((item, index) => read(item, [...path, index], null));
    }
    note({}, path, key, "an empty value");
    return null;
  }

  function note(
    node: Ranged,
    path: Path,
    key: number | null,
    shown: string,
    written: string | null = null,
  ): void {
    const value = node.range?.[0] ?? key ?? 0;
    places.set(placeKey(path), { key, value, written, shown });
  }

  function readAlias(node: Alias, path: Path, key: number | null) {
    aliases += 1;
    if (aliases > MOST_ALIASES) {
      note(node, path, key, "an alias");
      return aliases === MOST_ALIASES + 1 ? refuse(path, `more than ${MOST_ALIASES} aliases`) : null;
    }
    const target = node.resolve(document);
    if (target === undefined) {
      note(node, path, key, `value ${quote(`*${node.source}`)}`);
      return refuse(path, UNRESOLVED);
    }
    return read(target, path, key);
  }

  function readMap(pairs: readonly Pair[], path: Path): unknown {
    const mapping: Record<string, unknown> = Object.create(null);
    for (const pair of pairs) {
      if (!isScalar(pair.key)) {
        refuse(path, "holds a key that is not plain text; write KEY: VALUE");
        continue;
      }
      const name = pair.key.source ?? String(pair.key.value);
      const inner = [...path, name];
      if (Object.hasOwn(mapping, name)) refuse(inner, "given twice; keep one", "key");
      mapping[name] = read(pair.value, inner, pair.key.range?.[0] ?? null);
    }
    return mapping;
  }

  function readScalar(node: Scalar, path: Path, key: number | null): unknown {
    if (node.value === null) {
      note(node.source === "" && key !== null ? {} : node, path, key, "an empty value");
      return null;
    }
    const text = node.source ?? String(node.value);
    note(node, path, key, `value ${show(node, text)}`, text);
    if (typeof node.value !== "string" || !node.value.includes("${")) return node.value;
    const expansion = expandEnvironment(node.value, env);
    if (expansion.ok) return expansion.text;
    for (const message of expansion.messages) refuse(path, message);
    return node.value;
  }

  return { places, findings, read };
}

/** A value that is quoted in the file is quoted in the message too, because "true" is not true. */
function show(node: Scalar, text: string): string {
  const shown = quote(redact(text));
  return node.type?.startsWith("QUOTE") && !shown.startsWith('"') ? `"${shown}"` : shown;
}

/** Hides the user and password of a URL, also where the scheme was forgotten. */
function redact(text: string): string {
  return text.includes("//") ? text.replace(/\/\/.*@/s, "//***@") : text.replace(/^[^\s:]*:.*@/s, "***@");
}
