import t from "tap";
import { firstRoute, problemsOf, snapshotOf } from "../support/config-text.ts";

t.test("a prefix may hold /healthz: only that path is taken", async (t) => {
  const route = await firstRoute("name: a, path: '/healthz/*'");
  t.same(route.path, { kind: "prefix", prefix: "/healthz/" });
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

const CLASH = /the address is taken by route a, which listens on /;
const listenRows = [
  { name: "the same: one listener for both", first: "127.0.0.1:1", second: "127.0.0.1:1", problems: [] },
  { name: "other ports", first: "0.0.0.0:1", second: "0.0.0.0:2", problems: [] },
  { name: "other addresses", first: "127.0.0.1:1", second: "127.0.0.2:1", problems: [] },
  { name: "every IPv4 address, and one", first: "0.0.0.0:1", second: "127.0.0.1:1", problems: [CLASH] },
  { name: "one, and every IPv4 address", first: "127.0.0.1:1", second: "0.0.0.0:1", problems: [CLASH] },
  { name: "every IPv4 address, and one of IPv6", first: "0.0.0.0:1", second: "[::1]:1", problems: [] },
  { name: "every address, and one of IPv4", first: "[::]:1", second: "127.0.0.1:1", problems: [CLASH] },
  { name: "every address, and every IPv4 address", first: "[::]:1", second: "0.0.0.0:1", problems: [CLASH] },
  { name: "every address, twice in other spellings", first: "[::]:1", second: "[0::0]:1", problems: [] },
  { name: "a port that the system chooses", first: "0.0.0.0:0", second: "[::]:0", problems: [] },
];
for (const { name, first, second, problems } of listenRows) {
  t.test(`two routes listen on ${name}`, async (t) => {
    const found = await problemsOf(`routes:
  - { name: a, path: /a, upstream: "http://h", listen: "${first}" }
  - { name: b, path: /b, upstream: "http://h", listen: "${second}" }`);
    t.match(found, problems);
    t.equal(found.length, problems.length);
  });
}

const togetherRows = [
  {
    name: "an exact path and a prefix of it",
    keys: ["name: a, path: /a", "name: b, path: /a/*"],
    problems: [],
  },
  {
    name: "the same prefix",
    keys: ["name: a, path: /a/*", "name: b, path: /a/*"],
    problems: [/routes a and b have the same listen and path/],
  },
  {
    name: "one mistake for each route with the same name",
    keys: ["name: a, path: /a", "name: a, path: /b", "name: a, path: /c"],
    problems: [/a is the name of routes\[0\] already/, /a is the name of routes\[0\] already/],
  },
  { name: "names in other letters", keys: ["name: a, path: /a", "name: A, path: /b"], problems: [] },
  {
    name: "a wait as long as the longest",
    keys: ["name: a, path: /a, breaker: { interval: 15s }"],
    problems: [],
  },
  {
    name: "a mistake hides no other",
    keys: ["name: a, path: /a, breaker: { interval: 16s, failures: 0 }"],
    problems: [/interval: value 16s is longer than maxInterval, which is 15s/, /failures: value 0/],
  },
  {
    name: "no certificate without its key",
    keys: ["name: a, path: /a, tls: { key: k }"],
    problems: [
      /tls\.key: needs tls\.cert beside it/,
      /tls\.key: has no use with an http upstream/,
      /tls\.key: value k cannot be read/,
    ],
  },
  {
    name: "a name that is missing with preset none",
    keys: ["path: /a", "name: b"],
    problems: [
      /routes\[0\]\.name: missing; preset none has no name/,
      /routes\[1\]\.path: missing; preset none has no path/,
    ],
  },
];
for (const { name, keys, problems } of togetherRows) {
  t.test(`together: ${name}`, async (t) => {
    const routes = keys.map((one) => `{ upstream: "http://h", ${one} }`);
    const found = await problemsOf(`routes:\n${routes.map((one) => `  - ${one}\n`).join("")}`);
    t.match(found, problems);
    t.equal(found.length, problems.length);
  });
}
