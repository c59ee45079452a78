/** Medians, ratios and how they are drawn. */
import t from "tap";
import { shortNumber, svgOf } from "../../bench/compare/chart.ts";
import { figuresOf, type Run, referenceFigures } from "../../bench/compare/results.ts";
import { mean, percentile, slope, spreadOf } from "../../bench/statistics.ts";

t.test("least, median and most", async (t) => {
  const rows = [
    { name: "odd", values: [3, 1, 2], spread: { min: 1, median: 2, max: 3 } },
    { name: "even", values: [4, 1, 2, 10], spread: { min: 1, median: 3, max: 10 } },
    { name: "by number, not by digits", values: [9, 10, 100], spread: { min: 9, median: 10, max: 100 } },
    { name: "one", values: [5], spread: { min: 5, median: 5, max: 5 } },
    { name: "none", values: [], spread: { min: Number.NaN, median: Number.NaN, max: Number.NaN } },
  ];
  for (const { name, values, spread } of rows) t.same(spreadOf(values), spread, name);
});

t.test("percentiles", async (t) => {
  const ten = [10, 9, 8, 7, 6, 5, 4, 3, 2, 1];
  const rows = [
    { name: "the middle", values: ten, share: 0.5, expected: 6 },
    { name: "high", values: ten, share: 0.99, expected: 10 },
    { name: "the largest", values: ten, share: 1, expected: 10 },
    { name: "one", values: [5], share: 0.5, expected: 5 },
    { name: "none", values: [], share: 0.5, expected: Number.NaN },
  ];
  for (const { name, values, share, expected } of rows) t.same(percentile(values, share), expected, name);
});

t.test("means and slopes", async (t) => {
  const points = (...ys: readonly number[]) => ys.map((y, x) => ({ x, y }));
  t.equal(mean([1, 2, 6]), 3);
  t.same(mean([]), Number.NaN);
  t.equal(slope(points(1, 3, 5, 7)), 2);
  t.equal(slope(points(4, 4, 4)), 0);
  t.equal(slope(points(0, 1, 0, 1)), 0.2, "the line between them");
  t.same(slope(points(1)), Number.NaN, "one point");
});

t.test("each run is compared with the one of the reference before it", async (t) => {
  const figures = figuresOf("sparekey", 64, [
    { subject: run(30), reference: run(10) },
    { subject: run(80), reference: run(20) },
    { subject: run(50), reference: run(50) },
  ]);
  t.same(figures.figures.cpuMicros, { min: 30, median: 50, max: 80 });
  t.same(figures.ratios?.cpuMicros, { min: 1, median: 3, max: 4 });
  t.equal(figures.runs, 3);
  t.equal(figures.idleMb, 64);
  t.equal(referenceFigures("nginx", 9, [run(10)]).ratios, null, "the reference has no ratio to itself");
});

t.test("three digits of a number", async (t) => {
  const rows: readonly [number, string][] = [
    [0.0523, "0.05"],
    [1, "1.00"],
    [14.82, "14.8"],
    [189.4, "189"],
    [55_929.3, "55,929"],
    [Number.NaN, "–"],
  ];
  for (const [value, text] of rows) t.equal(shortNumber(value), text);
});

t.test("a chart", async (t) => {
  const spread = { min: 1, median: 2, max: 4 };
  const svg = svgOf({
    title: "CPU <time> & more",
    note: "",
    unit: " ×",
    groups: [{ title: "32 kept", bars: [bar("nginx", spread), bar("sparekey", spread)] }],
    mark: 1,
    highlighted: "sparekey",
  });
  t.match(svg, "CPU &lt;time&gt; &amp; more", "text is escaped");
  t.equal(svg.match(/class="bar ours"/g)?.length, 1, "one bar stands out");
  t.match(svg, "prefers-color-scheme: dark");
  t.match(svg, "2.00 ×");
  t.notMatch(svg, /NaN|undefined/);
});

function bar(label: string, spread: { min: number; median: number; max: number }) {
  return { label, spread };
}

function run(cpuMicros: number): Run {
  return { cpuMicros, perSecond: 1, p50Ms: 1, p99Ms: 1, residentMb: 1 };
}
