import { confirms, holds, type ProbeResult } from "../core/probe.ts";
import type { ProbeRules } from "../core/snapshot.ts";

/** A bad result may speak until the next one is there, if that was begun so soon after it ended. */
const STILL_BAD_MS = 5_000;

/** One result at a time, shared by all who ask while it is being made and as long as it holds. */
export interface SharedProbeResult {
  /** The one that holds, or the next one. `find` makes it, unless it is being made already; never rejects. */
  get(find: () => Promise<ProbeResult>): Promise<ProbeResult>;
  /** As `get`, but where a bad one has just ended it is not the next one that is waited for. */
  getSoon(find: () => Promise<ProbeResult>): Promise<ProbeResult>;
}

/** `now`: milliseconds, monotonic. */
export function createSharedProbeResult(rules: ProbeRules, now: () => number): SharedProbeResult {
  let last: ProbeResult = { kind: "unknown" };
  let heldUntil = 0;
  let next: { readonly found: Promise<ProbeResult>; readonly since: number } | null = null;

  const get = (find: () => Promise<ProbeResult>): Promise<ProbeResult> => {
    if (now() < heldUntil) return Promise.resolve(last);
    next ??= {
      since: now(),
      found: find().then((result) => {
        last = result;
        heldUntil = now() + holds(result, rules);
        next = null;
        return result;
      }),
    };
    return next.found;
  };

  return {
    get,
    getSoon: (find) => {
      const found = get(find);
      const isStillBad = next !== null && confirms(last) && next.since < heldUntil + STILL_BAD_MS;
      return isStillBad ? Promise.resolve(last) : found;
    },
  };
}
