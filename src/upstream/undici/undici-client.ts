/** undici comes with the first exchange that is its to carry: docs/decisions/0007-memory.md. */
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "undici";

/** Two beats of upstream/deadline.ts. */
const SETTLE_MS = 100;

// Not import: one that failed, as without a file descriptor left, would fail for good.
const require = createRequire(import.meta.url);

/** Throws when it cannot be read now. Its whole index takes 5 MB more, for what nothing here uses. */
export function undiciClient(): typeof Client {
  return require("undici/lib/dispatcher/client.js");
}

let isLoaded = false;

/** False: our own limits forbid it, for now, and `onFailure` was told why. */
export function hasUndici(onFailure: (error: unknown) => void = () => {}): boolean {
  try {
    undiciClient();
    isLoaded = true;
  } catch (error) {
    onFailure(error);
    isLoaded = false;
  }
  return isLoaded;
}

/** null: it is there. Else as `hasUndici`, once the stall of loading is counted, which no exchange shall pay for. */
export function loadingUndici(): Promise<boolean> | null {
  if (isLoaded) return null;
  const loaded = hasUndici();
  return sleep(SETTLE_MS).then(() => loaded);
}
