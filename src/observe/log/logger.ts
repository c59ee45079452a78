/** JSON lines. Callers name each field, so that no headers, targets or bodies go in whole. */
import type { LogLevel } from "../../core/snapshot.ts";

type LogValue = string | number | boolean | null | readonly string[];
export type LogData = Readonly<Record<string, LogValue>>;
type LogMethod = (msg: string, data?: LogData) => void;

export interface Logger {
  readonly debug: LogMethod;
  readonly info: LogMethod;
  readonly warn: LogMethod;
  readonly error: LogMethod;
  isEnabled(level: LogLevel): boolean;
  setLevel(level: LogLevel): void;
}

interface LoggerDeps {
  readonly level: LogLevel;
  /** Takes one line without its end. It must neither wait nor throw. */
  write(line: string): void;
  /** Unix milliseconds by the wall clock. */
  now(): number;
}

const MAX_CLIENT_TEXT = 256;
const SEVERITY: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

export function createLogger(options: LoggerDeps): Logger {
  const { write, now } = options;
  let threshold = SEVERITY[options.level];

  const isEnabled = (level: LogLevel): boolean => SEVERITY[level] >= threshold;
  const method =
    (level: LogLevel): LogMethod =>
    (msg, data) => {
      if (isEnabled(level)) write(line({ time: new Date(now()).toISOString(), level, msg }, data));
    };
  return {
    debug: method("debug"),
    info: method("info"),
    warn: method("warn"),
    error: method("error"),
    isEnabled,
    setLevel(level) {
      threshold = SEVERITY[level];
    },
  };
}

/** Cuts text that a client chose to a length that a log can bear. */
export function clientText(text: string): string {
  return text.length <= MAX_CLIENT_TEXT ? text : `${text.slice(0, MAX_CLIENT_TEXT - 1)}…`;
}

function line(head: Readonly<Record<"time" | "level" | "msg", string>>, data: LogData | undefined): string {
  // The head comes last as well, so that data cannot replace it.
  return JSON.stringify({ ...head, ...data, ...head }).replace(UNSAFE, escaped);
}

/** DEL and the C1 controls, which JSON leaves as they are and a terminal may obey. */
const UNSAFE = /[\u007f-\u009f]/g;

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
