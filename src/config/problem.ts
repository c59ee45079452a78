/** The steps from the top of the config to a key: keys of mappings and indexes of lists. */
export type Path = readonly (string | number)[];

/** One mistake in a config, at the place where an editor finds it. `line` and `column` count from 1. */
export interface Problem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly path: string;
  readonly message: string;
}

/**
 * A problem before its place in the file is known. `{value}` at the start of `message` stands for the value as
 * written. `at`: whether the problem points at the key or at its value, which is the default.
 */
export interface Finding {
  readonly path: Path;
  readonly message: string;
  readonly at?: "key" | "value";
}

/** `FILE:line:col path: message` */
export function formatProblem(problem: Problem): string {
  return `${problem.file}:${problem.line}:${problem.column} ${problem.path}: ${problem.message}`;
}

/** For sorting the problems of one file. */
export function byPosition(a: Problem, b: Problem): number {
  return a.line - b.line || a.column - b.column;
}

/** `routes[0].fallback.realm`; the top itself is `config`. */
export function formatPath(path: Path): string {
  if (path.length === 0) return "config";
  return path.map(formatStep).join("").replace(/^\./, "");
}

function formatStep(step: string | number): string {
  if (typeof step === "number") return `[${step}]`;
  return /^[\w-]{1,64}$/.test(step) ? `.${step}` : `[${quote(step)}]`;
}

const LONGEST_SHOWN = 60;

/** Text for a message: cut if it is long, and quoted if it would not stand out. */
export function quote(text: string): string {
  const cut = text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text;
  return /^[\w\-./:${}[\]*@+,%~=]+…?$/.test(cut) ? cut : asciiJson(cut);
}

/** JSON text of printable ASCII only, because control and bidi characters must not reach a terminal. */
function asciiJson(text: string): string {
  return JSON.stringify(text).replace(
    /[^\x20-\x7e…]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** The code of a failed system call, such as ENOENT. Its message would repeat the file's path. */
export function errorCode(error: unknown): string {
  if (error instanceof Error && "code" in error) return String(error.code);
  return "unknown error";
}
