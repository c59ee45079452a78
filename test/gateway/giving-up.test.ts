/**
 * Gateways and people who give up before sparekey does: an outage that is seen only through them must still be found.
 * With the first edition Envoy gave up after 200 ms, Caddy after 3 s, and no breaker ever opened.
 */
import { request } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import t, { type Test } from "tap";
import { startOutpost } from "../../src/demo/outpost.ts";
import { ask, sample, serve } from "../support/app.ts";
import { signIn } from "../support/sign-in.ts";
import { htpasswdOf } from "../support/sparekey.ts";

const PATH = "/outpost.goauthentik.io/auth/traefik";
const READ_MS = 1_500;
const WITHIN_MS = READ_MS + 1_500;
const EVERY_MS = 40;
const FORWARDED = {
  "X-Forwarded-Proto": "https",
  "X-Forwarded-Host": "app.example.com",
  "X-Forwarded-Method": "GET",
  "X-Forwarded-Uri": "/",
  "X-Forwarded-For": "192.0.2.7",
};

function config(t: Test, upstream: string, mode: "allow" | "basic-auth", more = ""): string {
  const file = join(t.testdir({ htpasswd: htpasswdOf({ admin: "right" }) }), "htpasswd");
  const fallback = mode === "allow" ? "{ mode: allow }" : `{ mode: basic-auth, htpasswd: ${file} }`;
  return `
admin: { listen: "127.0.0.9:0" }
listen: "127.0.0.1:0"
routes:
  - name: sso
    preset: authentik
    upstream: ${upstream}
    timeouts: { connect: 1s, read: ${READ_MS}ms, total: 3s }
    breaker: { interval: 30s, maxInterval: 30s }
    fallback: ${fallback}
${more}`;
}

/** A check whose gateway gives up after `patience` milliseconds. */
function askBriefly(url: string, patience: number): Promise<number | "gave up"> {
  return new Promise((resolve) => {
    const asked = request(url, { headers: FORWARDED, agent: false }, (response) => {
      clearTimeout(timer);
      response.resume().on("end", () => resolve(response.statusCode ?? 0));
    });
    asked.on("error", () => resolve("gave up")).end();
    const timer = setTimeout(() => asked.destroy(), patience);
  });
}

async function isProven(metrics: () => Promise<string>): Promise<void> {
  await until(async () => sample(await metrics(), 'sparekey_probe_proven{route="sso"}') === 1);
}

/** Rejects when it takes too long. */
async function until(holds: () => Promise<boolean>, most = 10_000): Promise<void> {
  const end = performance.now() + most;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`it does not hold after ${most} ms`);
    await sleep(10);
  }
}

const GIVING_UP = [
  { mode: "allow", patience: 200 },
  { mode: "allow", patience: 700 },
  { mode: "allow", patience: READ_MS - 100 },
  { mode: "basic-auth", patience: 200 },
] as const;

for (const { mode, patience } of GIVING_UP) {
  t.test(`${mode}: who gives up after ${patience} ms still opens the breaker`, async (t) => {
    const outpost = await startOutpost({ port: 0, hosts: ["app.example.com"] });
    t.teardown(() => outpost.close());
    const served = await serve(t, config(t, outpost.url, mode));
    const url = `${served.urls[0]}${PATH}`;
    for (let warm = 0; warm < 20; warm += 1) t.equal((await ask(url, { headers: FORWARDED })).status, 302);
    await isProven(served.metrics);

    outpost.setFault("hang");
    const onset = performance.now();
    const asked: Promise<number | "gave up">[] = [];
    let opened = Number.POSITIVE_INFINITY;
    while (performance.now() < onset + WITHIN_MS + 1_000 && opened === Number.POSITIVE_INFINITY) {
      asked.push(askBriefly(url, patience));
      await sleep(EVERY_MS);
      const metrics = await served.metrics();
      if (sample(metrics, 'sparekey_breaker_state{route="sso",state="closed"}') === 0)
        opened = performance.now();
    }
    t.ok(opened - onset <= WITHIN_MS, `opened ${Math.round(opened - onset)} ms after the onset`);
    const replies = await Promise.all(asked);
    t.ok(replies.includes("gave up"), "some gave up");
    t.equal(await askBriefly(url, patience), mode === "allow" ? 200 : 401, "then all fall back at once");
    t.ok(sample(await served.metrics(), 'sparekey_abandoned_total{route="sso"}') >= 5, "they are counted");
  });
}

t.test("Envoy says how long it waits, and gets a reply before that", async (t) => {
  const outpost = await startOutpost({ port: 0, hosts: ["app.example.com"] });
  t.teardown(() => outpost.close());
  const yaml = config(
    t,
    outpost.url,
    "basic-auth",
    "    gateway: envoy\n    path: /outpost.goauthentik.io/auth/envoy/*\n",
  );
  const served = await serve(t, yaml);
  const url = `${served.urls[0]}/outpost.goauthentik.io/auth/envoy/`;
  const headers = {
    ...{ Host: "app.example.com", "X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7" },
    "x-envoy-expected-rq-timeout-ms": "200",
  };
  for (let warm = 0; warm < 20; warm += 1) t.equal((await ask(url, { headers })).status, 302);
  await isProven(served.metrics);

  outpost.setFault("hang");
  const onset = performance.now();
  const took: number[] = [];
  let status = 0;
  while (performance.now() < onset + WITHIN_MS + 1_000 && status !== 401) {
    const sent = performance.now();
    ({ status } = await ask(url, { headers }));
    took.push(performance.now() - sent);
    if (status !== 401) t.equal(status, 503, "nothing is known yet");
  }
  t.equal(status, 401);
  t.ok(
    performance.now() - onset <= WITHIN_MS,
    `falls back ${Math.round(performance.now() - onset)} ms after the onset`,
  );
  // A stall of this very process may delay one or two.
  const late = took.filter((one) => one >= 200);
  t.ok(late.length <= 2, `each within 200 ms but ${late.length} of ${took.length}`);
});

t.test("a store that hangs for new logins alone", async (t) => {
  const outpost = await startOutpost({ port: 0, hosts: ["app.example.com"] });
  t.teardown(() => outpost.close());
  const served = await serve(t, config(t, outpost.url, "basic-auth"));
  const url = `${served.urls[0]}${PATH}`;
  const cookie = await signIn(outpost, "app.example.com");
  const member = { headers: { ...FORWARDED, Cookie: cookie } };
  t.equal((await ask(url, { headers: FORWARDED })).status, 302);
  t.equal((await ask(url, member)).status, 200);
  await isProven(served.metrics);

  outpost.setFault("logins-hang");
  const visitors = Array.from({ length: 20 }, () => ask(url, { headers: FORWARDED }));
  let isOver = false;
  const members: number[] = [];
  const going = (async () => {
    while (!isOver) members.push((await ask(url, member)).status);
  })();
  const statuses = (await Promise.all(visitors)).map(({ status }) => status);
  isOver = true;
  await going;
  t.same([...new Set(statuses)], [401], "challenges fall back");
  t.same([...new Set(members)], [200], "sessions go on");
  t.equal(sample(await served.metrics(), 'sparekey_breaker_state{route="sso",state="closed"}'), 1);
});

t.test("restarted in the midst of a hang, an open door opens all the same", async (t) => {
  const outpost = await startOutpost({ port: 0, hosts: ["app.example.com"] });
  t.teardown(() => outpost.close());
  outpost.setFault("hang");
  const served = await serve(t, config(t, outpost.url, "allow"));
  const url = `${served.urls[0]}${PATH}`;
  const onset = performance.now();
  const asked = Array.from({ length: 8 }, () => ask(url, { headers: FORWARDED }));
  const statuses = (await Promise.all(asked)).map(({ status }) => status);
  t.same([...new Set(statuses)], [200]);
  t.ok(performance.now() - onset <= WITHIN_MS, `${Math.round(performance.now() - onset)} ms`);
  t.equal(sample(await served.metrics(), 'sparekey_breaker_state{route="sso",state="open"}'), 1);
});
