/**
 * How people's logins end, seen at the login pages that a `none` route carries (`loginOf`). A server whose checks look
 * well may still let nobody log in: with a full session store, Authentik 2026.8 challenges as ever and answers each
 * finished login with 500.
 *
 * - Authentik's outpost ends a login at its callback: a redirect that sets a cookie has saved the session. Any other
 *   redirect, an error, or no answer has not. Without `code` and `state` a request there is nobody's login.
 * - A client can make up both, so a login that failed says nothing by itself. Logins count as failing only when five
 *   failed from three addresses, and none went well, in ten minutes. Even that starts no fallback.
 * - Who is at the login again within ten seconds of a finished one was sent back: a loop. Several tabs of a person and
 *   several people behind one address look the same, so a loop is counted and leads to nothing.
 *
 * `client` is from `limitKey`; null: the gateway names no address. Times are milliseconds, monotonic.
 */
import { firstHeader } from "./headers.ts";
import type { Answer, Check, LoginEnd } from "./types.ts";

/** What a request at the login pages is to a login. */
export type LoginStep = "begins" | "ends well" | "ends badly";

const START = "/outpost.goauthentik.io/start";
const CALLBACK = "/outpost.goauthentik.io/callback";

/** `answer` null: none came. Returns null where the request is no step of a login. */
export function loginStep({ path, target }: Check, answer: Answer | null): LoginStep | null {
  if (path === START) return "begins";
  if (path !== CALLBACK || !hasCode(target)) return null;
  if (answer === null || answer.status >= 400) return "ends badly";
  if (answer.status < 300) return null;
  return firstHeader(answer.headers, "set-cookie") === null ? "ends badly" : "ends well";
}

function hasCode(target: string): boolean {
  const query = new URLSearchParams(target.slice(CALLBACK.length));
  return Boolean(query.get("code")) && Boolean(query.get("state"));
}

/** So many addresses are remembered; the oldest go. */
const MOST_ADDRESSES = 1_024;
const LOOP_MS = 10_000;

export interface LoginProgress {
  /** Returns what has become of logins with this step. */
  take(step: LoginStep, client: string | null, now: number): readonly LoginEnd[];
}

export function createLoginProgress(): LoginProgress {
  /** When a client's login last ended well, the oldest first. */
  const finished = new Map<string, number>();
  const isLoop = (client: string, now: number): boolean => {
    const at = finished.get(client);
    // A finished login is followed by one loop at most.
    finished.delete(client);
    return at !== undefined && now - at < LOOP_MS;
  };
  return {
    take: (step, client, now) => {
      const loop = client !== null && isLoop(client, now) ? (["loop"] as const) : [];
      if (step === "begins") return loop;
      if (step === "ends badly") return [...loop, "failed"];
      if (client !== null) putLast(finished, client, now);
      return [...loop, "ok"];
    },
  };
}

const FAILING_MS = 600_000;
const FEWEST_FAILED = 5;
const FEWEST_ADDRESSES = 3;

export interface FailingLogins {
  readonly failed: number;
  readonly addresses: number;
}

/** What is known of the logins of the last ten minutes. */
export interface LoginHistory {
  add(end: LoginEnd, client: string | null, now: number): void;
  /** null: they do not fail, or it may be a client's doing. */
  failing(now: number): FailingLogins | null;
  /** When a login last went well; null: none has. */
  readonly wentWellAt: number | null;
}

export function createLoginHistory(): LoginHistory {
  /**
   * When the logins of a client failed since the last good one, the client that failed last at the end. More than the
   * rule asks for are not kept, so that a client with many failures does not push out the others.
   */
  const failures = new Map<string, readonly number[]>();
  let wentWellAt: number | null = null;
  return {
    add: (end, client, now) => {
      if (end === "ok") {
        wentWellAt = now;
        failures.clear();
      }
      if (end !== "failed") return;
      const key = client ?? "";
      putLast(failures, key, [...(failures.get(key) ?? []), now].slice(-FEWEST_FAILED));
    },
    failing: (now) => {
      if (wentWellAt !== null && now - wentWellAt < FAILING_MS) return null;
      let [failed, addresses] = [0, 0];
      for (const [client, times] of failures) {
        const recent = times.filter((at) => now - at < FAILING_MS).length;
        failed += recent;
        if (recent > 0) addresses += 1;
        else failures.delete(client);
      }
      return failed >= FEWEST_FAILED && addresses >= FEWEST_ADDRESSES ? { failed, addresses } : null;
    },
    get wentWellAt() {
      return wentWellAt;
    },
  };
}

function putLast<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= MOST_ADDRESSES) return;
  const [oldest] = map.keys();
  if (oldest !== undefined) map.delete(oldest);
}
