/** The log lines about sparekey itself: one for each change, none for each check. */
import type { HtpasswdEvent } from "../core/types.ts";
import type { LogData, Logger } from "./logs.ts";

const FRAMES = 8;

export function logHtpasswd(logger: Logger, event: HtpasswdEvent): void {
  if (event.kind === "unreadable") {
    const { file, problem } = event;
    logger.error("htpasswd unreadable: nobody can log in by it", { file, problem });
    return;
  }
  const { file, users, problems } = event;
  if (users === 0) logger.error("htpasswd has no users: nobody can log in by it", { file });
  else logger.info("htpasswd loaded", { file, users });
  for (const { line, message } of problems) {
    logger.warn("htpasswd line ignored", { file, line, problem: message });
  }
}

/** Where a defect is, without its message: that may quote what a client sent. */
export function logDefect(logger: Logger, error: unknown): void {
  logger.error("a check met a defect of sparekey", placeOf(error));
}

function placeOf(error: unknown): LogData {
  if (!(error instanceof Error)) return { error: typeof error, at: [] };
  return { error: error.name, at: placesOf(error).slice(0, FRAMES) };
}

/** The lines of a stack that name functions and files: "at answerCheck (…)", innermost first. */
export function placesOf(error: Error): readonly string[] {
  const lines = (error.stack ?? "").split("\n").map((line) => line.trim());
  return lines.filter((line) => line.startsWith("at "));
}

export interface DropLog {
  dropped(): void;
  /** Call it about once a second: writes one line for all drops since the last call. */
  tick(): void;
}

/** Connections closed because `limits.connections` was reached. */
export function createDropLog(logger: Logger, limit: number): DropLog {
  let drops = 0;
  return {
    dropped: () => {
      drops += 1;
    },
    tick: () => {
      if (drops === 0) return;
      logger.warn("connections closed: limits.connections is reached", { limit, closed: drops });
      drops = 0;
    },
  };
}
