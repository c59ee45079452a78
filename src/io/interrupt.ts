/** What ends an exchange from outside: its total deadline, or a gateway that no longer waits. */
import { startDeadline } from "./deadlines.ts";

/** `starved`: the deadline passed because of our own stalls. */
export type InterruptReason = "total_timeout" | "starved" | "abandoned";

export interface Interrupt {
  readonly signal: AbortSignal;
  /** null until interrupted. */
  readonly reason: InterruptReason | null;
  clear(): void;
}

export function startInterrupt(totalMs: number, gone: AbortSignal): Interrupt {
  const controller = new AbortController();
  let reason: InterruptReason | null = null;
  const interrupt = (why: InterruptReason): void => {
    if (reason !== null) return;
    reason = why;
    controller.abort();
  };
  const onGone = (): void => interrupt("abandoned");
  const deadline = startDeadline(totalMs, (starved) => interrupt(starved ? "starved" : "total_timeout"));
  if (gone.aborted) onGone();
  else gone.addEventListener("abort", onGone);
  return {
    signal: controller.signal,
    get reason() {
      return reason;
    },
    clear: () => {
      deadline.clear();
      gone.removeEventListener("abort", onGone);
    },
  };
}
