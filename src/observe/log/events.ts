/** The log lines about sparekey itself: one for each change, none for each check. */
import type { HtpasswdEvent, NotifyEvent, OverrideEvent } from "../../core/types.ts";
import type { LogData, Logger } from "./logger.ts";

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

/** What comes late cannot be had. The message is Node's, of files of ours. */
export function logUnloadable(logger: Logger, error: unknown): void {
  const [problem = "it is not known why"] = error instanceof Error ? error.message.split("\n") : [];
  logger.error("a part of sparekey cannot be loaded: checks that need it are not answered", { problem });
}

function placeOf(error: unknown): LogData {
  if (!(error instanceof Error)) return { error: typeof error, at: [] };
  return { error: error.name, at: placesOf(error).slice(0, FRAMES) };
}

/** One line for a person, without the error's message: that may quote what a client sent. */
export function defectText(error: unknown): string {
  const [place = "at an unknown place"] = error instanceof Error ? placesOf(error) : [];
  const name = error instanceof Error ? error.name : typeof error;
  return `this is a defect of sparekey, please report it: ${name} ${place}`;
}

/** The lines of a stack that name functions and files: "at answerCheck (…)", innermost first. */
export function placesOf(error: Error): readonly string[] {
  const lines = (error.stack ?? "").split("\n").map((line) => line.trim());
  return lines.filter((line) => line.startsWith("at "));
}

/** Of a target no more than its origin: the rest of its URL is often a secret. */
export function logNotify(logger: Logger, event: NotifyEvent): void {
  const { origin: target, entry } = event;
  switch (event.kind) {
    case "failing":
      return logger.warn("notify: a message does not get through", { target, entry, reason: event.reason });
    case "working":
      return logger.info("notify: messages get through again", { target, entry, lost: event.lost });
    case "given_up":
      return logger.error("notify: messages given up", {
        target,
        entry,
        reason: event.reason,
        lost: event.lost,
      });
  }
}

export interface ReloadEvent {
  /** Names, as the config now in use has them. */
  readonly routes: readonly string[];
  /** Listeners. */
  readonly opened: readonly string[];
  readonly closed: readonly string[];
  /** Listeners stayed that cannot take the config's `limits`. */
  readonly keepsOldLimits: boolean;
  /** So many stay, though the config says otherwise; null: they are as it says. */
  readonly keptWorkers: number | null;
}

/** What of a config is not in use. */
export function needsRestart({ keepsOldLimits, keptWorkers }: ReloadEvent): readonly string[] {
  return [
    ...(keepsOldLimits
      ? ["limits: listeners that were open keep the old ones until sparekey is restarted"]
      : []),
    ...(keptWorkers === null ? [] : [`workers: it stays ${keptWorkers} until sparekey is restarted`]),
  ];
}

export function logReload(logger: Logger, event: ReloadEvent): void {
  const { keepsOldLimits: _limits, keptWorkers: _workers, ...changes } = event;
  const restarts = needsRestart(event);
  if (restarts.length === 0) return logger.info("config reloaded", { ...changes });
  logger.warn("config reloaded, but not all of it", { ...changes, needs_restart: restarts.join("; ") });
}

/** One line for each problem. */
export function logRefusedReload(logger: Logger, problems: readonly string[]): void {
  for (const problem of problems) {
    logger.error("config refused: the one in use stays", { problem });
  }
}

export function logReloadDefect(logger: Logger, error: unknown): void {
  logger.error("a reload met a defect of sparekey: the config in use stays", placeOf(error));
}

/** A warning: while it lasts, sparekey does not do what its config says. */
export function logOverride(logger: Logger, { kind, ...event }: OverrideEvent): void {
  if (kind === "begins") logger.warn("override begins", event);
  else logger.info("override ended", event);
}

/** Connections closed because `limits.connections` was reached. */
export function logDrops(logger: Logger, limit: number, closed: number): void {
  logger.warn("connections closed: limits.connections is reached", { limit, closed });
}
