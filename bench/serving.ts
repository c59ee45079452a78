/** sparekey as operators run it, in a process of its own, for the time of a bench. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const MAIN = join(import.meta.dirname, "../src/main.ts");
const CONFIG = "sparekey.yaml";

export interface Serving {
  readonly pid: number;
  /** Where the config and its files are. */
  readonly folder: string;
  readonly config: string;
  /** `host:port` of each distinct `listen`, in the config's order. */
  readonly listen: readonly string[];
  /** All lines so far. */
  log(): string;
  metrics(): Promise<string>;
  /** Drains. Resolves with the exit code. */
  stop(): Promise<number | null>;
}

/** `files`: by name, beside the config. It ends with this process at the latest. */
export async function startServing(
  yaml: string,
  files: Readonly<Record<string, string>> = {},
): Promise<Serving> {
  const folder = await mkdtemp(join(tmpdir(), "sparekey-bench-"));
  const config = join(folder, CONFIG);
  for (const [name, text] of Object.entries({ ...files, [CONFIG]: yaml })) {
    await writeFile(join(folder, name), text);
  }
  const child = spawn(process.execPath, [MAIN, "run", "--config", config], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const kill = (): void => void child.kill("SIGKILL");
  process.once("exit", kill);
  child.once("exit", () => process.removeListener("exit", kill));
  let log = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    log += text;
  });
  const { admin, listen } = await serving(child, () => log);
  return {
    pid: child.pid ?? 0,
    folder,
    config,
    listen,
    log: () => log,
    metrics: async () => (await fetch(`http://${admin}/metrics`)).text(),
    stop: async () => {
      child.kill("SIGTERM");
      if (child.exitCode === null) await once(child, "exit");
      await rm(folder, { recursive: true });
      return child.exitCode;
    },
  };
}

interface Line {
  readonly admin: string;
  readonly listen: readonly string[];
}

async function serving(child: ChildProcess, log: () => string): Promise<Line> {
  for (;;) {
    const line = log()
      .split("\n")
      .find((text) => text.includes('"msg":"serving"'));
    if (line) return JSON.parse(line) as Line;
    if (child.exitCode !== null) throw new Error("sparekey ended before it served");
    await sleep(20);
  }
}
