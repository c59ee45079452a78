/**
 * Each probe leaves a session behind in the upstream's store, so a client must not be able to cause many. A suspicion
 * that comes again, and was cleared before, is cleared without a probe for twice as long each time.
 *
 * - What a client is refused, or gets as an error, is its own: the key is its address and what was seen.
 * - An allow that names nobody lets somebody in, so an outage must not make use of what was cleared before. It is right
 *   where the upstream asks nobody for a login. So the key is the host and the URI, and only a plain check without cookie
 *   and credentials has one: were the URI not open, the upstream would have challenged it while it was well.
 */
import { verdictOf } from "./classify.ts";
import { clientHost, clientUri, mayTeach } from "./dialect.ts";
import type { Gateway } from "./snapshot.ts";
import type { Check, Undecided } from "./types.ts";

const LONGEST_MS = 60_000;
const MAX_KEPT = 1_024;
/** A longer one is not kept, because clients choose it. */
const LONGEST_URI = 1_024;

interface Cleared {
  readonly until: number;
  readonly hold: number;
}

export interface Litter {
  /** Whether the suspicion needs no probe. `key`: of `litterKey`. */
  isCleared(key: string, now: number): boolean;
  /** A probe cleared it. `minInterval`: for how long a good finding holds. */
  cleared(key: string, minInterval: number, now: number): void;
  /** A probe was bad, so nothing is cleared any more. */
  forget(): void;
}

/** What a suspicion is kept by; null: it is judged by a probe each time. `client`: the key of the client's address. */
export function litterKey(
  check: Check,
  { answer, reason }: Undecided,
  client: string,
  gateway: Gateway,
): string | null {
  if (answer === null || verdictOf(answer).kind !== "allow") return `${reason} of ${client}`;
  if (check.hasCookie || check.hasAuthorization || !mayTeach(check)) return null;
  const [host, uri] = [clientHost(check, gateway), clientUri(check, gateway)];
  return host === null || uri === null || uri.length > LONGEST_URI ? null : `open ${host} ${uri}`;
}

export function createLitter(): Litter {
  const kept = new Map<string, Cleared>();
  return {
    isCleared: (key, now) => now < (kept.get(key)?.until ?? 0),
    cleared: (key, minInterval, now) => {
      const before = kept.get(key);
      const hold = before ? Math.min(before.hold * 2, Math.max(LONGEST_MS, minInterval)) : minInterval;
      kept.delete(key);
      kept.set(key, { until: now + hold, hold });
      const [oldest] = kept.keys();
      if (kept.size > MAX_KEPT && oldest !== undefined) kept.delete(oldest);
    },
    forget: () => kept.clear(),
  };
}
