/** What ends an exchange from outside: a deadline, a gateway that no longer waits, a breaker that opened. */
import type { Outcome } from "../core/types.ts";

/**
 * "read_timeout": a probe's own deadline. "hurried": the gateway is about to leave. "starved": a deadline passed because
 * of our own stalls.
 */
export type InterruptReason =
  | "total_timeout"
  | "read_timeout"
  | "hurried"
  | "starved"
  | "abandoned"
  | "released";

/**
 * How an attempt waited for a connection. "busy": others were answered meanwhile, so the upstream is busy and not
 * broken. "unasked": it waited to the end, and no one was answered.
 */
export type Wait = "none" | "busy" | "unasked";

/** What comes of an attempt that is interrupted. */
export function interrupted(reason: InterruptReason, wait: Wait): Outcome {
  if (reason === "abandoned") return { kind: reason, isLate: false };
  if (reason === "released") return { kind: reason };
  if (reason === "starved") return { kind: "overload" };
  // The time in the wait queue was ours to answer for, not the upstream's.
  if (wait === "busy") return { kind: "busy" };
  if (reason === "hurried") return { kind: reason };
  return { kind: "failure", reason, ...(wait === "unasked" && { unasked: true }) };
}
