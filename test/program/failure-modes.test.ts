/** docs/failure-modes.md names metrics, log lines, tests and faults: each must exist. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { CROWD_SCENES } from "../../bench/faults/crowd-scenes.ts";
import { FIELD_SCENES } from "../../bench/faults/field-scenes.ts";
import { SCENES as SINGLE_SCENES } from "../../bench/faults/scenes.ts";

const SCENES = [...SINGLE_SCENES, ...CROWD_SCENES, ...FIELD_SCENES];
const ROOT = join(import.meta.dirname, "../..");
const page = await readFile(join(ROOT, "docs/failure-modes.md"), "utf8");
const [prose = "", measured = ""] = page.split("<!-- measured: begin -->");

async function source(folder: string): Promise<string> {
  const names = await readdir(join(ROOT, folder), { recursive: true });
  const files = names.filter((name) => name.endsWith(".ts"));
  return (await Promise.all(files.map((file) => readFile(join(ROOT, folder, file), "utf8")))).join("\n");
}

t.test("metrics", async (t) => {
  const text = await source("src/observe");
  const names = new Set(Array.from(prose.matchAll(/`(sparekey_\w+)`/g), ([, name = ""]) => name));
  t.ok(names.size > 5);
  for (const name of names) t.ok(text.includes(`"${name}"`), name);
});

t.test("log lines", async (t) => {
  const text = await source("src");
  const lines = new Set(Array.from(prose.matchAll(/log (?:says )?`([^`]+)`/g), ([, line = ""]) => line));
  t.ok(lines.size > 5);
  for (const line of lines) t.ok(text.includes(`"${line}"`), line);
});

t.test("tests", async (t) => {
  const references = [...prose.matchAll(/`(test\/[\w/.-]+)`: ((?:"[^"]+"(?:, )?)+)/g)];
  t.ok(references.length > 5);
  for (const [, file = "", names = ""] of references) {
    const text = await readFile(join(ROOT, file), "utf8");
    for (const [quoted] of names.matchAll(/"[^"]+"/g)) t.ok(text.includes(quoted), `${file}: ${quoted}`);
  }
});

t.test("every fault of the bench is told and measured", async (t) => {
  for (const { fault } of SCENES) {
    t.ok(prose.includes(`\`${fault.name}\``), `${fault.name} is told`);
    t.match(measured, new RegExp(`^\\| ${fault.name} \\| \\d+ \\| 0 \\|`, "m"), `${fault.name} is measured`);
  }
});
