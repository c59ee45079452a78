import t from "tap";
import { parseConfig } from "../../src/config/load.ts";
import { formatProblem } from "../../src/config/problem.ts";
import { oneRoute } from "../support/config-text.ts";

t.test("a page has a greatest length", async (t) => {
  const text = oneRoute("preset: authentik, fallback: { page: p }");
  const problems = async (length: number): Promise<string[]> => {
    const parsed = await parseConfig(text, "c.yaml", {}, async () => new Uint8Array(length).fill(0x61));
    return parsed.ok ? [] : parsed.problems.map(formatProblem);
  };
  t.same(await problems(64 * 1024), []);
  t.match(await problems(64 * 1024 + 1), [/fallback\.page: value p has 65537 bytes; write 64 KiB at most$/]);
});
