/** The style, script and icons that the pages of the admin listener load, as they lie in the folder assets. */
import { readFile } from "node:fs/promises";

export type AssetName = "page.css" | "page.js" | "icon-good.svg" | "icon-warn.svg" | "icon-bad.svg";

const texts = new Map<AssetName, string>();

/** Reads each file once. A read that fails, such as without a free file descriptor, is tried again next time. */
export async function assetText(name: AssetName): Promise<string> {
  const text = texts.get(name) ?? (await readFile(new URL(`assets/${name}`, import.meta.url), "utf8"));
  texts.set(name, text);
  return text;
}
