/** The program that reads a config for another process: src/config/read-in-child.ts. Without that process it ends at once. */
import { pack } from "../core/packed-snapshot.ts";
import { loadConfig } from "./load.ts";
import type { ReadMessage } from "./read-in-child.ts";

const file = process.argv[2] ?? "";

// A terminal and a service manager may signal all processes: what is to be done is the other's to say.
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => {});
// Not process.exit: that waits for threads, and one may wait for a file that hangs.
process.once("disconnect", () => process.kill(process.pid, "SIGKILL"));
const loaded = await loadConfig(file, process.env);
const { files } = loaded;
const message: ReadMessage = loaded.ok
  ? { ok: true, files, packed: pack(loaded.snapshot) }
  : { ok: false, files, problems: loaded.problems };
process.send?.(message);
