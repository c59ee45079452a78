/**
 * Remembers which servers and addresses failed to connect lately, so that they are tried last. A host that drops
 * packets costs each connection a share of its connect timeout, so not every connection should try it while it is down.
 *
 * - What fails is avoided for 10 s. Then one connection tries it again, and the others avoid it meanwhile.
 * - Only the result of connecting counts. A try that was given up changes nothing, so a client that hangs up neither
 *   keeps a server out nor brings a dead one back.
 * - Nothing is ever left out. If all are avoided, all are tried.
 */

const HOLD_MS = 10_000;
/** The addresses of a name come and go. Beyond so many, the oldest is forgotten. */
const MOST = 256;

/** `now` is in milliseconds of one clock that never goes back. */
export interface ConnectFailures {
  failedLately(name: string, now: number): boolean;
  /** Begins a try of `name`. One function of the result is called, at most once. */
  begin(name: string, now: number): ConnectAttempt;
}

export interface ConnectAttempt {
  worked(): void;
  failed(now: number): void;
  /** It ended without a result. */
  gaveUp(): void;
}

export function createConnectFailures(): ConnectFailures {
  /** Until when each is avoided, in the order in which they were added or renewed. */
  const avoided = new Map<string, number>();

  function avoid(name: string, until: number): void {
    avoided.delete(name);
    avoided.set(name, until);
    const [oldest] = avoided.keys();
    if (avoided.size > MOST && oldest !== undefined) avoided.delete(oldest);
  }

  return {
    failedLately: (name, now) => now < (avoided.get(name) ?? now),
    begin: (name, now) => {
      const before = avoided.get(name);
      const mine = before !== undefined && before <= now ? now + HOLD_MS : null;
      if (mine !== null) avoid(name, mine);
      return {
        worked: () => {
          avoided.delete(name);
        },
        failed: (later) => avoid(name, later + HOLD_MS),
        gaveUp: () => {
          // Another try may have had a result meanwhile.
          if (before !== undefined && avoided.get(name) === mine) avoid(name, before);
        },
      };
    },
  };
}
