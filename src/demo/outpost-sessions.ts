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
  /** Begins a login for the session of this cookie, or for a new session, which is not saved yet. */
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
  /** Makes a session of somebody who showed credentials with the check itself. */
  signIn(): string;
  signedIn(cookie: string | null): boolean;
  signOut(cookie: string | null): void;
  /** Writes the session's file, unless it has one. */
  save(session: string): void;
  isSaved(session: string): boolean;
  /** A save that failed half-way leaves one. */
  leaveEmptyFile(): void;
  /** How many files were written since the start. */
  files(): number;
}

const kept = 1000;

export function createOutpostSessions(): OutpostSessions {
  const attempts = new Map<string, LoginAttempt>();
  const users = new Map<string, true>();
  const saved = new Map<string, true>();
  let files = 0;

  function attempt(state: string): LoginAttempt | null {
    return attempts.get(state) ?? null;
  }

  function save(session: string): void {
    if (saved.has(session)) return;
    files += 1;
    keep(saved, session, true);
  }

  function signIn(): string {
    const session = randomId();
    save(session);
    keep(users, session, true);
    return session;
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
      return { session: signIn(), target: begun.target };
    },
    signIn,
    signedIn: (cookie) => cookie !== null && users.has(cookie),
    signOut: (cookie) => {
      if (cookie === null) return;
      users.delete(cookie);
      saved.delete(cookie);
    },
    save,
    isSaved: (session) => saved.has(session),
    leaveEmptyFile: () => {
      files += 1;
    },
    files: () => files,
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
