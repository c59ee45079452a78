import t from "tap";
import { firstRoute, hostsOf, loginOf, snapshotOf } from "../support/config-text.ts";

t.test("the smallest file has all defaults", async (t) => {
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

t.test("empty lists ask for nothing, on a route of mode none too", async (t) => {
  const route = await firstRoute(
    "name: a, path: /a, fallback: { mode: none }, hosts: [], requireHeaders: []",
  );
  t.match(route, { hosts: [], requireHeaders: [] });
});

t.test("keys of another mode may stay, so that a mode can be switched in one word", async (t) => {
  const route = await firstRoute("name: a, path: /a, fallback: { mode: allow, htpasswd: x, realm: y }");
  t.same(route.fallback, { mode: "allow" });
});

t.test("an empty allowFrom restricts nothing and says so, in any mode", async (t) => {
  const route = await firstRoute("name: a, path: /a, fallback: { mode: allow, allowFrom: [] }");
  t.same(route.fallback, { mode: "allow" });
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

t.test("an https list takes tls", async (t) => {
  const keys = "tls: { serverName: auth.example.com }";
  const { routes } = await snapshotOf(
    `routes: [{ preset: authentik, upstream: [https://a, https://b], ${keys} }]`,
  );
  t.equal(routes[0]?.upstream.tls.serverName, "auth.example.com");
});
