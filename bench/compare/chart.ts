/** Bar charts as plain SVG, with a background of their own, so that they are readable on light and dark pages. */
import type { Spread } from "../statistics.ts";

export interface Bar {
  readonly label: string;
  readonly spread: Spread;
}

export interface Group {
  readonly title: string;
  readonly bars: readonly Bar[];
}

export interface Chart {
  readonly title: string;
  /** The text below the title, which says what a bar means. */
  readonly note: string;
  readonly unit: string;
  readonly groups: readonly Group[];
  /** The value where a vertical line is drawn; null: no line. */
  readonly mark: number | null;
  /** The labels that stand out. */
  readonly highlighted: string;
}

const WIDTH = 760;
const LEFT = 170;
const RIGHT = 110;
const TOP = 74;
const BAR = 16;
const BETWEEN_BARS = 5;
const GROUP_HEAD = 24;
const BETWEEN_GROUPS = 12;
const SCALE_WIDTH = WIDTH - LEFT - RIGHT;

const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #1f2328 }
  .ground { fill: #ffffff; stroke: #d1d9e0 }
  .title { font-size: 16px; font-weight: 600 }
  .group { font-weight: 600 }
  .note { fill: #59636e }
  .label { text-anchor: end }
  .bar { fill: #8c959f }
  .ours { fill: #0969da }
  .reach, .mark { stroke: #1f2328; fill: none }
  .mark { stroke-dasharray: 3 3; opacity: 0.6 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .ground { fill: #0d1117; stroke: #3d444d }
    .note { fill: #9198a1 }
    .bar { fill: #656c76 }
    .ours { fill: #4493f8 }
    .reach, .mark { stroke: #f0f6fc }
  }
`;

/** A bar reaches to the median. The line over it reaches from the least to the most. */
export function svgOf(chart: Chart): string {
  const { title, note, groups, mark } = chart;
  const most = Math.max(...groups.flatMap(({ bars }) => bars.map(({ spread }) => spread.max)), mark ?? 0);
  const toX = (value: number): number => round(LEFT + (value / most) * SCALE_WIDTH);
  const drawn: string[] = [];
  let y = TOP;
  for (const group of groups) {
    drawn.push(`<text class="group" x="16" y="${y + 15}">${escaped(group.title)}</text>`);
    y += GROUP_HEAD;
    for (const bar of group.bars) {
      drawn.push(...drawBar(bar, y, toX, chart));
      y += BAR + BETWEEN_BARS;
    }
    y += BETWEEN_GROUPS;
  }
  const line =
    mark === null ? [] : [`<path class="mark" d="M${toX(mark)} ${TOP - 4}V${y - BETWEEN_GROUPS}"/>`];
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" width="${WIDTH}" height="${y}" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<style>${STYLE}</style>`,
    `<rect class="ground" x="0.5" y="0.5" width="${WIDTH - 1}" height="${y - 1}" rx="6"/>`,
    `<text class="title" x="16" y="30">${escaped(title)}</text>`,
    `<text class="note" x="16" y="52">${escaped(note)}</text>`,
    ...drawn,
    ...line,
    "</svg>",
  ].join("\n")}\n`;
}

function drawBar({ label, spread }: Bar, y: number, toX: (value: number) => number, chart: Chart): string[] {
  const middle = y + BAR / 2;
  const kind = label === chart.highlighted ? "bar ours" : "bar";
  const reach = `M${toX(spread.min)} ${middle}H${toX(spread.max)}M${toX(spread.min)} ${middle - 4}v8M${toX(spread.max)} ${middle - 4}v8`;
  const value = `${shortNumber(spread.median)}${chart.unit}`;
  return [
    `<text class="label" x="${LEFT - 8}" y="${middle + 4}">${escaped(label)}</text>`,
    `<rect class="${kind}" x="${LEFT}" y="${y}" width="${round(toX(spread.median) - LEFT)}" height="${BAR}"/>`,
    `<path class="reach" d="${reach}"/>`,
    `<text x="${toX(spread.max) + 8}" y="${middle + 4}">${escaped(value)}</text>`,
  ];
}

/** Three significant digits. */
export function shortNumber(value: number): string {
  if (!Number.isFinite(value)) return "–";
  if (value >= 1_000) return Math.round(value).toLocaleString("en-US");
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
