/** Events as the app reports them, for tests that care about one thing of each. */
import type { EndpointChange } from "../../src/core/endpoint.ts";
import type { TimelineEvent } from "../../src/observe/event.ts";

type Kind<Name extends TimelineEvent["kind"]> = Extract<TimelineEvent, { kind: Name }>;

export const STARTED: Kind<"started"> = { kind: "started", admin: "", listen: [], routes: [], workers: 1 };
export const DRAIN_BEGAN: Kind<"drain_began"> = { kind: "drain_began", delay: 5_000, timeout: 25_000 };

export function reloaded(needsRestart: readonly string[] = []): Kind<"reloaded"> {
  return { kind: "reloaded", routes: [], opened: [], closed: [], needsRestart };
}

export function workerDied(number: number): Kind<"worker_died"> {
  return { kind: "worker_died", number, pid: 7, code: 1, signal: null };
}

export function emergencyLogin(user: string, route = "sso"): Kind<"emergency_login"> {
  return { kind: "emergency_login", route, user, client: "10.0.0.7" };
}

export function endpointChanged(change: EndpointChange, route = "sso"): Kind<"endpoint"> {
  return { kind: "endpoint", route, change };
}

export function endpointEjected(endpoint: string, route = "sso"): Kind<"endpoint"> {
  return endpointChanged({ kind: "ejected", endpoint, from: "all", reason: "refused" }, route);
}

export function endpointRestored(endpoint: string, route = "sso"): Kind<"endpoint"> {
  return endpointChanged({ kind: "restored", endpoint, from: "all", seconds: 12 }, route);
}

export function htpasswdLoaded(file: string, users: number, ignored = 0): Kind<"htpasswd_loaded"> {
  const problems = Array.from({ length: ignored }, (_, line) => ({ line, message: "bad" }));
  return { kind: "htpasswd_loaded", file, users, problems };
}
