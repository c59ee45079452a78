import { globSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { checkCommand } from "../../src/commands/check.ts";
import { type LoadResult, loadConfig } from "../../src/config/load.ts";
import { htpasswdOf } from "../support/sparekey.ts";

const PASSWORD = "correct horse";
/** With an empty line behind it, as the program htpasswd prints one. */
const goodLine = (name: string) => `${htpasswdOf({ [name]: PASSWORD })}\n`;

const route = (name: string, htpasswd: string) =>
  `  - { name: ${name}, path: /${name}, upstream: "http://host", fallback: { htpasswd: ${htpasswd} } }\n`;

async function check(t: Test, files: Readonly<Record<string, string>>, env = {}) {
  const folder = t.testdir(files);
  const texts: string[] = [];
  const io = { out: (text: string) => texts.push(text), err: (text: string) => t.fail(text), env };
  const code = await checkCommand(join(folder, "c.yaml"), io);
  const text = texts.join("").replaceAll(`(that is ${folder}`, "(that is DIR").replaceAll(`${folder}/`, "");
  return { code, lines: text.trimEnd().split("\n") };
}

t.test("a good config and its users", async (t) => {
  const result = await check(t, {
    "c.yaml": `routes:\n${route("one", "users")}${route("two", "users")}`,
    users: goodLine("alice"),
  });
  t.same(result, { code: 0, lines: ["c.yaml: 2 routes, no problems"] });
});

t.test("one route is counted as one", async (t) => {
  const text = "routes: [{ preset: bot-block, upstream: http://host }]";
  t.same(await check(t, { "c.yaml": text }), { code: 0, lines: ["c.yaml: 1 route, no problems"] });
});

const LOGIN =
  'name: login, path: "/outpost.goauthentik.io/*", upstream: "http://host", fallback: { mode: none }';
const OUTPOST = "preset: authentik, upstream: http://host, fallback: { htpasswd: users }";
const UNSEEN_LOGIN =
  /^c\.yaml:2:5 routes\[0\]\.probe\.loginHealth: warning: missing; .* \/-\/health\/ready\//;
const UNCOUNTED =
  /^c\.yaml:2:5 routes\[0\]\.loginOf: warning: missing; this route carries .* write authentik$/;
const FLOOD =
  /^c\.yaml:2:\d+ routes\[0\]\.(hosts\[0\]\.)?fallback\.onOverload: warning: value fallback: a flood then lets everybody through/;
const warningRows = [
  { name: "an outpost whose login nobody asks", route: OUTPOST, warnings: [UNSEEN_LOGIN] },
  {
    name: "one whose login is asked",
    route: `${OUTPOST}, probe: { loginHealth: "http://core" }`,
    warnings: [],
  },
  { name: "one without, by choice", route: `${OUTPOST}, probe: { loginHealth: [] }`, warnings: [] },
  {
    name: "an oauth2-proxy whose store nobody asks",
    route: "preset: oauth2-proxy, upstream: http://host, fallback: { htpasswd: users }",
    warnings: [/^c\.yaml:2:5 routes\[0\]\.probe\.loginHealth: warning: missing; .* \/ready/],
  },
  {
    name: "an Authelia, which is its own login page",
    route: "preset: authelia, upstream: http://host, fallback: { htpasswd: users }",
    warnings: [],
  },
  {
    name: "an outpost's pages of any kind",
    route: "preset: authentik, path: /outpost/*, upstream: http://host, fallback: { mode: none }",
    warnings: [],
  },
  { name: "Authentik's login pages", route: LOGIN, warnings: [UNCOUNTED] },
  { name: "the same, counted", route: `${LOGIN}, loginOf: authentik`, warnings: [] },
  {
    name: "an open door under a flood",
    route: "preset: bot-block, upstream: http://host, fallback: { mode: allow, onOverload: fallback }",
    warnings: [FLOOD],
  },
  {
    name: "the same for a host alone",
    route:
      "preset: bot-block, upstream: http://host, hosts: [{ match: a, fallback: { mode: allow, onOverload: fallback } }]",
    warnings: [FLOOD],
  },
  {
    name: "a door that stays shut under a flood",
    route: "preset: bot-block, upstream: http://host, fallback: { mode: allow, onOverload: shed }",
    warnings: [],
  },
];
for (const { name, route, warnings } of warningRows) {
  t.test(`warnings of ${name}`, async (t) => {
    const files = { "c.yaml": `routes:\n  - { ${route} }\n`, users: goodLine("alice") };
    const { code, lines } = await check(t, files);
    t.equal(code, 0);
    const counted = warnings.length === 0 ? "" : ", 1 warning";
    t.match(lines, [...warnings, `c.yaml: 1 route, no problems${counted}`]);
    t.equal(lines.length, warnings.length + 1);
  });
}

t.test("warnings come last, and beside a problem of the config itself not at all", async (t) => {
  const missing = await check(t, { "c.yaml": `routes:\n  - { ${OUTPOST} }\n` });
  t.equal(missing.code, 1);
  t.match(missing.lines, [/users .* does not exist/, UNSEEN_LOGIN]);
  const bad = await check(t, {
    "c.yaml": `routes:\n  - { ${OUTPOST}, maxInFlight: 0 }\n`,
    users: goodLine("eve"),
  });
  t.match(bad.lines, [/maxInFlight/]);
  t.equal(bad.lines.length, 1);
});

const ROOT = join(import.meta.dirname, "../..");
const warningsOf = (loaded: LoadResult) => (loaded.ok ? loaded.warnings : loaded.problems);
const SHIPPED = ["config/*.yaml", "compose/config/*.yaml", "k8s/overlays/*/sparekey.yaml"];
for (const file of globSync(SHIPPED, { cwd: ROOT })) {
  t.test(`${file} has no problem and warns of nothing`, async (t) =>
    t.same(warningsOf(await loadConfig(join(ROOT, file), {})), []),
  );
}

t.test("a bad config", async (t) => {
  const result = await check(t, { "c.yaml": "routes: []\nlisten: 5\n" });
  t.equal(result.code, 1);
  t.match(result.lines, [/^c\.yaml:1:9 routes: holds no route/, /^c\.yaml:2:9 listen: value 5 /]);
});

t.test("htpasswd files that cannot be used are reported where the config names them", async (t) => {
  const result = await check(
    t,
    {
      "c.yaml": `routes:\n${route("one", "missing")}${route("two", "empty")}${route("three", `'\${FILE}'`)}`,
      empty: "# nobody yet\n",
    },
    { FILE: "hunter2" },
  );
  t.equal(result.code, 1);
  t.same(result.lines, [
    "c.yaml:2:77 routes[0].fallback.htpasswd: file missing (that is DIR/missing) cannot be used: it does not exist; make it with sparekey passwd",
    "c.yaml:3:77 routes[1].fallback.htpasswd: file empty (that is DIR/empty) holds no user who could log in; add one with sparekey passwd",
    `c.yaml:4:81 routes[2].fallback.htpasswd: file \${FILE} cannot be used: it does not exist; make it with sparekey passwd`,
  ]);
});

t.test("the admin's htpasswd file is one of them", async (t) => {
  const yaml = `admin: { htpasswd: missing }\nroutes:\n${route("one", "empty")}`;
  const result = await check(t, { "c.yaml": yaml, empty: goodLine("eve") }, {});
  t.same(result.lines, [
    "c.yaml:1:20 admin.htpasswd: file missing (that is DIR/missing) cannot be used: it does not exist; make it with sparekey passwd",
  ]);
});

t.test("no problem of the config hides one of an htpasswd file", async (t) => {
  const result = await check(t, {
    "c.yaml": `routes:
${route("one", "missing")}  - { name: two, path: "/a b", upstream: "http://host", fallback: { htpasswd: users }, maxInFlight: 0 }
listen: 5
route: []
`,
    users: `${goodLine("alice")}nonsense\n`,
  });
  t.equal(result.code, 1);
  t.match(result.lines, [
    /^c\.yaml:2:\d+ routes\[0\]\.fallback\.htpasswd: file missing \(that is DIR\/missing\) cannot be used/,
    /^c\.yaml:3:\d+ routes\[1\]\.path: /,
    /^c\.yaml:3:\d+ routes\[1\]\.maxInFlight: /,
    /^c\.yaml:4:\d+ listen: value 5 /,
    /^c\.yaml:5:\d+ route: unknown key/,
    /^users:3:1 htpasswd: no colon/,
  ]);
  t.equal(result.lines.length, 6);
});

t.test("bad lines are reported once per file, without what they hold", async (t) => {
  const result = await check(
    t,
    {
      "c.yaml": `routes:\n${route("one", "users")}${route("two", "users")}${route("three", `'\${FILE}'`)}`,
      users: `${goodLine("alice")}bob:${PASSWORD}\nnonsense\n`,
      hunter2: `${goodLine("carol")}dave:${PASSWORD}\n`,
    },
    { FILE: "hunter2" },
  );
  t.equal(result.code, 1);
  t.match(result.lines, [
    /^users:3:1 htpasswd: plain text is not safe/,
    /^users:4:1 htpasswd: no colon/,
    /^\$\{FILE\}:3:1 htpasswd: plain text/,
  ]);
  t.notMatch(result.lines.join("\n"), /horse|\$2y|nonsense|hunter2/);
});

t.test("the default htpasswd file is reported at its route", async (t) => {
  const text = "routes:\n  - preset: authentik\n    upstream: http://host\n    fallback: { realm: x }\n";
  const { lines, code } = await check(t, { "c.yaml": text });
  // The file may exist where sparekey is installed. If it does not, this is the expected message.
  if (code === 1)
    t.match(lines, [/^c\.yaml:4:15 routes\[0\]\.fallback\.htpasswd: file \/etc\/sparekey\/htpasswd /]);
});
