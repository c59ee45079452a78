/** Loads undici with the first exchange that needs it (docs/decisions/0007-memory.md). */
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "undici";

/** Two beats of upstream/deadline.ts. */
const SETTLE_MS = 100;

// An import that failed once, such as without a file descriptor left, would fail for good.
const require = createRequire(import.meta.url);

/** Throws if it cannot be read now. The whole of undici would take 5 MB more, for what nothing here uses. */
export function undiciClient(): typeof Client {
  return require("undici/lib/dispatcher/client.js");
}

let isLoaded = false;

/** Returns false if our own limits forbid it for now, and tells `onFailure` why. */
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

/** Returns null if it is loaded, else `hasUndici` after a wait: no exchange may be blamed for the stall of loading. */
export function loadingUndici(): Promise<boolean> | null {
  if (isLoaded) return null;
  const loaded = hasUndici();
  return sleep(SETTLE_MS).then(() => loaded);
}
