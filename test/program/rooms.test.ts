/** The linter holds what each folder of src/ may import (ARCHITECTURE.md), for types and dynamic imports too. */
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";

const ROOT = join(import.meta.dirname, "../..");
const BIOME = join(ROOT, "node_modules/.bin/biome");

/** What each room may import besides itself; null: whatever it must. */
const MAY_IMPORT: Readonly<Record<string, readonly string[] | null>> = {
  admin: ["core", "observe", "http"],
  app: null,
  commands: null,
  config: ["core", "process"],
  core: [],
  demo: [],
  gateway: ["core", "route", "wire", "http"],
  http: ["core"],
  login: ["core", "observe"],
  notify: ["core", "observe"],
  observe: ["core"],
  process: ["core"],
  route: ["core", "upstream"],
  upstream: ["core", "wire", "http"],
  wire: ["core"],
  workers: null,
};
const ROOMS = Object.keys(MAY_IMPORT);
/** Rooms with folders of their own: one more level up. */
const DEEP = ["observe/log", "observe/metrics", "observe/status", "upstream/bytes", "upstream/undici"];

const kinds = {
  value: (from: string) => `import { a } from "${from}";\nexport const b = a;\n`,
  type: (from: string) => `import type { A } from "${from}";\nexport type B = A;\n`,
  dynamic: (from: string) => `export const a = () => import("${from}");\n`,
} as const;

/** One file for each folder, room it imports and kind of import. */
function files(): ReadonlyMap<string, boolean> {
  const allowed = new Map<string, boolean>();
  for (const folder of [...ROOMS, ...DEEP]) {
    const [room = ""] = folder.split("/");
    const rooms = MAY_IMPORT[room];
    for (const other of ROOMS.filter((one) => one !== room)) {
      const isAllowed = rooms === null || rooms?.includes(other) === true;
      for (const kind of Object.keys(kinds)) allowed.set(`src/${folder}/${other}-${kind}.ts`, isAllowed);
    }
  }
  return allowed;
}

t.test("there are these rooms and no others", async (t) => {
  const folders = readdirSync(join(ROOT, "src"), { withFileTypes: true }).filter((one) => one.isDirectory());
  t.same(folders.map(({ name }) => name).toSorted(), ROOMS.toSorted());
});

t.test("an import through a wall is refused, and no other", async (t) => {
  const allowed = files();
  const dir = t.testdir({ "biome.json": readFileSync(join(ROOT, "biome.json"), "utf8") });
  for (const path of allowed.keys()) {
    const [, other = "", kind = ""] = /([a-z]+)-([a-z]+)\.ts$/.exec(path) ?? [];
    const isDeep = path.split("/").length > 3;
    const write = kinds[kind as keyof typeof kinds];
    mkdirSync(join(dir, path, ".."), { recursive: true });
    writeFileSync(join(dir, path), write(`${isDeep ? "../.." : ".."}/${other}/file.ts`));
  }
  const args = ["lint", "--only=style/noRestrictedImports", "--max-diagnostics=none", "--reporter=json", "."];
  const { stdout } = spawnSync(BIOME, args, { cwd: dir, encoding: "utf8", maxBuffer: 64 * 1024 ** 2 });
  const refused = new Set(Array.from(stdout.matchAll(/src\/[a-z/]+\/[a-z]+-[a-z]+\.ts/g), ([path]) => path));
  const wrong = [...allowed].filter(([path, isAllowed]) => refused.has(path) === isAllowed);
  t.same(wrong, []);
  t.ok(refused.size > 100, `${refused.size} are refused`);
});
