/**
 * Measures how soon an outage is found through gateways and people who give up first: real sparekey with all defaults, an
 * upstream that hangs, and 40 checks a second that are given up after a time, or that come through a real Envoy with its
 * default of 200 ms. It prints when the breaker opened and what was answered before and after. A run takes about 1.5 min.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { Agent, createServer, request } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ENVOY_NOTE, findEnvoy } from "./one-of-n/envoy.ts";
import { freePort, portOf } from "./ports.ts";
import { type Serving, startServing } from "./serving.ts";

const EVERY_MS = 25;
const READ_MS = 5_000;
const ALLOWED_MS = READ_MS + 1_500;
const AFTER_MS = 1_000;
const HOST = "app.example.com";

interface Way {
  readonly name: string;
  readonly gateway: "traefik" | "envoy";
  /** Milliseconds; null: the gateway says by itself when it gives up. */
  readonly patience: number | null;
}

const WAYS: readonly Way[] = [
  { name: "people who reload after 1 s", gateway: "traefik", patience: 1_000 },
  { name: "people who reload after 2 s", gateway: "traefik", patience: 2_000 },
  { name: "Caddy with 3 s", gateway: "traefik", patience: 3_000 },
  { name: "HAProxy with 5.0 s", gateway: "traefik", patience: 5_000 },
  { name: "a real Envoy with 200 ms", gateway: "envoy", patience: null },
];

let hanging = false;
const upstream = createServer((_request, response) => {
  if (hanging) return;
  response
    .writeHead(302, { "Set-Cookie": "authentik_proxy_5ba4e1c2=x", Location: "https://auth.example.com/" })
    .end();
}).listen(0, "127.0.0.1");
await once(upstream, "listening");

let failed = false;
for (const way of WAYS) await walk(way);
process.exit(failed ? 1 : 0);

async function walk(way: Way): Promise<void> {
  const binary = findEnvoy();
  if (way.gateway === "envoy" && binary === null) {
    console.log(`${way.name}: skipped. ${ENVOY_NOTE}`);
    return;
  }
  hanging = false;
  const path =
    way.gateway === "envoy" ? "/outpost.goauthentik.io/auth/envoy/*" : "/outpost.goauthentik.io/auth/traefik";
  const sparekey = await startServing(
    `admin: { listen: "127.0.0.9:0" }
listen: 127.0.0.1:0
routes:
  - { preset: authentik, path: "${path}", upstream: "http://127.0.0.1:${portOf(upstream)}", fallback: { mode: basic-auth, htpasswd: htpasswd } }
`,
    { htpasswd: "admin:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n" },
  );
  const envoy = way.gateway === "envoy" ? await startEnvoy(binary ?? "", sparekey) : null;
  await report(way, await outage(way, sparekey, envoy?.origin ?? sparekey.origins[0] ?? ""));
  envoy?.stop();
  await sparekey.stop();
}

interface Seen {
  /** Milliseconds from the onset; infinity: the breaker stayed closed. */
  readonly opened: number;
  readonly before: readonly string[];
  readonly after: readonly string[];
}

async function outage({ gateway, patience }: Way, sparekey: Serving, origin: string): Promise<Seen> {
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });
  const url = gateway === "envoy" ? `${origin}/page` : `${origin}/outpost.goauthentik.io/auth/traefik`;
  const check = () => ask(url, patience, agent);
  for (let warm = 0; warm < 40; warm += 1) {
    await check();
    await sleep(EVERY_MS);
  }
  const kinds = { before: [] as Promise<string>[], after: [] as Promise<string>[] };
  hanging = true;
  const onset = performance.now();
  let opened = Number.POSITIVE_INFINITY;
  while (opened === Number.POSITIVE_INFINITY && performance.now() < onset + 2 * ALLOWED_MS) {
    kinds.before.push(check());
    await sleep(EVERY_MS);
    if (sparekey.count("breaker opened") > 0) opened = performance.now() - onset;
  }
  for (let count = 0; count < AFTER_MS / EVERY_MS; count += 1) {
    kinds.after.push(check());
    await sleep(EVERY_MS);
  }
  const seen = { opened, before: await Promise.all(kinds.before), after: await Promise.all(kinds.after) };
  agent.destroy();
  return seen;
}

function ask(url: string, patience: number | null, agent: Agent): Promise<string> {
  const headers = {
    ...{ Host: HOST, "X-Forwarded-For": "192.0.2.7", "X-Forwarded-Host": HOST },
    ...{ "X-Forwarded-Proto": "https", "X-Forwarded-Method": "GET", "X-Forwarded-Uri": "/" },
  };
  return new Promise((resolve) => {
    const asked = request(url, { agent, headers }, (response) => {
      clearTimeout(timer);
      response.resume().on("end", () => resolve(String(response.statusCode)));
    });
    asked.on("error", () => resolve("given up")).end();
    const timer = patience === null ? undefined : setTimeout(() => asked.destroy(), patience);
  });
}

async function startEnvoy(binary: string, { origins, folder }: Serving) {
  const port = await freePort();
  const file = join(folder, "envoy.json");
  await writeFile(file, envoyConfig(port, new URL(origins[0] ?? "")));
  const child = spawn(binary, ["-c", file, "--use-dynamic-base-id", "--log-level", "error"], {
    stdio: "ignore",
  });
  process.once("exit", () => child.kill("SIGKILL"));
  const origin = `http://127.0.0.1:${port}`;
  while ((await ask(`${origin}/`, 1_000, new Agent())) === "given up") await sleep(100);
  return { origin, stop: () => child.kill("SIGTERM") };
}

/** ext_authz with its default timeout. What passes is answered by Envoy itself. */
function envoyConfig(port: number, sparekey: URL): string {
  const typed = (name: string) => ({ "@type": `type.googleapis.com/envoy.${name}` });
  const address = (host: string, at: number) => ({ socket_address: { address: host, port_value: at } });
  const server = { uri: sparekey.origin, cluster: "sparekey", timeout: "0.2s" };
  const authorized = {
    patterns: [{ exact: "cookie" }, { exact: "authorization" }, { exact: "x-forwarded-for" }],
  };
  const filters = [
    {
      name: "envoy.filters.http.ext_authz",
      typed_config: {
        ...typed("extensions.filters.http.ext_authz.v3.ExtAuthz"),
        http_service: {
          server_uri: server,
          path_prefix: "/outpost.goauthentik.io/auth/envoy",
          authorization_request: { allowed_headers: authorized },
        },
      },
    },
    { name: "envoy.filters.http.router", typed_config: typed("extensions.filters.http.router.v3.Router") },
  ];
  const manager = {
    ...typed("extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"),
    ...{ stat_prefix: "checks", http_filters: filters },
    route_config: {
      virtual_hosts: [
        {
          name: "all",
          domains: ["*"],
          routes: [{ match: { prefix: "/" }, direct_response: { status: 200 } }],
        },
      ],
    },
  };
  const chain = {
    filters: [{ name: "envoy.filters.network.http_connection_manager", typed_config: manager }],
  };
  const endpoint = { endpoint: { address: address(sparekey.hostname, Number(sparekey.port)) } };
  const cluster = {
    ...{ name: "sparekey", type: "STATIC", connect_timeout: "1s" },
    load_assignment: { cluster_name: "sparekey", endpoints: [{ lb_endpoints: [endpoint] }] },
  };
  return JSON.stringify({
    static_resources: {
      listeners: [{ address: address("127.0.0.1", port), filter_chains: [chain] }],
      clusters: [cluster],
    },
  });
}

async function report({ name }: Way, { opened, before, after }: Seen): Promise<void> {
  const isGood = opened <= ALLOWED_MS && after.every((kind) => kind === "401");
  failed ||= !isGood;
  console.log(`${name}: ${isGood ? "good" : "FALLS SHORT"}
  breaker opened  ${(opened / 1_000).toFixed(2)} s after the onset (allowed: ${ALLOWED_MS / 1_000} s)
  before          ${kindsOf(before)}
  after           ${kindsOf(after)}`);
}

function kindsOf(kinds: readonly string[]): string {
  return Object.entries(Object.groupBy(kinds, (kind) => kind))
    .map(([kind, some]) => `${kind}: ${some?.length}`)
    .join(", ");
}
