import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { type AssetName, assetText } from "../../src/admin/assets.ts";

const FOLDER = join(import.meta.dirname, "../../src/admin/assets");

t.test("every file of the folder is served as it is", async (t) => {
  const wanted: readonly AssetName[] = [
    "icon-bad.svg",
    "icon-good.svg",
    "icon-warn.svg",
    "page.css",
    "page.js",
  ];
  const names = (await readdir(FOLDER)).filter((name) => name !== "tsconfig.json");
  t.same(names.sort(), wanted);
  for (const name of wanted) {
    t.equal(await assetText(name), await readFile(join(FOLDER, name), "utf8"), name);
  }
});
