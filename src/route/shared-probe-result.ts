import { confirms, holds, type ProbeResult } from "../core/probe.ts";
import type { ProbeRules } from "../core/snapshot.ts";

/** A bad result is used until the next one is there, if the next probe began at most this long after its end. */
const STILL_BAD_MS = 5_000;

/** One probe at a time: every caller shares the probe that is on its way, and its result as long as that holds. */
export interface SharedProbeResult {
  /** The result that holds, or else the next one; `probe` runs only if no probe is on its way. Never rejects. */
  get(probe: () => Promise<ProbeResult>): Promise<ProbeResult>;
  /** Like `get`, but does not wait for the next result if a bad one has just ended. That one is used instead. */
  getSoon(probe: () => Promise<ProbeResult>): Promise<ProbeResult>;
}

/** `now`: milliseconds, monotonic. */
export function createSharedProbeResult(rules: ProbeRules, now: () => number): SharedProbeResult {
  let last: ProbeResult = { kind: "unknown" };
  let heldUntil = 0;
  let next: { readonly result: Promise<ProbeResult>; readonly since: number } | null = null;

  const get = (probe: () => Promise<ProbeResult>): Promise<ProbeResult> => {
    if (now() < heldUntil) return Promise.resolve(last);
    next ??= {
      since: now(),
      result: probe().then((result) => {
        last = result;
        heldUntil = now() + holds(result, rules);
        next = null;
        return result;
      }),
    };
    return next.result;
  };

  return {
    get,
    getSoon: (probe) => {
      const found = get(probe);
      const isStillBad = next !== null && confirms(last) && next.since < heldUntil + STILL_BAD_MS;
      return isStillBad ? Promise.resolve(last) : found;
    },
  };
}
