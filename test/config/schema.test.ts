import t from "tap";
import { parseConfig } from "../../src/config/load.ts";
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
    upstream: http://host:9000
    tls: { ca: null, cert: null, key: null, serverName: null, verify: true }
    timeouts: { connect: 3s, read: 5s, total: 8s }
    maxInFlight: 1024
    maxConnections: 256
    pipelining: 1
    requireHeaders: []
    stripEmergencyCredentials: true
    fault: { statuses: [502, 503, 504], suspectStatuses: [500], bare400: true, confirm: auto }
    breaker: { failures: 5, interval: 2s, maxInterval: 15s, successes: 2 }
    probe: { host: null, uri: /, headers: {}, minInterval: 2s, loginHealth: null }
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

t.test("a probe's uri and header values have a greatest length", async (t) => {
  const probe = (keys: string) => oneRoute(`preset: authentik, probe: { ${keys} }`);
  t.same(await problemsOf(probe(`uri: '/${"a".repeat(2047)}'`)), []);
  t.match(await problemsOf(probe(`uri: '/${"a".repeat(2048)}'`)), [/is not a request URI/]);
  t.same(await problemsOf(probe(`headers: { A: '${"a".repeat(4096)}' }`)), []);
  t.match(await problemsOf(probe(`headers: { A: '${"a".repeat(4097)}' }`)), [/not a header value/]);
  t.match(await problemsOf(probe(`loginHealth: 'http://h/${"a".repeat(2048)}'`)), [/is not a URL to ask/]);
});
