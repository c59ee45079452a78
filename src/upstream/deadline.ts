/**
 * Deadlines that know our own stalls. While this process cannot run (a paused VM, a throttled pod, a flood of
 * large heads), an upstream that answered in time looks late. Taking that for a fault would let a flood open an
 * `allow` route, so a deadline tells whether the process was starved of its time.
 */
import { performance } from "node:perf_hooks";
import type { FailureReason } from "../core/types.ts";

/** How often the lateness of the event loop is measured. */
const BEAT_MS = 50;
/** Lateness below this is the ordinary jitter of a busy machine. */
const JITTER_MS = 25;
/** A deadline is starved if stalls took more than this share of it. */
const STARVED_SHARE = 0.2;

interface Deadline {
  clear(): void;
}

/**
 * Runs `expire` once, `milliseconds` from now, unless cleared. Sockets have their turn first, because libuv runs
 * expired timers before it reads what has come meanwhile.
 */
export function startDeadline(milliseconds: number, expire: (starved: boolean) => void): Deadline {
  const before = stalledSoFar();
  let immediate: NodeJS.Immediate | null = null;
  const timer = setTimeout(() => {
    immediate = setImmediate(() => expire(isStarved(milliseconds, before)));
  }, milliseconds);
  return {
    clear: () => {
      clearTimeout(timer);
      if (immediate) clearImmediate(immediate);
    },
  };
}

/** What comes of a deadline that has passed. If our own stalls took its time, it says nothing about the upstream. */
export function pastDeadline<Reason extends FailureReason>(
  reason: Reason,
  starved: boolean,
): { readonly kind: "overload" } | { readonly kind: "failure"; readonly reason: Reason } {
  return starved ? { kind: "overload" } : { kind: "failure", reason };
}

/** Whether stalls since `before` (a `stalledSoFar`) took too much of `milliseconds`. */
export function isStarved(milliseconds: number, before: number): boolean {
  return stalledSoFar() - before > Math.max(milliseconds * STARVED_SHARE, JITTER_MS);
}

let stalled = 0;
let isBeating = false;

/** How many milliseconds the event loop was late, all in all, since the first call. */
export function stalledSoFar(): number {
  if (!isBeating) startBeat();
  return stalled;
}

function startBeat(): void {
  isBeating = true;
  let due = performance.now() + BEAT_MS;
  setInterval(() => {
    const late = performance.now() - due;
    if (late > JITTER_MS) stalled += late;
    due = performance.now() + BEAT_MS;
  }, BEAT_MS).unref();
}
