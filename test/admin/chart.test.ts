import t from "tap";
import { chartOf } from "../../src/admin/chart.ts";

/** The bars of one part, as `x y height`. */
function bars(svg: string, name: string): readonly string[] {
  const path = new RegExp(`class="${name}"[^>]* d="([^"]*)"`).exec(svg)?.[1] ?? "no such path";
  return [...path.matchAll(/M(\S+) (\S+)h8v(\S+)h-8z/g)].map(([, x, y, height]) => `${x} ${y} ${height}`);
}

t.test("bars stand on each other, and the highest fills the chart", async (t) => {
  const rows: readonly {
    name: string;
    checks: readonly number[];
    fallbacks?: readonly number[];
    errors?: readonly number[];
    shed?: readonly number[];
    upstream: readonly string[];
    fallback?: readonly string[];
    failed?: readonly string[];
  }[] = [
    { name: "nothing", checks: [0, 0], upstream: [] },
    { name: "one is full", checks: [1, 0], upstream: ["1 0 60"] },
    { name: "by the highest", checks: [10, 30, 60], upstream: ["1 50 10", "11 30 30", "21 0 60"] },
    {
      name: "fallbacks above",
      checks: [60, 60],
      fallbacks: [0, 20],
      upstream: ["1 0 60", "11 20 40"],
      fallback: ["11 0 20"],
    },
    { name: "only fallbacks", checks: [60], fallbacks: [60], upstream: [], fallback: ["1 0 60"] },
    {
      name: "errors and what was shed on top",
      checks: [60],
      fallbacks: [10],
      errors: [20],
      shed: [10],
      upstream: ["1 40 20"],
      fallback: ["1 30 10"],
      failed: ["1 0 30"],
    },
    {
      name: "one among many is still to be seen",
      checks: [6_000, 6_000],
      fallbacks: [0, 1],
      upstream: ["1 0 60", "11 1.5 58.5"],
      fallback: ["11 0 1.5"],
    },
    {
      name: "so is one in a small bar",
      checks: [6_000, 3_000],
      fallbacks: [0, 1],
      upstream: ["1 0 60", "11 31.5 28.5"],
      fallback: ["11 30 1.5"],
    },
  ];
  for (const { name, checks, upstream, fallback = [], failed = [], ...others } of rows) {
    const none = checks.map(() => 0);
    const { svg } = chartOf({ checks, fallbacks: none, errors: none, shed: none, ...others });
    t.same(bars(svg.html, "by-upstream"), upstream, `${name}: by the upstream`);
    t.same(bars(svg.html, "by-fallback"), fallback, `${name}: by fallback`);
    t.same(bars(svg.html, "failed"), failed, `${name}: failed`);
  }
});

t.test("its words are the sums", async (t) => {
  const made = chartOf({ checks: [10, 20], fallbacks: [1, 2], errors: [3, 0], shed: [0, 4] });
  t.match(made, { most: 20, total: 30, upstream: 20, fallbacks: 3, failed: 7 });
});
