/** The breaker and the probe over real sockets: who waits, who falls back, and how it ends. */
import t, { type Test } from "tap";
import { startOutpost } from "../../src/demo/outpost.ts";
import { type Answered, ask, basic, type Served, sample, serve } from "../support/app.ts";
import { untilProven } from "../support/warm.ts";

const HOST = "app.example.com";
const PATH = "/outpost.goauthentik.io/auth/traefik";
const SHA_OF_RIGHT = "{SHA}0nofEXcSAJSXFLGvmfBIpBb11vQ=";
const FORWARDED = {
  "X-Forwarded-Proto": "https",
  "X-Forwarded-Host": HOST,
  "X-Forwarded-Uri": "/page",
  "X-Forwarded-For": "192.0.2.7",
};

async function scene(
  t: Test,
  route: string,
): Promise<{
  outpost: Awaited<ReturnType<typeof startOutpost>>;
  served: Served;
  check: (headers?: Record<string, string>) => Promise<Answered>;
}> {
  const outpost = await startOutpost({ port: 0, hosts: [HOST] });
  t.teardown(() => outpost.close());
  const htpasswd = `${t.testdir({ htpasswd: `admin:${SHA_OF_RIGHT}\n` })}/htpasswd`;
  const served = await serve(
    t,
    `
admin: { listen: "127.0.0.9:0" }
routes:
  - name: sso
    preset: authentik
    listen: 127.0.0.1:0
    upstream: ${outpost.url}
    timeouts: { connect: 300ms, read: 300ms, total: 900ms }
    breaker: { failures: 3, interval: 100ms, maxInterval: 200ms, successes: 2 }
${route.replace("HTPASSWD", htpasswd)}`,
  );
  const check = (headers = {}) => ask(`${served.urls[0]}${PATH}`, { headers: { ...FORWARDED, ...headers } });
  return { outpost, served, check };
}

const state = async (served: Served): Promise<string> => {
  const metrics = await served.metrics();
  const states = ["closed", "open", "half-open"];
  return (
    states.find((name) => sample(metrics, `sparekey_breaker_state{route="sso",state="${name}"}`) === 1) ??
    "none"
  );
};

t.test("a full session store: people with a session stay in, others get the emergency login", async (t) => {
  const { outpost, served, check } = await scene(t, "    fallback: { mode: basic-auth, htpasswd: HTPASSWD }");
  t.equal((await check()).status, 302);
  await outpost.setFault("bare-400");
  await until(async () => (await check()).status === 401, "the finding that all is well runs out");
  t.equal((await check({ Authorization: basic("admin", "right") })).status, 200);
  t.equal(await state(served), "closed", "a login that is down opens nothing");
  const metrics = await served.metrics();
  t.ok(sample(metrics, 'sparekey_suspects_total{route="sso",reason="bare_400",finding="confirmed"}') > 0);
  t.equal(
    sample(
      metrics,
      'sparekey_fallback_total{route="sso",mode="basic-auth",reason="breaker_open",result="challenged"}',
    ),
    0,
  );
});

t.test(
  "refused: the breaker opens after `failures`, and a live check closes it where no probe ever worked",
  async (t) => {
    const { outpost, served, check } = await scene(t, "    fallback: { mode: deny }");
    await outpost.setFault("refuse");
    for (let i = 0; i < 3; i += 1) t.equal((await check()).status, 503);
    t.not(await state(served), "closed");
    await outpost.setFault("ok");
    await until(async () => (await check()).status === 302, "it closes");
    await until(async () => (await check()) && (await state(served)) === "closed", "two trials in a row");
  },
);

t.test("hung: those who wait are released when it opens, and probes close it", async (t) => {
  const { outpost, served, check } = await scene(t, "    fallback: { mode: deny }");
  await untilProven(served.metrics, ["sso"], () => check());
  await outpost.setFault("hang");
  const waiting = Array.from({ length: 12 }, () => check());
  for (const { status } of await Promise.all(waiting)) t.equal(status, 503);
  await until(async () => (await check()) && (await state(served)) !== "closed", "it opens");
  const before = outpost.received().length;
  t.equal((await check()).headers["x-auth-fallback"], "deny");
  const asked = outpost.received().slice(before);
  t.ok(
    asked.every(({ headers }) => headers.includes("sparekey") || String(headers).includes("sparekey/")),
    "only probes ask",
  );
  await outpost.setFault("ok");
  await until(async () => (await state(served)) === "closed", "probes close it");
  t.equal((await check()).status, 302);
  const lines = served.lines.filter((line) => /breaker (opened|closed)/.test(line));
  t.equal(lines.length, 2, "one line each way");
});

t.test("hosts: another fallback for some", async (t) => {
  const { outpost, check } = await scene(
    t,
    `    fallback: { mode: allow }
    hosts:
      - { match: "*.admin.example.com", fallback: { mode: deny } }`,
  );
  await outpost.setFault("refuse");
  t.equal((await check()).headers["x-auth-fallback"], "allow");
  const admin = await check({ "X-Forwarded-Host": "db.admin.example.com" });
  t.equal(`${admin.status} ${admin.headers["x-auth-fallback"]}`, "503 deny");
});

t.test("loginHealth: a redirect to a dead login falls back, a session stays in", async (t) => {
  const login = await startOutpost({ port: 0, hosts: [HOST] });
  t.teardown(() => login.close());
  const { check } = await scene(
    t,
    `    probe: { loginHealth: "${login.url}/outpost.goauthentik.io/ping", minInterval: 100ms }
    fallback: { mode: basic-auth, htpasswd: HTPASSWD }`,
  );
  t.equal((await check()).status, 302);
  await login.setFault("refuse");
  await until(async () => (await check()).status === 401, "the login is found dead");
  await login.setFault("ok");
  await until(async () => (await check()).status === 302, "and alive again");
});

async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  const end = Date.now() + 15_000;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`within 15 s: ${what}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
}
