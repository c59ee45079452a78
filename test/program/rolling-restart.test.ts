/** Two servers behind one route, restarted in turn under steady load: no check fails and none falls back. */
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { Agent, request as httpRequest } from "node:http";
import { createServer } from "node:net";
import { join } from "node:path";
import t, { type Test } from "tap";
import { ask, type Served, sample, serve } from "../support/app.ts";
import { eventually, type Running, start, temporaryFolder } from "../support/processes.ts";
import { missing } from "../support/programs.ts";

/** Each server keeps its port, also while it is down: nothing else listens on this address. */
const HOST = "127.0.0.77";
const RESTARTS = 8;
/** Answers seen while a server is down, and again once it is back, before the next one goes. */
const BETWEEN = 100;

interface Program {
  readonly name: string;
  /** How it is told to end, in turn. */
  readonly signals: readonly NodeJS.Signals[];
  start(t: Test, port: number): Promise<Running>;
}

const NGINX: Program = {
  name: "nginx",
  signals: ["SIGQUIT", "SIGTERM"],
  start: async (t, port) => {
    const folder = await temporaryFolder(t);
    await mkdir(join(folder, "logs"));
    const file = join(folder, "nginx.conf");
    const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    await writeFile(
      file,
      `
daemon off;
worker_processes 1;
pid ${folder}/pid;
error_log stderr emerg;
events { worker_connections 256; }
http {
  access_log off;
  ${temporary.map((kind) => `${kind}_temp_path ${folder}/${kind};`).join("\n  ")}
  keepalive_requests 7;
  server { listen ${HOST}:${port}; location / { return 200; } }
}
`,
    );
    return start(t, "nginx", ["-p", folder, "-e", "stderr", "-c", file]);
  },
};

const SERVER = `
  const server = require("node:http").createServer((request, response) => response.end());
  server.maxRequestsPerSocket = 7;
  server.listen(Number(process.argv[1]), "${HOST}");
  process.once("SIGTERM", () => { server.close(); server.closeIdleConnections(); });`;

const NODE: Program = {
  name: "node",
  signals: ["SIGKILL", "SIGTERM"],
  start: async (t, port) => start(t, process.execPath, ["-e", SERVER, "--", String(port)]),
};

interface Load {
  answered: number;
  ending: boolean;
  readonly failed: string[];
}

for (const program of [NGINX, NODE]) {
  const skip = program === NGINX && missing("nginx");
  t.test(`a rolling restart of ${program.name}`, { skip }, async (t) => {
    const servers = await Promise.all([startServer(t, program), startServer(t, program)]);
    const served = await serve(
      t,
      `
admin: { listen: "127.0.0.9:0" }
routes:
  - name: sso
    path: /auth
    listen: 127.0.0.1:0
    upstream: [${servers.map(({ port }) => `http://${HOST}:${port}`).join(", ")}]
    breaker: { failures: 1 }
    fallback: { mode: deny }`,
    );
    const load: Load = { answered: 0, ending: false, failed: [] };
    const url = `${served.urls[0]}/auth`;
    const kept = new Agent({ keepAlive: true });
    t.teardown(() => kept.destroy());
    const clients = [
      ...Array.from({ length: 8 }, () => keepAsking(url, kept, load)),
      ...Array.from({ length: 4 }, () => keepAsking(url, false, load)),
    ];
    for (let turn = 0; turn < RESTARTS; turn += 1) {
      const signal = program.signals[(turn >> 1) % program.signals.length] ?? "SIGTERM";
      await more(load);
      await servers[turn % 2]?.restart(signal, () => more(load));
    }
    load.ending = true;
    await Promise.all(clients);
    t.same(load.failed, [], "every check got its 200");
    await t.test("nothing fell back", (t) => undisturbed(t, served, load));
  });
}

interface RollingServer {
  readonly port: number;
  /** `meanwhile`: runs while it is down. */
  restart(signal: NodeJS.Signals, meanwhile: () => Promise<void>): Promise<void>;
}

async function startServer(t: Test, program: Program): Promise<RollingServer> {
  const port = await freePort();
  let running = await program.start(t, port);
  await answering(running, port);
  return {
    port,
    restart: async (signal, meanwhile) => {
      running.signal(signal);
      await running.ended;
      await meanwhile();
      running = await program.start(t, port);
      await answering(running, port);
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, HOST);
  await once(server, "listening");
  const bound = server.address();
  await once(server.close(), "close");
  return typeof bound === "object" && bound !== null ? bound.port : 0;
}

async function answering(running: Running, port: number): Promise<void> {
  await eventually(
    () => `it does not answer:\n${running.stdout()}${running.stderr()}`,
    async () =>
      ask(`http://${HOST}:${port}/`).then(
        () => true,
        () => null,
      ),
  );
}

async function more(load: Load): Promise<void> {
  const enough = load.answered + BETWEEN;
  await eventually(
    () => `only ${load.answered} checks were answered`,
    () => (load.answered >= enough ? true : null),
  );
}

async function keepAsking(url: string, agent: Agent | false, load: Load): Promise<void> {
  while (!load.ending) {
    const status = await statusOf(url, agent).catch((error: Error) => error.message);
    load.answered += 1;
    if (status !== 200) load.failed.push(`check ${load.answered}: ${status}`);
  }
}

function statusOf(url: string, agent: Agent | false): Promise<number> {
  return new Promise((resolve, reject) => {
    httpRequest(url, { agent }, (response) => {
      response.resume();
      response.once("end", () => resolve(response.statusCode ?? 0));
    })
      .once("error", reject)
      .end();
  });
}

async function undisturbed(t: Test, served: Served, load: Load): Promise<void> {
  const metrics = await served.metrics();
  const values = (name: string): string[] =>
    metrics.split("\n").filter((line) => line.startsWith(`${name}{`) && !line.endsWith(" 0"));
  t.same(values("sparekey_fallback_total"), []);
  t.same(values("sparekey_faults_total"), []);
  t.equal(sample(metrics, 'sparekey_breaker_state{route="sso",state="closed"}'), 1);
  const passed = sample(metrics, 'sparekey_checks_total{route="sso",source="upstream",verdict="allow"}');
  t.equal(passed, load.answered);
}
