/** What ends an exchange from outside: its total deadline, a gateway that no longer waits, a breaker that opened. */
import type { Outcome } from "../core/types.ts";

/** "starved": the total deadline passed because of our own stalls. */
export type InterruptReason = "total_timeout" | "starved" | "abandoned" | "released";

/**
 * How an attempt waited for a connection. "busy": others were answered meanwhile, so the upstream is busy and not
 * broken. "unasked": it waited to the end, and no one was answered.
 */
export type Wait = "none" | "busy" | "unasked";

/** What comes of an attempt that is interrupted. */
export function interrupted(reason: InterruptReason, wait: Wait): Outcome {
  if (reason === "abandoned" || reason === "released") return { kind: reason };
  // The time in the wait queue was ours to answer for, not the upstream's.
  if (reason === "starved" || wait === "busy") return { kind: "overload" };
  return { kind: "failure", reason, ...(wait === "unasked" && { unasked: true }) };
}
