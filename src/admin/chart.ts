/** The checks of 15 minutes as bars. The upstream's are below, those of a fallback hatched above, errors on top. */
import type { RecentStatus } from "../observe/status/status.ts";
import { type Html, html } from "./html.ts";

const STEP = 10;
const BAR = 8;
const HEIGHT = 60;
/** One check among thousands stays visible. */
const LEAST = 1.5;

type Recent = Omit<RecentStatus, "latency" | "bucketSeconds">;

export interface Chart {
  readonly svg: Html;
  /** The most checks in one bucket. */
  readonly most: number;
  readonly total: number;
  readonly upstream: number;
  readonly fallbacks: number;
  /** Errors, and checks that our own limits refused. */
  readonly failed: number;
}

/** The page gives it colours and words. Screen readers skip it, because the text beside it says the same. */
export function chartOf({ checks, fallbacks, errors, shed }: Recent): Chart {
  const most = Math.max(...checks);
  const scale = HEIGHT / Math.max(1, most);
  const bars = { upstream: "", fallback: "", failed: "" };
  const totals = { upstream: 0, fallback: 0, failed: 0 };
  for (const [index, all] of checks.entries()) {
    const fallback = fallbacks[index] ?? 0;
    const failed = (errors[index] ?? 0) + (shed[index] ?? 0);
    const counts = { upstream: Math.max(0, all - fallback - failed), fallback, failed };
    const heightOf = (count: number): number => (count === 0 ? 0 : Math.max(LEAST, count * scale));
    const above = { fallback: heightOf(fallback), failed: heightOf(failed) };
    const heights = { ...above, upstream: Math.max(0, all * scale - above.fallback - above.failed) };
    let top = HEIGHT;
    for (const part of PARTS) {
      totals[part] += counts[part];
      const height = Math.min(top, heights[part]);
      if (counts[part] === 0 || height === 0) continue;
      top -= height;
      bars[part] += `M${index * STEP + 1} ${short(top)}h${BAR}v${short(height)}h-${BAR}z`;
    }
  }
  const width = checks.length * STEP;
  const svg = html`<svg class="bars" viewBox="0 0 ${width} ${HEIGHT}" preserveAspectRatio="none" aria-hidden="true" focusable="false"><path class="base" d="M0 ${HEIGHT}h${width}"/><path class="by-upstream" d="${bars.upstream}"/><path class="by-fallback" fill="url(#hatch)" d="${bars.fallback}"/><path class="failed" d="${bars.failed}"/></svg>`;
  const { upstream, fallback, failed } = totals;
  return { svg, most, total: upstream + fallback + failed, upstream, fallbacks: fallback, failed };
}

const PARTS = ["upstream", "fallback", "failed"] as const;

function short(value: number): string {
  return String(Math.round(value * 10) / 10);
}
