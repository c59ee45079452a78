import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import t, { type Test } from "tap";
import { version } from "../../src/process/version.ts";

const ROOT = join(import.meta.dirname, "../..");
const SOURCE = readFileSync(join(ROOT, "src/process/version.ts"), "utf8");

t.test("is that of package.json", async (t) => {
  t.equal(version(), JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")).version);
});

interface Copy {
  readonly file: string;
  version(): string;
}

/** Loads the same program beside a package.json of its own, which is written after the program was loaded. */
async function copy(t: Test, text: string): Promise<Copy> {
  const folder = t.testdir({ "package.json": "{}", src: { process: { "version.ts": SOURCE } } });
  const { version } = await import(pathToFileURL(join(folder, "src/process/version.ts")).href);
  const file = join(folder, "package.json");
  writeFileSync(file, text);
  return { file, version };
}

const rows = [
  { name: "a version", text: '{ "version": "1.2.3-rc.1" }', says: "1.2.3-rc.1" },
  { name: "none", text: "{}", says: "unknown" },
  { name: "a number", text: '{ "version": 1 }', says: "unknown" },
  { name: "no mapping", text: "null", says: "unknown" },
];
for (const { name, text, says } of rows) {
  t.test(`beside a package.json with ${name}`, async (t) => {
    t.equal((await copy(t, text)).version(), says);
  });
}

t.test("throws while another version is being installed", async (t) => {
  const half = await copy(t, '{ "vers');
  t.throws(half.version, SyntaxError, "package.json is half written");
  rmSync(half.file);
  t.throws(half.version, { code: "ENOENT" }, "it is gone");
});
