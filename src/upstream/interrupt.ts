/** What ends an exchange from outside: its total deadline, a gateway that no longer waits, a breaker that opened. */
import type { Gone, Waiting } from "../core/types.ts";
import { startDeadline } from "./deadline.ts";

/** `starved`: the deadline passed because of our own stalls. */
export type InterruptReason = "total_timeout" | "starved" | "abandoned" | "released";

export interface Interrupt {
  readonly signal: AbortSignal;
  /** null until interrupted. */
  readonly reason: InterruptReason | null;
  /** The answer counts: a breaker that opens has no say in it any more. */
  keep(): void;
  clear(): void;
}

export function startInterrupt(totalMs: number, gone: Gone, waiting: Waiting): Interrupt {
  const controller = new AbortController();
  let reason: InterruptReason | null = null;
  const interrupt = (why: InterruptReason): void => {
    if (reason !== null) return;
    reason = why;
    controller.abort();
  };
  const onGone = (): void => interrupt("abandoned");
  const onRelease = (): void => interrupt("released");
  const place = waiting.add(onRelease);
  const deadline = startDeadline(totalMs, (starved) => interrupt(starved ? "starved" : "total_timeout"));
  if (gone.aborted) onGone();
  else gone.addEventListener("abort", onGone);
  return {
    signal: controller.signal,
    get reason() {
      return reason;
    },
    keep: () => {
      waiting.leave(place);
    },
    clear: () => {
      waiting.leave(place);
      deadline.clear();
      gone.removeEventListener("abort", onGone);
    },
  };
}
