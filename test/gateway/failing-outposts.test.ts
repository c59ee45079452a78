/**
 * What clients get while an auth server fails, by its version and the mode of the route: the real program in front of
 * stand-ins that answer what was measured at the real servers. docs/failure-modes.md has the same table. Rows that begin
 * with "not seen" are failures that a check does not show. They are here so that nobody takes them for covered.
 */
import { createServer } from "node:http";
import t, { type Test } from "tap";
import type { WireMode } from "../../src/core/snapshot.ts";
import { startAuthelia } from "../../src/demo/authelia.ts";
import { startOAuth2Proxy } from "../../src/demo/oauth2-proxy.ts";
import { startOutpost } from "../../src/demo/outpost.ts";
import { outpostToken } from "../../src/demo/outpost-identity.ts";
import { type OutpostState, type OutpostVersion, outpostVersions } from "../../src/demo/outpost-versions.ts";
import { sessionCookie } from "../../src/demo/outpost-visit.ts";
import type { FaultName } from "../../src/demo/stand-in.ts";
import { type Answered, ask, type Served, sample, serve } from "../support/app.ts";
import { eventually } from "../support/processes.ts";
import { signIn } from "../support/sign-in.ts";
import { warmedUp } from "../support/warm.ts";

const HOST = "app.example.com";
const MODES = ["allow", "basic-auth", "deny"] as const;
type Mode = (typeof MODES)[number];
/** Both write and read an upstream's messages on their own. */
const WIRES: readonly WireMode[] = ["auto", "fastify"];

/** `stale`: a browser that still holds the cookie of a session that is gone. `token`: a program with a Bearer token. */
type Client = "visitor" | "member" | "stale" | "token";

const ADDRESSES: Readonly<Record<Client, string>> = {
  visitor: "192.0.2.1",
  member: "192.0.2.2",
  stale: "192.0.2.3",
  token: "192.0.2.4",
};
/** What gateways say of a client, each in its own words. */
const FORWARDED = {
  Host: HOST,
  Accept: "text/html",
  "X-Forwarded-Proto": "https",
  "X-Forwarded-Host": HOST,
  "X-Forwarded-Method": "GET",
  "X-Forwarded-Uri": "/page",
  "X-Original-URL": `https://${HOST}/page`,
};
const IDENTITY = ["x-authentik-username", "remote-user", "x-auth-request-user"];

/** A server under test. */
interface Server {
  readonly url: string;
  /** The Cookie of each kind of client, and the Authorization of a program; others send none. */
  readonly clients: Readonly<Partial<Record<Client, Readonly<Record<string, string>>>>>;
  fail(): Promise<void>;
}

/** A status, with the user's name where the reply names one; "fallback" and "shed" stand for the mode's replies. */
type Reply = string;
type Expected = Reply | Readonly<Partial<Record<Mode, Reply>>>;

interface Row {
  readonly name: string;
  start(t: Test): Promise<Server>;
  /** Keys of the route. `URL` stands for the server's. */
  readonly keys: readonly string[];
  /** Who is left out is not asked. */
  readonly expected: Readonly<Partial<Record<Client, Expected>>>;
}

function outpost(version: OutpostVersion, state: FaultName | OutpostState): (t: Test) => Promise<Server> {
  return async (t) => {
    const standIn = await startOutpost({ port: 0, hosts: [HOST], version });
    t.teardown(() => standIn.close());
    return {
      url: standIn.url,
      clients: {
        visitor: {},
        member: { Cookie: await signIn(standIn, HOST) },
        stale: { Cookie: `${sessionCookie}=${"0".repeat(32)}` },
        token: { Authorization: `Bearer ${outpostToken}` },
      },
      fail: () => standIn.setFault(state),
    };
  };
}
const AUTHENTIK = ["preset: authentik"];
const NGINX = ["preset: authentik", "path: /outpost.goauthentik.io/auth/nginx"];
const WITH_READY = [...AUTHENTIK, loginHealth("/-/health/ready/")];
const AUTHELIA = ["preset: authelia"];
const OAUTH2_PROXY = ["preset: oauth2-proxy"];
const BOT_BLOCK = ["preset: bot-block"];

function loginHealth(path: string): string {
  return `probe: { loginHealth: URL${path}, minInterval: 100ms }`;
}

function pathOf(keys: readonly string[]): string {
  if (keys === NGINX) return "/outpost.goauthentik.io/auth/nginx";
  const [preset = ""] = keys;
  return (
    {
      "preset: authentik": "/outpost.goauthentik.io/auth/traefik",
      "preset: authelia": "/api/authz/forward-auth",
      "preset: oauth2-proxy": "/oauth2/auth",
      "preset: bot-block": "/auth",
    }[preset] ?? ""
  );
}

function config(t: Test, { url }: Server, keys: readonly string[]): string {
  const file = `${t.testdir({ htpasswd: "" })}/htpasswd`;
  const routes = MODES.map((mode, index) => {
    const lines = [
      `- name: ${mode}`,
      `  listen: 127.0.0.${index + 1}:0`,
      `  upstream: ${url}`,
      "  timeouts: { connect: 500ms, read: 500ms, total: 1500ms }",
      `  fallback: ${mode === "basic-auth" ? `{ mode: basic-auth, htpasswd: ${file} }` : `{ mode: ${mode} }`}`,
      ...keys.map((key) => `  ${key.replace("URL", url)}`),
    ];
    return lines.map((line) => `  ${line}\n`).join("");
  });
  return `admin: { listen: "127.0.0.9:0" }\nroutes:\n${routes.join("")}`;
}

function authelia(state: "store-dead" | "store-hung"): (t: Test) => Promise<Server> {
  return async (t) => {
    const standIn = await startAuthelia({ port: 0 });
    t.teardown(() => standIn.close());
    const clients = { visitor: {}, member: { Cookie: standIn.session } };
    return { url: standIn.url, clients, fail: () => standIn.setFault(state) };
  };
}

function oauth2Proxy(state: "redis-refused" | "provider-dead"): (t: Test) => Promise<Server> {
  return async (t) => {
    const standIn = await startOAuth2Proxy({ port: 0 });
    t.teardown(() => standIn.close());
    const clients = { visitor: {}, member: { Cookie: standIn.session } };
    return { url: standIn.url, clients, fail: () => standIn.setFault(state) };
  };
}

/** It lets everybody through while it is well, and shows its outage as a refusal. */
async function crowdsec(t: Test): Promise<Server> {
  let isWell = true;
  const server = createServer((_request, response) => {
    response.writeHead(isWell ? 200 : 403, isWell ? {} : { "X-Bouncer-Error": "lapi unreachable" }).end();
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  const url = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
  const fail = async (): Promise<void> => {
    isWell = false;
  };
  return { url, clients: { visitor: {} }, fail };
}

const FALLBACK = { visitor: "fallback", member: "fallback", stale: "fallback", token: "fallback" } as const;
const MEMBERS_STAY = { ...FALLBACK, member: "200 demo" } as const;
/** 2025.10 lets a stale cookie pass without a name, in any state (CVE-2026-25748). */
const NOT_STALE = { visitor: "fallback", member: "200 demo", token: "fallback" } as const;

const ofEveryVersion: readonly Row[] = outpostVersions.flatMap((version) => [
  {
    name: `${version}, store hangs for new logins`,
    start: outpost(version, "logins-hang"),
    keys: AUTHENTIK,
    // In mode allow it is 503 within a second of an answer to anybody with a session, and else the fallback.
    expected: { ...MEMBERS_STAY, stale: { "basic-auth": "fallback", deny: "fallback" } },
  },
  {
    name: `${version}, core down, with loginHealth`,
    start: outpost(version, "core-down"),
    keys: WITH_READY,
    expected: version === "2025.10" ? NOT_STALE : MEMBERS_STAY,
  },
  {
    name: `${version}, core hangs, with loginHealth`,
    start: outpost(version, "core-hangs"),
    keys: WITH_READY,
    expected: version === "2025.10" ? NOT_STALE : MEMBERS_STAY,
  },
]);

const rows: readonly Row[] = [
  ...ofEveryVersion,
  {
    name: "2025.6, store full: 302 without a cookie",
    start: outpost("2025.6", "store-full"),
    keys: AUTHENTIK,
    expected: MEMBERS_STAY,
  },
  {
    name: "not seen: 2025.6, store full, behind nginx: the same 401 as ever",
    start: outpost("2025.6", "store-full"),
    keys: NGINX,
    expected: { visitor: "401", member: "200 demo", stale: "401", token: "401" },
  },
  {
    name: "2025.10, store full: 200 for everybody",
    start: outpost("2025.10", "store-full"),
    keys: AUTHENTIK,
    expected: MEMBERS_STAY,
  },
  {
    name: "2026.2, store full: an empty 400",
    start: outpost("2026.2", "store-full"),
    keys: AUTHENTIK,
    // The outpost deletes the cookie, and the next check has none.
    expected: { ...MEMBERS_STAY, stale: "302" },
  },
  {
    name: "not seen: 2026.2, store full, behind nginx: the same 401 as ever",
    start: outpost("2026.2", "store-full"),
    keys: NGINX,
    expected: { visitor: "401", member: "200 demo", stale: "401", token: "401" },
  },
  {
    name: "2026.2, no providers: 400 with JSON",
    start: outpost("2026.2", "no-providers"),
    keys: AUTHENTIK,
    expected: FALLBACK,
  },
  {
    name: "not seen: 2026.2, core down, without loginHealth",
    start: outpost("2026.2", "core-down"),
    keys: AUTHENTIK,
    expected: { visitor: "302", member: "200 demo", stale: "302", token: "302" },
  },
  {
    name: "embedded, database refuses to save: an empty 400, compressed",
    start: outpost("embedded", "store-full"),
    keys: AUTHENTIK,
    expected: MEMBERS_STAY,
  },
  {
    name: "embedded, database down: members get a 302, others the 400",
    start: outpost("embedded", "store-unreadable"),
    keys: AUTHENTIK,
    expected: FALLBACK,
  },
  {
    name: "embedded, database hangs",
    start: outpost("embedded", "database-hangs"),
    keys: AUTHENTIK,
    expected: FALLBACK,
  },
  {
    name: "embedded, starting: the core's 404",
    start: outpost("embedded", "no-providers"),
    keys: AUTHENTIK,
    expected: FALLBACK,
  },
  {
    name: "not seen: 2026.8, store full: 302 with a cookie as ever, and the login ends with 500",
    start: outpost("2026.8", "store-full"),
    keys: AUTHENTIK,
    expected: { visitor: "302", member: "200 demo", stale: "302", token: "200 demo" },
  },
  {
    name: "not seen: 2026.8, store not readable: 302 for everybody",
    start: outpost("2026.8", "store-unreadable"),
    keys: AUTHENTIK,
    expected: { visitor: "302", member: "302", stale: "302", token: "200 demo" },
  },
  {
    name: "2026.8, before its first refresh: 400 with JSON",
    start: outpost("2026.8", "no-providers"),
    keys: AUTHENTIK,
    expected: FALLBACK,
  },
  {
    name: "Authelia, store dead: 302 without its cookie",
    start: authelia("store-dead"),
    keys: AUTHELIA,
    expected: FALLBACK,
  },
  {
    name: "Authelia, store hangs",
    start: authelia("store-hung"),
    keys: AUTHELIA,
    expected: FALLBACK,
  },
  {
    name: "oauth2-proxy, Redis refused, with loginHealth",
    start: oauth2Proxy("redis-refused"),
    keys: [...OAUTH2_PROXY, loginHealth("/ready")],
    expected: FALLBACK,
  },
  {
    name: "not seen: oauth2-proxy, Redis refused, without loginHealth: 401 for everybody",
    start: oauth2Proxy("redis-refused"),
    keys: OAUTH2_PROXY,
    expected: { visitor: "401", member: "401" },
  },
  {
    name: "not seen: oauth2-proxy, provider dead: its own /ready stays 200",
    start: oauth2Proxy("provider-dead"),
    keys: [...OAUTH2_PROXY, loginHealth("/ready")],
    expected: { visitor: "401", member: "202 demo" },
  },
  {
    name: "CrowdSec, no decisions, with fault.match",
    start: crowdsec,
    keys: [...BOT_BLOCK, "fault: { match: [{ status: 403, header: X-Bouncer-Error }] }"],
    expected: { visitor: "fallback" },
  },
  {
    name: "not seen: CrowdSec, no decisions, without fault.match: 403 for everybody",
    start: crowdsec,
    keys: BOT_BLOCK,
    expected: { visitor: "403" },
  },
];

t.jobs = 2;
for (const row of rows) {
  t.test(row.name, { buffered: true }, async (t) => {
    const server = await row.start(t);
    const yaml = config(t, server, row.keys);
    await Promise.all(WIRES.map((wire) => failsAsExpected(t, row, server, yaml, wire)));
  });
}

async function failsAsExpected(t: Test, row: Row, server: Server, yaml: string, wire: WireMode) {
  const served = await serve(t, yaml, wire);
  const reply = (mode: Mode, client: Client) =>
    replyTo(served, mode, client, server.clients[client] ?? {}, row.keys);
  await Promise.all(MODES.map((mode) => reply(mode, "member")));
  await warmedUp(served.metrics, MODES, (mode) => reply(mode as Mode, "visitor"));
  await server.fail();
  if (row.keys.some((key) => key.includes("loginHealth"))) await untilLoginIsKnown(row, reply);
  const clients = Object.keys(server.clients) as Client[];
  const asked = MODES.flatMap((mode) =>
    clients.map(async (client) => {
      const expected = row.expected[client];
      const wanted = typeof expected === "string" ? expected : expected?.[mode];
      if (wanted === undefined) return;
      const got = await unlessStalled(() => reply(mode, client), wanted);
      t.equal(got, wanted, `${wire}, ${mode}, ${client}`);
    }),
  );
  await Promise.all(asked);
}

/** Asks again where a stall of this process had a check shed. */
function unlessStalled(ask: () => Promise<string>, wanted: string): Promise<string> {
  return eventually(
    () => `still shed, not ${wanted}`,
    async () => {
      const got = await ask();
      return got === "shed" ? null : got;
    },
  );
}

/** No check waits for a login page: the first one after the fault gets what was known before. */
async function untilLoginIsKnown(
  row: Row,
  reply: (mode: Mode, client: Client) => Promise<string>,
): Promise<void> {
  if (row.expected.visitor !== "fallback") return;
  for (const mode of MODES) {
    await eventually(
      () => `${mode}: the login page is not found dead`,
      async () => ((await reply(mode, "visitor")) === "fallback" ? true : null),
    );
  }
}

async function replyTo(
  { urls }: Served,
  mode: Mode,
  client: Client,
  headers: Readonly<Record<string, string>>,
  keys: readonly string[],
): Promise<string> {
  const answered = await ask(`${urls[MODES.indexOf(mode)]}${pathOf(keys)}`, {
    headers: { ...FORWARDED, "X-Forwarded-For": ADDRESSES[client], ...headers },
  });
  return wordsFor(mode, answered);
}

function wordsFor(mode: Mode, { status, headers }: Answered): string {
  const fallback = headers["x-auth-fallback"];
  if (fallback !== undefined) return fallback === mode ? "fallback" : `${status} ${fallback}`;
  if (status === 503 && headers["retry-after"] === "1") return "shed";
  const user = IDENTITY.map((name) => headers[name]).find((value) => value !== undefined);
  return user === undefined ? String(status) : `${status} ${user}`;
}

t.test(
  "2026.8, store full: the logins that fail are counted where the login pages go through sparekey",
  async (t) => {
    const standIn = await startOutpost({ port: 0, hosts: [HOST], version: "2026.8" });
    t.teardown(() => standIn.close());
    const served = await serve(
      t,
      `admin: { listen: "127.0.0.9:0" }
listen: "127.0.0.1:0"
routes:
  - { name: sso, preset: authentik, upstream: "${standIn.url}", fallback: { mode: deny } }
  - { name: login, path: "/outpost.goauthentik.io/*", upstream: "${standIn.url}", loginOf: authentik, fallback: { mode: none } }
`,
    );
    const results = async () => {
      const metrics = await served.metrics();
      return ["ok", "failed"].map((result) =>
        sample(metrics, `sparekey_logins_total{route="login",result="${result}"}`),
      );
    };
    const [url = ""] = served.urls;
    await signIn({ url }, HOST);
    t.same(await results(), [1, 0]);
    await standIn.setFault("store-full");
    for (let login = 0; login < 5; login += 1) await signIn({ url }, HOST);
    t.same(await results(), [1, 5]);
    t.equal(
      (await ask(`${url}${pathOf(AUTHENTIK)}`, { headers: FORWARDED })).status,
      302,
      "checks go on as ever",
    );
  },
);
