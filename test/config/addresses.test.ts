import t from "tap";
import {
  hostHeader,
  hostRule,
  listenAddress,
  network,
  origin,
  origins,
  proxyNetwork,
  resource,
  routePath,
  serverName,
  toBlockList,
  webhookUrl,
} from "../../src/config/addresses.ts";
import {
  DENY,
  firstRoute,
  hostKeys,
  judged,
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
    t.match(probe.loginHealth, [{ upstream: { servers: [{ host, port }] }, target }]);
    t.equal(probe.loginHealth.length, 1);
  });
}

for (const host of ["app", "app.example.com:8443", "10.0.0.1:80", "[2001:DB8::1]:81", "my_app.docker"]) {
  t.test(`probe host ${host} is kept as written`, async (t) => {
    for (const keys of [`host: '${host}'`, `hosts: ['${host}']`])
      t.same((await firstRoute(`preset: authentik, probe: { ${keys} }`)).probe.hosts, [host], keys);
  });
}

const longPath = (length: number) => `http://h/${"a".repeat(length - "http://h/".length)}`;
const v6 = (address: string, prefix: number) => ({ address, prefix, family: "ipv6" });
const v4 = (address: string, prefix: number) => ({ address, prefix, family: "ipv4" });

const taken = [
  {
    name: "the greatest port",
    kind: listenAddress(),
    written: "[::]:65535",
    value: { host: "::", port: 65535 },
  },
  {
    name: "zeros before a port",
    kind: listenAddress(),
    written: "127.0.0.1:00080",
    value: { host: "127.0.0.1", port: 80 },
  },
  {
    name: "one spelling of an address",
    kind: listenAddress(),
    written: "[0:0:0:0:0:0:0:1]:1",
    value: { host: "::1", port: 1 },
  },
  {
    name: "a port that is not the scheme's",
    kind: origin(),
    written: "https://HOST:80",
    value: { protocol: "https:", host: "host", port: 80 },
  },
  {
    name: "an address as browsers read it",
    kind: origin(),
    written: "http://0x7f.1",
    value: { protocol: "http:", host: "127.0.0.1", port: 80 },
  },
  {
    name: "the longest URL",
    kind: webhookUrl(),
    written: longPath(2048),
    value: { origin: { protocol: "http:", host: "h", port: 80 }, target: `/${"a".repeat(2039)}` },
  },
  {
    name: "a query without a path",
    kind: resource(),
    written: "http://h?x",
    value: { origin: { protocol: "http:", host: "h", port: 80 }, target: "/?x" },
  },
  {
    name: "quotes are escaped",
    kind: resource(),
    written: "http://h/\"?'",
    value: { origin: { protocol: "http:", host: "h", port: 80 }, target: "/%22?%27" },
  },
  {
    name: "the longest host and port",
    kind: hostHeader(),
    written: `${"a".repeat(253)}:65535`,
    value: `${"a".repeat(253)}:65535`,
  },
  {
    name: "a host in lower case",
    kind: hostRule(),
    written: "App.Example",
    value: { kind: "exact", match: "app.example" },
  },
  {
    name: "all hosts under one label",
    kind: hostRule(),
    written: "*.Internal",
    value: { kind: "suffix", match: ".internal" },
  },
  { name: "a name of digits and letters", kind: serverName(), written: "1.example", value: "1.example" },
  { name: "the top", kind: routePath(), written: "/", value: { kind: "exact", path: "/" } },
  { name: "everything", kind: routePath(), written: "/*", value: { kind: "prefix", prefix: "/" } },
  {
    name: "three dots are a name",
    kind: routePath(),
    written: "/.../.well-known",
    value: { kind: "exact", path: "/.../.well-known" },
  },
  {
    name: "an escape stays undecoded",
    kind: routePath(),
    written: "/a%2Fb",
    value: { kind: "exact", path: "/a%2Fb" },
  },
  { name: "everybody", kind: network(), written: "::/0", value: v6("::", 0) },
  { name: "bits beyond the prefix", kind: network(), written: "10.1.2.3/8", value: v4("10.1.2.3", 8) },
  { name: "the longest prefix", kind: network(), written: "2001:DB8::1/128", value: v6("2001:DB8::1", 128) },
  { name: "IPv4 in IPv6 clothes", kind: network(), written: "::FFFF:10.0.0.0/104", value: v4("10.0.0.0", 8) },
  {
    name: "a network that holds more than IPv4",
    kind: network(),
    written: "::ffff:0:0/95",
    value: v6("::ffff:0:0", 95),
  },
  {
    name: "IPv4 at the end of another network",
    kind: network(),
    written: "::10.0.0.1",
    value: v6("::10.0.0.1", 128),
  },
] as const;
for (const { name, kind, written, value } of taken) {
  t.test(`taken: ${name}`, async (t) => t.strictSame(judged(kind, written), { value }));
}

const refused = [
  {
    name: "listen",
    kind: listenAddress(),
    all: [
      "",
      "127.0.0.1",
      "127.0.0.1:",
      "127.0.0.1:65536",
      "127.0.0.1:000080",
      "[]:1",
      "[::1%lo]:1",
      "0127.0.0.1:1",
      "1.2.3.4.5:1",
      "LOCALHOST:1",
      "127.0.0.1:1\n",
      " 127.0.0.1:1",
    ],
  },
  {
    name: "upstream",
    kind: origin(),
    all: [
      "",
      "http://",
      "host:80",
      "HTTP://host",
      "http://host:",
      "http://host:0",
      "http://host:65536",
      "http://host//",
      "http://host?",
      "http://host#",
      "http://a@host",
      "http://ho st",
      "http://host\n",
      "http://999.1.1.1",
      "http://[::1",
    ],
  },
  {
    name: "URL",
    kind: resource(),
    all: [
      "http://h\\@evil/",
      "http://a:b@h/",
      "http://h:0/",
      "http://h/#",
      "http://h/\t",
      "http://h/\u00e9",
      "file:///etc/passwd",
      longPath(2049),
    ],
  },
  {
    name: "host",
    kind: hostHeader(),
    all: [
      "",
      "a:",
      "a:0",
      "a:65536",
      "a/b",
      "a@b",
      "a b",
      "a\r\nX: b",
      "[::1",
      "999.1.1.1",
      `${"a".repeat(254)}:65535`,
    ],
  },
  {
    name: "host to match",
    kind: hostRule(),
    all: [
      "",
      "*",
      "*.",
      "**.a",
      "*.*.a",
      "*a",
      ".a",
      "a.",
      "a..b",
      "a:80",
      "a/b",
      "[::1]",
      "my_app",
      "b\u00fccher.de",
    ],
  },
  {
    name: "server name",
    kind: serverName(),
    all: ["", "10.0.0.1", "::1", "a.", "a..b", "a:443", "*.a", "a b", "a".repeat(254)],
  },
  {
    name: "path",
    kind: routePath(),
    all: [
      "/**",
      "/a*",
      "/a%2F*",
      "/*/",
      "/.",
      "/..",
      "/a/./b",
      "/.%2e",
      "/%2E%2e/a",
      "/%2",
      "/%",
      "/a?",
      "/a\\b",
      "/\u00e9",
      "/a\n",
      "a/b",
    ],
  },
  {
    name: "network",
    kind: network(),
    all: [
      "",
      "10.0.0",
      "010.0.0.1",
      "10.0.0.0/",
      "10.0.0.0/33",
      "10.0.0.0/-1",
      "10.0.0.0/8 ",
      "10.0.0.0/8/8",
      "::/129",
      "::/0128",
      "::1%lo",
      "1::2::3",
      "localhost",
    ],
  },
  {
    name: "network of proxies",
    kind: proxyNetwork(),
    all: [
      "0.0.0.0/0",
      "10.0.0.0/00",
      "::/0",
      "2001:db8::/0",
      "::ffff:0:0/96",
      "::ffff:10.0.0.0/96",
      "::ffff:0:0/95",
      "::/1",
    ],
  },
] as const;
for (const { name, kind, all } of refused) {
  t.test(`no ${name}`, async (t) => {
    for (const written of all)
      t.match(judged(kind, written), { refused: [/^\{value\} /] }, JSON.stringify(written));
  });
}

t.test("one upstream is a list of one; none, and more than 16, are refused", async (t) => {
  const one = { protocol: "http:", host: "h", port: 80 };
  const many = (length: number) =>
    judged(
      origins(),
      Array.from({ length }, () => "http://h"),
    );
  t.same(judged(origins(), "http://h"), { value: [one] });
  t.same(many(16), { value: Array.from({ length: 16 }, () => one) });
  t.match(many(17), { refused: [String] });
  t.match(many(0), { refused: [String] });
});

t.test("no networks are no list, so that nobody takes an empty one for a rule", async (t) => {
  t.equal(toBlockList([]), null);
  const list = toBlockList([
    { address: "10.1.2.3", prefix: 8, family: "ipv4" },
    { address: "2001:db8::1", prefix: 128, family: "ipv6" },
  ]);
  t.same(
    ["10.255.0.1", "11.0.0.0", "2001:db8::1", "2001:db8::2"].map((address) =>
      list?.check(address, address.includes(":") ? "ipv6" : "ipv4"),
    ),
    [true, false, true, false],
  );
});
