import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { type LoadResult, loadConfig, parseConfig } from "../../src/config/load.ts";
import { formatProblem } from "../../src/config/problem.ts";
import type { BasicAuthFallback, HostPolicy, Route, Snapshot } from "../../src/core/snapshot.ts";

type Env = Readonly<Record<string, string | undefined>>;

async function noFiles(file: string): Promise<Uint8Array> {
  throw new Error(`read ${file}`);
}

async function problemsOf(text: string, env: Env = {}): Promise<string[]> {
  const parsed = await parseConfig(text, "c.yaml", env, noFiles);
  return parsed.ok ? [] : parsed.problems.map(formatProblem);
}

function good(result: LoadResult) {
  if (!result.ok) throw new Error(result.problems.map(formatProblem).join("\n"));
  return result;
}

async function snapshotOf(text: string, env: Env = {}): Promise<Snapshot> {
  return good(await parseConfig(text, "/conf/c.yaml", env, noFiles)).snapshot;
}

function loginOf(holder: Route | HostPolicy | undefined): BasicAuthFallback {
  if (holder?.fallback.mode !== "basic-auth") throw new Error("no emergency login");
  return holder.fallback;
}

const oneRoute = (keys: string) => `routes: [{ upstream: "http://host", ${keys} }]`;

const DENY = "fallback: { mode: deny }";
const hostKeys = (...hosts: string[]) => `hosts: [${hosts.map((keys) => `{ ${keys} }`).join(", ")}]`;

async function hostsOf(route: string, ...hosts: string[]): Promise<readonly HostPolicy[]> {
  return (await firstRoute(`${route}, ${hostKeys(...hosts)}`)).hosts;
}

async function firstRoute(keys: string, env: Env = {}): Promise<Route> {
  const { routes } = await snapshotOf(`routes: [{ upstream: "http://host:9000", ${keys} }]`, env);
  const [route] = routes;
  if (route === undefined) throw new Error("no route");
  return route;
}

t.test("the smallest file has the defaults of the design", async (t) => {
  t.same(await snapshotOf("routes: [{ preset: authentik, upstream: http://host:9000 }]"), {
    admin: { listen: { host: "0.0.0.0", port: 9090 }, htpasswd: null },
    log: { level: "info", access: "sampled" },
    limits: { headBytes: 256 * 1024, connections: 10_000 },
    drain: { delay: 0, timeout: 25_000 },
    workers: 1,
    wire: "auto",
    trustedProxies: null,
    notify: [],
    routes: [
      {
        name: "authentik",
        listen: { host: "0.0.0.0", port: 9000 },
        path: { kind: "exact", path: "/outpost.goauthentik.io/auth/traefik" },
        upstream: {
          protocol: "http:",
          servers: [{ host: "host", port: 9000 }],
          tls: { ca: null, cert: null, key: null, serverName: null, verify: true },
          timeouts: { connect: 3000, read: 5000, total: 8000 },
          maxConnections: 256,
          pipelining: 1,
          headBytes: 256 * 1024,
          answerBytes: 1024 * 1024,
        },
        maxInFlight: 1024,
        stripEmergencyCredentials: true,
        fault: {
          statuses: new Set([502, 503, 504]),
          suspectStatuses: new Set([500]),
          bare400: true,
          confirm: "auto",
        },
        breaker: { failures: 5, interval: 2000, maxInterval: 15_000, successes: 2 },
        probe: { host: null, uri: "/", headers: [], minInterval: 2000, loginHealth: null },
        fallback: {
          mode: "basic-auth",
          realm: "Emergency Access",
          htpasswd: "/etc/sparekey/htpasswd",
          usernameHeader: "X-authentik-username",
          clearHeaders: ["X-authentik-uid", "X-authentik-email", "X-authentik-name", "X-authentik-groups"],
          allowFrom: null,
          rateLimit: { failures: 10, per: 60_000, global: 300 },
          grace: null,
          page: null,
        },
        hosts: [],
        requireHeaders: [],
      },
    ],
  });
});

t.test("every key can be given", async (t) => {
  const snapshot = await snapshotOf(`
listen: "[::]:9000"
admin: { listen: localhost:9091, htpasswd: admins }
log: { level: debug, access: all }
limits: { headBytes: 65536, connections: 7, answerBytes: 2MiB }
drain: { delay: 1.5s, timeout: 1h }
workers: 1
wire: auto
trustedProxies: [192.0.2.1, 2001:db8::/32]
notify:
  - { url: "https://Chat.example.com/hooks/a%20b?key={{.text}}", headers: { Authorization: Bearer x } }
  - { url: "http://[2001:DB8::1]:8080" }
routes:
  - name: one
    preset: none
    listen: "[0:0::1]:0"
    path: /outpost/*
    upstream: https://Auth.Example.com
    tls: { ca: null, cert: null, key: null, serverName: other.example.com, verify: false }
    timeouts: { connect: 10ms, read: 1s, total: 10m }
    maxInFlight: 1
    maxConnections: 2
    requireHeaders: [X-User, Authorization]
    stripEmergencyCredentials: false
    fault: { statuses: [], suspectStatuses: [429], bare400: false, confirm: always }
    breaker: { failures: 1, interval: 100ms, maxInterval: 1h, successes: 1000 }
    probe:
      host: App.example.com:8443
      uri: /deep?x=1
      headers: { X-Probe: "caf\xe9 1", Cookie: "" }
      minInterval: 1h
      loginHealth: https://Auth.example.com/-/health/ready/?full=1
    fallback:
      mode: basic-auth
      realm: Spare key
      htpasswd: secrets/htpasswd
      usernameHeader: X-User
      clearHeaders: [Authorization]
      allowFrom: [10.0.0.0/8]
      rateLimit: { failures: 1, per: 1s, global: 2 }
      page: null
      grace: 5m
`);
  const { routes, trustedProxies, notify, ...top } = snapshot;
  t.same(top, {
    admin: { listen: { host: "localhost", port: 9091 }, htpasswd: "/conf/admins" },
    log: { level: "debug", access: "all" },
    limits: { headBytes: 65536, connections: 7 },
    drain: { delay: 1500, timeout: 3_600_000 },
    workers: 1,
    wire: "auto",
  });
  t.ok(trustedProxies?.check("2001:db8::7", "ipv6"));
  const tls = { ca: null, cert: null, key: null, serverName: null, verify: true };
  const limits = { maxConnections: 2, pipelining: 1, headBytes: 65_536, answerBytes: null };
  const ofNotify = { tls, timeouts: { connect: 5_000, read: 10_000, total: 10_000 }, ...limits };
  t.same(notify, [
    {
      upstream: { protocol: "https:", servers: [{ host: "chat.example.com", port: 443 }], ...ofNotify },
      target: "/hooks/a%20b?key={{.text}}",
      headers: ["Authorization", "Bearer x"],
    },
    {
      upstream: { protocol: "http:", servers: [{ host: "2001:db8::1", port: 8080 }], ...ofNotify },
      target: "/",
      headers: [],
    },
  ]);
  const [route] = routes;
  t.match(route, {
    name: "one",
    listen: { host: "::1", port: 0 },
    path: { kind: "prefix", prefix: "/outpost/" },
    maxInFlight: 1,
    requireHeaders: ["x-user", "authorization"],
    stripEmergencyCredentials: false,
    fault: { statuses: new Set(), suspectStatuses: new Set([429]), bare400: false, confirm: "always" },
    breaker: { failures: 1, interval: 100, maxInterval: 3_600_000, successes: 1000 },
  });
  t.same(route?.probe, {
    host: "App.example.com:8443",
    uri: "/deep?x=1",
    headers: ["X-Probe", "caf\xe9 1", "Cookie", ""],
    minInterval: 3_600_000,
    loginHealth: {
      upstream: {
        protocol: "https:",
        servers: [{ host: "auth.example.com", port: 443 }],
        tls: { ca: null, cert: null, key: null, serverName: null, verify: true },
        timeouts: { connect: 10, read: 1000, total: 600_000 },
        maxConnections: 2,
        pipelining: 1,
        headBytes: 65536,
        answerBytes: null,
      },
      target: "/-/health/ready/?full=1",
    },
  });
  t.same(route?.upstream, {
    protocol: "https:",
    servers: [{ host: "auth.example.com", port: 443 }],
    tls: { ca: null, cert: null, key: null, serverName: "other.example.com", verify: false },
    timeouts: { connect: 10, read: 1000, total: 600_000 },
    maxConnections: 2,
    pipelining: 1,
    headBytes: 65536,
    answerBytes: 2 * 1024 * 1024,
  });
  const { allowFrom, ...login } = loginOf(route);
  t.ok(allowFrom?.check("10.1.2.3"));
  t.same(login, {
    mode: "basic-auth",
    realm: "Spare key",
    htpasswd: "/conf/secrets/htpasswd",
    usernameHeader: "X-User",
    clearHeaders: ["Authorization"],
    rateLimit: { failures: 1, per: 1000, global: 2 },
    grace: {
      milliseconds: 300_000,
      usernameHeader: "x-user",
      identityHeaders: new Set(["x-user", "authorization"]),
    },
    page: null,
  });
});

t.test("every key of a host can be given", async (t) => {
  const [host] = await hostsOf(
    "preset: authentik",
    `match: "*.Admin.example.com", fallback: { mode: basic-auth, realm: Admins, htpasswd: secrets/admins,
     usernameHeader: X-Admin, clearHeaders: [X-User], allowFrom: [192.0.2.0/24],
     rateLimit: { failures: 3, per: 2m, global: 4 }, page: null, grace: 90s }`,
  );
  t.same(host?.host, { kind: "suffix", match: ".admin.example.com" });
  const { allowFrom, ...login } = loginOf(host);
  t.ok(allowFrom?.check("192.0.2.7"));
  t.same(login, {
    mode: "basic-auth",
    realm: "Admins",
    htpasswd: "/conf/secrets/admins",
    usernameHeader: "X-Admin",
    clearHeaders: ["X-User"],
    rateLimit: { failures: 3, per: 120_000, global: 4 },
    grace: {
      milliseconds: 90_000,
      usernameHeader: "x-admin",
      identityHeaders: new Set(["x-admin", "x-user"]),
    },
    page: null,
  });
});

t.test("what a host does not say is as in its route", async (t) => {
  const [host] = await hostsOf(
    `preset: authelia, fallback: { mode: deny, realm: Spare, htpasswd: f, clearHeaders: [X-A],
     rateLimit: { failures: 1, per: 5s } }`,
    "match: A.example, fallback: { mode: basic-auth, rateLimit: { failures: 2 } }",
  );
  t.same(host, {
    host: { kind: "exact", match: "a.example" },
    fallback: {
      mode: "basic-auth",
      realm: "Spare",
      htpasswd: "/conf/f",
      usernameHeader: "Remote-User",
      clearHeaders: ["X-A"],
      allowFrom: null,
      rateLimit: { failures: 2, per: 5000, global: 300 },
      grace: null,
      page: null,
    },
  });
});

t.test(
  "a host that refuses where its route has grace refuses, unless it names a grace of its own",
  async (t) => {
    const route = "preset: authelia, fallback: { htpasswd: f, grace: 1h }";
    const [plain] = await hostsOf(route, "match: a.example, fallback: { mode: deny }");
    t.same(plain?.fallback, { mode: "deny", grace: null, page: null });
    const [graced] = await hostsOf(route, "match: a.example, fallback: { mode: deny, grace: 1m }");
    t.match(graced?.fallback, {
      mode: "deny",
      grace: { milliseconds: 60_000, usernameHeader: "remote-user" },
    });
  },
);

t.test("no grace where everybody passes anyway, or nothing is decided", async (t) => {
  for (const mode of ["allow", "none"]) {
    const { routes } = await snapshotOf(
      `routes: [{ preset: authentik, upstream: "http://h", fallback: { mode: ${mode}, grace: 1h } }]`,
    );
    t.same(routes[0]?.fallback, { mode });
  }
});

t.test("a host's login is limited to the route's networks unless it names its own", async (t) => {
  const [same, open] = await hostsOf(
    "preset: authentik, fallback: { allowFrom: [10.0.0.0/8] }",
    "match: a.example, fallback: { mode: basic-auth }",
    "match: b.example, fallback: { mode: basic-auth, allowFrom: [] }",
  );
  t.equal(loginOf(same).allowFrom?.check("192.0.2.1"), false);
  t.equal(loginOf(open).allowFrom, null);
});

t.test("a host without a login takes nothing from its route, and hosts keep their order", async (t) => {
  const hosts = await hostsOf(
    "preset: authentik, fallback: { allowFrom: [10.0.0.0/8] }",
    "match: b.a.example, fallback: { mode: allow, realm: x }",
    "match: '*.a.example', fallback: { mode: deny }",
    "match: a.example, fallback: { mode: allow }",
  );
  t.same(hosts, [
    { host: { kind: "exact", match: "b.a.example" }, fallback: { mode: "allow" } },
    { host: { kind: "suffix", match: ".a.example" }, fallback: { mode: "deny", grace: null, page: null } },
    { host: { kind: "exact", match: "a.example" }, fallback: { mode: "allow" } },
  ]);
});

t.test("a host to match has a greatest length, and so has each label", async (t) => {
  const hosts = (match: string) => oneRoute(`preset: authentik, ${hostKeys(`match: ${match}, ${DENY}`)}`);
  const label = "a".repeat(63);
  const longest = `${label}.${label}.${label}.${"a".repeat(61)}`;
  t.same(await problemsOf(hosts(longest)), []);
  t.match(await problemsOf(hosts(`${longest}a`)), [/is not a host to match/]);
  t.match(await problemsOf(hosts(`${label}a`)), [/is not a host to match/]);
});

t.test("keys of the login that only a host uses are judged where they stand", async (t) => {
  const route = (keys: string) =>
    oneRoute(`preset: bot-block, fallback: { usernameHeader: X-A, clearHeaders: [x-a] }, ${hostKeys(keys)}`);
  const login = "match: a.example, fallback: { mode: basic-auth";
  t.match(await problemsOf(route(`${login} }`)), [
    /routes\[0\]\.fallback\.clearHeaders\[0\]: .* named twice/,
  ]);
  t.same(await problemsOf(route(`${login}, clearHeaders: [X-B] }`)), []);
  t.same(await problemsOf(route("match: a.example, fallback: { mode: deny }")), []);
});

t.test("up to 32 headers can be required", async (t) => {
  const required = (count: number) =>
    oneRoute(
      `preset: authentik, requireHeaders: [${Array.from({ length: count }, (_, index) => `X-${index}`)}]`,
    );
  t.same(await problemsOf(required(32)), []);
  t.match(await problemsOf(required(33)), [
    /requireHeaders: a list this long is refused; at most 32 entries/,
  ]);
});

t.test("empty lists ask for nothing, on a route of mode none too", async (t) => {
  const route = await firstRoute(
    "name: a, path: /a, fallback: { mode: none }, hosts: [], requireHeaders: []",
  );
  t.match(route, { hosts: [], requireHeaders: [] });
});

const presetRows = [
  {
    preset: "authentik",
    path: "/outpost.goauthentik.io/auth/traefik",
    user: "X-authentik-username",
    cleared: 4,
  },
  { preset: "authelia", path: "/api/authz/forward-auth", user: "Remote-User", cleared: 3 },
  { preset: "oauth2-proxy", path: "/oauth2/auth", user: "X-Auth-Request-User", cleared: 3 },
];
for (const { preset, path, user, cleared } of presetRows) {
  t.test(`preset ${preset}`, async (t) => {
    const route = await firstRoute(`preset: ${preset}`);
    t.equal(route.name, preset);
    t.same(route.path, { kind: "exact", path });
    t.equal(loginOf(route).usernameHeader, user);
    t.equal(loginOf(route).clearHeaders.length, cleared);
  });
}

t.test("preset bot-block lets everybody through", async (t) => {
  const route = await firstRoute("preset: bot-block");
  t.match(route, { name: "bot-block", path: { kind: "exact", path: "/auth" } });
  t.same(route.fallback, { mode: "allow" });
});

t.test("without a preset the identity headers are authentik's, as the full example has them", async (t) => {
  const route = await firstRoute("name: a, path: /a");
  t.equal(loginOf(route).usernameHeader, "X-authentik-username");
  t.equal(loginOf(route).clearHeaders.length, 4);
});

t.test("keys of another mode may stay, so that a mode can be switched in one word", async (t) => {
  const route = await firstRoute("name: a, path: /a, fallback: { mode: allow, htpasswd: x, realm: y }");
  t.same(route.fallback, { mode: "allow" });
});

t.test("an empty allowFrom restricts nothing and says so, in any mode", async (t) => {
  const route = await firstRoute("name: a, path: /a, fallback: { mode: allow, allowFrom: [] }");
  t.same(route.fallback, { mode: "allow" });
});

t.test("a prefix may hold /healthz: only that path is taken", async (t) => {
  const route = await firstRoute("name: a, path: '/healthz/*'");
  t.same(route.path, { kind: "prefix", prefix: "/healthz/" });
});

t.test("a total deadline shorter than the others simply comes first", async (t) => {
  const route = await firstRoute("name: a, path: /a, timeouts: { total: 1s }");
  t.same(route.upstream.timeouts, { connect: 3_000, read: 5_000, total: 1_000 });
});

t.test("an answer may have any size on a route that is plain proxying", async (t) => {
  const route = await firstRoute("preset: authentik, fallback: { mode: none }");
  t.equal(route.upstream.answerBytes, null);
});

const faultRows = [
  { name: "named fault leaves the suspects", keys: "statuses: [500]", statuses: [500], suspects: [] },
  {
    name: "named suspect leaves the faults",
    keys: "suspectStatuses: [502]",
    statuses: [503, 504],
    suspects: [502],
  },
  { name: "both named", keys: "statuses: [418], suspectStatuses: []", statuses: [418], suspects: [] },
];
for (const { name, keys, statuses, suspects } of faultRows) {
  t.test(`fault lists: ${name}`, async (t) => {
    const { fault } = await firstRoute(`preset: authentik, fault: { ${keys} }`);
    t.same([...fault.statuses], statuses);
    t.same([...fault.suspectStatuses], suspects);
  });
}

const networkRows = [
  { network: "10.0.0.0/8", address: "10.1.2.3", inside: true },
  { network: "10.0.0.0/8", address: "11.1.2.3", inside: false },
  { network: "10.0.0.0/8", address: "::ffff:10.1.2.3", inside: true },
  { network: "192.0.2.7", address: "192.0.2.7", inside: true },
  { network: "192.0.2.7", address: "192.0.2.8", inside: false },
  { network: "::ffff:10.0.0.0/104", address: "10.1.2.3", inside: true },
  { network: "::ffff:a00:1", address: "10.0.0.1", inside: true },
  { network: "2001:db8::/32", address: "2001:db8:1::1", inside: true },
  { network: "2001:db8::/32", address: "2001:db9::1", inside: false },
  { network: "0.0.0.0/0", address: "203.0.113.1", inside: true },
];
for (const { network, address, inside } of networkRows) {
  t.test(`${address} ${inside ? "is in" : "is outside"} ${network}`, async (t) => {
    const route = await firstRoute(`preset: authentik, fallback: { allowFrom: ['${network}'] }`);
    t.equal(loginOf(route).allowFrom?.check(address, address.includes(":") ? "ipv6" : "ipv4"), inside);
  });
}

const upstreamRows = [
  { upstream: "http://host", host: "host", port: 80 },
  { upstream: "https://host/", host: "host", port: 443 },
  { upstream: "http://[2001:DB8::1]:81", host: "2001:db8::1", port: 81 },
  { upstream: "http://my_service.docker:8080", host: "my_service.docker", port: 8080 },
];
for (const { upstream, host, port } of upstreamRows) {
  t.test(`upstream ${upstream}`, async (t) => {
    const { routes } = await snapshotOf(`routes: [{ preset: authentik, upstream: '${upstream}' }]`);
    t.same(routes[0]?.upstream.servers, [{ host, port }]);
  });
}

const serverListRows = [
  { name: "one", upstream: "[http://a:1]", protocol: "http:", servers: ["a:1"] },
  {
    name: "in order",
    upstream: '[http://b, "http://[2001:DB8::1]:81", http://a:1, http://A:2]',
    protocol: "http:",
    servers: ["b:80", "2001:db8::1:81", "a:1", "a:2"],
  },
  { name: "https", upstream: "[https://b, https://a/]", protocol: "https:", servers: ["b:443", "a:443"] },
  {
    name: "the most there may be",
    upstream: `[${Array.from({ length: 16 }, (_, index) => `http://a:${index + 1}`)}]`,
    protocol: "http:",
    servers: Array.from({ length: 16 }, (_, index) => `a:${index + 1}`),
  },
];
for (const { name, upstream, protocol, servers } of serverListRows) {
  t.test(`a list of upstreams: ${name}`, async (t) => {
    const { routes } = await snapshotOf(`routes: [{ preset: authentik, upstream: ${upstream} }]`);
    t.equal(routes[0]?.upstream.protocol, protocol);
    t.same(
      routes[0]?.upstream.servers.map(({ host, port }) => `${host}:${port}`),
      servers,
    );
  });
}

t.test("an https list takes tls", async (t) => {
  const keys = "tls: { serverName: auth.example.com }";
  const { routes } = await snapshotOf(
    `routes: [{ preset: authentik, upstream: [https://a, https://b], ${keys} }]`,
  );
  t.equal(routes[0]?.upstream.tls.serverName, "auth.example.com");
});

t.test("an entry of a list may come from the environment", async (t) => {
  const { routes } = await snapshotOf(`routes: [{ preset: authentik, upstream: ["\${A}", "http://b"] }]`, {
    A: "http://a",
  });
  t.same(routes[0]?.upstream.servers, [
    { host: "a", port: 80 },
    { host: "b", port: 80 },
  ]);
});

t.test("routes may share a listen address, and port 0 never clashes", async (t) => {
  const { routes } = await snapshotOf(`
listen: 127.0.0.1:0
admin: { listen: 127.0.0.1:0 }
routes:
  - { preset: authentik, upstream: "http://a" }
  - { name: login, path: "/outpost.goauthentik.io/*", upstream: "http://a", fallback: { mode: none } }
  - { preset: bot-block, upstream: "http://b", listen: "127.0.0.2:0" }
`);
  t.equal(routes.length, 3);
});

const loginHealthRows = [
  { url: "http://host", host: "host", port: 80, target: "/" },
  { url: "https://host:9443/a%20b", host: "host", port: 9443, target: "/a%20b" },
  { url: "http://[2001:DB8::1]:81?x=@/", host: "2001:db8::1", port: 81, target: "/?x=@/" },
  { url: "https://host/a/../b?", host: "host", port: 443, target: "/b" },
];
for (const { url, host, port, target } of loginHealthRows) {
  t.test(`login health ${url}`, async (t) => {
    const { probe } = await firstRoute(`preset: authentik, probe: { loginHealth: '${url}' }`);
    t.match(probe.loginHealth, { upstream: { servers: [{ host, port }] }, target });
  });
}

for (const host of ["app", "app.example.com:8443", "10.0.0.1:80", "[2001:DB8::1]:81", "my_app.docker"]) {
  t.test(`probe host ${host} is kept as written`, async (t) => {
    t.equal((await firstRoute(`preset: authentik, probe: { host: '${host}' }`)).probe.host, host);
  });
}

t.test("a probe takes up to 32 headers", async (t) => {
  const headers = (count: number) => Array.from({ length: count }, (_, index) => `X-${index}: a`).join(", ");
  const { probe } = await firstRoute(`preset: authentik, probe: { headers: { ${headers(32)} } }`);
  t.equal(probe.headers.length, 64);
  t.match(await problemsOf(oneRoute(`preset: authentik, probe: { headers: { ${headers(33)} } }`)), [
    /probe\.headers: holds 33 headers; at most 32$/,
  ]);
});

t.test("a probe's uri and header values have a greatest length", async (t) => {
  const probe = (keys: string) => oneRoute(`preset: authentik, probe: { ${keys} }`);
  t.same(await problemsOf(probe(`uri: '/${"a".repeat(2047)}'`)), []);
  t.match(await problemsOf(probe(`uri: '/${"a".repeat(2048)}'`)), [/is not a request URI/]);
  t.same(await problemsOf(probe(`headers: { A: '${"a".repeat(4096)}' }`)), []);
  t.match(await problemsOf(probe(`headers: { A: '${"a".repeat(4097)}' }`)), [/not a header value/]);
  t.match(await problemsOf(probe(`loginHealth: 'http://h/${"a".repeat(2048)}'`)), [/is not a URL to ask/]);
});

t.test("a probe's header may come from the environment, and is not shown when it is no good", async (t) => {
  const keys = `preset: authentik, probe: { headers: { Authorization: 'Bearer \${TOKEN}' } }`;
  t.same((await firstRoute(keys, { TOKEN: "secret" })).probe.headers, ["Authorization", "Bearer secret"]);
  const [problem = ""] = await problemsOf(oneRoute(keys), { TOKEN: "secret\n" });
  t.match(problem, /probe\.headers\.Authorization: not a header value/);
  t.notMatch(problem, /secret/);
});

t.test("a webhook may come from the environment, and is not shown when it is no good", async (t) => {
  const text = `notify: [{ url: '\${HOOK}', headers: { A: 'Bearer \${TOKEN}' } }]\n${oneRoute("preset: authentik")}`;
  const { notify } = await snapshotOf(text, { HOOK: "https://h/secret", TOKEN: "secret" });
  t.match(notify, [{ target: "/secret", headers: ["A", "Bearer secret"] }]);
  const problems = await problemsOf(text, { HOOK: "https://h/secret path", TOKEN: "secret\n" });
  t.match(problems, [
    /notify\[0\]\.url: the value is not a webhook URL/,
    /notify\[0\]\.headers\.A: not a header/,
  ]);
  t.notMatch(problems.join(), /secret/);
});

t.test("environment variables fill in parts of values", async (t) => {
  const keys = `preset: authentik, timeouts: { read: '\${READ}s' }, fallback: { realm: '\${A} and \${B}' }`;
  const route = await firstRoute(keys, { READ: "2", A: "one", B: `\${A}` });
  t.equal(route.upstream.timeouts.read, 2000);
  t.match(route.fallback, { realm: `one and \${A}` }, "what a variable holds is not expanded again");
});

t.test("an environment variable cannot add keys", async (t) => {
  const route = await firstRoute(`preset: authentik, fallback: { realm: '\${REALM}' }`, {
    REALM: "x }, maxInFlight: 1",
  });
  t.equal(route.maxInFlight, 1024);
});

t.test("inherited names are no environment variables", async (t) => {
  t.match(await problemsOf(`listen: \${toString}\nroutes: []`), [/toString is not set/, /holds no route/]);
});

t.test("aliases are followed", async (t) => {
  const { routes } = await snapshotOf(`
routes:
  - { preset: authentik, upstream: &outpost "http://host:9000" }
  - { name: login, path: /login, upstream: *outpost }
`);
  t.same(routes[1]?.upstream.servers, [{ host: "host", port: 9000 }]);
});

const brokenYaml = [
  {
    name: "indentation",
    text: "routes:\n  - a: 1\n   b: 2\n",
    line: "c.yaml:3:1 yaml: Sequence item without - indicator",
  },
  {
    name: "an open bracket",
    text: "routes: [\n",
    line: /^c\.yaml:2:1 yaml: Flow sequence .* end with a \]$/,
  },
  { name: "tabs", text: "routes:\n\t- a: b\n\t  c: d\n", line: /^c\.yaml:2:1 yaml: .*[Tt]ab/ },
  {
    name: "no blank after a colon",
    text: "routes:\n  - fallback:\n      mode:deny\n      htpasswd: hunter2\n",
    line: "c.yaml:3:7 yaml: a blank is missing after mode:",
  },
  {
    name: "no blank after the last colon",
    text: "notify:\n  - headers: {}\n    url:https://hunter2\n",
    line: "c.yaml:3:5 yaml: a blank is missing after url:",
  },
  {
    name: "one word with a colon that is no key",
    text: "trustedProxies:\n  - localhost:90\n    a: b\n",
    line: "c.yaml:2:5 yaml: Implicit keys need to be on a single line",
  },
  {
    name: "a line indented further than the one before",
    text: "routes:\n  - preset: authentik\n     upstream: http://host\n    path: /a\n",
    line: "c.yaml:2:13 yaml: the line after this one is indented further; a key begins where the key above it does",
  },
  {
    name: "a colon and a blank inside a value",
    text: "realm: Emergency: hunter2\n",
    line: 'c.yaml:1:8 yaml: text that holds ": " must stand in quotes',
  },
  {
    name: "a star alone",
    text: "routes:\n  - path: *\n",
    line: "c.yaml:2:11 yaml: an * or & begins an alias or anchor of YAML; text that begins so must stand in quotes",
  },
];
for (const { name, text, line } of brokenYaml) {
  t.test(`broken YAML: ${name}`, async (t) => {
    const problems = await problemsOf(text);
    t.match(problems, [line]);
    t.equal(problems.length, 1, "what follows from it is left out");
    t.notMatch(problems.join(), /hunter2/);
  });
}

t.test("broken YAML: mistakes that stand alone are all named", async (t) => {
  const problems = await problemsOf("listen: @a\nlog: !include b\ndrain: `c\nroutes:\n\t- d\n\t- e\n");
  t.match(
    problems.map((problem) => problem.split(" ")[0]),
    ["c.yaml:1:9", "c.yaml:2:6", "c.yaml:3:8", "c.yaml:5:1"],
  );
  t.equal(problems.length, 4);
});

t.test("a file of endless brackets or nodes is refused, not read", async (t) => {
  t.match(await problemsOf("[".repeat(20_000)), [/nested too deeply/]);
  t.match(await problemsOf(`routes: ${"[".repeat(40)}${"]".repeat(40)}`), [/nested too deeply/]);
  t.match(await problemsOf(`log: [${"1,".repeat(100_001)}]\nroutes: []`), { length: 3 });
});

const unreadable = [
  {
    name: "missing",
    file: "nope.yaml",
    message: /nope.yaml:1:1 file: there is no such file; write it, or name another with --config FILE/,
  },
  { name: "below a file", file: "latin1.yaml/c", message: /:1:1 file: there is no such file/ },
  { name: "a folder", file: "", message: /:1:1 file: cannot be read \(it is not a regular file\)/ },
  { name: "too large", file: "large.yaml", message: /file: cannot be read \(it is larger than 1 MiB\)/ },
  { name: "not UTF-8", file: "latin1.yaml", message: /file: is not UTF-8 text/ },
];
for (const { name, file, message } of unreadable) {
  t.test(`unreadable: ${name}`, async (t) => {
    const folder = t.testdir({
      "large.yaml": "#".repeat(1024 * 1024 + 1),
      "latin1.yaml": Buffer.from([0x23, 0xe9]),
    });
    const loaded = await loadConfig(join(folder, file), {});
    t.match(loaded.ok ? [] : loaded.problems.map(formatProblem), [message]);
  });
}

t.test("TLS files are read from the config's folder", async (t) => {
  const folder = join(import.meta.dirname, "tls");
  const file = (name: string) => readFileSync(join(folder, name));
  const dir = t.testdir({
    "c.yaml": `routes:
  - preset: authentik
    upstream: https://host
    tls: { ca: ca.pem, cert: client.pem, key: keys/client.key }
`,
    "ca.pem": Buffer.concat([file("ca.pem"), file("client.pem")]),
    "client.pem": file("client.pem"),
    keys: { "client.key": file("client.key") },
  });
  const loaded = good(await loadConfig(join(dir, "c.yaml"), {}));
  const tls = loaded.snapshot.routes[0]?.upstream.tls;
  t.same(tls?.cert, file("client.pem"));
  t.same(tls?.key, file("client.key"));
  t.equal(tls?.ca?.length, file("ca.pem").length + file("client.pem").length);
});

t.test(
  "pages are read from the config's folder; a host has its route's unless it names its own",
  async (t) => {
    const dir = t.testdir({
      "c.yaml": `routes:
  - preset: authentik
    upstream: http://host
    fallback: { page: route.html }
    hosts:
      - { match: same.example, fallback: { mode: deny } }
      - { match: own.example, fallback: { mode: basic-auth, page: host.html } }
      - { match: ours.example, fallback: { mode: deny, page: null } }
      - { match: open.example, fallback: { mode: allow } }
`,
      "route.html": "<p>the route's",
      "host.html": "<p>the host's – ü",
    });
    const loaded = good(await loadConfig(join(dir, "c.yaml"), {}));
    const [route] = loaded.snapshot.routes;
    const pageOf = (policy: Route | HostPolicy | undefined) => {
      const { fallback } = policy ?? {};
      const page = fallback !== undefined && "page" in fallback ? fallback.page : undefined;
      return page && Buffer.from(page).toString();
    };
    t.equal(pageOf(route), "<p>the route's");
    t.same(route?.hosts.map(pageOf), ["<p>the route's", "<p>the host's – ü", null, undefined]);
  },
);

t.test("a page has a greatest length", async (t) => {
  const text = oneRoute("preset: authentik, fallback: { page: p }");
  const problems = async (length: number): Promise<string[]> => {
    const parsed = await parseConfig(text, "c.yaml", {}, async () => new Uint8Array(length).fill(0x61));
    return parsed.ok ? [] : parsed.problems.map(formatProblem);
  };
  t.same(await problems(64 * 1024), []);
  t.match(await problems(64 * 1024 + 1), [/fallback\.page: value p has 65537 bytes; write 64 KiB at most$/]);
});

t.test("problems of an htpasswd file can be placed where the config names it", async (t) => {
  const text = `routes:\n  - preset: authentik\n    upstream: http://host\n    fallback:\n      htpasswd: \${F}\n`;
  const parsed = good(await parseConfig(text, "c.yaml", { F: "/etc/f" }, noFiles));
  const [named] = parsed.htpasswds;
  t.match(named, { file: "/etc/f", written: `\${F}` });
  t.equal(named && formatProblem(named.problem("x")), "c.yaml:5:17 routes[0].fallback.htpasswd: x");
});

const namedRows = [
  { name: "the preset's mode", keys: "preset: authentik", files: ["/etc/sparekey/htpasswd"] },
  {
    name: "an unrelated mistake",
    keys: "preset: authelia, maxInFlight: x",
    files: ["/etc/sparekey/htpasswd"],
  },
  { name: "a mistake beside it", keys: "fallback: { htpasswd: f, realm: 5 }", files: ["/conf/f"] },
  {
    name: "no good preset, but a mode",
    keys: "preset: x, fallback: { mode: basic-auth, htpasswd: f }",
    files: ["/conf/f"],
  },
  { name: "no good preset and no mode", keys: "preset: x, fallback: { htpasswd: f }", files: [] },
  { name: "no good mode", keys: "preset: authentik, fallback: { mode: basic, htpasswd: f }", files: [] },
  { name: "another mode", keys: "preset: bot-block, fallback: { htpasswd: f }", files: [] },
  {
    name: "hosts that log in by its file, by their own, and not at all",
    keys: `preset: authentik, fallback: { htpasswd: f }, ${hostKeys(
      "match: a.example, fallback: { mode: basic-auth }",
      "match: b.example, fallback: { mode: basic-auth, htpasswd: g }",
      "match: c.example, fallback: { mode: deny, htpasswd: h }",
    )}`,
    files: ["/conf/f", "/conf/g"],
  },
  {
    name: "another mode, and hosts that log in by its file",
    keys: `preset: bot-block, fallback: { htpasswd: f }, ${hostKeys(
      "match: a.example, fallback: { mode: basic-auth }",
      "match: b.example, fallback: { mode: basic-auth }",
    )}`,
    files: ["/conf/f"],
  },
  {
    name: "another mode, and a host that logs in by its own file",
    keys: `preset: bot-block, ${hostKeys("match: a.example, fallback: { mode: basic-auth, htpasswd: g }")}`,
    files: ["/conf/g"],
  },
  {
    name: "another mode, and a host with a wrong mode",
    keys: `preset: bot-block, ${hostKeys("match: a.example, fallback: { mode: basic, htpasswd: g }")}`,
    files: [],
  },
  { name: "a fallback that is no mapping", keys: "preset: authentik, fallback: deny", files: [] },
  { name: "no good path", keys: "preset: authentik, fallback: { htpasswd: 5 }", files: [] },
  {
    name: "a path that cannot be filled in",
    keys: `preset: authentik, fallback: { htpasswd: '\${UNSET}' }`,
    files: [],
  },
];
for (const { name, keys, files } of namedRows) {
  t.test(`the htpasswd file of a route with ${name}`, async (t) => {
    const { htpasswds } = await parseConfig(oneRoute(keys), "/conf/c.yaml", {}, noFiles);
    t.same(
      htpasswds.map(({ file }) => file),
      files,
    );
  });
}

t.test("a preset's defaults are judged as they are built", async (t) => {
  const login = loginOf(await firstRoute("preset: authelia, fallback: { clearHeaders: [X-A] }"));
  t.match(login, { usernameHeader: "Remote-User", clearHeaders: ["X-A"] });
  t.match(await problemsOf(oneRoute("preset: authelia, fallback: { clearHeaders: [remote-user] }")), [
    /clearHeaders\[0\]: value remote-user is named twice/,
  ]);
  t.match(await problemsOf(oneRoute("preset: authelia, fallback: { usernameHeader: remote-name }")), [
    /usernameHeader: value remote-name is cleared by the preset/,
  ]);
});

const ready = join(import.meta.dirname, "../../config");
for (const file of readdirSync(ready).filter((name) => name.endsWith(".yaml"))) {
  t.test(`ready file ${file}`, async (t) => {
    const loaded = await loadConfig(join(ready, file), {});
    t.same(loaded.ok ? [] : loaded.problems.map(formatProblem), []);
    const [first] = readFileSync(join(ready, file), "utf8").split("\n");
    t.equal(first, "# yaml-language-server: $schema=./schema.json");
  });
}
