/** What ends an exchange from outside: its total deadline, a gateway that no longer waits, a breaker that opened. */
import type { Gone, Outcome, Waiting } from "../core/types.ts";
import { startDeadline } from "./deadline.ts";

/** "starved": the total deadline passed because of our own stalls. */
export type InterruptReason = "total_timeout" | "starved" | "abandoned" | "released";

/**
 * How an exchange waited for a connection. "busy": others were answered meanwhile, so the upstream is busy and not
 * broken. "unasked": it waited to the end, and no one was answered.
 */
export type Wait = "none" | "busy" | "unasked";

/** What comes of an exchange that is interrupted. */
export function interrupted(reason: InterruptReason, wait: Wait): Outcome {
  if (reason === "abandoned" || reason === "released") return { kind: reason };
  // The time in the wait queue was ours to answer for, not the upstream's.
  if (reason === "starved" || wait === "busy") return { kind: "overload" };
  return { kind: "failure", reason, ...(wait === "unasked" && { unasked: true }) };
}

export interface Interrupt {
  readonly signal: AbortSignal;
  /** It is null until interrupted. */
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
