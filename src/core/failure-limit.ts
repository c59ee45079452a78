/**
 * How many failed logins an address, and all addresses together, may make within a time.
 *
 * - The window slides: in no stretch of `per` do more than `failures` (or `global`) tries fail.
 * - A try is booked before it is made and settled after, so parallel guesses cannot slip through together.
 * - Nothing is ever evicted, so nobody can push their own failures out: at most `global` tries are known at
 *   a time, and that bounds the addresses too.
 */
import type { RateLimit } from "./types.ts";

/** A `global` above this counts as this. It bounds memory: about 10 MB. */
const MAX_TRIES = 100_000;
/** When only tries still running stand in the way, one of them will have settled by then. */
const PENDING_WAIT = 1000;

/** `retryAfter`: milliseconds until a try may be booked again. */
export type Booking = { readonly kind: "booked" } | { readonly kind: "limited"; readonly retryAfter: number };

/** `now`: milliseconds of one clock that never goes back. */
export interface FailureLimit {
  /** Books a try. Every booked try is settled exactly once. */
  book(address: string, rule: RateLimit, now: number): Booking;
  /** A try that did not fail is given back. */
  settle(address: string, failed: boolean, now: number): void;
  isExhausted(address: string, rule: RateLimit, now: number): boolean;
}

/** Tries running, and the times of the failed ones, oldest first. */
interface Tries {
  pending: number;
  readonly failedAt: number[];
}

/** The rule may differ from call to call, as after a reload; what was counted stays. */
export function createFailureLimit(): FailureLimit {
  const byAddress = new Map<string, Tries>();
  const all: Tries = { pending: 0, failedAt: [] };
  /** Whose failures `all.failedAt` holds, in the same order. */
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

  /** Times only grow, so the oldest failure of all is the oldest of its address as well. */
  function expire(per: number, now: number): void {
    for (let at = all.failedAt[0]; at !== undefined && at + per <= now; at = all.failedAt[0]) {
      all.failedAt.shift();
      const address = failedBy.shift() ?? "";
      const tries = triesOf(address);
      tries.failedAt.shift();
      forgetIfIdle(address, tries);
    }
  }

  function wait(address: string, rule: RateLimit, now: number): number {
    expire(rule.per, now);
    const tries = byAddress.get(address);
    const own = tries ? waitFor(tries, rule.failures, rule.per, now) : 0;
    return Math.max(own, waitFor(all, Math.min(rule.global, MAX_TRIES), rule.per, now));
  }

  return {
    book: (address, rule, now) => {
      const retryAfter = wait(address, rule, now);
      if (retryAfter > 0) return { kind: "limited", retryAfter };
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
    isExhausted: (address, rule, now) => wait(address, rule, now) > 0,
  };
}

/** 0 while fewer than `max` tries are known; else the time until enough of them have expired. */
function waitFor(tries: Tries, max: number, per: number, now: number): number {
  const known = tries.pending + tries.failedAt.length;
  if (known < max) return 0;
  const lastToExpire = tries.failedAt[known - max];
  return lastToExpire === undefined ? PENDING_WAIT : lastToExpire + per - now;
}
