/** sparekey as operators run it: a process of its own, one route for each mode. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ADMIN } from "./answers.ts";
import { MODES } from "./oracle.ts";
import type { Staged } from "./scenes.ts";

/** Shorter than the defaults, so that the whole matrix takes minutes; in the config's own terms. */
export const SETTINGS = {
  timeouts: "{ connect: 300ms, read: 500ms, total: 800ms }",
  breaker: "{ failures: 5, interval: 200ms, maxInterval: 1s, successes: 2 }",
  minInterval: "200ms",
  headBytes: "16KiB",
} as const;
/** How long findings hold: `probe.minInterval` while good, a second while bad. */
export const GOOD_HOLDS_MS = 200;
export const BAD_HOLDS_MS = 1_000;

const MAIN = join(import.meta.dirname, "../../src/main.ts");
const START_MS = 20_000;
const STOP_MS = 10_000;

export interface LogLine {
  readonly msg: string;
  readonly route?: string;
}

export interface Sparekey {
  readonly origin: string;
  /** From now on, for each line as it comes. */
  onLine(listener: (line: LogLine) => void): void;
  metrics(): Promise<string>;
  /** Drains. Resolves with the exit code; null: it had to be killed. */
  stop(): Promise<number | null>;
}

/** Rejects when it does not serve within 20 s. It ends with this process at the latest. */
export async function startSparekey(staged: Staged): Promise<Sparekey> {
  const folder = await mkdtemp(join(tmpdir(), "sparekey-bench-"));
  await writeFile(join(folder, "htpasswd"), ADMIN.htpasswd);
  if (staged.ca !== null) await writeFile(join(folder, "ca.pem"), staged.ca);
  const file = join(folder, "sparekey.yaml");
  await writeFile(file, configOf(staged));
  const child = spawn(process.execPath, [MAIN, "run", "--config", file], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const kill = (): void => {
    child.kill("SIGKILL");
  };
  process.once("exit", kill);
  child.once("exit", () => process.removeListener("exit", kill));
  const lines = readLines(child);
  const serving = await firstServing(child, lines).catch(async (error: unknown) => {
    kill();
    await rm(folder, { recursive: true });
    throw error;
  });
  return {
    origin: `http://${serving.listen[0]}`,
    onLine: (listener) => lines.add(listener),
    metrics: async () => (await fetch(`http://${serving.admin}/metrics`)).text(),
    stop: async () => {
      const code = await stop(child);
      await rm(folder, { recursive: true, force: true });
      return code;
    },
  };
}

function configOf({ upstream, ca, loginHealth }: Staged): string {
  const tls = ca === null ? "" : "\n    tls: { ca: ca.pem }";
  const login = loginHealth === null ? "" : `, loginHealth: "${loginHealth}"`;
  const routes = MODES.map((mode) => {
    // Guessing is limited in other tests; here each wrong password shall get its 401.
    const limit = "rateLimit: { failures: 100000, global: 100000 }";
    const more = mode === "basic-auth" ? `, htpasswd: htpasswd, ${limit}` : "";
    return `
  - name: ${mode}
    path: /${mode}
    upstream: "${upstream}"${tls}
    timeouts: ${SETTINGS.timeouts}
    breaker: ${SETTINGS.breaker}
    probe: { minInterval: ${SETTINGS.minInterval}${login} }
    fallback: { mode: ${mode}${more} }`;
  });
  return `listen: "127.0.0.1:0"
admin: { listen: "127.0.0.2:0" }
limits: { headBytes: ${SETTINGS.headBytes} }
routes:${routes.join("")}
`;
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

type Serving = LogLine & { readonly listen: readonly string[]; readonly admin: string };

function firstServing(child: ChildProcess, listeners: Listeners): Promise<Serving> {
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

function isServing(line: LogLine): line is Serving {
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
