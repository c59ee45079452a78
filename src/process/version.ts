import { readFileSync } from "node:fs";

/** The version in package.json, which lies beside both src/ and dist/. */
export function version(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  const read: unknown = JSON.parse(text);
  const found = typeof read === "object" && read !== null && "version" in read ? read.version : null;
  return typeof found === "string" ? found : "unknown";
}
