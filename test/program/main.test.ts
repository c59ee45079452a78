/** The command line as a shell sees it: exit codes, what goes to which stream, one line per error. */
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import t, { type Test } from "tap";
import { ask } from "../support/app.ts";
import { finished, type StartOptions, start, temporaryFolder } from "../support/processes.ts";
import { missing } from "../support/programs.ts";
import { htpasswdOf, sparekeyProcess, startSparekey } from "../support/sparekey.ts";

const sparekey = (t: Test, args: readonly string[], options: StartOptions = {}) =>
  finished(sparekeyProcess(t, args, options));

const USAGE_ERRORS: readonly (readonly [name: string, args: readonly string[], line: RegExp])[] = [
  ["no command", [], /a command is missing/],
  ["an unknown command", ["serve"], /there is no command "serve"/],
  ["a command with line ends", ["a\nb"], /there is no command "a\\nb"/],
  ["an unknown option", ["run", "--conf", "x"], /'--conf'/],
  ["an option without its value", ["check", "--config"], /--config/],
  ["an argument too many", ["run", "x"], /'x'/],
  ["an option of another command", ["schema", "--config", "x"], /'--config'/],
  ["passwd without a name", ["passwd"], /passwd takes one USER/],
  ["an outpost that nobody has", ["demo", "--outpost", "2024.1"], /--outpost is one of 2025\.6, /],
];

t.test("a command line that cannot be understood: 2", async (t) => {
  const refused = async ([name, args, line]: (typeof USAGE_ERRORS)[number]): Promise<void> => {
    const { code, stdout, stderr } = await sparekey(t, args);
    t.equal(code, 2, name);
    t.equal(stdout, "", name);
    t.match(stderr, line, name);
    t.match(stderr, /^sparekey: [^\n]+\n$/, `${name}: one line`);
  };
  await Promise.all(USAGE_ERRORS.map(refused));
});

t.test("--help and --version work everywhere", async (t) => {
  const { version } = JSON.parse(await readFile(join(import.meta.dirname, "../../package.json"), "utf8"));
  for (const args of [["--version"], ["run", "--version"], ["unknown", "--version"]])
    t.same(await sparekey(t, args), { code: 0, stdout: `${version}\n`, stderr: "" });
  for (const args of [["--help"], ["passwd", "x", "--help"], ["demo", "-h"]]) {
    const help = await sparekey(t, args);
    t.match(help, { code: 0, stderr: "" });
    for (const word of ["run", "check", "passwd", "schema", "demo"]) t.match(help.stdout, `sparekey ${word}`);
  }
});

t.test("schema prints what config/schema.json holds", async (t) => {
  const file = await readFile(join(import.meta.dirname, "../../config/schema.json"), "utf8");
  const { code, stdout, stderr } = await sparekey(t, ["schema"]);
  t.same({ code, stderr }, { code: 0, stderr: "" });
  t.same(JSON.parse(stdout), JSON.parse(file));
});

t.test("check", async (t) => {
  const cwd = await temporaryFolder(t);
  const route =
    "routes: [{ preset: authentik, upstream: http://x, probe: { loginHealth: [] }, fallback: { htpasswd: users } }]\n";
  await writeFile(join(cwd, "users"), htpasswdOf({ admin: "correct horse" }));
  await writeFile(join(cwd, "good.yaml"), route);
  await writeFile(join(cwd, "bad.yaml"), `listen: 5\nadmin: { port: 1 }\n${route}`);

  const good = { code: 0, stdout: "good.yaml: 1 route, no problems\n", stderr: "" };
  t.same(await sparekey(t, ["check", "--config", "good.yaml"], { cwd }), good);
  t.same(await sparekey(t, ["check"], { cwd, env: { SPAREKEY_CONFIG: "good.yaml" } }), good);
  const both = { cwd, env: { SPAREKEY_CONFIG: "bad.yaml" } };
  t.same(await sparekey(t, ["check", "--config=good.yaml"], both), good, "the option wins");

  const bad = await sparekey(t, ["check", "--config", "bad.yaml"], { cwd });
  t.equal(bad.code, 1);
  t.match(bad.stdout, /^bad\.yaml:1:9 listen: [^\n]+\nbad\.yaml:2:\d+ admin[^\n]*: [^\n]+\n$/);
  t.equal(bad.stderr, "");
});

t.test("run with a config that cannot be used: 1, each problem on a line of stderr", async (t) => {
  const cwd = await temporaryFolder(t);
  await writeFile(join(cwd, "bad.yaml"), "listen: 5\nroutes: []\n");
  const bad = await sparekey(t, ["run", "--config", "bad.yaml"], { cwd });
  t.match(bad, { code: 1, stdout: "" });
  t.match(bad.stderr, /^bad\.yaml:1:9 listen: [^\n]+\nbad\.yaml:2:9 routes: [^\n]+\n$/);

  for (const args of [["--config", "absent.yaml"], ["--config", "."], []]) {
    const { code, stdout, stderr } = await sparekey(t, ["run", ...args], { cwd });
    t.same({ code, stdout }, { code: 1, stdout: "" });
    t.match(stderr, /^[^\n]*(absent\.yaml|\.|config\/sparekey\.yaml):\d+:\d+ [^\n]+\n$/);
    t.notMatch(stderr, /defect|^\s+at /m);
  }
});

t.test("run with a port that is taken: 1, naming it", async (t) => {
  const cwd = await temporaryFolder(t);
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  t.teardown(() => taken.close());
  const address = taken.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const routes = "routes: [{ preset: bot-block, upstream: http://x }]";
  const rows = [
    `listen: "127.0.0.1:${port}"\nadmin: { listen: "127.0.0.1:0" }\n${routes}\n`,
    `listen: "127.0.0.1:0"\nadmin: { listen: "127.0.0.1:${port}" }\n${routes}\n`,
  ];
  for (const text of rows) {
    await writeFile(join(cwd, "c.yaml"), text);
    const { code, stderr } = await sparekey(t, ["run", "--config", "c.yaml"], { cwd });
    t.equal(code, 1);
    t.equal(stderr, `sparekey: cannot listen on 127.0.0.1:${port} (EADDRINUSE); is another process there?\n`);
  }
});

t.test("run ends with 0 after a drain, by SIGTERM and by SIGINT", async (t) => {
  const yaml = 'listen: "127.0.0.1:0"\nroutes: [{ preset: bot-block, upstream: "http://x" }]\n';
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    const running = await startSparekey(t, yaml);
    running.process.signal(signal);
    t.same(await running.process.ended, { code: 0, signal: null }, signal);
    t.same(
      running
        .logs()
        .slice(-2)
        .map(({ msg }) => msg),
      ["drain begins", "drain ended"],
    );
    t.equal(running.process.stderr(), "");
  }
});

t.test("passwd", { skip: missing("htpasswd") }, async (t) => {
  const made = await sparekey(t, ["passwd", "admin", "--cost", "10"], { input: "correct horse\n" });
  t.match(made, { code: 0, stderr: "" });
  t.match(made.stdout, /^admin:\$2y\$10\$[./A-Za-z0-9]{53}\n$/);
  const file = join(await temporaryFolder(t), "htpasswd");
  await writeFile(file, made.stdout);
  const verified = await finished(start(t, "htpasswd", ["-vi", file, "admin"], { input: "correct horse" }));
  t.equal(verified.code, 0, "Apache's program takes it");

  const rows = [
    ["an empty password", ["admin"], "\n"],
    ["a colon in the name", ["a:b"], "correct horse\n"],
    ["a cost that is too low", ["admin", "--cost", "4"], "correct horse\n"],
    ["a cost that is no number", ["admin", "--cost", "x"], "correct horse\n"],
  ] as const;
  for (const [name, args, input] of rows) {
    const { code, stdout, stderr } = await sparekey(t, ["passwd", ...args], { input });
    t.same({ code, stdout }, { code: 1, stdout: "" }, name);
    t.match(stderr, /^sparekey passwd: [^\n]+\n$/, name);
    t.notMatch(stderr, "horse", `${name}: the password is not shown`);
  }
});

t.test("a reader that goes away is no defect", async (t) => {
  const running = sparekeyProcess(t, ["schema"]);
  running.closeStdout();
  await running.ended;
  t.equal(running.stderr(), "");
});

t.test("run goes on when nobody reads its log", async (t) => {
  const yaml = `
listen: "127.0.0.1:0"
log: { access: all }
routes: [{ name: a, path: /a, upstream: "http://127.0.0.1:1", fallback: { mode: allow } }]
`;
  const running = await startSparekey(t, yaml);
  running.process.closeStdout();
  for (let i = 0; i < 5; i += 1) t.equal((await ask(`${running.listen[0].url}/a`)).status, 200);
  t.same(await running.stop(), { code: 0, signal: null });
  t.equal(running.process.stderr(), "");
});
