/**
 * Limits the failed logins of each address, and of all addresses together.
 *
 * - The window slides: within any time of length `per`, at most `failures` tries of an address and at most `global`
 *   tries in all can fail.
 * - A try is booked before it is made and settled afterwards, so parallel guesses cannot exceed the limit.
 * - Nothing is ever evicted, so no client can push its own failures out. At most `global` tries are known at a time,
 *   which bounds the memory too.
 */
import type { RateLimit } from "./snapshot.ts";

/** A higher `global` counts as this one, which bounds the memory to about 10 MB. */
const MAX_TRIES = 100_000;

/**
 * `limited`: too many tries have failed; `retryAfter`: milliseconds until a try may be booked again.
 * `pending`: the running tries could still use up the limit; book again when one of them has settled.
 */
type Booking =
  | { readonly kind: "booked" }
  | { readonly kind: "pending" }
  | { readonly kind: "limited"; readonly retryAfter: number };

/** `now`: milliseconds, monotonic. */
export interface FailureLimit {
  /** Every booked try must be settled exactly once. */
  book(address: string, rule: RateLimit, now: number): Booking;
  /** A try that did not fail no longer counts. */
  settle(address: string, failed: boolean, now: number): void;
  isExhausted(address: string, rule: RateLimit, now: number): boolean;
}

/** How many tries run, and when tries failed, oldest first. */
interface Tries {
  pending: number;
  readonly failedAt: number[];
}

/** The rule may differ from call to call. What was counted stays. */
export function createFailureLimit(): FailureLimit {
  const byAddress = new Map<string, Tries>();
  const all: Tries = { pending: 0, failedAt: [] };
  /** The addresses of the failures in `all.failedAt`, in the same order. */
  const failedBy: string[] = [];

  function triesOf(address: string): Tries {
    const known = byAddress.get(address);
    if (known) return known;
    const fresh: Tries = { pending: 0, failedAt: [] };
    byAddress.set(address, fresh);
    return fresh;
  }

  function forgetIfIdle(address: string, tries: Tries): void {
    if (tries.pending === 0 && tries.failedAt.length === 0) byAddress.delete(address);
  }

  /** The clock never goes back, so the oldest failure of all is also the oldest of its address. */
  function expire(per: number, now: number): void {
    for (let at = all.failedAt[0]; at !== undefined && at + per <= now; at = all.failedAt[0]) {
      all.failedAt.shift();
      const address = failedBy.shift() ?? "";
      const tries = triesOf(address);
      tries.failedAt.shift();
      forgetIfIdle(address, tries);
    }
  }

  function obstacle(
    address: string,
    rule: RateLimit,
    now: number,
  ): Exclude<Booking, { kind: "booked" }> | null {
    expire(rule.per, now);
    const tries = byAddress.get(address);
    const own = tries ? waitFor(tries, rule.failures, rule.per, now) : 0;
    const retryAfter = Math.max(own, waitFor(all, bounded(rule.global), rule.per, now));
    if (retryAfter > 0) return { kind: "limited", retryAfter };
    const isPending = (tries && isFull(tries, rule.failures)) || isFull(all, bounded(rule.global));
    return isPending ? { kind: "pending" } : null;
  }

  return {
    book: (address, rule, now) => {
      const inTheWay = obstacle(address, rule, now);
      if (inTheWay) return inTheWay;
      triesOf(address).pending += 1;
      all.pending += 1;
      return { kind: "booked" };
    },
    settle: (address, failed, now) => {
      const tries = triesOf(address);
      tries.pending -= 1;
      all.pending -= 1;
      if (failed) {
        tries.failedAt.push(now);
        all.failedAt.push(now);
        failedBy.push(address);
      }
      forgetIfIdle(address, tries);
    },
    isExhausted: (address, rule, now) => obstacle(address, rule, now) !== null,
  };
}

function bounded(max: number): number {
  return Math.min(max, MAX_TRIES);
}

function isFull(tries: Tries, max: number): boolean {
  return tries.pending + tries.failedAt.length >= max;
}

/** 0 while fewer than `max` tries have failed. Otherwise the milliseconds until fewer have. */
function waitFor({ failedAt }: Tries, max: number, per: number, now: number): number {
  const lastToExpire = failedAt[failedAt.length - max];
  return lastToExpire === undefined ? 0 : lastToExpire + per - now;
}
