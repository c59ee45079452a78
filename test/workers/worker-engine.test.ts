/** `workers: 2` as operators run it: one sparekey to whoever asks it, watches it or changes it. */
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { type Answered, ask, basic, sample } from "../support/app.ts";
import { eventually } from "../support/processes.ts";
import { rawUpstream } from "../support/raw-upstream.ts";
import { startReceiver } from "../support/receiver.ts";
import { type LogLine, type Sparekey, startSparekey } from "../support/sparekey.ts";
import { ended, workersOf } from "../support/workers.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
/** Each on a connection of its own: by chance all of one worker's once in 500,000 times. */
const ENOUGH = 20;
const UPSTREAM = 'sparekey_checks_total{route="sso",source="upstream",verdict="allow"}';

t.test("two workers", async (t) => {
  const upstream = await rawUpstream(t, (socket) => socket.write(OK));
  const receiver = await startReceiver(t);
  const config = (more: string): string => `
log: { access: all }
workers: 2
listen: 127.0.0.1:0
notify: [{ url: "${receiver.url}" }]
routes:
  - name: sso
    path: /auth
    upstream: http://127.0.0.1:${upstream.port}
    fallback: { mode: basic-auth, htpasswd: htpasswd, rateLimit: { failures: 3 } }
${more}`;
  const sparekey = await startSparekey(t, config(""), {
    users: { eve: "open sesame" },
    adminHtpasswd: "htpasswd",
  });
  const url = `${sparekey.listen[0].url}/auth`;
  const authorization = basic("eve", "open sesame");
  let passed = 0;

  const pass = async (count: number): Promise<void> => {
    const answers = await several(count, () => ask(url));
    t.same(new Set(answers.map(({ status }) => status)), new Set([200]));
    passed += count;
  };
  /** Which of them wrote a line about a check since `before`. */
  const who = (before: number): Promise<ReadonlySet<unknown>> =>
    eventually(
      () => `no line of both workers: ${sparekey.process.stdout()}`,
      () => {
        const lines = sparekey.logs().slice(before);
        const workers = new Set(lines.filter(({ msg }) => msg === "check").map(({ worker }) => worker));
        return workers.size === 2 ? workers : null;
      },
    );
  const override = (body: string): Promise<Answered> =>
    ask(`${sparekey.admin.url}/-/routes/sso/override`, {
      method: "POST",
      headers: { Authorization: authorization, "Content-Type": "application/json" },
      body,
    });

  await t.test("it starts once, with two processes and one port", async (t) => {
    t.same(
      sparekey
        .logs()
        .map(({ msg }) => msg)
        .filter((msg) => msg !== "htpasswd loaded"),
      ["serving"],
    );
    t.equal((await workersOf(sparekey.process.pid)).length, 2);
    t.equal(sparekey.listen.length, 1);
    t.equal((await ask(`${sparekey.admin.url}/readyz`)).status, 200);
  });

  await t.test("both answer, and the sums are what was sent", async (t) => {
    const before = sparekey.logs().length;
    await pass(ENOUGH);
    t.same(await who(before), new Set([1, 2]));
    const metrics = await sparekey.metrics();
    t.equal(sample(metrics, UPSTREAM), passed);
    t.equal(sample(metrics, 'sparekey_check_duration_seconds_count{route="sso"}'), passed);
    t.equal(sample(metrics, 'sparekey_htpasswd_users{route="sso"}'), 1);
    t.equal(sample(metrics, 'sparekey_workers{state="serving"}'), 2);
    t.equal(sample(metrics, "sparekey_config_last_reload_successful"), 1);
  });

  await t.test("an override reaches both, and one message says so", async (t) => {
    t.equal((await override('{"mode": "fallback", "ttl": "10m"}')).status, 200);
    const answers = await several(ENOUGH, () => ask(url));
    t.same(new Set(answers.map(({ status }) => status)), new Set([401]));
    const [message] = await receiver.first(1);
    t.match(JSON.parse(message?.body ?? ""), { event: "fallback_began", reason: "override" });
    t.equal(sparekey.logs().filter(({ msg }) => msg === "override begins").length, 1);
  });

  await t.test("wrong logins have one limit, whichever worker is asked", async (t) => {
    const wrong = (count: number) => ask(url, { headers: login(`guess ${count}`) });
    const statuses: number[] = [];
    for (let count = 0; count < ENOUGH; count += 1) statuses.push((await wrong(count)).status);
    t.same(statuses, [401, 401, 401, ...Array(ENOUGH - 3).fill(429)]);
    const good = await ask(url, { headers: { ...login("open sesame"), "X-Forwarded-For": "192.0.2.9" } });
    t.equal(good.status, 200);
    t.equal(good.headers["x-auth-fallback"], "basic-auth");
    t.equal(sample(await sparekey.metrics(), 'sparekey_emergency_logins_total{route="sso",result="bad"}'), 3);
  });

  await t.test("one is killed: its counts stay, and its successor keeps to the override", async (t) => {
    const before = await sparekey.metrics();
    const [victim = 0] = await workersOf(sparekey.process.pid);
    process.kill(victim, "SIGKILL");
    const died = await sparekey.log(({ msg }) => msg === "worker died");
    t.match(died, { pid: victim, signal: "SIGKILL" });
    const fallen = (metrics: string): string[] =>
      counters(before).filter((series) => !(sample(metrics, series) >= sample(before, series)));
    t.same(fallen(await sparekey.metrics()), []);
    await sparekey.log(({ msg, worker }) => msg === "worker serves" && worker === died.worker);
    const answers = await several(ENOUGH, () => ask(url));
    t.same(new Set(answers.map(({ status }) => status)), new Set([401]));
    const metrics = await sparekey.metrics();
    t.same(fallen(metrics), []);
    t.equal(sample(metrics, UPSTREAM), passed);
    t.equal(sample(metrics, "sparekey_worker_deaths_total"), 1);
    t.equal(sample(metrics, 'sparekey_workers{state="serving"}'), 2);
  });

  await t.test("the end of the override reaches both too", async (t) => {
    t.equal((await override('{"mode": "auto"}')).status, 200);
    const before = sparekey.logs().length;
    await pass(ENOUGH);
    t.same(await who(before), new Set([1, 2]));
    t.equal(sample(await sparekey.metrics(), UPSTREAM), passed);
  });

  await t.test("a reload reaches both, with a new listener", async (t) => {
    const more = `  - { name: new, path: /new, listen: "127.0.0.2:0", upstream: "http://127.0.0.1:1", fallback: { mode: deny } }`;
    const line = await reload(sparekey, config(more));
    t.match(line, { msg: "config reloaded", routes: ["sso", "new"], opened: [/^127\.0\.0\.2:\d+$/] });
    const before = sparekey.logs().length;
    const answers = await several(ENOUGH, () => ask(`http://${(line.opened as string[])[0]}/new`));
    t.same(new Set(answers.map(({ status }) => status)), new Set([503]));
    t.same(await who(before), new Set([1, 2]));
    t.equal(sample(await sparekey.metrics(), UPSTREAM), passed, "what stays keeps its numbers");
    await pass(ENOUGH);
  });

  await t.test("a bad reload reaches none", async (t) => {
    const line = await reload(sparekey, config("  - nothing"));
    t.match(line, { msg: "config refused: the one in use stays" });
    await pass(ENOUGH);
    t.equal(sample(await sparekey.metrics(), "sparekey_config_last_reload_successful"), 0);
  });

  await t.test("an address that cannot be had leaves all as it was, at both", async (t) => {
    const taken = `  - { name: new, path: /new, listen: "127.0.0.1:${upstream.port}", upstream: "http://127.0.0.1:1", fallback: { mode: deny } }`;
    const line = await reload(sparekey, config(taken));
    t.match(line, {
      msg: "config refused: the one in use stays",
      problem: `cannot listen on 127.0.0.1:${upstream.port} (EADDRINUSE); is another process there?`,
    });
    await pass(ENOUGH);
  });

  await t.test("a changed number of workers waits for a restart, and the log says so", async (t) => {
    const line = await reload(sparekey, config("").replace("workers: 2", "workers: 3"));
    t.match(line, { needs_restart: /^workers: it stays 2 until sparekey is restarted$/ });
    t.equal((await workersOf(sparekey.process.pid)).length, 2);
  });

  await t.test("each change was told once, whatever number of workers saw it", async (t) => {
    const messages = await receiver.first(4);
    const told = messages.map(({ body }) => JSON.parse(body)).map(({ event, route }) => [event, route]);
    t.same(told, [
      ["fallback_began", "sso"],
      ["fallback_ended", "sso"],
      ["fallback_began", "new"],
      ["fallback_ended", "new"],
    ]);
    t.equal(receiver.received.length, 4);
  });

  await t.test("a primary that is killed takes its workers along, and the port is free", async (t) => {
    const workers = await workersOf(sparekey.process.pid);
    sparekey.process.signal("SIGKILL");
    await ended(workers);
    await t.rejects(ask(url), { code: "ECONNREFUSED" });
    t.equal(sparekey.process.stderr(), "");
  });
});

function several(count: number, one: () => Promise<Answered>): Promise<Answered[]> {
  return Promise.all(Array.from({ length: count }, one));
}

function login(password: string): { readonly Authorization: string; readonly "X-Forwarded-For": string } {
  return { Authorization: basic("eve", password), "X-Forwarded-For": "192.0.2.7" };
}

function counters(metrics: string): readonly string[] {
  const lines = metrics.split("\n").filter((line) => /^[a-z_]+(_total|_count|_sum|_bucket)[ {]/.test(line));
  return lines.map((line) => line.slice(0, line.lastIndexOf(" ")));
}

/** Writes the routes anew, with what the config had above them. Resolves with the line about it. */
async function reload(sparekey: Sparekey, yaml: string): Promise<LogLine> {
  const isReload = ({ msg }: LogLine) => msg.startsWith("config re");
  const before = sparekey.logs().filter(isReload).length;
  const aside = join(sparekey.folder, "aside");
  const head = 'admin: { listen: "127.0.0.1:0", htpasswd: htpasswd }\ndrain: { timeout: 2s }\n';
  await writeFile(aside, head + yaml);
  await rename(aside, join(sparekey.folder, "sparekey.yaml"));
  sparekey.process.signal("SIGHUP");
  return eventually(
    () => `no reload: ${sparekey.process.stdout()}`,
    () => sparekey.logs().filter(isReload)[before] ?? null,
  );
}
