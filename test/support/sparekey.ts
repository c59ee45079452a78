/** Runs sparekey as a process of its own, as operators do, with a config file and an htpasswd file beside it. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { hashSync } from "bcrypt";
import type { Test } from "tap";
import { ask } from "./app.ts";
import {
  type Ended,
  eventually,
  type Running,
  type StartOptions,
  start,
  temporaryFolder,
} from "./processes.ts";

const ROOT = join(import.meta.dirname, "../..");
/** The cache halves the time of a start. Node keys it by the content of files, so it is never out of date. */
const COMPILE_CACHE = { NODE_COMPILE_CACHE: join(ROOT, ".tap/compile-cache") };

/** Runs `sparekey ARGS` until it ends. */
export function sparekeyProcess(t: Test, args: readonly string[], options: StartOptions = {}): Running {
  const env = { ...COMPILE_CACHE, ...options.env };
  return start(t, process.execPath, [join(ROOT, "src/main.ts"), ...args], { ...options, env });
}

export type LogLine = Readonly<Record<string, unknown>> & { readonly msg: string };

export interface Sparekey {
  readonly process: Running;
  readonly folder: string;
  readonly admin: Origin;
  /** One for each distinct `listen` of the config, in its order. */
  readonly listen: readonly [Origin, ...Origin[]];
  logs(): readonly LogLine[];
  /** Waits for the first line that `fits`. */
  log(fits: (line: LogLine) => boolean): Promise<LogLine>;
  metrics(): Promise<string>;
  /** Drains it. */
  stop(): Promise<Ended>;
}

export interface Origin {
  readonly host: string;
  readonly port: number;
  readonly url: string;
}

export interface SparekeyOptions {
  /** Emergency passwords by user; null: there is no htpasswd file. */
  readonly users?: Readonly<Record<string, string>> | null;
  /** The config's `drain`. */
  readonly drain?: string;
  /** The config's `admin.htpasswd`. */
  readonly adminHtpasswd?: string;
  /** All variables that it gets besides PATH. */
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * `yaml`: the routes and other keys of the config, with `listen` on port 0 of 127.0.0.1, .2, .3 …. `htpasswd: htpasswd`
 * names the file of `users`. The admin listener and the drain are set here. Resolves when sparekey serves.
 */
export async function startSparekey(
  t: Test,
  yaml: string,
  { users = {}, drain = "{ timeout: 2s }", adminHtpasswd = "null", env = {} }: SparekeyOptions = {},
): Promise<Sparekey> {
  const folder = await temporaryFolder(t);
  const file = join(folder, "sparekey.yaml");
  const admin = `admin: { listen: "127.0.0.1:0", htpasswd: ${adminHtpasswd} }`;
  await writeFile(file, `${admin}\ndrain: ${drain}\n${yaml}`);
  if (users !== null) await writeFile(join(folder, "htpasswd"), htpasswdOf(users));
  return whenServing(sparekeyProcess(t, ["run", "--config", file], { env }), folder);
}

/** Resolves when `running`, any started `sparekey run`, serves. `folder` holds its files. */
export async function whenServing(running: Running, folder: string): Promise<Sparekey> {
  const logs = (): readonly LogLine[] => readLines(running.stdout());
  const log = (fits: (line: LogLine) => boolean): Promise<LogLine> =>
    eventually(
      () => `no such line in the log:\n${running.stdout()}${running.stderr()}`,
      () => {
        const found = logs().find(fits);
        if (found === undefined && running.over() !== null) throw new Error(`it ended: ${running.stderr()}`);
        return found ?? null;
      },
    );
  const serving = await log(({ msg }) => msg === "serving");
  const [first, ...more] = (serving.listen as readonly string[]).map(originOf);
  if (first === undefined) throw new Error("the line about serving names no listener");
  const adminOrigin = originOf(String(serving.admin));
  return {
    process: running,
    folder,
    admin: adminOrigin,
    listen: [first, ...more],
    logs,
    log,
    metrics: async () => (await ask(`${adminOrigin.url}/metrics`)).text,
    stop: running.stop,
  };
}

/** Lines of an htpasswd file as Apache's own program writes them, which not every machine has, with bcrypt's lowest cost. */
export function htpasswdOf(users: Readonly<Record<string, string>>): string {
  return Object.entries(users)
    .map(([user, password]) => `${user}:${hashSync(password, 4).replace("$2b$", "$2y$")}\n`)
    .join("");
}

/** The whole lines; the last one may still be incomplete. */
function readLines(text: string): readonly LogLine[] {
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as LogLine);
}

function originOf(text: string): Origin {
  const { hostname: host, port } = new URL(`http://${text}`);
  return { host, port: Number(port), url: `http://${text}` };
}
