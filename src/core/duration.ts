/** Durations as people write them: `100ms`, `3s`, `1.5m`. */

export const DURATION = /^(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h)$/;

const MILLISECONDS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Milliseconds; NaN: the text is no duration. */
export function readDuration(written: string): number {
  const [, number = "", unit = ""] = DURATION.exec(written) ?? [];
  return Math.round(Number(number) * (MILLISECONDS[unit] ?? Number.NaN));
}
