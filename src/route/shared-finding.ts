import type { Finding } from "../core/probe.ts";

/** One probe at a time: every caller shares the probe that is on its way, and its finding as long as that holds. */
export interface SharedFinding {
  /**
   * The finding that holds, or else the next one. A good one must be from a probe that began at `notBefore` or later, and
   * a bad one from a probe that had not ended by then. `probe` runs only if none is on its way. Never rejects.
   */
  get(probe: () => Promise<Finding>, notBefore?: number): Promise<Finding>;
  /** The last finding, however old. One that no longer holds is asked for again meanwhile. It waits for the first. */
  getStale(probe: () => Promise<Finding>): Promise<Finding>;
  /** Asks again, unless a probe is on its way or the last finding is bad and holds, or is younger than `maxAge`. */
  renew(probe: () => Promise<Finding>, maxAge: number): void;
  /** The finding that holds; null: there is none. */
  readonly held: Finding | null;
}

interface Known {
  readonly finding: Finding;
  readonly begunAt: number;
  readonly endedAt: number;
}

function since({ finding, begunAt, endedAt }: Known): number {
  return finding.result.kind === "fine" ? begunAt : endedAt;
}

/** `holds`: for how many milliseconds a finding may be used. `now`: milliseconds, monotonic. */
export function createSharedFinding(holds: (finding: Finding) => number, now: () => number): SharedFinding {
  let last: Known | null = null;
  let next: Promise<Finding> | null = null;

  const ask = (probe: () => Promise<Finding>): Promise<Finding> => {
    const begunAt = now();
    next ??= probe().then((finding) => {
      last = { finding, begunAt, endedAt: now() };
      next = null;
      return finding;
    });
    return next;
  };
  const isHeld = (known: Known | null): known is Known =>
    known !== null && now() < known.endedAt + holds(known.finding);

  return {
    get: (probe, notBefore = Number.NEGATIVE_INFINITY) =>
      isHeld(last) && since(last) >= notBefore ? Promise.resolve(last.finding) : ask(probe),
    getStale: (probe) => {
      const found = isHeld(last) ? Promise.resolve(last.finding) : ask(probe);
      return last !== null && last.finding.result.kind !== "unknown" ? Promise.resolve(last.finding) : found;
    },
    renew: (probe, maxAge) => {
      const isFresh = isHeld(last) && (last.finding.result.kind !== "fine" || now() - last.endedAt <= maxAge);
      if (!isFresh) void ask(probe);
    },
    get held() {
      return isHeld(last) ? last.finding : null;
    },
  };
}
