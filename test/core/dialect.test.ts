import t from "tap";
import {
  clientHost,
  clientUri,
  configuredSubject,
  mayTeach,
  NOBODY,
  type ProbeSubject,
  patienceOf,
  probeHeaders,
  probeTarget,
  subjectOf,
} from "../../src/core/dialect.ts";
import type { Gateway } from "../../src/core/snapshot.ts";
import type { RawHeaders } from "../../src/core/types.ts";
import { check } from "../support/fixtures.ts";

const GATEWAYS: readonly Gateway[] = ["traefik", "nginx", "caddy", "envoy", "haproxy"];

/** How each gateway names the client's host. */
const NAMED: Readonly<Record<Gateway, (host: string) => RawHeaders>> = {
  traefik: (host) => ["X-Forwarded-Host", host],
  caddy: (host) => ["X-Forwarded-Host", host],
  haproxy: (host) => ["X-Forwarded-Host", host],
  nginx: (host) => ["X-Original-URL", `https://${host}/path?x=1`],
  envoy: (host) => ["Host", host],
};

t.test("the client's host stands where its gateway writes it", async (t) => {
  const rows = [
    { name: "a host", host: "app.example", expected: "app.example" },
    { name: "in any case", host: "App.EXAMPLE", expected: "app.example" },
    { name: "with a port", host: "app.example:8443", expected: "app.example:8443" },
    { name: "an address", host: "192.0.2.7", expected: "192.0.2.7" },
    { name: "nothing", host: "", expected: null },
    { name: "an odd port", host: "app.example:123456", expected: null },
    { name: "a port of letters", host: "app.example:x", expected: null },
    { name: "with a user", host: "user@app.example", expected: null },
    { name: "a space", host: "app .example", expected: null },
    { name: "an underscore", host: "app_1.example", expected: null },
    { name: "a list", host: "app.example, evil.example", expected: null },
    { name: "an escape", host: "app%2eexample", expected: null },
    { name: "a line end", host: "app\nX: y", expected: null },
    { name: "an endless one", host: "a".repeat(254), expected: null },
  ];
  for (const gateway of GATEWAYS) {
    for (const { name, host, expected } of rows) {
      t.equal(clientHost(check({ headers: NAMED[gateway](host) }), gateway), expected, `${gateway}: ${name}`);
    }
    t.equal(clientHost(check({ headers: [] }), gateway), null, `${gateway}: none`);
    const two = [...NAMED[gateway]("app.example"), ...NAMED[gateway]("evil.example")];
    t.equal(clientHost(check({ headers: two }), gateway), null, `${gateway}: two that differ`);
  }
});

t.test("other gateways' words are never read: they are what a client sent", async (t) => {
  for (const gateway of GATEWAYS) {
    const own = NAMED[gateway]("own.example");
    const others = GATEWAYS.map((other) => NAMED[other]("evil.example")).filter(([name]) => name !== own[0]);
    const headers = [
      ...others,
      ["X-Forwarded-Server", "evil.example"],
      ["X-Original-Host", "evil.example"],
    ].flat();
    t.equal(clientHost(check({ headers }), gateway), null, `${gateway}: alone`);
    t.equal(
      clientHost(check({ headers: [...headers, ...own] }), gateway),
      "own.example",
      `${gateway}: beside its own`,
    );
  }
});

t.test("an X-Original-URL that is none", async (t) => {
  for (const url of [
    "/path",
    "app.example/path",
    "ftp://app.example/",
    "https:app.example",
    "//app.example/",
    "",
  ]) {
    t.equal(clientHost(check({ headers: ["X-Original-URL", url] }), "nginx"), null, JSON.stringify(url));
  }
  for (const end of ["", "/", "?x=1", "#x", "\\x"]) {
    const headers = ["X-Original-URL", `http://app.example${end}`];
    t.equal(
      clientHost(check({ headers }), "nginx"),
      "app.example",
      `its host ends before ${JSON.stringify(end)}`,
    );
  }
});

t.test("what may teach a probe", async (t) => {
  const rows: readonly { name: string; method?: string; headers?: RawHeaders; may: boolean }[] = [
    { name: "a GET", may: true },
    { name: "a HEAD", method: "HEAD", may: true },
    { name: "a POST", method: "POST", may: false },
    { name: "an OPTIONS", method: "OPTIONS", may: false },
    { name: "another spelling", method: "get", may: false },
    { name: "about a GET", headers: ["X-Forwarded-Method", "GET"], may: true },
    { name: "about a HEAD", headers: ["X-Forwarded-Method", "HEAD"], may: true },
    { name: "about a POST", headers: ["X-Forwarded-Method", "POST"], may: false },
    { name: "about an OPTIONS", headers: ["x-forwarded-method", "OPTIONS"], may: false },
    { name: "about no method at all", headers: ["X-Forwarded-Method", ""], may: false },
    { name: "about two", headers: ["X-Forwarded-Method", "GET", "X-Forwarded-Method", "PUT"], may: false },
    { name: "about a POST, in nginx's words", headers: ["X-Original-Method", "POST"], may: false },
    {
      name: "about a POST in the words of either",
      headers: ["X-Forwarded-Method", "GET", "X-Original-Method", "POST"],
      may: false,
    },
    { name: "a preflight", headers: ["Access-Control-Request-Method", "GET"], may: false },
    { name: "with an Origin alone", headers: ["Origin", "https://app.example"], may: true },
  ];
  for (const { name, method = "GET", headers = [], may } of rows) {
    t.equal(mayTeach(check({ method, headers })), may, name);
  }
});

t.test("what a check teaches", async (t) => {
  const host = ["Host", "sparekey.example:9000"];
  const authority = "sparekey.example:9000";
  const rows: readonly { name: string; gateway: Gateway; headers: RawHeaders; subject: ProbeSubject }[] = [
    { name: "nothing", gateway: "traefik", headers: [], subject: NOBODY },
    {
      name: "https where it does not say",
      gateway: "traefik",
      headers: [...host, "X-Forwarded-Host", "app.example"],
      subject: { host: "app.example", authority, proto: "https" },
    },
    {
      name: "http where it says so",
      gateway: "caddy",
      headers: [...host, "X-Forwarded-Host", "app.example", "X-Forwarded-Proto", "HTTP"],
      subject: { host: "app.example", authority, proto: "http" },
    },
    {
      name: "https for an odd proto",
      gateway: "haproxy",
      headers: [...host, "X-Forwarded-Host", "app.example", "X-Forwarded-Proto", "http, magic"],
      subject: { host: "app.example", authority, proto: "https" },
    },
    {
      name: "https for a host that is not known",
      gateway: "traefik",
      headers: [...host, "X-Forwarded-Proto", "http"],
      subject: { host: null, authority, proto: "https" },
    },
    {
      name: "the proto of the URL, not of another gateway's word",
      gateway: "nginx",
      headers: [...host, "X-Original-URL", "http://app.example/", "X-Forwarded-Proto", "https"],
      subject: { host: "app.example", authority, proto: "http" },
    },
    {
      name: "Host for both",
      gateway: "envoy",
      headers: ["Host", "app.example", "X-Forwarded-Proto", "http"],
      subject: { host: "app.example", authority: "app.example", proto: "http" },
    },
    {
      name: "no odd Host",
      gateway: "traefik",
      headers: ["Host", "a/../%00", "X-Forwarded-Host", "app.example"],
      subject: { host: "app.example", authority: null, proto: "https" },
    },
  ];
  for (const { name, gateway, headers, subject } of rows) {
    t.same(subjectOf(check({ headers }), gateway), subject, `${gateway}: ${name}`);
  }
});

t.test("regression: a configured host is compared in lower case, as those of checks are", async (t) => {
  const subject = { host: "app.example", authority: "app.example", proto: "https" };
  t.same(configuredSubject("App.Example"), subject);
});

const ADDRESS = ["X-Forwarded-For", "192.0.2.1", "X-Real-IP", "192.0.2.1"];

t.test("what a probe says", async (t) => {
  const taught: ProbeSubject = { host: "app.example", authority: "auth.example", proto: "http" };
  const own = configuredSubject("app.example");
  const forwarded = (host: RawHeaders, proto: string): RawHeaders => [
    ...[
      ...host,
      "X-Forwarded-Method",
      "GET",
      "X-Forwarded-Uri",
      "/x?y",
      "X-Forwarded-Proto",
      proto,
      ...ADDRESS,
    ],
  ];
  const inTraefiks = (["traefik", "caddy", "haproxy"] as const).flatMap((gateway) => [
    {
      ...{ name: "taught", gateway, subject: taught },
      headers: forwarded(["Host", "auth.example", "X-Forwarded-Host", "app.example"], "http"),
    },
    {
      ...{ name: "configured", gateway, subject: own },
      headers: forwarded(["Host", "app.example", "X-Forwarded-Host", "app.example"], "https"),
    },
    { ...{ name: "nobody", gateway, subject: NOBODY }, headers: forwarded([], "https") },
  ]);
  const inNginxs = (named: RawHeaders, proto: string): RawHeaders => [
    ...[...named, "X-Original-Method", "GET", "X-Forwarded-Proto", proto, ...ADDRESS],
  ];
  const rows: readonly { name: string; gateway: Gateway; subject: ProbeSubject; headers: RawHeaders }[] = [
    ...inTraefiks,
    {
      ...{ name: "taught", gateway: "nginx", subject: taught },
      headers: inNginxs(["Host", "auth.example", "X-Original-URL", "http://app.example/x?y"], "http"),
    },
    {
      ...{ name: "configured", gateway: "nginx", subject: own },
      headers: inNginxs(["Host", "app.example", "X-Original-URL", "https://app.example/x?y"], "https"),
    },
    {
      name: "a Host alone, because an outpost errs without a URL",
      gateway: "nginx",
      subject: { host: null, authority: "auth.example", proto: "https" },
      headers: inNginxs(["Host", "auth.example", "X-Original-URL", "https://auth.example/x?y"], "https"),
    },
    { ...{ name: "nobody", gateway: "nginx", subject: NOBODY }, headers: inNginxs([], "https") },
    {
      name: "taught: its Host is the client's",
      gateway: "envoy",
      subject: taught,
      headers: ["Host", "app.example", "X-Forwarded-Proto", "http", ...ADDRESS],
    },
    {
      ...{ name: "nobody", gateway: "envoy", subject: NOBODY },
      headers: ["X-Forwarded-Proto", "https", ...ADDRESS],
    },
  ];
  for (const { name, gateway, subject, headers } of rows) {
    t.same(probeHeaders(gateway, subject, "/x?y"), headers, `${gateway}: ${name}`);
  }
});

t.test("where a probe asks", async (t) => {
  const exact = { kind: "exact", path: "/auth" } as const;
  const prefix = { kind: "prefix", prefix: "/auth/" } as const;
  for (const gateway of GATEWAYS) {
    const [deep, root] = gateway === "envoy" ? ["/auth/x?y", "/auth/"] : ["/auth/", "/auth/"];
    t.equal(probeTarget(gateway, exact, "/x?y"), "/auth", `${gateway}: a whole path`);
    t.equal(probeTarget(gateway, prefix, "/x?y"), deep, `${gateway}: a prefix`);
    t.equal(probeTarget(gateway, prefix, "/"), root, `${gateway}: a prefix, for the root`);
  }
});

t.test("for how long a gateway waits", async (t) => {
  const rows = [
    { name: "not said", headers: [], patience: null },
    { name: "said", headers: ["X-Envoy-Expected-Rq-Timeout-Ms", "200"], patience: 200 },
    { name: "at the floor", headers: ["x-envoy-expected-rq-timeout-ms", "100"], patience: 100 },
    { name: "below the floor", headers: ["x-envoy-expected-rq-timeout-ms", "1"], patience: 100 },
    { name: "no time at all", headers: ["x-envoy-expected-rq-timeout-ms", "0"], patience: 100 },
    { name: "hours", headers: ["x-envoy-expected-rq-timeout-ms", "9999999"], patience: 9_999_999 },
    { name: "too many digits", headers: ["x-envoy-expected-rq-timeout-ms", "10000000"], patience: null },
    { name: "a sign", headers: ["x-envoy-expected-rq-timeout-ms", "-5"], patience: null },
    { name: "words", headers: ["x-envoy-expected-rq-timeout-ms", "soon"], patience: null },
    { name: "nothing", headers: ["x-envoy-expected-rq-timeout-ms", ""], patience: null },
  ];
  for (const { name, headers, patience } of rows) {
    for (const gateway of GATEWAYS) {
      const expected = gateway === "envoy" ? patience : null;
      t.equal(patienceOf(check({ headers }), gateway), expected, `${gateway}: ${name}`);
    }
  }
});

t.test("the client's path and query", async (t) => {
  const rows = [
    { gateway: "traefik", headers: ["X-Forwarded-Uri", "/a/b?c=/d"], uri: "/a/b?c=/d" },
    { gateway: "caddy", headers: ["X-Forwarded-Uri", "/a"], uri: "/a" },
    { gateway: "haproxy", headers: ["X-Forwarded-Uri", "/"], uri: "/" },
    { gateway: "nginx", headers: ["X-Original-URL", "https://app.example/a?b"], uri: "/a?b" },
    { gateway: "nginx", headers: ["X-Forwarded-Uri", "/a"], uri: null },
    { gateway: "envoy", headers: ["X-Forwarded-Uri", "/a"], uri: "/auth" },
    { gateway: "traefik", headers: [], uri: null },
    { gateway: "traefik", headers: ["X-Forwarded-Uri", "/a", "X-Forwarded-Uri", "/b"], uri: null },
  ] as const;
  for (const { gateway, headers, uri } of rows)
    t.equal(clientUri(check({ headers }), gateway), uri, `${gateway}: ${headers.join(" ")}`);
});
