/** The figures of one run: what one subject's checks came to, before and after a replica turned bad. */
import { percentile } from "../statistics.ts";
import type { Came } from "./clients.ts";

/** What Poisson arrivals and one lost connection may cost: checks that came within this time are forgiven. */
export const FORGIVEN_MS = 1_000;
const EARLY_MS = 10_000;
/** A reply faster than this did not wait for a replica that is silent. */
const AT_ONCE_MS = 50;

export interface Seen {
  /** Milliseconds since the onset; negative: before it. */
  readonly sent: number;
  readonly took: number;
  readonly came: Came;
}

export interface Waits {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface RunFigures {
  /** The replica that turned bad had just answered this subject. Chance may have it that a subject never notices. */
  readonly met: boolean;
  /** Milliseconds of each check of the quiet time. */
  readonly quiet: readonly number[];
  /** From here on: checks that came after the onset. */
  readonly checks: number;
  /** Those that did not get what a healthy replica says. */
  readonly missed: number;
  /** Of these, the ones that came later than `FORGIVEN_MS`. */
  readonly missedLate: number;
  /** The first 10 s, or the first half of a run that is shorter than 20 s. */
  readonly early: Waits;
  readonly after: Waits;
  /** Requests that reached the replicas, for each check. */
  readonly asked: number;
  /** How often which reply came in place of a verdict; "quiet …": before the onset. */
  readonly odd: ReadonlyMap<string, number>;
  /** When the first reply in place of a verdict came, and the last of the checks that had to wait for theirs. */
  readonly firstMissedMs: number | null;
  readonly lastWaitingMs: number | null;
}

/** `quietMs`: how much of the time before the onset counts. `requests`: those that reached the replicas since. */
export function figuresOf(
  seen: readonly Seen[],
  { quietMs, lastsMs, requests, met }: { quietMs: number; lastsMs: number; requests: number; met: boolean },
): RunFigures {
  const quiet = seen.filter(({ sent }) => sent < 0 && sent >= -quietMs);
  const since = seen.filter(({ sent }) => sent >= 0);
  const missed = since.filter(isMissed);
  const middle = Math.min(EARLY_MS, lastsMs / 2);
  return {
    met,
    // A check that was still waiting at the onset says nothing about quiet times.
    quiet: quiet.filter(({ sent, took }) => sent + took < 0).map(({ took }) => took),
    checks: since.length,
    missed: missed.length,
    missedLate: missed.filter(({ sent }) => sent > FORGIVEN_MS).length,
    early: waitsOf(since.filter(({ sent }) => sent < middle)),
    after: waitsOf(since.filter(({ sent }) => sent >= middle)),
    asked: requests / since.length,
    odd: new Map([
      ...countsOf(
        quiet.filter((one) => isMissed(one) && one.sent + one.took < 0),
        "quiet ",
      ),
      ...countsOf(missed, ""),
    ]),
    firstMissedMs: leastOf(missed.map(({ sent, took }) => sent + took)),
    lastWaitingMs: lastWaitingOf(since),
  };
}

/** The last reply to a check that came before the first one that fell back at once. */
function lastWaitingOf(since: readonly Seen[]): number | null {
  const atOnce = leastOf(
    since.filter((one) => isMissed(one) && one.took < AT_ONCE_MS).map(({ sent }) => sent),
  );
  const before = since.filter(({ sent }) => sent < (atOnce ?? Number.POSITIVE_INFINITY));
  return before.length === 0 ? null : Math.max(...before.map(({ sent, took }) => sent + took));
}

function leastOf(values: readonly number[]): number | null {
  return values.length === 0 ? null : Math.min(...values);
}

function isMissed({ came }: Seen): boolean {
  return came.kind !== "verdict";
}

function waitsOf(seen: readonly Seen[]): Waits {
  const took = seen.map((one) => one.took);
  return { p50: percentile(took, 0.5), p99: percentile(took, 0.99), max: percentile(took, 1) };
}

function countsOf(seen: readonly Seen[], before: string): ReadonlyMap<string, number> {
  const kinds = Map.groupBy(seen, ({ came }) => `${before}${came.text}`);
  return new Map(Array.from(kinds, ([kind, some]) => [kind, some.length]));
}
