import { join } from "node:path";
import t, { type Test } from "tap";
import { checkCommand } from "../../src/commands/check.ts";
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
