/** Real nginx as the upstream of a bench. It gives the answers of an outpost as cheaply as possible. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./ports.ts";
import { startProgram } from "./program.ts";

export interface Nginx {
  readonly port: number;
  /** Ends it at once, in the middle of its work. */
  stop(): Promise<void>;
}

export interface NginxOptions {
  /** A port of 127.0.0.1; 0: a free one. */
  readonly port?: number;
  /** `identity`: a 200 with the six identity headers. `login`: a 302 to the login, with a cookie. */
  readonly answer?: "identity" | "login";
  /** The begin of the command line, such as `taskset`. */
  readonly prefix?: readonly string[];
}

const ANSWERS = {
  identity: `
    add_header X-authentik-username demo;
    add_header X-authentik-groups "admins|users";
    add_header X-authentik-email demo@example.com;
    add_header X-authentik-name "Demo User";
    add_header X-authentik-uid 6f1c7f6d5f0b4f0e9c5d;
    add_header X-authentik-entitlements staff;
    location / { return 200; }`,
  login: `
    add_header Set-Cookie "authentik_proxy_5f2c9a1e=MTcxMzM0OTk4N3xTbE9HUmtOWFJWcFVaMGQ=; Path=/; HttpOnly; SameSite=Lax";
    location / {
      return 302 "https://login.example.com/application/o/authorize/?client_id=kqXbV0r4&redirect_uri=https%3A%2F%2Fapp.example.com%2Foutpost.goauthentik.io%2Fcallback&response_type=code&scope=openid+profile+email&state=eyJhbGciOiJIUzI1NiJ9";
    }`,
} as const;

/** nginx ends with this process at the latest. */
export async function startNginx(options: NginxOptions = {}): Promise<Nginx> {
  const { port: wanted = 0, answer = "identity", prefix = [] } = options;
  const port = wanted === 0 ? await freePort() : wanted;
  const folder = await mkdtemp(join(tmpdir(), "sparekey-bench-nginx-"));
  const config = join(folder, "nginx.conf");
  await writeFile(config, configFor(folder, port, answer));
  const program = await startProgram([...prefix, "nginx", "-p", folder, "-e", "stderr", "-c", config], port);
  return {
    port,
    stop: async () => {
      await program.stop();
      await rm(folder, { recursive: true });
    },
  };
}

function configFor(folder: string, port: number, answer: keyof typeof ANSWERS): string {
  return `
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
events { worker_connections 4096; }
http {
  access_log off;
${temporaryPaths(folder)}
  keepalive_requests 1000000000;
  large_client_header_buffers 8 256k;
  server {
    listen 127.0.0.1:${port} reuseport;${ANSWERS[answer]}
  }
}
`;
}

/** nginx makes these folders at its start, even if it does not need them. */
export function temporaryPaths(folder: string): string {
  return ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `  ${name}_temp_path ${folder}/${name};`)
    .join("\n");
}
