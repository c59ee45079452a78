import { randomBytes } from "node:crypto";

/** A login that was begun and is not finished. */
interface LoginAttempt {
  /** The session (cookie value) that began it. */
  readonly session: string;
  /** The absolute URL, on a known host, that the login leads back to. */
  readonly target: string;
  /** The code that was given out after the right password; null before. */
  readonly code: string | null;
}

/** The memory of the outpost. It is bounded, and the oldest entry makes room. */
export interface OutpostSessions {
  /** Begins a login for the session of this cookie, or for a new session. */
  begin(cookie: string | null, target: string): { readonly state: string; readonly session: string };
  attempt(state: string): LoginAttempt | null;
  /** To be called after the right password. Returns a code that finishes this login once. */
  grant(state: string): string | null;
  /** Makes a new session, so that a session planted before the login is worthless. Null when anything differs. */
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
