/** Digests of good logins, each kept for 5 minutes after its last use. Only good logins can fill this memory. */

const REMEMBERED_FOR_MS = 5 * 60_000;
/** Two digests for each pair of name and password: one of the pair, and one of the pair with the client's address. */
const MAX_REMEMBERED = 2 * 1024;

interface RememberedLogins {
  has(digest: string): boolean;
  /** Begins the time of a digest anew. When the memory is full, the digest that was used longest ago goes. */
  add(digest: string): void;
}

/** `now`: milliseconds, monotonic. */
export function createRememberedLogins(now: () => number): RememberedLogins {
  const until = new Map<string, number>();
  return {
    has: (digest) => (until.get(digest) ?? 0) > now(),
    add: (digest) => {
      until.delete(digest);
      until.set(digest, now() + REMEMBERED_FOR_MS);
      for (const oldest of until.keys()) {
        if (until.size <= MAX_REMEMBERED) break;
        until.delete(oldest);
      }
    },
  };
}
