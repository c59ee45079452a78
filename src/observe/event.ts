/**
 * What happens to sparekey itself, as one vocabulary. Whatever notices something reports one event, and the log, the
 * timeline of the status page, the webhooks and the metrics each take from it what they show. Checks are no events:
 * they are counted (recorder.ts), and few of them get a log line (check-lines.ts).
 */
import type { BreakerState } from "../core/breaker.ts";
import type { EndpointChange } from "../core/endpoint.ts";
import type { ProbeResult } from "../core/probe.ts";
import type {
  FallbackMode,
  FallbackReason,
  HtpasswdProblem,
  NotifyEvent,
  OverrideEvent,
  ProvenVerdict,
} from "../core/types.ts";

/** A route's name comes from the config and a user's from an htpasswd file, so no client can put its own text here. */
export type TimelineEvent =
  | {
      readonly kind: "started";
      readonly admin: string;
      readonly listen: readonly string[];
      readonly routes: readonly string[];
      readonly workers: number;
    }
  | {
      readonly kind: "fallback_began";
      readonly route: string;
      readonly mode: FallbackMode;
      readonly reason: FallbackReason;
    }
  | {
      readonly kind: "fallback_ended";
      readonly route: string;
      readonly mode: FallbackMode;
      readonly reason: FallbackReason;
      /** From its begin to the last fallback, or to the closing of the breaker where that came later. */
      readonly seconds: number;
      /** Fallbacks served. */
      readonly checks: number;
      /** Checks that got no line of their own since the last one that did. */
      readonly omitted: number;
      /** A `fallback_proven` came before. */
      readonly isProven: boolean;
    }
  | { readonly kind: "breaker_opened"; readonly route: string; readonly reason: FallbackReason | null }
  | { readonly kind: "breaker_closed"; readonly route: string; readonly seconds: number }
  /** A probe of the route was answered as a healthy upstream answers it, so its results can be believed. */
  | { readonly kind: "probe_proven"; readonly route: string; readonly verdict: ProvenVerdict }
  | { readonly kind: "probe_unproven"; readonly route: string }
  /** A probe of a route with logins was answered another 4xx than 401: the upstream may not know its host. */
  | { readonly kind: "probe_refused"; readonly route: string; readonly status: number }
  /** At the login pages that the route carries. Nobody's login goes well meanwhile. */
  | {
      readonly kind: "logins_failing";
      readonly route: string;
      readonly failed: number;
      readonly addresses: number;
    }
  /** `wentWell`: a login has; otherwise only fewer fail. */
  | {
      readonly kind: "logins_failing_ended";
      readonly route: string;
      readonly seconds: number;
      readonly wentWell: boolean;
    }
  /** An endpoint's address is internal: the log and the operator's page alone show it. */
  | { readonly kind: "endpoint"; readonly route: string; readonly change: EndpointChange }
  | {
      readonly kind: "emergency_login";
      readonly route: string;
      readonly user: string;
      /** null: the client's address is not known. */
      readonly client: string | null;
    }
  | { readonly kind: "override"; readonly change: OverrideEvent }
  | {
      readonly kind: "reloaded";
      readonly routes: readonly string[];
      /** Addresses of listeners that are new. */
      readonly opened: readonly string[];
      readonly closed: readonly string[];
      /** Sentences about what of the config is not in use. */
      readonly needsRestart: readonly string[];
    }
  | {
      readonly kind: "reload_refused";
      readonly problems: readonly string[];
      /** What sparekey itself did wrong; undefined: the config is at fault. */
      readonly defect?: unknown;
    }
  | {
      readonly kind: "probed";
      readonly route: string;
      readonly user: string;
      readonly result: ProbeResult;
    }
  | {
      readonly kind: "htpasswd_loaded";
      readonly file: string;
      readonly users: number;
      readonly problems: readonly HtpasswdProblem[];
    }
  | { readonly kind: "htpasswd_unreadable"; readonly file: string; readonly problem: string }
  | { readonly kind: "notify"; readonly delivery: NotifyEvent }
  | {
      readonly kind: "worker_died";
      readonly number: number;
      readonly pid: number | null;
      readonly code: number | null;
      readonly signal: string | null;
    }
  | { readonly kind: "worker_serves"; readonly number: number; readonly pid: number | null }
  | { readonly kind: "drain_began"; readonly delay: number; readonly timeout: number };

/** What the log alone shows. */
type LogEvent =
  | { readonly kind: "reload_asked"; readonly user: string }
  | { readonly kind: "drain_ended"; readonly left: number }
  | {
      readonly kind: "breaker_trial";
      readonly route: string;
      readonly state: BreakerState;
      readonly reason: FallbackReason | null;
    }
  | { readonly kind: "connections_closed"; readonly limit: number; readonly closed: number }
  | { readonly kind: "worker_failed"; readonly number: number; readonly problem: string }
  | { readonly kind: "worker_hangs"; readonly number: number; readonly seconds: number }
  | { readonly kind: "unloadable"; readonly error: unknown }
  | { readonly kind: "defect"; readonly error: unknown };

export type Event =
  | TimelineEvent
  | LogEvent
  /** No client can have brought about the fallback that the route is in. It comes at most once in a fallback. */
  | {
      readonly kind: "fallback_proven";
      readonly route: string;
      readonly mode: FallbackMode;
      readonly reason: FallbackReason;
    };

/**
 * Takes an event; neither waits nor throws. `worker` is the number of the worker process that it happened in, and
 * undefined for this process. A worker has logged its events itself.
 */
export type Report = (event: Event, worker?: number) => void;

const NOT_IN_TIMELINE: Readonly<Record<Exclude<Event, TimelineEvent>["kind"], true>> = {
  reload_asked: true,
  drain_ended: true,
  breaker_trial: true,
  connections_closed: true,
  worker_failed: true,
  worker_hangs: true,
  unloadable: true,
  defect: true,
  fallback_proven: true,
};

export function isForTimeline(event: Event): event is TimelineEvent {
  return !(event.kind in NOT_IN_TIMELINE);
}
