/** What happened to sparekey, each thing told once as in the log: the timeline of the status page. */

import type { ProbeResult } from "../core/probe.ts";
import type {
  FallbackMode,
  FallbackReason,
  HtpasswdEvent,
  NotifyEvent,
  OverrideEvent,
} from "../core/types.ts";

/** Route names are the config's, user names those of an htpasswd file: nothing else that a client could have sent. */
export type News =
  | { readonly kind: "started" }
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
      readonly seconds: number;
      readonly checks: number;
    }
  | { readonly kind: "breaker_opened"; readonly route: string; readonly reason: FallbackReason | null }
  | { readonly kind: "breaker_closed"; readonly route: string; readonly seconds: number }
  | { readonly kind: "emergency_login"; readonly route: string; readonly user: string }
  | { readonly kind: "override"; readonly event: OverrideEvent }
  | { readonly kind: "reloaded"; readonly needsRestart: readonly string[] }
  /** `problems`: the first of them. */
  | { readonly kind: "reload_refused"; readonly count: number; readonly problems: readonly string[] }
  | { readonly kind: "probed"; readonly route: string; readonly user: string; readonly finding: ProbeResult }
  | {
      readonly kind: "htpasswd_loaded";
      readonly file: string;
      readonly users: number;
      readonly ignored: number;
    }
  | { readonly kind: "htpasswd_unreadable"; readonly file: string; readonly problem: string }
  | { readonly kind: "notify"; readonly event: NotifyEvent }
  | { readonly kind: "worker_died"; readonly number: number }
  | { readonly kind: "worker_serves"; readonly number: number }
  | { readonly kind: "drain_began" };

/** `at`: Unix milliseconds. `worker` null: there are none, or it is the primary that tells. */
export interface TimelineEntry {
  readonly at: number;
  readonly worker: number | null;
  readonly news: News;
}

/** In the order of being told, which is not that of the times where somebody sets the clock. */
interface Numbered {
  readonly number: number;
  readonly told: TimelineEntry;
}

export interface Timeline {
  add(news: News, worker?: number): void;
  /** The newest first: 100 at most, and as many logins. */
  all(): readonly TimelineEntry[];
}

const MOST = 100;
const MOST_PROBLEMS = 5;
const MOST_LENGTH = 300;

/** A file may have any number of problems, and they quote it: what is kept is bounded. */
export function reloadRefused(problems: readonly string[]): News {
  const first = problems.slice(0, MOST_PROBLEMS).map((problem) => problem.slice(0, MOST_LENGTH));
  return { kind: "reload_refused", count: problems.length, problems: first };
}

export function htpasswdRead(event: HtpasswdEvent): News {
  const { file } = event;
  if (event.kind === "unreadable") return { kind: "htpasswd_unreadable", file, problem: event.problem };
  return { kind: "htpasswd_loaded", file, users: event.users, ignored: event.problems.length };
}

export function createTimeline(unixNow: () => number): Timeline {
  // Who logs in again each minute must not push out how the outage began.
  const logins: Numbered[] = [];
  const others: Numbered[] = [];
  let count = 0;
  return {
    add: (news, worker) => {
      const kept = news.kind === "emergency_login" ? logins : others;
      count += 1;
      kept.push({ number: count, told: { at: unixNow(), worker: worker ?? null, news } });
      if (kept.length > MOST) kept.shift();
    },
    all: () => [...others, ...logins].toSorted((a, b) => b.number - a.number).map(({ told }) => told),
  };
}
