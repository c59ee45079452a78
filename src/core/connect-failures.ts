/**
 * Which servers and addresses are tried last, because connecting to them failed lately. A host that drops packets
 * costs each connection a share of its connect timeout, so it is not to be asked by all of them for as long as it
 * is down.
 *
 * - Who fails is doubtful for 10 s, then due: one tries it again, and for the others it stays doubtful meanwhile.
 * - Only what became of connecting counts. A try that was given up changes nothing, so no client who hangs up
 *   keeps a server out or brings a dead one back.
 * - Nothing is ever left out: where all are doubtful, all are tried.
 */

const HOLD_MS = 10_000;
/** Addresses of a name come and go; beyond this the oldest doubt is dropped. */
const MOST = 256;

/** `now`: milliseconds of one clock that never goes back. */
export interface ConnectFailures {
  failedLately(name: string, now: number): boolean;
  /** Begins a try of `name`. Of what is returned one is called, at most once. */
  begin(name: string, now: number): ConnectAttempt;
}

export interface ConnectAttempt {
  worked(): void;
  failed(now: number): void;
  /** It ended before anything could be told. */
  gaveUp(): void;
}

export function createConnectFailures(): ConnectFailures {
  /** When each is due, in the order in which they began or were renewed. */
  const due = new Map<string, number>();

  function doubt(name: string, until: number): void {
    due.delete(name);
    due.set(name, until);
    const [oldest] = due.keys();
    if (due.size > MOST && oldest !== undefined) due.delete(oldest);
  }

  return {
    failedLately: (name, now) => now < (due.get(name) ?? now),
    begin: (name, now) => {
      const before = due.get(name);
      const mine = before !== undefined && before <= now ? now + HOLD_MS : null;
      if (mine !== null) doubt(name, mine);
      return {
        worked: () => {
          due.delete(name);
        },
        failed: (later) => doubt(name, later + HOLD_MS),
        gaveUp: () => {
          // Unless another try has told more meanwhile.
          if (before !== undefined && due.get(name) === mine) doubt(name, before);
        },
      };
    },
  };
}
