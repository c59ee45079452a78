/** Starts sparekey as a process of its own, as operators do, for the time of a bench. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const MAIN = join(import.meta.dirname, "../src/main.ts");
const CONFIG = "sparekey.yaml";
const START_MS = 20_000;
const STOP_MS = 10_000;

export interface LogLine {
  readonly msg: string;
  readonly route?: string;
}

export interface Serving {
  readonly pid: number;
  /** The folder of the config and its files. */
  readonly folder: string;
  readonly config: string;
  /** `http://host:port` of each distinct `listen`, in the config's order. */
  readonly origins: readonly string[];
  /** `http://host:port`. */
  readonly admin: string;
  /** The log lines so far with this `msg`. */
  count(msg: string): number;
  /** All log lines so far. */
  lines(): number;
  /** Called from now on for each line. */
  onLine(listener: (line: LogLine) => void): void;
  metrics(): Promise<string>;
  /** Drains sparekey. Resolves with the exit code; null: it had to be killed. */
  stop(): Promise<number | null>;
}

/**
 * `files`: texts by name, beside the config. `command`: how to start sparekey if not from source. Rejects when sparekey
 * does not serve. sparekey ends with this process at the latest.
 */
export async function startServing(
  yaml: string,
  files: Readonly<Record<string, string>> = {},
  command: readonly string[] = [process.execPath, MAIN],
): Promise<Serving> {
  const folder = await mkdtemp(join(tmpdir(), "sparekey-bench-"));
  const config = join(folder, CONFIG);
  for (const [name, text] of Object.entries({ ...files, [CONFIG]: yaml })) {
    await writeFile(join(folder, name), text);
  }
  const [program = "", ...args] = command;
  const child = spawn(program, [...args, "run", "--config", config], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const kill = (): void => {
    child.kill("SIGKILL");
  };
  process.once("exit", kill);
  child.once("exit", () => process.removeListener("exit", kill));
  const counts = new Map<string, number>();
  const listeners = readLines(child);
  listeners.add(({ msg }) => counts.set(msg, (counts.get(msg) ?? 0) + 1));
  const { admin, listen } = await firstServing(child, listeners).catch(async (error: unknown) => {
    kill();
    await rm(folder, { recursive: true });
    throw error;
  });
  return {
    pid: child.pid ?? 0,
    folder,
    config,
    origins: listen.map((address) => `http://${address}`),
    admin: `http://${admin}`,
    count: (msg) => counts.get(msg) ?? 0,
    lines: () => counts.values().reduce((total, count) => total + count, 0),
    onLine: (listener) => listeners.add(listener),
    metrics: async () => (await fetch(`http://${admin}/metrics`)).text(),
    stop: async () => {
      const code = await stop(child);
      await rm(folder, { recursive: true, force: true });
      return code;
    },
  };
}

type Listeners = Set<(line: LogLine) => void>;

function readLines(child: ChildProcess): Listeners {
  const listeners: Listeners = new Set();
  let rest = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const parsed: LogLine = JSON.parse(line);
      for (const listener of listeners) listener(parsed);
    }
  });
  return listeners;
}

type ServingLine = LogLine & { readonly listen: readonly string[]; readonly admin: string };

function firstServing(child: ChildProcess, listeners: Listeners): Promise<ServingLine> {
  return new Promise((resolve, reject) => {
    const fail = (): void => reject(new Error("sparekey does not serve"));
    const late = setTimeout(fail, START_MS);
    child.once("exit", fail);
    const look = (line: LogLine): void => {
      if (!isServing(line)) return;
      clearTimeout(late);
      child.removeListener("exit", fail);
      listeners.delete(look);
      resolve(line);
    };
    listeners.add(look);
  });
}

function isServing(line: LogLine): line is ServingLine {
  return line.msg === "serving";
}

async function stop(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  const late = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
  await exited;
  clearTimeout(late);
  return child.exitCode;
}
