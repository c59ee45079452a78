/** A config that changes under a real process: no check notices, a bad one changes nothing, what stays is kept. */
import { once } from "node:events";
import { mkdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { Agent, request as httpRequest } from "node:http";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import t, { type Test } from "tap";
import { ask, basic, sample } from "../support/app.ts";
import { eventually } from "../support/processes.ts";
import { rawUpstream } from "../support/raw-upstream.ts";
import { htpasswdOf, type LogLine, type Sparekey, startSparekey } from "../support/sparekey.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const HEAD = 'admin: { listen: "127.0.0.1:0" }\ndrain: { timeout: 2s }\nlisten: "127.0.0.1:0"\n';

function fine(t: Test) {
  return rawUpstream(t, (socket) => socket.write(OK));
}

/** Upstreams that hold every answer until told. */
async function holding(t: Test) {
  const held: Socket[] = [];
  const upstream = await rawUpstream(t, (socket) => held.push(socket));
  const one = () =>
    eventually(
      () => "no check came",
      () => held.shift() ?? null,
    );
  return { port: upstream.port, one };
}

interface RouteText {
  readonly name: string;
  readonly port: number;
  readonly more?: string;
}

function routesOf(...routes: readonly RouteText[]): string {
  const lines = routes.map(
    ({ name, port, more = "fallback: { mode: deny }" }) =>
      `  - { name: ${name}, path: /${name}, upstream: "http://127.0.0.1:${port}", ${more} }\n`,
  );
  return `routes:\n${lines.join("")}`;
}

/** As an editor or a deployment writes it: never half there. */
async function writeConfig(sparekey: Sparekey, yaml: string): Promise<void> {
  const aside = join(sparekey.folder, "aside");
  await writeFile(aside, HEAD + yaml);
  await rename(aside, join(sparekey.folder, "sparekey.yaml"));
}

let swaps = 0;

/** As Kubernetes mounts a ConfigMap: the file is a link through `..data`, which is swapped. */
async function swapConfig(sparekey: Sparekey, yaml: string): Promise<void> {
  swaps += 1;
  const dir = `..${swaps}`;
  const at = (name: string) => join(sparekey.folder, name);
  await mkdir(at(dir));
  await writeFile(join(at(dir), "sparekey.yaml"), HEAD + yaml);
  await symlink(dir, at("..tmp"));
  await rename(at("..tmp"), at("..data"));
  await symlink("..data/sparekey.yaml", at("link"));
  await rename(at("link"), at("sparekey.yaml"));
  await rm(at(`..${swaps - 1}`), { recursive: true, force: true });
}

const isReload = ({ msg }: LogLine) => msg.startsWith("config re") || msg.startsWith("a reload");

/** The line about the reload that `change` brings. */
async function reloaded(sparekey: Sparekey, change: () => Promise<unknown>): Promise<LogLine> {
  const lines = () => sparekey.logs().filter(isReload);
  const before = lines().length;
  await change();
  return eventually(
    () => `no reload: ${sparekey.process.stdout()}${sparekey.process.stderr()}`,
    () => lines()[before] ?? null,
  );
}

/** Writes, and says so. */
function hangUp(sparekey: Sparekey, yaml: string): Promise<LogLine> {
  return reloaded(sparekey, async () => {
    await writeConfig(sparekey, yaml);
    sparekey.process.signal("SIGHUP");
  });
}

function firstOf(line: LogLine, key: string): string {
  const [first] = line[key] as readonly string[];
  return `http://${first}`;
}

t.test("no check fails through 12 reloads under load", async (t) => {
  const [one, other] = [await fine(t), await fine(t)];
  const yaml = (count: number) => {
    const fallback = ["deny", "allow", "none"][count % 3];
    const more = `timeouts: { read: ${5 + (count % 4)}s }, maxInFlight: ${500 + count}, fallback: { mode: ${fallback} }`;
    const extra = count % 2 ? [{ name: `extra${count}`, port: other.port }] : [];
    return (
      `trustedProxies: [10.0.0.${count}/32]\nlog: { access: ${count % 2 ? "off" : "sampled"} }\n` +
      routesOf(
        { name: "a", port: (count % 3 ? one : other).port, more },
        { name: "b", port: one.port },
        ...extra,
      )
    );
  };
  const sparekey = await startSparekey(t, `listen: "127.0.0.1:0"\n${yaml(0)}`);
  const load = { answered: 0, over: false, failed: new Set<string>() };
  const kept = new Agent({ keepAlive: true, maxSockets: 8 });
  t.teardown(() => kept.destroy());
  const clients = [kept, kept, kept, kept, kept, kept, kept, kept, false, false, false].map(
    async (agent, index) => {
      while (!load.over) {
        const path = index % 2 ? "/a" : "/b";
        const got = await statusOf(sparekey.listen[0].url + path, agent as Agent | false).catch(String);
        if (got !== 200) load.failed.add(String(got));
        load.answered += 1;
      }
    },
  );
  for (let count = 1; count <= 12; count += 1) {
    const before = load.answered;
    const text = yaml(count);
    const line =
      count % 12 === 0
        ? await reloaded(sparekey, () => writeConfig(sparekey, text))
        : count % 12 === 6
          ? await reloaded(sparekey, () => swapConfig(sparekey, text))
          : await hangUp(sparekey, text);
    t.match(line, { msg: "config reloaded", level: "info" }, `reload ${count}`);
    await eventually(
      () => "the load stands still",
      () => (load.answered > before + 20 ? true : null),
    );
  }
  load.over = true;
  await Promise.all(clients);
  t.same([...load.failed], []);
  const metrics = await sparekey.metrics();
  const counted = ["a", "b"].map((route) =>
    sample(metrics, `sparekey_checks_total{route="${route}",source="upstream",verdict="allow"}`),
  );
  t.equal(
    counted.reduce((sum, count) => sum + count, 0),
    load.answered,
    "the counters of staying routes stay",
  );
  t.equal(sample(metrics, "sparekey_in_flight"), 0);
  t.equal(sparekey.logs().filter(isReload).length, 12, "one line for each");
});

t.test("a bad config changes nothing and is reported whole", async (t) => {
  const upstream = await fine(t);
  const good = routesOf({ name: "a", port: upstream.port });
  const sparekey = await startSparekey(t, `listen: "127.0.0.1:0"\n${good}`);
  const url = `${sparekey.listen[0].url}/a`;
  const readAt = "sparekey_config_last_reload_success_timestamp_seconds";
  const atStart = sample(await sparekey.metrics(), readAt);
  t.equal((await ask(url)).status, 200);
  await sparekey.log(({ msg }) => msg === "probe proven");

  const bad: readonly (readonly [name: string, yaml: string, problems: readonly RegExp[]])[] = [
    ["two problems", `log: { level: loud }\n${good}rotues: []\n`, [/:4:\d+ log\.level: /, /rotues: /]],
    ["not YAML", "routes: [", [/yaml: /]],
  ];
  for (const [name, yaml, problems] of bad) {
    const seen = sparekey.logs().length;
    await reloaded(sparekey, () => writeConfig(sparekey, yaml));
    const lines = (): ReturnType<typeof sparekey.logs> => sparekey.logs().slice(seen).filter(isReload);
    // Each problem is a line of its own, and comes when it comes.
    for (const problem of problems) {
      await eventually(
        () => `${name}: no line says ${problem}`,
        () => lines().find((line) => problem.test(String(line.problem))) ?? null,
      );
    }
    t.ok(
      lines().every(({ msg, level }) => msg === "config refused: the one in use stays" && level === "error"),
      name,
    );
    t.equal(sample(await sparekey.metrics(), "sparekey_config_last_reload_successful"), 0, name);
    t.equal(sample(await sparekey.metrics(), readAt), atStart, name);
    t.equal((await ask(url)).status, 200, name);
  }
  const gone = await reloaded(sparekey, () => rm(join(sparekey.folder, "sparekey.yaml")));
  t.match(gone.problem, /there is no such file/);
  t.equal((await ask(url)).status, 200);

  t.match(await reloaded(sparekey, () => writeConfig(sparekey, good)), { msg: "config reloaded" });
  t.equal(sample(await sparekey.metrics(), "sparekey_config_last_reload_successful"), 1);
  t.ok(sample(await sparekey.metrics(), readAt) > atStart);
});

t.test("a listener comes and goes with its routes", async (t) => {
  const upstream = await fine(t);
  const slow = await holding(t);
  const stays = { name: "a", port: upstream.port };
  const sparekey = await startSparekey(t, `listen: "127.0.0.1:0"\n${routesOf(stays)}`);
  const more = 'listen: "127.0.0.2:0", fallback: { mode: deny }';
  const added = await hangUp(
    sparekey,
    routesOf(stays, { name: "b", port: upstream.port, more }, { name: "slow", port: slow.port, more }),
  );
  t.same(added.routes, ["a", "b", "slow"]);
  const url = firstOf(added, "opened");
  t.equal(await statusOf(`${url}/b`), 200);
  t.equal(sample(await sparekey.metrics(), OK_OF("b")), 1);

  const inFlight = ask(`${url}/slow`);
  const held = await slow.one();
  const removed = await hangUp(sparekey, routesOf(stays));
  t.equal(firstOf(removed, "closed"), url);
  held.write(OK);
  t.equal((await inFlight).status, 200, "what was in flight is answered");
  // A connection that is made while the listener closes is reset.
  const refused = () =>
    ask(`${url}/b`).then(
      () => null,
      ({ code }) => (code === "ECONNREFUSED" ? true : null),
    );
  t.ok(await eventually(() => "the listener that is gone still answers", refused));
  t.equal(await statusOf(`${sparekey.listen[0].url}/a`), 200);
  t.ok(Number.isNaN(sample(await sparekey.metrics(), OK_OF("b"))), "a removed route has no series");
  await eventually(
    () => "connections stay",
    async () => (sample(await sparekey.metrics(), "sparekey_connections") === 0 ? true : null),
  );
});

t.test("two routes swap their listeners without a restart", async (t) => {
  const upstream = await fine(t);
  const yaml = (a: string, b: string) =>
    routesOf(
      { name: "a", port: upstream.port, more: `listen: "${a}:0", fallback: { mode: deny }` },
      { name: "b", port: upstream.port, more: `listen: "${b}:0", fallback: { mode: deny }` },
    );
  const sparekey = await startSparekey(t, yaml("127.0.0.1", "127.0.0.2"));
  const statuses = (path: string) =>
    Promise.all(sparekey.listen.map(async ({ url }) => (await ask(url + path)).status));
  t.same(
    [await statuses("/a"), await statuses("/b")],
    [
      [200, 404],
      [404, 200],
    ],
  );
  const line = await hangUp(sparekey, yaml("127.0.0.2", "127.0.0.1"));
  t.match(line, { msg: "config reloaded", opened: [], closed: [] });
  t.same(
    [await statuses("/a"), await statuses("/b")],
    [
      [404, 200],
      [200, 404],
    ],
  );
});

t.test("an address that cannot be had refuses the whole config", async (t) => {
  const upstream = await fine(t);
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  t.teardown(() => taken.close());
  const address = taken.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const stays = { name: "a", port: upstream.port };
  const sparekey = await startSparekey(t, `listen: "127.0.0.1:0"\n${routesOf(stays)}`);
  const more = (listen: string) => `listen: "${listen}", fallback: { mode: deny }`;
  const line = await hangUp(
    sparekey,
    routesOf(
      stays,
      { name: "new", port: upstream.port },
      { name: "b", port: upstream.port, more: more("127.0.0.2:0") },
      { name: "c", port: upstream.port, more: more(`127.0.0.1:${port}`) },
    ),
  );
  t.equal(line.problem, `cannot listen on 127.0.0.1:${port} (EADDRINUSE); is another process there?`);
  const own = sparekey.listen[0].port;
  const clash = await hangUp(
    sparekey,
    routesOf(stays, { name: "b", port: upstream.port, more: more(`0.0.0.0:${own}`) }),
  );
  const restart = `sparekey itself listens on 127.0.0.1:${own}; restart it for this change`;
  t.equal(clash.problem, `cannot listen on 0.0.0.0:${own} (EADDRINUSE); ${restart}`);
  t.equal((await ask(`${sparekey.listen[0].url}/new`)).status, 404);
  t.equal((await ask(`${sparekey.listen[0].url}/a`)).status, 200);
  t.equal(sample(await sparekey.metrics(), "sparekey_config_last_reload_successful"), 0);
});

t.test("the admin listener moves", async (t) => {
  const upstream = await fine(t);
  const sparekey = await startSparekey(
    t,
    `listen: "127.0.0.1:0"\n${routesOf({ name: "a", port: upstream.port })}`,
  );
  const free = createServer().listen(0, "127.0.0.3");
  await once(free, "listening");
  const address = free.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  free.close();
  await once(free, "close");
  const text = `admin: { listen: "127.0.0.3:${port}" }\nlisten: "127.0.0.1:0"\n${routesOf({ name: "a", port: upstream.port })}`;
  await reloaded(sparekey, async () => {
    await writeFile(join(sparekey.folder, "sparekey.yaml"), text);
    sparekey.process.signal("SIGHUP");
  });
  t.equal(await statusOf(`http://127.0.0.3:${port}/readyz`), 200);
  await t.rejects(ask(`${sparekey.admin.url}/readyz`), { code: "ECONNREFUSED" });
});

t.test("another htpasswd file: its users log in, those in flight by the one they began with", async (t) => {
  const upstream = await holding(t);
  const yaml = (file: string) =>
    routesOf({
      name: "a",
      port: upstream.port,
      more: `${NO_PROBES}, fallback: { mode: basic-auth, htpasswd: ${file} }`,
    });
  const sparekey = await startSparekey(t, `listen: "127.0.0.1:0"\n${yaml("htpasswd")}`, {
    users: { ann: "correct horse" },
  });
  await writeFile(join(sparekey.folder, "other"), htpasswdOf({ ben: "battery staple" }));
  const url = `${sparekey.listen[0].url}/a`;
  const login = async (user: string, password: string, meanwhile = async () => {}) => {
    const asked = ask(url, { headers: { Authorization: basic(user, password) } });
    const held = await upstream.one();
    await meanwhile();
    held.resetAndDestroy();
    return (await asked).status;
  };
  t.equal(await login("ann", "correct horse"), 200);
  t.equal(await login("ben", "battery staple"), 401);
  const reload = async () => void (await hangUp(sparekey, yaml("other")));
  t.equal(await login("ann", "correct horse", reload), 200, "in flight");
  t.equal(await login("ann", "correct horse"), 401);
  t.equal(await login("ben", "battery staple"), 200);
  t.equal(sample(await sparekey.metrics(), 'sparekey_htpasswd_users{route="a"}'), 1);
});

t.test("the breaker stays as it is unless what it is about has changed", async (t) => {
  const silent = createServer().listen(0, "127.0.0.1");
  await once(silent, "listening");
  const address = silent.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  silent.close();
  await once(silent, "close");
  const yaml = (failures: number, mode: string) =>
    routesOf({
      name: "a",
      port,
      more: `breaker: { failures: ${failures}, interval: 1h, maxInterval: 1h }, fallback: { mode: ${mode} }`,
    });
  const sparekey = await startSparekey(t, `listen: "127.0.0.1:0"\n${yaml(2, "deny")}`);
  const url = `${sparekey.listen[0].url}/a`;
  const isOpen = async () =>
    sample(await sparekey.metrics(), 'sparekey_breaker_state{route="a",state="open"}');
  for (let i = 0; i < 2; i += 1) t.equal((await ask(url)).status, 503);
  t.equal(await isOpen(), 1);

  await hangUp(sparekey, `log: { access: off }\n${yaml(2, "allow")}`);
  t.equal(await isOpen(), 1);
  t.equal((await ask(url)).status, 200, "the new policy");
  const byBreaker = 'sparekey_fallback_total{route="a",mode="allow",reason="breaker_open",result="allowed"}';
  t.equal(sample(await sparekey.metrics(), byBreaker), 1);

  await hangUp(sparekey, yaml(3, "allow"));
  t.equal(await isOpen(), 0);
  for (let i = 0; i < 3; i += 1) t.equal((await ask(url)).status, 200);
  t.equal(await isOpen(), 1);
  const refused = 'sparekey_fallback_total{route="a",mode="allow",reason="refused",result="allowed"}';
  t.equal(sample(await sparekey.metrics(), refused), 3);
});

t.test("connections to an upstream that stays are kept, others closed", async (t) => {
  const [stays, leaves] = [
    await fine(t),
    await rawUpstream(t, (socket) => {
      socket.write(OK);
      socket.once("close", () => closed.resolve());
    }),
  ];
  const closed = Promise.withResolvers<void>();
  const yaml = (port: number) => routesOf({ name: "a", port: stays.port }, { name: "b", port });
  const sparekey = await startSparekey(t, `listen: "127.0.0.1:0"\n${yaml(leaves.port)}`);
  const [{ url }] = sparekey.listen;
  for (const path of ["/a", "/b"]) t.equal((await ask(url + path)).status, 200);
  await hangUp(sparekey, yaml(stays.port));
  await closed.promise;
  t.equal((await ask(`${url}/a`)).status, 200);
  t.equal(stays.connections(), 1);
});

t.test("limits of a listener that stays wait for a restart, and the log says so", async (t) => {
  const upstream = await fine(t);
  const yaml = routesOf({ name: "a", port: upstream.port });
  const sparekey = await startSparekey(t, `listen: "127.0.0.1:0"\n${yaml}`);
  const line = await hangUp(sparekey, `limits: { connections: 5 }\n${yaml}`);
  t.match(line, { level: "warn", msg: "config reloaded, but not all of it", needs_restart: /^limits: / });
  t.match(await hangUp(sparekey, yaml), { msg: "config reloaded", needs_restart: undefined });
});

/** A reset is followed by a probe otherwise, which would be held too. */
const NO_PROBES = "fault: { confirm: never }, breaker: { failures: 100 }";

function OK_OF(route: string): string {
  return `sparekey_checks_total{route="${route}",source="upstream",verdict="allow"}`;
}

function statusOf(url: string, agent: Agent | false = false): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { agent }, (response) => {
      response.resume();
      response.on("error", reject);
      response.on("end", () => resolve(response.statusCode ?? 0));
    });
    request.on("error", reject);
    request.end();
  });
}
