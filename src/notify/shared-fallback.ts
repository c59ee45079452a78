/**
 * One message when the first worker of all enters a route's fallback, and one when the last has left it. A worker
 * that died is taken to have left after a minute, as any period ends, unless its successor meets the same meanwhile.
 */
import type { FallbackChange } from "../core/types.ts";

const QUIET_MS = 60_000;

interface SharedFallback {
  /** `worker`: a number that its successor has as well. */
  take(worker: number, change: FallbackChange): void;
  lost(worker: number): void;
}

interface SharedFallbackDeps {
  /** Must neither wait nor throw. */
  tell(change: FallbackChange): void;
  /** Milliseconds, monotonic. */
  now(): number;
  later(milliseconds: number, run: () => void): void;
}

interface Period {
  readonly began: FallbackChange;
  readonly since: number;
  /** When each worker that is in it came in. */
  readonly workers: Map<number, number>;
  /** When the last fallback was, of those that have left. */
  until: number;
}

export function createSharedFallback({ tell, now, later }: SharedFallbackDeps): SharedFallback {
  const periods = new Map<string, Period>();

  const leave = (route: string, worker: number, until: number): void => {
    const period = periods.get(route);
    if (!period?.workers.delete(worker)) return;
    period.until = Math.max(period.until, until);
    if (period.workers.size > 0) return;
    periods.delete(route);
    const { mode, reason } = period.began;
    const seconds = Math.round((period.until - period.since) / 1000);
    tell({ event: "fallback_ended", route, mode, reason, seconds });
  };

  return {
    take: (worker, change) => {
      const { event, route } = change;
      const known = periods.get(route);
      if (event === "fallback_ended") {
        leave(route, worker, (known?.workers.get(worker) ?? now()) + change.seconds * 1000);
      } else if (known) {
        known.workers.set(worker, now());
      } else {
        const since = now();
        periods.set(route, { began: change, since, workers: new Map([[worker, since]]), until: since });
        tell(change);
      }
    },
    lost: (worker) => {
      const at = now();
      for (const [route, { workers }] of periods) {
        const since = workers.get(worker);
        if (since === undefined) continue;
        later(QUIET_MS, () => {
          if (periods.get(route)?.workers.get(worker) === since) leave(route, worker, at);
        });
      }
    },
  };
}
