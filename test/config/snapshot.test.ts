import t from "tap";
import { firstRoute, hostsOf, loginOf, snapshotOf } from "../support/config-text.ts";

const ALLOW = { mode: "allow", onOverload: "shed" };

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
        gateway: "traefik",
        upstream: {
          protocol: "http:",
          servers: [{ host: "host", port: 9000 }],
          tls: { ca: null, cert: null, key: null, serverName: null, verify: true },
          timeouts: { connect: 3000, read: 5000, total: 8000 },
          maxConnections: 256,
          probeConnections: 6,
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
          match: [],
          expect: {
            challenge: { headers: ["set-cookie"], location: null, cookie: "authentik_proxy_" },
            allow: { headers: ["x-authentik-username"] },
          },
        },
        breaker: { failures: 5, interval: 2000, maxInterval: 15_000, successes: 2 },
        probe: { hosts: [], uri: "/", headers: [], minInterval: 2000, loginHealth: [] },
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
        loginOf: null,
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
    gateway: haproxy
    upstream: https://Auth.Example.com
    tls: { ca: null, cert: null, key: null, serverName: other.example.com, verify: false }
    timeouts: { connect: 10ms, read: 1s, total: 10m }
    maxInFlight: 1
    maxConnections: 2
    requireHeaders: [X-User, Authorization]
    stripEmergencyCredentials: false
    fault:
      statuses: []
      suspectStatuses: [429]
      bare400: false
      confirm: always
      match: [{ status: 403, header: X-Bouncer-Error }, { status: 200, body: "Bad gateway" }]
    expect:
      challenge: { headers: [WWW-Authenticate], location: "https://auth.example.com/", cookie: sid }
      allow: { headers: [X-User] }
    breaker: { failures: 1, interval: 100ms, maxInterval: 1h, successes: 1000 }
    probe:
      hosts: [App.example.com:8443, other.example.com]
      uri: /deep?x=1
      headers: { X-Probe: "caf\xe9 1", Cookie: "" }
      minInterval: 1h
      loginHealth: [https://Auth.example.com/-/health/ready/?full=1, "http://auth:9000/"]
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
    loginOf: null
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
  const limits = {
    maxConnections: 2,
    probeConnections: 0,
    pipelining: 1,
    headBytes: 65_536,
    answerBytes: null,
  };
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
    gateway: "haproxy",
    loginOf: null,
    maxInFlight: 1,
    requireHeaders: ["x-user", "authorization"],
    stripEmergencyCredentials: false,
    breaker: { failures: 1, interval: 100, maxInterval: 3_600_000, successes: 1000 },
  });
  t.same(route?.fault, {
    ...{ statuses: new Set(), suspectStatuses: new Set([429]), bare400: false, confirm: "always" },
    match: [
      { status: 403, header: "x-bouncer-error", body: null },
      { status: 200, header: null, body: "Bad gateway" },
    ],
    expect: {
      challenge: { headers: ["www-authenticate"], location: "https://auth.example.com/", cookie: "sid" },
      allow: { headers: ["x-user"] },
    },
  });
  const ofPages = {
    tls,
    timeouts: { connect: 10, read: 1000, total: 600_000 },
    ...limits,
  };
  t.same(route?.probe, {
    hosts: ["App.example.com:8443", "other.example.com"],
    uri: "/deep?x=1",
    headers: ["X-Probe", "caf\xe9 1", "Cookie", ""],
    minInterval: 3_600_000,
    loginHealth: [
      {
        upstream: { protocol: "https:", servers: [{ host: "auth.example.com", port: 443 }], ...ofPages },
        target: "/-/health/ready/?full=1",
      },
      {
        upstream: { protocol: "http:", servers: [{ host: "auth", port: 9000 }], ...ofPages },
        target: "/",
      },
    ],
  });
  t.same(route?.upstream, {
    protocol: "https:",
    servers: [{ host: "auth.example.com", port: 443 }],
    tls: { ca: null, cert: null, key: null, serverName: "other.example.com", verify: false },
    timeouts: { connect: 10, read: 1000, total: 600_000 },
    maxConnections: 1,
    probeConnections: 1,
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
  for (const fallback of [{ mode: "allow", onOverload: "shed" }, { mode: "none" }]) {
    const route = await firstRoute(`preset: authentik, fallback: { mode: ${fallback.mode}, grace: 1h }`);
    t.same(route.fallback, fallback);
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
    { host: { kind: "exact", match: "b.a.example" }, fallback: ALLOW },
    { host: { kind: "suffix", match: ".a.example" }, fallback: { mode: "deny", grace: null, page: null } },
    { host: { kind: "exact", match: "a.example" }, fallback: ALLOW },
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
  t.same(route.fallback, ALLOW);
});

t.test("an empty allowFrom restricts nothing and says so, in any mode", async (t) => {
  const route = await firstRoute("name: a, path: /a, fallback: { mode: allow, allowFrom: [] }");
  t.same(route.fallback, ALLOW);
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

const connectionRows = [
  { most: 1, checks: 1, probes: 1 },
  { most: 2, checks: 1, probes: 1 },
  { most: 7, checks: 6, probes: 1 },
  { most: 8, checks: 8, probes: 6 },
  { most: 65_535, checks: 65_535, probes: 6 },
];
for (const { most, checks, probes } of connectionRows) {
  t.test(`of ${most} connections, ${checks} are for checks, and probes have ${probes}`, async (t) => {
    const { upstream } = await firstRoute(`preset: bot-block, maxConnections: ${most}`);
    t.match(upstream, { maxConnections: checks, probeConnections: probes });
  });
}

const NOTHING = { headers: [], location: null, cookie: null };
const expectRows = [
  {
    name: "a part replaces the preset's, and the other stays",
    keys: "expect: { challenge: { location: / } }",
    expect: { challenge: { ...NOTHING, location: "/" }, allow: { headers: ["remote-user"] } },
  },
  {
    name: "empty lists switch it off",
    keys: "expect: { challenge: { headers: [] }, allow: { headers: [] } }",
    expect: { challenge: NOTHING, allow: { headers: [] } },
  },
  {
    name: "nothing written is the preset's",
    keys: "expect: {}",
    expect: {
      challenge: { ...NOTHING, headers: ["set-cookie"], cookie: "authelia_session" },
      allow: { headers: ["remote-user"] },
    },
  },
  {
    name: "a route that relays everything expects nothing",
    keys: "fallback: { mode: none }",
    expect: { challenge: NOTHING, allow: { headers: [] } },
  },
];
for (const { name, keys, expect } of expectRows) {
  t.test(`expectations: ${name}`, async (t) =>
    t.same((await firstRoute(`preset: authelia, ${keys}`)).fault.expect, expect),
  );
}

const overloadRows = [
  { name: "the route's", route: ", onOverload: fallback", host: "", means: "fallback" },
  { name: "its own", route: ", onOverload: fallback", host: ", onOverload: shed", means: "shed" },
  { name: "the default", route: "", host: "", means: "shed" },
];
for (const { name, route, host, means } of overloadRows) {
  t.test(`what a host does under a flood: ${name}`, async (t) => {
    const [policy] = await hostsOf(
      `preset: bot-block, fallback: { mode: allow${route} }`,
      `match: a.example, fallback: { mode: allow${host} }`,
    );
    t.same(policy?.fallback, { mode: "allow", onOverload: means });
  });
}

t.test("a route that carries login pages says whose", async (t) => {
  const route = await firstRoute("name: a, path: /a/*, loginOf: authentik, fallback: { mode: none }");
  t.equal(route.loginOf, "authentik");
});

t.test("no login page is asked where the list is empty", async (t) => {
  const { probe } = await firstRoute("preset: authentik, probe: { loginHealth: [], hosts: [], host: app }");
  t.match(probe, { loginHealth: [], hosts: ["app"] });
});

t.test("an https list takes tls", async (t) => {
  const keys = "tls: { serverName: auth.example.com }";
  const { routes } = await snapshotOf(
    `routes: [{ preset: authentik, upstream: [https://a, https://b], ${keys} }]`,
  );
  t.equal(routes[0]?.upstream.tls.serverName, "auth.example.com");
});
