/**
 * Emergency logins, as the data path asks for them.
 *
 * - A good pair of name and password is remembered as a keyed digest, until 5 minutes after its last use or until its
 *   file changes. A remembered pair is not limited, so an attacker cannot lock out an admin at work by many guesses.
 * - The memory must not answer endless guesses of a client that is limited. So a remembered pair is good from an
 *   address where it was good before. From another address it is good only until a second limit, ten times as wide, is
 *   used up by refusals.
 * - A try is booked before it is verified, so parallel guesses count before the first of them has failed.
 * - An unknown name is verified against some hash of the file, so that it takes the same time. It is always bad.
 * - When anything goes wrong, the login is not good.
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
import { createRememberedLogins } from "./remembered-logins.ts";

const WIDER = 10;
/** How many tries may wait for others to settle. */
const MAX_WAITING = 64;
const FILE_INTERVAL = 1000;
const KEY_BYTES = 32;

export type LoginPolicy = Pick<BasicAuthFallback, "htpasswd" | "rateLimit">;

interface Logins {
  /** Whether any file in use has `user`. */
  knows(user: string): boolean;
  /** How many users can log in by `file`. */
  users(file: string): number;
  /**
   * Always settles, never rejects. `address` is the client's, with IPv6 cut to its /64. The caller checks
   * `policy.allowFrom` first.
   */
  attempt(
    route: string,
    policy: LoginPolicy,
    credentials: Credentials | null,
    address: string,
  ): Promise<LoginResult>;
  /** Reads these htpasswd files and uses them, and drops all others. */
  use(files: readonly string[]): Promise<void>;
  close(): void;
}

interface LoginsDeps {
  /** Milliseconds, monotonic. */
  readonly now: () => number;
  readonly randomBytes: (length: number) => Uint8Array;
  /** The caller closes it. */
  readonly pool: PasswordPool;
  readonly report: Report;
  readonly inTime: InTime;
  /** Milliseconds between two looks at the files. */
  readonly fileInterval?: number;
}

/** `refusals` counts the tries that `tries` refuses. */
interface RouteLimits {
  readonly tries: FailureLimit;
  readonly refusals: FailureLimit;
}

/** One login attempt. `pair`: a digest of name and password; `place`: a digest of the pair and the address. */
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
  const remembered = createRememberedLogins(now);
  const running = new Map<string, Promise<LoginResult>>();
  /** Settles with the next try on any route. */
  let settled = Promise.withResolvers<void>();
  let waiting = 0;
  /** The key is the route's name and the rule. So no reload clears failures, nor does a host with a shorter `per`. */
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
    // A page may send thirty checks at once. From one address they are one try.
    const same = running.get(place);
    if (same) return same;
    const result = inTurn(tried, limit, policy.rateLimit).finally(() => running.delete(place));
    running.set(place, result);
    return result;
  }

  /** A try over the limit waits while tries before it may be good, because many people may share an address. */
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
    if (remembered.has(tried.place)) return true;
    if (!remembered.has(tried.pair)) return false;
    return !limit.refusals.isExhausted(tried.address, wider(rule), now());
  }

  function remember({ pair, place, credentials }: Attempt): LoginResult {
    remembered.add(pair);
    remembered.add(place);
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
    // The decoy is always computed, so that known and unknown names take the same steps.
    const decoy = decoyFor(credentials.user, loaded);
    const verification = await pool.verify(credentials.password, known ?? decoy);
    const result = resultOf(tried, verification, known !== undefined);
    // The death of a worker counts as a failure, because a password that kills workers must not be free.
    limit.tries.settle(tried.address, result.kind === "bad" || verification === "failed", now());
    settled.resolve();
    settled = Promise.withResolvers();
    return result;
  }

  /** The hash of the file that an unknown name is verified against. It is always the same one for a name. */
  function decoyFor(user: string, loaded: LoadedFile): string {
    const index = keyedDigest(key, ["decoy", user]).readUIntBE(0, 6) % loaded.hashes.length;
    return loaded.hashes[index] ?? "";
  }

  function resultOf(tried: Attempt, verification: Verification, known: boolean): LoginResult {
    if (verification === "busy" || verification === "failed") return BUSY;
    if (verification !== "good" || !known) return BAD;
    // If the file changed meanwhile, the name may be gone. The client's next try is verified by the new file.
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

/** The emergency logins of a process, together with the threads that verify passwords. */
export function openLogins({
  report,
  inTime,
  now,
}: Pick<LoginsDeps, "report" | "inTime" | "now">): OpenLogins {
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

/** The length of each part goes before it, so that no two lists of parts give the same bytes. */
function keyedDigest(key: Uint8Array, parts: readonly string[]): Buffer {
  const mac = createHmac("sha256", key);
  for (const part of parts) mac.update(`${Buffer.byteLength(part)}:`).update(part);
  return mac.digest();
}
