import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { loadConfig, parseConfig } from "../../src/config/load.ts";
import { formatProblem } from "../../src/config/problem.ts";
import type { HostPolicy, Route } from "../../src/core/snapshot.ts";
import { good, hostKeys, noFiles, oneRoute, problemsOf, snapshotOf } from "../support/config-text.ts";

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

const ready = join(import.meta.dirname, "../../config");
for (const file of readdirSync(ready).filter((name) => name.endsWith(".yaml"))) {
  t.test(`ready file ${file}`, async (t) => {
    const loaded = await loadConfig(join(ready, file), {});
    t.same(loaded.ok ? [] : loaded.problems.map(formatProblem), []);
    const [first] = readFileSync(join(ready, file), "utf8").split("\n");
    t.equal(first, "# yaml-language-server: $schema=./schema.json");
  });
}
