/** Real nginx as the upstream of a bench: 200 with the identity headers of an outpost, as cheap as an answer gets. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export interface Nginx {
  readonly port: number;
  /** At once, in the middle of whatever it does. */
  stop(): Promise<void>;
}

/** On `port` of 127.0.0.1; 0: one that is free. It ends with this process at the latest. */
export async function startNginx(port = 0): Promise<Nginx> {
  const taken = port === 0 ? await freePort() : port;
  const folder = await mkdtemp(join(tmpdir(), "sparekey-bench-nginx-"));
  const config = join(folder, "nginx.conf");
  await writeFile(config, configFor(folder, taken));
  const child = spawn("nginx", ["-p", folder, "-e", "stderr", "-c", config], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  const kill = (): void => void child.kill("SIGKILL");
  process.once("exit", kill);
  child.once("exit", () => process.removeListener("exit", kill));
  await accepting(taken);
  return {
    port: taken,
    stop: async () => {
      child.kill("SIGTERM");
      if (child.exitCode === null) await once(child, "exit");
      await rm(folder, { recursive: true });
    },
  };
}

function configFor(folder: string, port: number): string {
  return `
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  keepalive_requests 1000000000;
  server {
    listen 127.0.0.1:${port} reuseport;
    add_header X-authentik-username demo;
    add_header X-authentik-groups "admins|users";
    add_header X-authentik-email demo@example.com;
    add_header X-authentik-name "Demo User";
    add_header X-authentik-uid 6f1c7f6d5f0b4f0e9c5d;
    add_header X-authentik-entitlements "";
    location / { return 200; }
  }
}
`;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}

async function accepting(port: number): Promise<void> {
  for (;;) {
    const socket = connect(port, "127.0.0.1");
    const isUp = await Promise.race([
      once(socket, "connect").then(() => true),
      once(socket, "close").then(() => false),
    ]).catch(() => false);
    socket.on("error", () => {}).destroy();
    if (isUp) return;
    await sleep(10);
  }
}
