import t from "tap";
import { parseConfig } from "../../src/config/load.ts";
import { breakerShape, routeShape, tlsShape, validParts } from "../../src/config/schema.ts";
import { oneRoute, problemsOf } from "../support/config-text.ts";

const EVERYTHING = `
listen: 0.0.0.0:9000
admin: { listen: 0.0.0.0:9090, htpasswd: null }
log: { level: info, access: sampled }
limits: { headBytes: 256KiB, connections: 10000, answerBytes: 1MiB }
drain: { delay: 0s, timeout: 25s }
trustedProxies: []
workers: 1
wire: auto
notify: []
routes:
  - name: authentik
    preset: authentik
    listen: 0.0.0.0:9000
    path: /outpost.goauthentik.io/auth/traefik
    gateway: traefik
    upstream: http://host:9000
    tls: { ca: null, cert: null, key: null, serverName: null, verify: true }
    timeouts: { connect: 3s, read: 5s, total: 8s }
    maxInFlight: 1024
    maxConnections: 256
    pipelining: 1
    requireHeaders: []
    stripEmergencyCredentials: true
    fault: { statuses: [502, 503, 504], suspectStatuses: [500], bare400: true, confirm: auto, match: [] }
    expect:
      challenge: { headers: [Set-Cookie], location: null, cookie: authentik_proxy_ }
      allow: { headers: [X-authentik-username] }
    breaker: { failures: 5, interval: 2s, maxInterval: 15s, successes: 2 }
    probe: { hosts: [], host: null, uri: /, headers: {}, minInterval: 2s, loginHealth: null }
    fallback:
      mode: basic-auth
      realm: Emergency Access
      htpasswd: /etc/sparekey/htpasswd
      usernameHeader: X-authentik-username
      clearHeaders: [X-authentik-uid, X-authentik-email, X-authentik-name, X-authentik-groups]
      allowFrom: []
      rateLimit: { failures: 10, per: 1m, global: 300 }
      grace: 0s
    hosts:
      - { match: "*.admin.example.com", fallback: { mode: deny } }
    loginOf: null
`;
const SMALLEST = `
routes:
  - preset: authentik
    upstream: http://host:9000
    hosts:
      - { match: "*.admin.example.com", fallback: { mode: deny } }
`;

t.test("every key with its default means the same as the smallest config", async (t) => {
  const read = async (yaml: string) => {
    const loaded = await parseConfig(yaml, "c.yaml", {}, () => Promise.reject(new Error("no file is read")));
    t.ok(loaded.ok, JSON.stringify(loaded));
    return loaded.ok ? loaded.snapshot : null;
  };
  t.same(await read(EVERYTHING), await read(SMALLEST));
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

t.test("a probe's uri, header values and hosts have a greatest length", async (t) => {
  const names = (count: number) => Array.from({ length: count }, (_, index) => `h${index}`);
  const probe = (keys: string) => oneRoute(`preset: authentik, probe: { ${keys} }`);
  t.same(await problemsOf(probe(`uri: '/${"a".repeat(2047)}'`)), []);
  t.match(await problemsOf(probe(`uri: '/${"a".repeat(2048)}'`)), [/is not a request URI/]);
  t.same(await problemsOf(probe(`headers: { A: '${"a".repeat(4096)}' }`)), []);
  t.match(await problemsOf(probe(`headers: { A: '${"a".repeat(4097)}' }`)), [/not a header value/]);
  t.same(await problemsOf(probe(`hosts: [${names(16)}]`)), []);
  t.match(await problemsOf(probe(`hosts: [${names(17)}]`)), [
    /hosts: a list this long is refused; at most 16/,
  ]);
  t.match(await problemsOf(probe(`loginHealth: 'http://h/${"a".repeat(2048)}'`)), [/is not a URL to ask/]);
});

const DEFAULTS = { failures: 5, interval: 2_000, maxInterval: 15_000, successes: 2 };
const partRows = [
  { name: "nothing", raw: {}, parts: DEFAULTS },
  { name: "nothing at all", raw: undefined, parts: DEFAULTS },
  { name: "what is no mapping", raw: "off", parts: DEFAULTS },
  {
    name: "a good key beside a bad one",
    raw: { failures: 7, interval: "soon" },
    parts: { failures: 7, maxInterval: 15_000, successes: 2 },
  },
  { name: "a key nobody knows", raw: { retries: 1 }, parts: DEFAULTS },
  {
    name: "an empty value is no default",
    raw: { failures: null },
    parts: { interval: 2_000, maxInterval: 15_000, successes: 2 },
  },
];
for (const { name, raw, parts } of partRows) {
  t.test(`the parts that are good by themselves: ${name}`, async (t) =>
    t.strictSame(validParts(breakerShape, raw), parts),
  );
}

t.test("a key that is no good, or missing where it must be given, is left out", async (t) => {
  const { name, upstream, listen } = routeShape;
  t.notOk("upstream" in validParts({ name, upstream, listen }, { name: "a" }));
  t.strictSame(validParts({ upstream }, { upstream: [] }), {});
  t.strictSame(validParts(tlsShape, { verify: "no", serverName: "10.0.0.1" }), {
    ca: null,
    cert: null,
    key: null,
  });
});

const NAMED = "name: a, path: /a";
const NOT_IN_BOUNDS = /: value \S+ is (out of bounds|not in bounds|not a duration); write/;
const boundRows = [
  { keys: "workers: N", least: "1", most: "64", under: "0", over: "65" },
  { keys: "maxInFlight: N", least: "1", most: "1000000", under: "0", over: "1000001" },
  { keys: "maxConnections: N", least: "1", most: "65535", under: "0", over: "65536" },
  { keys: "pipelining: N", least: "1", most: "4", under: "0", over: "5" },
  { keys: "timeouts: { connect: N }", least: "10ms", most: "10m", under: "9ms", over: "601s" },
  {
    keys: "breaker: { maxInterval: 1h, interval: N }",
    least: "100ms",
    most: "1h",
    under: "99ms",
    over: "3601s",
  },
  { keys: "breaker: { failures: N }", least: "1", most: "1000", under: "0", over: "1001" },
  { keys: "probe: { minInterval: N }", least: "100ms", most: "1h", under: "99ms", over: "3601s" },
  { keys: "fallback: { grace: N }", least: "0s", most: "24h", under: "-1s", over: "1441m" },
  { keys: "fallback: { rateLimit: { per: N } }", least: "1s", most: "1h", under: "999ms", over: "3601s" },
  {
    keys: "fault: { match: [{ status: N, body: a }] }",
    ...{ least: "200", most: "599", under: "199", over: "600" },
  },
  { keys: "fault: { statuses: [N] }", least: "400", most: "599", under: "399", over: "600" },
  { keys: "limits: { headBytes: N }", least: "4KiB", most: "1MiB", under: "4095", over: "1048577" },
  { keys: "limits: { answerBytes: N }", least: "1KiB", most: "1GiB", under: "1023", over: "1073741825" },
  { keys: "limits: { connections: N }", least: "1", most: "1000000", under: "0", over: "1000001" },
  { keys: "drain: { delay: N }", least: "0s", most: "1h", under: "-1s", over: "3601s" },
];
for (const { keys, least, most, under, over } of boundRows) {
  t.test(`bounds: ${keys}`, async (t) => {
    const config = (value: string) => {
      const written = keys.replace("N", value);
      const isOfRoute = !/^(workers|limits|drain)/.test(keys);
      return isOfRoute ? oneRoute(`${NAMED}, ${written}`) : `${written}\n${oneRoute(NAMED)}`;
    };
    for (const value of [least, most]) t.same(await problemsOf(config(value)), [], value);
    for (const value of [under, over]) t.match(await problemsOf(config(value)), [NOT_IN_BOUNDS], value);
  });
}
