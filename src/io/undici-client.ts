/** undici comes with the first exchange that is its to carry: docs/decisions/0007-memory.md. */
import { createRequire } from "node:module";
import type { Client } from "undici";

// Not import: one that failed, as without a file descriptor left, would fail for good.
const require = createRequire(import.meta.url);

/** Throws when it cannot be read now. Its whole index takes 5 MB more, for what nothing here uses. */
export function undiciClient(): typeof Client {
  return require("undici/lib/dispatcher/client.js");
}

/** False: our own limits forbid it, for now. */
export function hasUndici(): boolean {
  try {
    undiciClient();
    return true;
  } catch {
    return false;
  }
}
