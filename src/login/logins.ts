/**
 * Emergency logins (DESIGN section 5), as the data path asks for them.
 *
 * - A good pair of name and password is remembered by a keyed digest for 5 minutes after its last use and until
 *   its file changes. It is never limited: whoever uses up the limits cannot lock out an admin at work.
 * - For the limited that makes the memory an oracle, which would answer guesses without end. So a remembered
 *   pair is good where it has been good before, and elsewhere only while a second limit, ten times as wide,
 *   counts fewer refusals.
 * - A try is booked before it is verified, so parallel guesses count before the first of them has failed.
 * - An unknown name is verified like any other, against some hash of the file, and is always bad.
 * - Whatever goes wrong on the way, the login is not good.
 */
import { createHmac, randomBytes as systemRandomBytes } from "node:crypto";
import { createFailureLimit, type FailureLimit } from "../core/failure-limit.ts";
import type { BasicAuthFallback, RateLimit } from "../core/snapshot.ts";
import type { Credentials, LoginResult } from "../core/types.ts";
import type { Report } from "../observe/event.ts";
import { createHtpasswdFiles, type InTime, type LoadedFile } from "./htpasswd-files.ts";
import {
  createPasswordPool,
  defaultPoolSize,
  type PasswordPool,
  type Verification,
} from "./password-pool.ts";

const REMEMBERED_FOR = 5 * 60_000;
/** Two for each pair: one for the pair, one for the pair from an address. */
const MAX_REMEMBERED = 2 * 1024;
const WIDER = 10;
/** Tries that wait for others to settle. */
const MAX_WAITING = 64;
const FILE_INTERVAL = 1000;
const KEY_BYTES = 32;

export type LoginPolicy = Pick<BasicAuthFallback, "htpasswd" | "rateLimit">;

export interface Logins {
  /** Whether any file in use lists `user`. */
  knows(user: string): boolean;
  /** Users that can log in by `file`. */
  users(file: string): number;
  /**
   * Always settles, never rejects. `address` is the client's, IPv6 cut to its /64; whether `policy.allowFrom`
   * holds it is for the caller to say.
   */
  attempt(
    route: string,
    policy: LoginPolicy,
    credentials: Credentials | null,
    address: string,
  ): Promise<LoginResult>;
  /** Takes these htpasswd files into use, once they are read, and drops all others. */
  use(files: readonly string[]): Promise<void>;
  close(): void;
}

export interface LoginsDeps {
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  readonly randomBytes: (length: number) => Uint8Array;
  /** Stays the caller's to close. */
  readonly pool: PasswordPool;
  readonly report: Report;
  readonly inTime: InTime;
  /** Milliseconds between two looks at the files. */
  readonly fileInterval?: number;
}

/** `refusals` counts what `tries` refuses. */
interface RouteLimits {
  readonly tries: FailureLimit;
  readonly refusals: FailureLimit;
}

/** One attempt that must be verified. `pair` and `place` are digests: of the pair, and of it from this address. */
interface Attempt {
  readonly file: string;
  readonly loaded: LoadedFile;
  readonly credentials: Credentials;
  readonly address: string;
  readonly pair: string;
  readonly place: string;
}

const MISSING: LoginResult = { kind: "missing" };
const BAD: LoginResult = { kind: "bad" };
const FORBIDDEN: LoginResult = { kind: "forbidden", why: "no_users" };
const BUSY: LoginResult = { kind: "limited", retryAfterSeconds: 1 };

export function createLogins(options: LoginsDeps): Logins {
  const { now, randomBytes, pool, report, inTime, fileInterval = FILE_INTERVAL } = options;
  const files = createHtpasswdFiles({ interval: fileInterval, report, inTime });
  const key = randomBytes(KEY_BYTES);
  const remembered = createMemory();
  const running = new Map<string, Promise<LoginResult>>();
  /** Of the next try to settle, on any route. */
  let settled = Promise.withResolvers<void>();
  let waiting = 0;
  /** By route name and rule, so that a reload forgives nobody, nor does a host of a route with a shorter `per`. */
  const limits = new Map<string, RouteLimits>();

  function limitsOf(route: string, { failures, per, global }: RateLimit): RouteLimits {
    const key = JSON.stringify([route, failures, per, global]);
    const known = limits.get(key);
    if (known) return known;
    const fresh = { tries: createFailureLimit(), refusals: createFailureLimit() };
    limits.set(key, fresh);
    return fresh;
  }

  async function attempt(
    route: string,
    policy: LoginPolicy,
    credentials: Credentials | null,
    address: string,
  ): Promise<LoginResult> {
    const file = policy.htpasswd;
    const loaded = files.get(file);
    if (loaded === null || loaded.users.size === 0) return FORBIDDEN;
    if (credentials === null) return MISSING;
    const { user, password } = credentials;
    const pair = keyedDigest(key, ["pair", String(loaded.generation), user, password]).toString("base64");
    const place = keyedDigest(key, ["place", pair, address]).toString("base64");
    const tried: Attempt = { file, loaded, credentials, address, pair, place };
    const limit = limitsOf(route, policy.rateLimit);
    if (isRemembered(tried, limit, policy.rateLimit)) return remember(tried);
    // A page asks thirty times at once: that is one try, from one address.
    const same = running.get(place);
    if (same) return same;
    const result = inTurn(tried, limit, policy.rateLimit).finally(() => running.delete(place));
    running.set(place, result);
    return result;
  }

  /** Twenty people behind one address are no attack: a try beyond the limit waits while those before it may be good. */
  async function inTurn(tried: Attempt, limit: RouteLimits, rule: RateLimit): Promise<LoginResult> {
    let booking = limit.tries.book(tried.address, rule, now());
    while (booking.kind === "pending") {
      if (waiting === MAX_WAITING) return BUSY;
      waiting += 1;
      await settled.promise;
      waiting -= 1;
      booking = limit.tries.book(tried.address, rule, now());
    }
    if (booking.kind === "limited") return refuse(limit, tried.address, rule, booking.retryAfter);
    return verify(tried, limit);
  }

  function isRemembered(tried: Attempt, limit: RouteLimits, rule: RateLimit): boolean {
    if (remembered.has(tried.place, now())) return true;
    if (!remembered.has(tried.pair, now())) return false;
    return !limit.refusals.isExhausted(tried.address, wider(rule), now());
  }

  function remember({ pair, place, credentials }: Attempt): LoginResult {
    remembered.add(pair, now());
    remembered.add(place, now());
    return { kind: "ok", user: credentials.user };
  }

  function refuse(limit: RouteLimits, address: string, rule: RateLimit, retryAfter: number): LoginResult {
    const counted = limit.refusals.book(address, wider(rule), now());
    if (counted.kind === "booked") limit.refusals.settle(address, true, now());
    return { kind: "limited", retryAfterSeconds: Math.max(1, Math.ceil(retryAfter / 1000)) };
  }

  async function verify(tried: Attempt, limit: RouteLimits): Promise<LoginResult> {
    const { loaded, credentials } = tried;
    const known = loaded.users.get(credentials.user);
    // Always worked out, so that known and unknown names take the same steps.
    const decoy = decoyFor(credentials.user, loaded);
    const verification = await pool.verify(credentials.password, known ?? decoy);
    const result = resultOf(tried, verification, known !== undefined);
    // A death of the worker counts as well: a password that kills workers must not be free.
    limit.tries.settle(tried.address, result.kind === "bad" || verification === "failed", now());
    settled.resolve();
    settled = Promise.withResolvers();
    return result;
  }

  /** A hash of the file, always the same one for a name, so that unknown names take times as known ones do. */
  function decoyFor(user: string, loaded: LoadedFile): string {
    const index = keyedDigest(key, ["decoy", user]).readUIntBE(0, 6) % loaded.hashes.length;
    return loaded.hashes[index] ?? "";
  }

  function resultOf(tried: Attempt, verification: Verification, known: boolean): LoginResult {
    if (verification === "busy" || verification === "failed") return BUSY;
    if (verification !== "good" || !known) return BAD;
    // The file changed while the password was verified: the name may be gone. Asked again, it is verified anew.
    if (files.get(tried.file)?.generation !== tried.loaded.generation) return BUSY;
    return remember(tried);
  }

  return {
    knows: files.knows,
    users: (file) => files.get(file)?.users.size ?? 0,
    attempt,
    use: files.use,
    close: files.close,
  };
}

/** The emergency logins of a process, with the threads that verify passwords. */
export interface OpenLoginsDeps {
  readonly report: Report;
  /** Reads within a time limit, should a file system hang. */
  readonly inTime: InTime;
  /** Milliseconds, monotonic. */
  now(): number;
}

export function openLogins({ report, inTime, now }: OpenLoginsDeps): OpenLogins {
  const pool = createPasswordPool({ size: defaultPoolSize() });
  const logins = createLogins({ now, randomBytes: systemRandomBytes, pool, report, inTime });
  return {
    ...logins,
    close: () => {
      logins.close();
      return pool.close();
    },
  };
}

export interface OpenLogins extends Omit<Logins, "close"> {
  close(): Promise<void>;
}

function wider(rule: RateLimit): RateLimit {
  return { failures: rule.failures * WIDER, per: rule.per, global: rule.global * WIDER };
}

/** Lengths before the parts, so that no two lists of parts read the same. */
function keyedDigest(key: Uint8Array, parts: readonly string[]): Buffer {
  const mac = createHmac("sha256", key);
  for (const part of parts) mac.update(`${Buffer.byteLength(part)}:`).update(part);
  return mac.digest();
}

interface Memory {
  has(digest: string, now: number): boolean;
  add(digest: string, now: number): void;
}

/** Only good logins get in, so nobody else can fill it. The one used longest ago makes room. */
function createMemory(): Memory {
  const until = new Map<string, number>();
  return {
    has: (digest, now) => (until.get(digest) ?? 0) > now,
    add: (digest, now) => {
      until.delete(digest);
      until.set(digest, now + REMEMBERED_FOR);
      for (const oldest of until.keys()) {
        if (until.size <= MAX_REMEMBERED) break;
        until.delete(oldest);
      }
    },
  };
}
