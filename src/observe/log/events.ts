/** The log lines about sparekey itself: one for each change, none for each check. */
import type { NotifyEvent } from "../../core/types.ts";
import type { Event, TimelineEvent } from "../event.ts";
import type { LogData, Logger } from "./logger.ts";

const FRAMES = 8;

export function logEvent(logger: Logger, event: Event): void {
  switch (event.kind) {
    case "started": {
      const { kind: _kind, workers, ...where } = event;
      return logger.info("serving", { ...where, ...(workers > 1 && { workers }) });
    }
    case "fallback_began": {
      const { route, mode, reason } = event;
      return logger.warn("fallback begins", { route, mode, reason });
    }
    case "fallback_ended": {
      const { route, seconds, checks, omitted } = event;
      return logger.info("fallback ended", { route, seconds, checks, omitted });
    }
    case "fallback_proven":
      return;
    case "breaker_opened":
      return logger.warn("breaker opened", { route: event.route, reason: event.reason });
    case "breaker_closed":
      return logger.info("breaker closed", { route: event.route, seconds: event.seconds });
    case "breaker_trial": {
      const { route, state, reason } = event;
      return logger.debug(state === "open" ? "breaker open again" : "breaker half-open", { route, reason });
    }
    case "probe_proven":
      return logger.info("probe proven", { route: event.route, verdict: event.verdict });
    case "probe_unproven":
      return logger.warn("probe no longer proven", { route: event.route });
    case "probe_refused": {
      const { route, status } = event;
      return logger.warn("probes are refused: set probe.hosts to a host that the upstream knows", {
        route,
        status,
      });
    }
    case "logins_failing": {
      const { route, failed, addresses } = event;
      return logger.warn("logins fail", { route, failed, addresses });
    }
    case "logins_failing_ended": {
      const { route, seconds, wentWell } = event;
      return logger.info("logins no longer fail", { route, seconds, went_well: wentWell });
    }
    case "endpoint":
      return logEndpoint(logger, event);
    case "emergency_login": {
      const { route, user, client } = event;
      return logger.warn("emergency login", { route, user, client });
    }
    case "override":
      return logOverride(logger, event);
    case "reload_asked":
      return logger.info("reload asked for", { user: event.user });
    case "reloaded":
      return logReload(logger, event);
    case "reload_refused":
      return logRefusedReload(logger, event);
    case "probed": {
      const { route, user, result } = event;
      const finding = "reason" in result ? result.reason : result.kind;
      return logger.info("probe asked for", { route, user, finding });
    }
    case "htpasswd_loaded":
      return logHtpasswd(logger, event);
    case "htpasswd_unreadable": {
      const { file, problem } = event;
      return logger.error("htpasswd unreadable: nobody can log in by it", { file, problem });
    }
    case "notify":
      return logDelivery(logger, event.delivery);
    case "connections_closed": {
      const { limit, closed } = event;
      return logger.warn("connections closed: limits.connections is reached", { limit, closed });
    }
    case "worker_died": {
      const { number: worker, pid, code, signal } = event;
      return logger.error("worker died", { worker, pid, code, signal });
    }
    case "worker_serves":
      return logger.info("worker serves", { worker: event.number, pid: event.pid });
    case "worker_failed":
      return logger.error("worker cannot serve", { worker: event.number, problem: event.problem });
    case "worker_hangs": {
      const { number: worker, seconds } = event;
      return logger.error("worker does not answer: it is killed", { worker, seconds });
    }
    case "drain_began":
      return logger.info("drain begins", { delay_ms: event.delay, timeout_ms: event.timeout });
    case "drain_ended":
      return logger.info("drain ended", { complete: event.left === 0, connections_cut: event.left });
    case "unloadable":
      return logUnloadable(logger, event.error);
    case "defect":
      return logger.error("a check met a defect of sparekey", placeOf(event.error));
  }
}

type Kind<Name extends TimelineEvent["kind"]> = Extract<TimelineEvent, { kind: Name }>;

function logEndpoint(logger: Logger, { route, change: { kind, ...data } }: Kind<"endpoint">): void {
  if (kind === "ejected") logger.warn("endpoint ejected", { route, ...data });
  else logger.info(ENDPOINT_LINES[kind], { route, ...data });
}

const ENDPOINT_LINES = {
  restored: "endpoint restored",
  joined: "endpoint joined",
  left: "endpoint left",
} as const;

function logHtpasswd(logger: Logger, { file, users, problems }: Kind<"htpasswd_loaded">): void {
  if (users === 0) logger.error("htpasswd has no users: nobody can log in by it", { file });
  else logger.info("htpasswd loaded", { file, users });
  for (const { line, message } of problems) {
    logger.warn("htpasswd line ignored", { file, line, problem: message });
  }
}

/** The line is a warning, because sparekey does not do what its config says while an override lasts. */
function logOverride(logger: Logger, { change: { kind, ...data } }: Kind<"override">): void {
  if (kind === "begins") logger.warn("override begins", data);
  else logger.info("override ended", data);
}

function logReload(logger: Logger, { routes, opened, closed, needsRestart }: Kind<"reloaded">): void {
  const changes = { routes, opened, closed };
  if (needsRestart.length === 0) return logger.info("config reloaded", changes);
  logger.warn("config reloaded, but not all of it", { ...changes, needs_restart: needsRestart.join("; ") });
}

function logRefusedReload(logger: Logger, { problems, defect }: Kind<"reload_refused">): void {
  if (defect !== undefined) {
    return logger.error("a reload met a defect of sparekey: the config in use stays", placeOf(defect));
  }
  for (const problem of problems) logger.error("config refused: the one in use stays", { problem });
}

/** A target is named by its origin alone, because the rest of its URL is often a secret. */
function logDelivery(logger: Logger, delivery: NotifyEvent): void {
  const { origin: target, entry } = delivery;
  switch (delivery.kind) {
    case "failing": {
      const { reason } = delivery;
      return logger.warn("notify: a message does not get through", { target, entry, reason });
    }
    case "working":
      return logger.info("notify: messages get through again", { target, entry, lost: delivery.lost });
    case "given_up": {
      const { reason, lost } = delivery;
      return logger.error("notify: messages given up", { target, entry, reason, lost });
    }
  }
}

/** The message is Node's and names files of ours. */
function logUnloadable(logger: Logger, error: unknown): void {
  const [problem = "it is not known why"] = error instanceof Error ? error.message.split("\n") : [];
  logger.error("a part of sparekey cannot be loaded: checks that need it are not answered", { problem });
}

/** The place of a defect. The error's message is left out, because it may quote what a client sent. */
function placeOf(error: unknown): LogData {
  if (!(error instanceof Error)) return { error: typeof error, at: [] };
  return { error: error.name, at: placesOf(error).slice(0, FRAMES) };
}

/** One line for a person. The error's message is left out, because it may quote what a client sent. */
export function defectText(error: unknown): string {
  const [place = "at an unknown place"] = error instanceof Error ? placesOf(error) : [];
  const name = error instanceof Error ? error.name : typeof error;
  return `this is a defect of sparekey, please report it: ${name} ${place}`;
}

/** The lines of a stack that name functions and files, such as "at answerCheck (…)", innermost first. */
function placesOf(error: Error): readonly string[] {
  const lines = (error.stack ?? "").split("\n").map((line) => line.trim());
  return lines.filter((line) => line.startsWith("at "));
}
