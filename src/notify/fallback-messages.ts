/** What of all events becomes a message to the config's `notify` targets: that a route entered or left fallback. */
import type { FallbackChange } from "../core/types.ts";
import type { Report } from "../observe/event.ts";
import { createSharedFallback } from "./shared-fallback.ts";

interface FallbackMessagesDeps {
  /** Returns before anything is sent; never throws. */
  notify(change: FallbackChange): void;
  /** Milliseconds, monotonic. */
  now(): number;
  later(milliseconds: number, run: () => void): void;
}

/** Workers count from 1. */
const THIS_PROCESS = 0;

/** A fallback that a client may have brought about is never told, nor is its end. */
export function fallbackMessages({ notify, now, later }: FallbackMessagesDeps): Report {
  const shared = createSharedFallback({ tell: notify, now, later });
  return (event, worker = THIS_PROCESS) => {
    if (event.kind === "worker_died") return shared.lost(event.number);
    if (event.kind === "fallback_proven") {
      const { route, mode, reason } = event;
      return shared.take(worker, { event: "fallback_began", route, mode, reason });
    }
    if (event.kind !== "fallback_ended" || !event.isProven) return;
    const { route, mode, reason, seconds } = event;
    shared.take(worker, { event: "fallback_ended", route, mode, reason, seconds: Math.round(seconds) });
  };
}
