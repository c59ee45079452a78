/** `/status.json` of a real process, as docs/status.md promises it. */
import { readFile, writeFile } from "node:fs/promises";
import t, { type Test } from "tap";
import type { Status } from "../../src/observe/status/status.ts";
import { ask, basic } from "../support/app.ts";
import { eventually } from "../support/processes.ts";
import { rawUpstream } from "../support/raw-upstream.ts";
import { type Sparekey, startSparekey } from "../support/sparekey.ts";
import { workersOf } from "../support/workers.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const DOWN = "HTTP/1.1 503 Down\r\nContent-Length: 0\r\n\r\n";
const PASSWORD = basic("root", "open sesame");

async function scene(t: Test, more = "", interval = "100ms") {
  const state = { isDown: false };
  const upstream = await rawUpstream(t, (socket) => socket.write(state.isDown ? DOWN : OK));
  const sparekey = await startSparekey(
    t,
    `${more}
listen: "127.0.0.1:0"
routes:
  - name: sso
    path: /auth
    upstream: "http://127.0.0.1:${upstream.port}"
    breaker: { failures: 2, interval: ${interval}, maxInterval: ${interval} }
    fallback: { htpasswd: htpasswd }
  - { name: bots, path: /bots, upstream: "http://127.0.0.1:1", fallback: { mode: allow } }
`,
    { users: { root: "open sesame", eve: "emergency" }, adminHtpasswd: "htpasswd" },
  );
  const check = (path: string, headers = {}) => ask(`${sparekey.listen[0].url}${path}`, { headers });
  return { state, sparekey, check };
}

async function statusOf(sparekey: Sparekey): Promise<Status> {
  const { status, headers, text } = await ask(`${sparekey.admin.url}/status.json`);
  t.equal(status, 200);
  t.equal(headers["content-type"], "application/json; charset=utf-8");
  return JSON.parse(text);
}

function post(sparekey: Sparekey, path: string, body: unknown) {
  const headers = { Authorization: PASSWORD };
  return ask(`${sparekey.admin.url}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
}

/** Resolves once the probes of every worker are proven. `teach` is called again and again. */
async function proven(sparekey: Sparekey, teach: () => Promise<unknown>): Promise<void> {
  await eventually(
    () => "the probes are not proven",
    async () => {
      await teach();
      return (await sparekey.metrics()).includes('sparekey_probe_proven{route="sso"} 1\n') || null;
    },
  );
}

const totalOf = (status: Status, source: "upstream" | "fallback" | "override", route = 0) =>
  status.routes[route]?.checks[source];

t.test("an outage and its end, told by one process", async (t) => {
  const { state, sparekey, check } = await scene(t);
  t.match(await statusOf(sparekey), {
    format: 1,
    readiness: "ready",
    summary: "No route is in fallback",
    config: { lastReload: "ok" },
    workers: null,
    routes: [
      {
        name: "sso",
        mode: "basic-auth",
        state: "idle",
        breaker: { state: "closed", since: null },
        htpasswdUsers: 2,
      },
      { name: "bots", mode: "allow", state: "idle", lastFault: null, htpasswdUsers: null },
    ],
  });
  await check("/auth");
  t.match((await statusOf(sparekey)).routes[0], { state: "answering", checks: { upstream: 1 } });

  await proven(sparekey, async () => {});
  state.isDown = true;
  for (let count = 0; count < 3; count += 1) await check("/auth");
  await check("/auth", { Authorization: basic("eve", "emergency") });
  await check("/auth", { Authorization: basic("eve", "guess") });
  await check("/bots");
  const during = await eventually(
    () => "the breaker does not open",
    async () => {
      const status = await statusOf(sparekey);
      return status.routes[0]?.breaker.state === "closed" ? null : status;
    },
  );
  t.match(during, {
    summary: "2 of 2 routes are in fallback",
    routes: [
      {
        state: "fallback",
        summary: /^Emergency login active for \d s: the upstream answers 503$/,
        fallback: { mode: "basic-auth", reason: "status_503", everyCheck: true, checks: 5 },
        lastFault: { reason: "status_503" },
        emergencyLogins: { ok: 1, missing: 3, bad: 1 },
      },
      { state: "fallback", fallback: { mode: "allow", reason: "refused", checks: 1 } },
    ],
  });
  t.equal(
    during.routes[0]?.recent.fallbacks.reduce((a, b) => a + b),
    5,
  );
  t.equal(during.routes[0]?.recent.checks.length, 60);

  state.isDown = false;
  const after = await eventually(
    () => "the breaker does not close",
    async () => {
      const status = await statusOf(sparekey);
      return status.routes[0]?.breaker.state === "closed" ? status : null;
    },
  );
  t.match(after.routes[0], { fallback: { everyCheck: false } });
  const kinds = after.events.filter(({ route }) => route === "sso").map(({ kind }) => kind);
  t.same(kinds, ["breaker_closed", "breaker_opened", "fallback_began", "probe_proven"]);
});

t.test("what a person does, and a config that is refused", async (t) => {
  const { sparekey, check } = await scene(t);
  const wanted = { mode: "fallback", ttl: "1h", reason: "drill <b>" };
  t.match(JSON.parse((await post(sparekey, "/-/routes/sso/override", wanted)).text), { reason: "drill <b>" });
  await check("/auth");
  t.match(await statusOf(sparekey), {
    routes: [
      {
        state: "fallback",
        summary: /^Emergency login active for \d s: a person chose it$/,
        override: { mode: "fallback", until: { seconds: /^3(600|59\d)$/ }, reason: "drill <b>" },
      },
    ],
  });
  t.match(await sparekey.log(({ msg }) => msg === "override begins"), { reason: "drill <b>", user: "root" });
  t.match(JSON.parse((await ask(`${sparekey.admin.url}/-/routes/sso/override`)).text), {
    reason: "drill <b>",
  });
  await post(sparekey, "/-/routes/sso/override", { mode: "auto" });
  await post(sparekey, "/-/reload", {});
  await writeFile(`${sparekey.folder}/sparekey.yaml`, "routes: secret-value\n");
  t.equal((await post(sparekey, "/-/reload", {})).status, 422);
  const status = await statusOf(sparekey);
  t.match(status, { config: { lastReload: "refused" }, routes: [{ override: null }] });
  const kinds = status.events.map(({ kind }) => kind);
  t.same(kinds.slice(0, 3), ["reload_refused", "reloaded", "fallback_ended"]);
  const text = JSON.stringify(status);
  for (const marker of ["root", "secret-value", sparekey.folder, "127.0.0.1"])
    t.notMatch(text, marker, marker);
});

t.test("a probe by hand is the trial of an open breaker, at every worker", async (t) => {
  for (const workers of ["", "workers: 2"]) {
    const { state, sparekey, check } = await scene(t, workers, "1h");
    const probe = async () => JSON.parse((await post(sparekey, "/-/routes/sso/probe", null)).text);
    t.match(await probe(), { finding: "fine" }, "before any check");
    await proven(sparekey, () => check("/auth"));
    state.isDown = true;
    for (let count = 0; count < 30; count += 1) await check("/auth");
    t.match(await probe(), { finding: "fault", reason: "status_503" });
    t.match((await statusOf(sparekey)).routes[0], { breaker: { state: "open" } });
    state.isDown = false;
    // By itself it would look again within an hour.
    await probe();
    await probe();
    t.match((await statusOf(sparekey)).routes[0], { breaker: { state: "closed" } });
    t.match(await sparekey.log(({ msg }) => msg === "probe asked for"), {
      route: "sso",
      user: "root",
      finding: "fine",
    });
    t.equal((await post(sparekey, "/-/routes/none/probe", null)).status, 404);
  }
});

t.test("workers: sums, and what one that died had counted", async (t) => {
  const { state, sparekey, check } = await scene(t, "workers: 2");
  for (let count = 0; count < 20; count += 1) await check("/auth");
  const before = await statusOf(sparekey);
  t.same(before.workers, { wanted: 2, serving: 2, silent: 0 });
  t.equal(totalOf(before, "upstream"), 20);
  t.equal(
    before.routes[0]?.recent.checks.reduce((a, b) => a + b),
    20,
  );

  state.isDown = true;
  for (let count = 0; count < 20; count += 1) await check("/auth");
  const during = await statusOf(sparekey);
  t.match(during.routes[0], { state: "fallback", fallback: { reason: "status_503", checks: 20 } });
  const began = during.events.filter(({ kind }) => kind === "fallback_began");
  t.same(new Set(began.map(({ worker }) => worker)), new Set([1, 2]), "each tells of its own");

  await statusOf(sparekey);
  const [victim = 0] = await workersOf(sparekey.process.pid);
  process.kill(victim, "SIGKILL");
  await sparekey.log(({ msg }) => msg === "worker serves");
  const after = await statusOf(sparekey);
  t.equal((totalOf(after, "upstream") ?? 0) + (totalOf(after, "fallback") ?? 0), 40);
  const kinds = after.events.map(({ kind }) => kind);
  t.ok(kinds.includes("worker_died") && kinds.includes("worker_serves"), kinds.join());
});

t.test("the page about it has every field, and no other", async (t) => {
  const page = await readFile(new URL("../../docs/status.md", import.meta.url), "utf8");
  const shown = JSON.parse(/```json\n([\s\S]*?)```/.exec(page)?.[1] ?? "");
  const { state, sparekey, check } = await scene(t, "workers: 2", "1h");
  await proven(sparekey, () => check("/auth"));
  state.isDown = true;
  await eventually(
    () => "the breaker does not open",
    async () => {
      await check("/auth");
      return (await statusOf(sparekey)).routes[0]?.breaker.since ?? null;
    },
  );
  await post(sparekey, "/-/routes/sso/override", { mode: "fallback", ttl: "1h", reason: "drill" });
  const real = await statusOf(sparekey);
  const one = {
    ...real,
    routes: real.routes.slice(0, 1),
    events: real.events.filter(({ worker }) => worker).slice(0, 1),
  };
  t.same(shape(one), shape(shown));
});

/** Keys and types, with lists as what their items have in common. `atMost` and `moreThan` stand for each other. */
function shape(value: unknown): unknown {
  if (Array.isArray(value)) return typeof value[0] === "object" ? value.map(shape) : "list";
  if (typeof value !== "object" || value === null) return typeof value;
  const entries = Object.entries(value).map(([key, one]) => [
    key === "moreThan" ? "atMost" : key,
    shape(one),
  ]);
  return Object.fromEntries(entries);
}
