import { deserialize, serialize } from "node:v8";
import t from "tap";
import { pack, unpack } from "../../src/core/packed-snapshot.ts";
import { snapshotOf } from "../support/config-text.ts";

const YAML = `
trustedProxies: [10.0.0.0/8, "2001:db8::/32"]
routes:
  - preset: authentik
    upstream: https://outpost:9443
    fault: { statuses: [502, 599] }
    fallback: { mode: basic-auth, allowFrom: [192.0.2.0/24], grace: 5m }
    hosts: [{ match: a.example, fallback: { mode: deny, grace: 5m } }]
`;

t.test("a snapshot comes out as it went in", async (t) => {
  const snapshot = await snapshotOf(YAML);
  const tls = { ca: Buffer.from("PEM"), cert: null, key: null, serverName: null, verify: true };
  const routes = snapshot.routes.map((route) => ({ ...route, upstream: { ...route.upstream, tls } }));
  const sent = { ...snapshot, routes };
  const got = unpack(deserialize(serialize(pack(sent))));
  const { trustedProxies, ...rest } = got;
  const allowFrom = (one: typeof got) => {
    const fallback = one.routes[0]?.fallback;
    return fallback?.mode === "basic-auth" ? fallback.allowFrom : null;
  };
  t.ok(trustedProxies?.check("10.1.2.3"));
  t.ok(trustedProxies?.check("2001:db8::1", "ipv6"));
  t.notOk(trustedProxies?.check("11.0.0.1"));
  t.ok(allowFrom(got)?.check("192.0.2.7"));
  t.notOk(allowFrom(got)?.check("192.0.3.7"));
  t.equal(rest.routes[0]?.fault.statuses.has(599), true);
  t.equal(Buffer.from(rest.routes[0]?.upstream.tls.ca ?? []).toString(), "PEM");
  const plain = (one: typeof got) => JSON.stringify({ ...one, trustedProxies: null });
  const lists = /"allowFrom":\{[^}]*\}/g;
  t.equal(plain(got).replace(lists, ""), plain(sent).replace(lists, ""), "and all else is the same");
});

t.test("regression: the bytes of a file do not hold the whole message in memory", async (t) => {
  const snapshot = await snapshotOf(YAML);
  const ca = Buffer.alloc(100_000, "P");
  const tls = { ca, cert: null, key: null, serverName: null, verify: true };
  const routes = snapshot.routes.map((route) => ({ ...route, upstream: { ...route.upstream, tls } }));
  const got = unpack(deserialize(serialize(pack({ ...snapshot, routes }))));
  t.equal(got.routes[0]?.upstream.tls.ca?.buffer.byteLength, ca.length);
});

t.test("the snapshot that is packed stays as it is, and no list stays none", async (t) => {
  const snapshot = await snapshotOf(YAML);
  pack(snapshot);
  t.ok(snapshot.trustedProxies?.check("10.1.2.3"), "it is still served by");
  t.equal(unpack(pack({ ...snapshot, trustedProxies: null })).trustedProxies, null);
});
