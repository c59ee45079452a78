/** Each file of test/config/invalid stands beside the exact lines of its problems. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { loadConfig } from "../../src/config/load.ts";
import { formatProblem } from "../../src/config/problem.ts";

const folder = join(import.meta.dirname, "invalid");
const SECRET = "hunter2 and more";

for (const file of readdirSync(folder).filter((name) => name.endsWith(".yaml"))) {
  t.test(file, async (t) => {
    const loaded = await loadConfig(join(folder, file), { SECRET, PORT: "50507" });
    const problems = loaded.ok ? [] : loaded.problems;
    const lines = problems.map((problem) => formatProblem({ ...problem, file }));
    t.same(
      lines,
      readFileSync(join(folder, file.replace(".yaml", ".txt")), "utf8")
        .trimEnd()
        .split("\n"),
    );
    t.notMatch(lines.join("\n"), /hunter2|50507/, "no expanded variable is shown");
  });
}
