/** The proxies that stand before the same replicas, side by side. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ADMIN } from "../faults/answers.ts";
import { startProgram } from "../program.ts";
import { startServing } from "../serving.ts";
import { SUBJECTS, type SubjectName } from "./cells.ts";
import { hostOf } from "./clients.ts";
import { ENVOY_NOTE, ENVOY_SETTINGS, envoyConfig, findEnvoy } from "./envoy.ts";
import { NGINX_SETTINGS, nginxConfig } from "./nginx.ts";
import type { Place } from "./place.ts";

export interface Subject {
  readonly name: SubjectName;
  readonly origin: string;
  stop(): Promise<void>;
}

/** Below the ports that the system gives to connections. */
const FIRST_PORT = 20_000;

/** The settings that matter for the figures. */
export const SETTINGS: Readonly<Record<SubjectName, string>> = {
  sparekey: "from source; preset authentik with its defaults, basic-auth",
  nginx: NGINX_SETTINGS,
  envoy: ENVOY_SETTINGS,
};

/** `slot`: no two subjects of one name may have the same one at a time. */
export function startSubject(name: SubjectName, slot: number, place: Place): Promise<Subject> {
  const port = FIRST_PORT + slot * SUBJECTS.length + SUBJECTS.indexOf(name);
  switch (name) {
    case "sparekey":
      return startSparekey(port, place);
    case "nginx":
      return startOther(name, port, (folder) => ({
        config: nginxConfig(folder, port, place),
        command: (file) => ["nginx", "-p", folder, "-e", "stderr", "-c", file],
      }));
    case "envoy":
      return startOther(name, port, () => ({
        config: envoyConfig(port, place),
        command: (file) => {
          const program = findEnvoy();
          if (program === null) throw new Error(ENVOY_NOTE);
          return [program, "-c", file, "--concurrency", "1", "--disable-hot-restart", "-l", "error"];
        },
      }));
  }
}

async function startSparekey(port: number, { upstreams }: Place): Promise<Subject> {
  const list = upstreams.map((upstream) => `http://${upstream}`).join(", ");
  const yaml = `
listen: 127.0.0.1:${port}
admin: { listen: "127.0.0.2:${port}" }
log: { access: off }
routes:
  - preset: authentik
    upstream: ${upstreams.length > 1 ? `[${list}]` : list}
    probe: { host: ${hostOf("sparekey")} }
    fallback: { mode: basic-auth, htpasswd: htpasswd }
`;
  const serving = await startServing(yaml, { htpasswd: ADMIN.htpasswd });
  return {
    name: "sparekey",
    origin: serving.origins[0] ?? "",
    stop: async () => void (await serving.stop()),
  };
}

interface Recipe {
  readonly config: string;
  readonly command: (file: string) => readonly string[];
}

async function startOther(
  name: SubjectName,
  port: number,
  recipeFor: (folder: string) => Recipe,
): Promise<Subject> {
  const folder = await mkdtemp(join(tmpdir(), "sparekey-bench-"));
  const clear = (): Promise<void> => rm(folder, { recursive: true, force: true });
  try {
    const { config, command } = recipeFor(folder);
    const file = join(folder, `${name}.yaml`);
    await writeFile(join(folder, "htpasswd"), ADMIN.htpasswd);
    await writeFile(file, config);
    const program = await startProgram(command(file), port);
    return {
      name,
      origin: `http://127.0.0.1:${port}`,
      stop: async () => {
        await program.stop();
        await clear();
      },
    };
  } catch (error) {
    await clear();
    throw error;
  }
}
