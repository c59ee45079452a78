/** Webhooks from end to end: an upstream goes away, and a receiver hears of it. */
import { hostname } from "node:os";
import t, { type Test } from "tap";
import { parseConfig } from "../../src/config/load.ts";
import { readBounded } from "../../src/config/read-file.ts";
import type { Snapshot } from "../../src/core/snapshot.ts";
import { startOutpost } from "../../src/demo/outpost.ts";
import { version } from "../../src/process/version.ts";
import { type Answered, ask, type Served, sample, serve } from "../support/app.ts";
import { eventually } from "../support/processes.ts";
import { type Received, startReceiver } from "../support/receiver.ts";
import { startSparekey } from "../support/sparekey.ts";

const HOST = "app.example.com";
const PATH = "/outpost.goauthentik.io/auth/traefik";
const FORWARDED = {
  "X-Forwarded-Proto": "https",
  "X-Forwarded-Host": HOST,
  "X-Forwarded-Uri": "/page",
  "X-Forwarded-For": "192.0.2.7",
};
const SECRET_PATH = "/hooks/path-secret?key=query-secret";

function config(notify: readonly string[], routes: string): string {
  const entries = notify.map((url) => `{ url: "${url}${SECRET_PATH}", headers: { X-Key: value-secret } }`);
  return `
admin: { listen: "127.0.0.9:0" }
notify: [${entries.join(", ")}]
routes:
${routes}`;
}

function route(name: string, upstream: string, keys: string): string {
  return `  - { name: ${name}, preset: authentik, listen: "127.0.0.1:0", upstream: "${upstream}", ${keys} }\n`;
}

async function snapshotOf(yaml: string): Promise<Snapshot> {
  const loaded = await parseConfig(yaml, "test.yaml", {}, readBounded);
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  return loaded.snapshot;
}

async function outpostFor(t: Test) {
  const outpost = await startOutpost({ port: 0, hosts: [HOST] });
  t.teardown(() => outpost.close());
  return outpost;
}

function check(served: Served): Promise<Answered> {
  return ask(`${served.urls[0]}${PATH}`, { headers: FORWARDED });
}

function messagesOf(received: readonly Received[]): readonly Record<string, unknown>[] {
  return received.map(({ body }) => JSON.parse(body) as Record<string, unknown>);
}

t.test("an upstream goes away: one message, with mode and reason and no word of a client", async (t) => {
  const outpost = await outpostFor(t);
  const receiver = await startReceiver(t);
  const yaml = config([receiver.url], route("sso", outpost.url, "fallback: { mode: deny }"));
  const served = await serve(t, yaml);
  t.equal((await check(served)).status, 302);
  await outpost.setFault("refuse");
  for (let checks = 0; checks < 8; checks += 1) t.equal((await check(served)).status, 503);
  t.equal(sample(await served.metrics(), 'sparekey_breaker_state{route="sso",state="closed"}'), 0);

  const [first] = await receiver.first(1);
  t.match(first, {
    method: "POST",
    target: SECRET_PATH,
    headers: { "x-key": "value-secret", "user-agent": `sparekey/${version()}` },
  });
  const instance = hostname();
  const { time, ...rest } = messagesOf(receiver.received)[0] ?? {};
  t.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  t.same(rest, {
    event: "fallback_began",
    route: "sso",
    mode: "deny",
    reason: "refused",
    instance,
    text: `sparekey on ${instance}: route sso is in fallback (mode deny, reason refused).`,
  });

  await t.test("a reload that removes the route: it is out of fallback", async (t) => {
    const next = config([receiver.url], route("other", outpost.url, "fallback: { mode: deny }"));
    t.match(await served.app.reload(await snapshotOf(next)), { ok: true });
    await receiver.first(2);
    t.match(messagesOf(receiver.received)[1], { event: "fallback_ended", route: "sso", mode: "deny" });
  });

  t.notMatch(served.lines.join("\n"), /secret/);
});

t.test("the breaker opens without a fallback, and a new upstream closes it", async (t) => {
  const outpost = await outpostFor(t);
  const receiver = await startReceiver(t);
  const keys = "breaker: { failures: 3 }, fallback: { mode: none }";
  const served = await serve(t, config([receiver.url], route("plain", outpost.url, keys)));
  await outpost.setFault("status-503");
  for (let checks = 0; checks < 3; checks += 1) t.equal((await check(served)).status, 503);
  await receiver.first(1);
  const healthy = await outpostFor(t);
  const next = config([receiver.url], route("plain", healthy.url, keys));
  t.match(await served.app.reload(await snapshotOf(next)), { ok: true });
  await receiver.first(2);
  t.match(messagesOf(receiver.received), [
    { event: "fallback_began", route: "plain", mode: "none", reason: "status_503" },
    { event: "fallback_ended", route: "plain", mode: "none", reason: "status_503" },
  ]);
  t.type(messagesOf(receiver.received)[1]?.seconds, "number");
});

t.test("a receiver that hangs holds up no check, and no other receiver", async (t) => {
  const outpost = await outpostFor(t);
  const hung = await startReceiver(t, () => {});
  const quick = await startReceiver(t);
  const routes = route("sso", outpost.url, "breaker: { failures: 1000 }, fallback: { mode: allow }");
  const served = await serve(t, config([hung.url, quick.url], routes));
  await outpost.setFault("refuse");
  t.equal((await check(served)).status, 200);
  await hung.first(1);
  await quick.first(1);
  const answers = await Promise.all(Array.from({ length: 100 }, () => check(served)));
  t.ok(answers.every(({ status }) => status === 200));
  t.equal(hung.received.length, 1, "it still hangs");
});

t.test("SIGTERM: receivers that hang or are gone keep no process", async (t) => {
  const outpost = await outpostFor(t);
  const hung = await startReceiver(t, () => {});
  const quick = await startReceiver(t);
  const entries = [hung.url, "http://127.0.0.1:9", quick.url].map((url) => `{ url: "${url}${SECRET_PATH}" }`);
  const sparekey = await startSparekey(
    t,
    `
listen: 127.0.0.1:0
notify: [${entries.join(", ")}]
routes:
  - { preset: authentik, upstream: "${outpost.url}", fallback: { mode: deny } }`,
  );
  await outpost.setFault("refuse");
  const { status } = await ask(sparekey.listen[0].url + PATH, { headers: FORWARDED });
  t.equal(status, 503);
  await hung.first(1);
  await quick.first(1);
  await sparekey.log(({ msg }) => msg === "notify: a message does not get through");
  t.same(await sparekey.stop(), { code: 0, signal: null });
  const given = sparekey.logs().filter(({ msg }) => msg === "notify: messages given up");
  t.same(
    given.map(({ entry, reason, lost }) => `${entry} ${reason} ${lost}`),
    ["0 ending 1", "1 ending 1"],
  );
  t.equal(quick.received.length, 1, "the drain is no end of the fallback");
  t.notMatch(sparekey.process.stdout() + sparekey.process.stderr(), /secret/);
});

t.test("at the end what waits is tried once more, before its time", async (t) => {
  const outpost = await outpostFor(t);
  const receiver = await startReceiver(t, (response, _request, count) => {
    response.writeHead(count < 3 ? 503 : 204).end();
  });
  const served = await serve(
    t,
    config([receiver.url], route("sso", outpost.url, "fallback: { mode: deny }")),
  );
  await outpost.setFault("refuse");
  t.equal((await check(served)).status, 503);
  // The next try but one is 5 s away.
  await receiver.first(2);
  await served.app.drain();
  t.equal(receiver.received.length, 3);
});

t.test("a reload changes who is told", async (t) => {
  const outpost = await outpostFor(t);
  const [before, after] = [await startReceiver(t), await startReceiver(t)];
  const routes = route("sso", outpost.url, "fallback: { mode: deny }");
  const served = await serve(t, config([before.url], routes));
  t.match(await served.app.reload(await snapshotOf(config([after.url], routes))), { ok: true });
  await outpost.setFault("refuse");
  await eventually(
    () => "no fallback",
    async () => ((await check(served)).status === 503 ? true : null),
  );
  await after.first(1);
  t.equal(before.received.length, 0);
});
