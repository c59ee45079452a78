/** What a process that serves has loaded, for it stays in memory: docs/decisions/0007-memory.md. */
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import t, { type Test } from "tap";
import { ask } from "../support/app.ts";
import { eventually } from "../support/processes.ts";
import { type Sparekey, startSparekey } from "../support/sparekey.ts";

const PRELOADED = join(import.meta.dirname, "../support/told-files.ts");
const NOBODY = "127.0.0.1:1";

type Part = readonly [name: string, part: string];

/** What comes with the first request that is theirs. */
const LATE: readonly Part[] = [
  ["undici's client", "/undici/lib/dispatcher/client.js"],
  ["Fastify", "/fastify/fastify.js"],
  ["HTTP/2", "node:http2"],
];
/** With the first who looks. */
const PAGES: readonly Part[] = [
  ["the status page", "/src/admin/status-page.ts"],
  ["its files", "/src/admin/assets.ts"],
  ["its events", "/src/admin/status-events.ts"],
];
const NEVER: readonly Part[] = [
  ["undici's index", "/undici/index.js"],
  ["undici's fetch", "/undici/lib/web/fetch/"],
  ["the push gateway", "/@prometheus-io/client/lib/pushgateway.js"],
  ["the cluster's registry", "/@prometheus-io/client/lib/cluster.js"],
  ["bcrypt, which only workers need", "/bcrypt/"],
  ["the reading of a config", "/src/config/load.ts"],
  ["its YAML", "/yaml/"],
  ["its schema", "/zod/"],
  ["the demo", "/src/demo/"],
];

/** Of an answer that has no end. */
async function begins(url: string): Promise<void> {
  const { hostname, port, pathname } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.write(`GET ${pathname} HTTP/1.1\r\nHost: a\r\n\r\n`);
  await once(socket, "data");
  socket.destroy();
}

async function startTelling(t: Test, yaml: string): Promise<Sparekey> {
  const env = { NODE_OPTIONS: `--import ${PRELOADED}` };
  return startSparekey(t, yaml, { users: { admin: "correct horse" }, env });
}

function route(upstream: string): string {
  return `routes: [{ preset: authentik, upstream: "${upstream}", fallback: { htpasswd: htpasswd } }]`;
}

/** An upstream whose faults a probe has to confirm. */
async function startCutting(t: Test): Promise<string> {
  const server = createServer((socket) => {
    socket
      .on("error", () => {})
      .once("data", () => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"));
  }).listen(0, "127.0.0.1");
  t.teardown(() => server.close());
  await once(server, "listening");
  const address = server.address();
  return `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
}

t.test("plain checks, their probes and the pages of the admin listener need little", async (t) => {
  const running = await startTelling(t, `listen: "127.0.0.1:0"\n${route(await startCutting(t))}\n`);
  const [{ url }] = running.listen;
  const early = running.process.stderr();
  for (const [name, part] of PAGES) t.notMatch(early, part, `before anybody looks: ${name}`);
  const pages = ["/", "/status.json", "/status/page.css", "/favicon.ico", "/healthz", "/readyz", "/metrics"];
  for (const page of pages) t.not((await ask(running.admin.url + page)).status, 500, page);
  await begins(`${running.admin.url}/events`);
  t.equal((await ask(`${url}/healthz`)).status, 200, "health");
  const check = await ask(`${url}/outpost.goauthentik.io/auth/traefik`);
  t.equal(check.status, 401, "the emergency login");
  const probed = /sparekey_probes_total\{route="authentik",result="fault"\} [1-9]/;
  await eventually(
    () => "there was no probe",
    async () => probed.test(await running.metrics()) || null,
  );
  const told = running.process.stderr();
  t.match(told, "/@prometheus-io/client/lib/registry.js", "the registry of metrics is seen");
  for (const [name, part] of PAGES) t.match(told, part, `with the first request: ${name}`);
  for (const [name, part] of [...LATE, ...NEVER]) t.notMatch(told, part, name);
  t.notMatch(told, "node:tls", "TLS");
  t.notMatch(told, "node:http\n", "what node:http has for fetch");

  t.equal((await ask(`${url}/outpost.goauthentik.io/auth/traefik`, { method: "POST" })).status, 401, "odd");
  for (const [name, part] of LATE)
    t.match(running.process.stderr(), part, `after an odd one, ${name} is seen`);
});

t.test("what all checks need is there before the first", async (t) => {
  const rows = [
    { name: "wire: fastify", yaml: `listen: "127.0.0.1:0"\nwire: fastify\n${route(`http://${NOBODY}`)}\n` },
    { name: "https", yaml: `listen: "127.0.0.1:0"\n${route(`https://${NOBODY}`)}\n` },
  ];
  for (const { name, yaml } of rows) {
    const running = await startTelling(t, yaml);
    const told = running.process.stderr();
    for (const [part, path] of LATE) t.match(told, path, `${name}: ${part}`);
    for (const [part, path] of NEVER) t.notMatch(told, path, `${name}: ${part}`);
  }
});

t.test("what cannot be loaded is said, and plain checks do without", async (t) => {
  const rows = [
    { name: "a request that needs it", wire: "auto", method: "POST", before: 0, status: 401 },
    { name: "all need it", wire: "fastify", method: "GET", before: 1, status: null },
  ];
  for (const { name, wire, method, before, status } of rows) {
    const yaml = `listen: "127.0.0.1:0"\nwire: ${wire}\n${route(`http://${NOBODY}`)}\n`;
    const env = { NODE_OPTIONS: `--import ${join(import.meta.dirname, "../support/no-fastify.ts")}` };
    const running = await startSparekey(t, yaml, { users: { admin: "correct horse" }, env });
    const said = (): readonly unknown[] =>
      running
        .logs()
        .filter(({ msg }) => msg.startsWith("a part of sparekey cannot be loaded"))
        .map(({ problem }) => problem);
    t.equal(said().length, before, `${name}: at the start`);
    const url = `${running.listen[0].url}/outpost.goauthentik.io/auth/traefik`;
    for (let count = 0; count < 2; count += 1) await t.rejects(ask(url, { method }), `${name}: is cut`);
    await eventually(
      () => `${name}: nothing is said`,
      () => said().length > before || null,
    );
    t.strictSame(said(), Array(before + 1).fill("Cannot find module 'fastify'"), `${name}: said once`);
    const plain = await ask(url).catch(() => null);
    t.equal(plain?.status ?? null, status, `${name}: a plain one`);
  }
});
