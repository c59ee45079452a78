import { randomBytes } from "node:crypto";

/** Where a login that was begun leads back to, and whose it is. */
export interface LoginAttempt {
  /** The session (cookie value) that began it. */
  readonly session: string;
  /** An absolute URL on a known host. */
  readonly target: string;
  /** Handed out once the password was right. */
  readonly code: string | null;
}

/** The outpost's memory. Everything in it is bounded: the oldest entry makes room. */
export interface OutpostSessions {
  /** Starts a login for the session of this cookie, or for a new one. */
  begin(cookie: string | null, target: string): { readonly state: string; readonly session: string };
  attempt(state: string): LoginAttempt | null;
  /** The password was right: a code that finishes this login, once. */
  grant(state: string): string | null;
  /** A new session, so that one planted before the login is worth nothing; null when anything does not match. */
  finish(
    state: string,
    code: string,
    cookie: string | null,
  ): { readonly session: string; readonly target: string } | null;
  signedIn(cookie: string | null): boolean;
  signOut(cookie: string | null): void;
}

const kept = 1000;

export function createOutpostSessions(): OutpostSessions {
  const attempts = new Map<string, LoginAttempt>();
  const users = new Map<string, true>();

  function attempt(state: string): LoginAttempt | null {
    return attempts.get(state) ?? null;
  }

  return {
    attempt,
    begin: (cookie, target) => {
      const state = randomId();
      const session = cookie !== null && /^[0-9a-f]{32}$/.test(cookie) ? cookie : randomId();
      keep(attempts, state, { session, target, code: null });
      return { state, session };
    },
    grant: (state) => {
      const begun = attempt(state);
      if (begun === null) return null;
      const code = randomId();
      attempts.set(state, { ...begun, code });
      return code;
    },
    finish: (state, code, cookie) => {
      const begun = attempt(state);
      if (begun === null || begun.code === null || begun.code !== code || begun.session !== cookie)
        return null;
      attempts.delete(state);
      const session = randomId();
      keep(users, session, true);
      return { session, target: begun.target };
    },
    signedIn: (cookie) => cookie !== null && users.has(cookie),
    signOut: (cookie) => {
      if (cookie !== null) users.delete(cookie);
    },
  };
}

function randomId(): string {
  return randomBytes(16).toString("hex");
}

function keep<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.set(key, value);
  if (map.size <= kept) return;
  const [oldest] = map.keys();
  if (oldest !== undefined) map.delete(oldest);
}
