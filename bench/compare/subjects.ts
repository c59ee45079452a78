/** The compared programs. Each has the same upstream, and one worker or thread. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { temporaryPaths } from "../nginx.ts";
import { freePort } from "../ports.ts";
import { startProgram } from "../program.ts";
import { startServing } from "../serving.ts";

export type SubjectName =
  | "nginx"
  | "nginx keepalive 512"
  | "HAProxy"
  | "Caddy"
  | "@fastify/http-proxy"
  | "sparekey"
  | "sparekey, 1,000 routes"
  | "sparekey, pipelining 4";

export interface Surroundings {
  readonly upstreamPort: number;
  /** Text of the htpasswd file of the emergency login. */
  readonly htpasswd: string;
  /** The begin of the command line, such as `taskset`. */
  readonly prefix: readonly string[];
  /** Options of node for sparekey. */
  readonly nodeOptions?: readonly string[];
}

export interface Subject {
  readonly name: SubjectName;
  readonly pid: number;
  /** Seconds of load before the figures count, until hot code is compiled. */
  readonly warmSeconds: number;
  /** Where checks go. */
  readonly url: string;
  /** Its own metrics in Prometheus' format; null: it has none. */
  readonly metrics: (() => Promise<string>) | null;
  stop(): Promise<void>;
}

export const PATH = "/outpost.goauthentik.io/auth/traefik";
const ROOT = join(import.meta.dirname, "../..");
const SPAREKEY = join(ROOT, "dist/main.js");
const FASTIFY = join(import.meta.dirname, "fastify-http-proxy.ts");
const MANY_ROUTES = 1_000;
/** With so few connections, checks do share one. */
const PIPELINED = "pipelining: 4\n    maxConnections: 8";
const WARM_SECONDS = 1;
/** On one core, the CPU time per check was seen to fall by half in this time. */
const NODE_WARM_SECONDS = 8;
/** A head of 16 KiB and more must fit. */
const NODE_HEAD_BYTES = 65_536;

/** The settings that matter for the figures. */
export const SETTINGS: Readonly<Record<SubjectName, string>> = {
  nginx:
    "as it ran in production: worker_processes 1, keepalive 32 to the upstream, proxy_connect_timeout 3s, proxy_read_timeout 5s, large_client_header_buffers 8 256k, error_page 502 503 504 to a basic auth; without logs",
  "nginx keepalive 512": "the same with keepalive 512, and keepalive_requests without a limit on both sides",
  HAProxy: "nbthread 1, http-reuse always, tune.bufsize 65536; without logs",
  Caddy: "GOMAXPROCS=1, reverse_proxy with its defaults; without logs",
  "@fastify/http-proxy": `with its defaults; --max-http-header-size=${NODE_HEAD_BYTES}`,
  sparekey: "compiled; preset authentik with its defaults",
  "sparekey, 1,000 routes": "the same with 999 routes before the one that is asked",
  "sparekey, pipelining 4": "the same with pipelining: 4 and maxConnections: 8",
};

/** The subject ends with this process at the latest. */
export function startSubject(name: SubjectName, around: Surroundings): Promise<Subject> {
  switch (name) {
    case "nginx":
      return startOther(name, around, (place) => nginxFor(place, "keepalive 32;", ""));
    case "nginx keepalive 512":
      return startOther(name, around, (place) => {
        const unlimited = "keepalive_requests 1000000000;";
        return nginxFor(place, `keepalive 512; ${unlimited}`, unlimited);
      });
    case "HAProxy":
      return startOther(name, around, haproxyFor);
    case "Caddy":
      return startOther(name, around, caddyFor);
    case "@fastify/http-proxy":
      return startOther(name, around, ({ port, upstreamPort }) => ({
        command: [
          process.execPath,
          `--max-http-header-size=${NODE_HEAD_BYTES}`,
          FASTIFY,
          `${port}`,
          `${upstreamPort}`,
        ],
        files: {},
        env: {},
      }));
    case "sparekey":
      return startSparekey(name, around, 0);
    case "sparekey, 1,000 routes":
      return startSparekey(name, around, MANY_ROUTES - 1);
    case "sparekey, pipelining 4":
      return startSparekey(name, around, 0, PIPELINED);
  }
}

interface Place {
  readonly folder: string;
  readonly port: number;
  readonly upstreamPort: number;
  readonly htpasswd: string;
}

interface Recipe {
  readonly command: readonly string[];
  /** The files in its folder: texts by name. */
  readonly files: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string>>;
}

async function startOther(
  name: SubjectName,
  { upstreamPort, htpasswd, prefix }: Surroundings,
  recipeFor: (place: Place) => Recipe,
): Promise<Subject> {
  const folder = await mkdtemp(join(tmpdir(), "sparekey-bench-"));
  const clear = (): Promise<void> => rm(folder, { recursive: true, force: true });
  const port = await freePort();
  const { command, files, env } = recipeFor({ folder, port, upstreamPort, htpasswd });
  for (const [file, text] of Object.entries(files)) await writeFile(join(folder, file), text);
  const program = await startProgram([...prefix, ...command], port, env).catch(async (error: unknown) => {
    await clear();
    throw error;
  });
  return {
    name,
    pid: program.pid,
    warmSeconds: name === "@fastify/http-proxy" ? NODE_WARM_SECONDS : WARM_SECONDS,
    url: `http://127.0.0.1:${port}${PATH}`,
    metrics: null,
    stop: async () => {
      await program.stop();
      await clear();
    },
  };
}

/** `before`: how many other routes stand before the one that is asked. `keys`: more keys of that one. */
async function startSparekey(
  name: SubjectName,
  around: Surroundings,
  before: number,
  keys = "",
): Promise<Subject> {
  const { upstreamPort, htpasswd, prefix, nodeOptions = [] } = around;
  const policy = `upstream: http://127.0.0.1:${upstreamPort}\n    fallback: { mode: basic-auth, htpasswd: htpasswd }`;
  const others = Array.from(
    { length: before },
    (_, index) => `  - name: other-${index}\n    path: /other/${index}\n    ${policy}\n`,
  );
  const yaml = `
listen: 127.0.0.1:0
admin: { listen: "127.0.0.9:0" }
routes:
${others.join("")}  - preset: authentik\n    ${policy}\n    ${keys}
`;
  const command = [...prefix, process.execPath, ...nodeOptions, SPAREKEY];
  const serving = await startServing(yaml, { htpasswd }, command);
  return {
    name,
    pid: serving.pid,
    warmSeconds: NODE_WARM_SECONDS,
    url: `${serving.origins[0]}${PATH}`,
    metrics: serving.metrics,
    stop: async () => void (await serving.stop()),
  };
}

/** The auth proxy that sparekey replaces. It sends a check to the outpost, and asks for basic auth if that fails. */
function nginxFor(
  { folder, port, upstreamPort, htpasswd }: Place,
  keepalive: string,
  client: string,
): Recipe {
  const config = `
daemon off;
user root;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log stderr crit;
events { worker_connections 4096; }
http {
  access_log off;
${temporaryPaths(folder)}
  large_client_header_buffers 8 256k;
  ${client}
  upstream outpost { server 127.0.0.1:${upstreamPort}; ${keepalive} }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://outpost;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_connect_timeout 3s;
      proxy_read_timeout 5s;
      proxy_intercept_errors on;
      error_page 502 503 504 = @emergency;
    }
    location @emergency {
      auth_basic "Emergency Access";
      auth_basic_user_file ${folder}/htpasswd;
      try_files /none =204;
    }
  }
}
`;
  const command = ["nginx", "-p", folder, "-e", "stderr", "-c", join(folder, "nginx.conf")];
  return { command, files: { "nginx.conf": config, htpasswd }, env: {} };
}

function haproxyFor({ folder, port, upstreamPort }: Place): Recipe {
  const config = `
global
  nbthread 1
  maxconn 4000
  tune.bufsize 65536
defaults
  mode http
  timeout connect 3s
  timeout server 5s
  timeout client 95s
frontend gateway
  bind 127.0.0.1:${port}
  default_backend outpost
backend outpost
  http-reuse always
  server outpost 127.0.0.1:${upstreamPort}
`;
  return {
    command: ["haproxy", "-db", "-f", join(folder, "haproxy.cfg")],
    files: { "haproxy.cfg": config },
    env: {},
  };
}

function caddyFor({ folder, port, upstreamPort }: Place): Recipe {
  const config = `
{
  admin off
  auto_https off
}
http://:${port} {
  bind 127.0.0.1
  reverse_proxy 127.0.0.1:${upstreamPort}
}
`;
  return {
    command: ["caddy", "run", "--config", join(folder, "Caddyfile"), "--adapter", "caddyfile"],
    files: { Caddyfile: config },
    env: { GOMAXPROCS: "1", XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
  };
}
