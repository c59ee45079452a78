/** The child program of src/config/read-in-child.ts: it reads a config, and ends at once when its parent is gone. */
import { pack } from "../core/packed-snapshot.ts";
import { loadConfig } from "./load.ts";
import type { ChildMessage } from "./read-in-child.ts";

const file = process.argv[2] ?? "";

// A terminal or a service manager may signal all processes. Only the parent decides what happens then.
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => {});
// process.exit would wait for threads, and one of them may wait for a file that hangs.
process.once("disconnect", () => process.kill(process.pid, "SIGKILL"));
const loaded = await loadConfig(file, process.env);
const { files } = loaded;
const message: ChildMessage = loaded.ok
  ? { ok: true, files, packed: pack(loaded.snapshot) }
  : { ok: false, files, problems: loaded.problems };
process.send?.(message);
