import t from "tap";
import {
  DENY,
  firstRoute,
  hostKeys,
  loginOf,
  oneRoute,
  problemsOf,
  snapshotOf,
} from "../support/config-text.ts";

t.test("a host to match has a greatest length, and so has each label", async (t) => {
  const hosts = (match: string) => oneRoute(`preset: authentik, ${hostKeys(`match: ${match}, ${DENY}`)}`);
  const label = "a".repeat(63);
  const longest = `${label}.${label}.${label}.${"a".repeat(61)}`;
  t.same(await problemsOf(hosts(longest)), []);
  t.match(await problemsOf(hosts(`${longest}a`)), [/is not a host to match/]);
  t.match(await problemsOf(hosts(`${label}a`)), [/is not a host to match/]);
});

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
