import { cp, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { loadConfig } from "../../src/config/load.ts";
import { readConfig } from "../../src/config/read-in-child.ts";
import { eventually, finished, start, temporaryFolder } from "../support/processes.ts";

const GOOD = `trustedProxies: [10.0.0.0/8, "2001:db8::/32"]
routes:
  - { preset: authentik, upstream: "http://\${HOST}:1", fallback: { htpasswd: users, allowFrom: [192.0.2.1] } }
`;
const WAITS = 'process.once("disconnect", () => process.exit()); setInterval(() => {}, 1000);\n';
const BAD = "routes: [{ preset: authentik, upstream: 1 }, { nothing: 2 }]\n";

t.test("reads as in this process", async (t) => {
  const folder = await temporaryFolder(t);
  const rows = [
    { name: "good", text: GOOD, ok: true },
    { name: "bad", text: BAD, ok: false },
    { name: "not YAML", text: "a: [", ok: false },
  ];
  const env = { ...process.env, HOST: "upstream.example" };
  for (const { name, text, ok } of rows) {
    const file = join(folder, "sparekey.yaml");
    await writeFile(file, text);
    const { htpasswds: _, ...loaded } = await loadConfig(file, env);
    const { warnings: __, ...here } = { warnings: [], ...loaded };
    const apart = await readConfig(file, env);
    t.equal(apart.ok, ok, name);
    t.strictSame(apart, here, name);
    if (apart.ok) {
      t.equal(apart.snapshot.trustedProxies?.check("10.1.2.3"), true, "its networks");
      t.equal(apart.snapshot.trustedProxies?.check("11.1.2.3"), false, "and no others");
    }
  }
  const missing = join(folder, "missing.yaml");
  const { htpasswds: _, ...here } = await loadConfig(missing, env);
  t.strictSame(await readConfig(missing, env), here, "a file that is missing");
});

t.test("is read here when the other process says nothing", async (t) => {
  const folder = await temporaryFolder(t);
  const file = join(folder, "sparekey.yaml");
  await writeFile(file, GOOD);
  const ends = join(folder, "ends.mjs");
  await writeFile(ends, "process.exit(3);\n");
  const dies = join(folder, "dies.mjs");
  await writeFile(dies, 'process.kill(process.pid, "SIGKILL");\n');
  const rows = [
    { name: "it ends", program: ends },
    { name: "it is killed", program: dies },
    { name: "it is not there", program: join(folder, "nothing.mjs") },
  ];
  for (const { name, program } of rows) {
    const read = await readConfig(file, { HOST: "upstream.example" }, { program });
    t.equal(read.ok && read.snapshot.routes[0]?.upstream.servers[0].host, "upstream.example", name);
  }
});

t.test("is refused when nothing can be read, and read later", async (t) => {
  const folder = await temporaryFolder(t);
  const file = join(folder, "sparekey.yaml");
  await writeFile(file, GOOD);
  const program = join(import.meta.dirname, "../support/reads-without-files.ts");
  const fewFiles = ["-c", 'ulimit -n 64 && exec "$0" "$@"', process.execPath, program, file];
  const { code, stdout, stderr } = await finished(start(t, "sh", fewFiles, { env: { HOST: "upstream" } }));
  t.equal(code, 0, stderr);
  const [before, without, after] = JSON.parse(stdout || "[]");
  t.equal(before, true, "with descriptors left");
  t.match(without, [/^cannot be read: .* does not load \(\w+\)$/], "without");
  t.equal(after, true, "with some again");
});

t.test("is refused when it takes too long, and not read here", async (t) => {
  const folder = await temporaryFolder(t);
  const file = join(folder, "sparekey.yaml");
  await writeFile(file, GOOD);
  const waits = join(folder, "waits.mjs");
  await writeFile(waits, WAITS);
  const env = { ...process.env, HOST: "upstream.example" };
  const read = await readConfig(file, env, { program: waits, timeout: 200 });
  t.match(read, { ok: false, problems: [{ file, message: "cannot be read: it takes more than 0.2 s" }] });
  t.strictSame([...read.files.keys()], [file], "it is still watched");
});

t.test("is refused when another version was installed meanwhile", async (t) => {
  const root = join(import.meta.dirname, "../..");
  const folder = await temporaryFolder(t);
  await cp(join(root, "src"), join(folder, "src"), { recursive: true });
  await symlink(join(root, "node_modules"), join(folder, "node_modules"));
  const own = await readFile(join(root, "package.json"), "utf8");
  const file = join(folder, "sparekey.yaml");
  await writeFile(join(folder, "package.json"), own);
  await writeFile(file, `listen: "127.0.0.1:0"\nadmin: { listen: "127.0.0.1:0" }\n${GOOD}`);
  const args = [join(folder, "src/main.ts"), "run", "--config", file];
  const running = start(t, process.execPath, args, { env: { HOST: "upstream.example" } });
  const said = (text: string): Promise<true> =>
    eventually(
      () => `${text} is not said:\n${running.stdout()}${running.stderr()}`,
      () => running.stdout().includes(text) || null,
    );
  await said('"msg":"serving"');
  const other = JSON.stringify({ ...JSON.parse(own), version: "999.0.0" });
  const rows = [
    { name: "another version", text: other, line: "version 999.0.0 is installed by now, and this is" },
    { name: "the same again", text: own, line: '"msg":"config reloaded"' },
  ];
  for (const { name, text, line } of rows) {
    await writeFile(join(folder, "package.json"), text);
    running.signal("SIGHUP");
    t.ok(await said(line), name);
  }
  t.notOk(
    running.stdout().split("999.0.0")[0]?.includes("config reloaded"),
    "nothing is taken over in between",
  );
});

t.test("holds up no process that has nothing else to do", async (t) => {
  const folder = await temporaryFolder(t);
  const waits = join(folder, "waits.mjs");
  await writeFile(waits, WAITS);
  const program = join(import.meta.dirname, "../support/reads-for-ever.ts");
  const running = start(t, process.execPath, [program, waits, "sparekey.yaml"]);
  const { code, stderr } = await eventually(
    () => "it waits",
    () => running.over() && finished(running),
  );
  t.equal(code, 0, stderr);
});
