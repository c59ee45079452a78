/**
 * A flood opens no door. With the first edition 16 parallel bots filled the queue of a bot blocker with one thread, what
 * they caused was confirmed by a probe that stood in the same queue, and 29,796 of them were let in.
 */
import { createServer, type ServerResponse } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import t, { type Test } from "tap";
import { startOneThreadBlocker } from "../../src/demo/one-thread-blocker.ts";
import { type Answered, ask, type Served, sample, serve } from "../support/app.ts";
import { htpasswdOf } from "../support/sparekey.ts";
import { warmedUp } from "../support/warm.ts";

const READ_MS = 2_500;
/** The promise is 1.5 s after `read`, which bench/flood.ts measures. A busy machine gets more. */
const FALLBACK_MS = READ_MS + 3_000;
/** Of an outpost that takes longer for a crowd. */
const SHORT_READ_MS = 600;
const FLOOD_MS = 1_200;

function headersOf(client: string, userAgent = "Mozilla/5.0"): Record<string, string> {
  return {
    ...{ "X-Forwarded-Proto": "https", "X-Forwarded-Host": "app.example.com", "X-Forwarded-Method": "GET" },
    ...{ "X-Forwarded-Uri": "/", "X-Forwarded-For": client, "User-Agent": userAgent },
  };
}

const BOT = headersOf("192.0.2.66", "GPTBot/1.0");
const BYSTANDER = headersOf("198.51.100.7");

/** `count` clients that ask again and again until `stop`. */
function crowd(url: string, count: number, headers: Record<string, string>) {
  const replies: Answered[] = [];
  let isOver = false;
  const all = Array.from({ length: count }, async () => {
    while (!isOver) replies.push(await ask(url, { headers }));
  });
  return {
    replies,
    stop: async () => {
      isOver = true;
      await Promise.all(all);
    },
  };
}

async function visits(url: string, milliseconds: number): Promise<readonly Answered[]> {
  const end = performance.now() + milliseconds;
  const replies: Answered[] = [];
  while (performance.now() < end) {
    replies.push(await ask(url, { headers: BYSTANDER }));
    await sleep(20);
  }
  return replies;
}

function fallbacks(replies: readonly Answered[]): number {
  return replies.filter(({ headers }) => headers["x-auth-fallback"] !== undefined).length;
}

async function isClosed(served: Served, route: string): Promise<boolean> {
  return sample(await served.metrics(), `sparekey_breaker_state{route="${route}",state="closed"}`) === 1;
}

for (const bots of [16, 64]) {
  t.test(`${bots} bots before a blocker with one thread`, async (t) => {
    const blocker = await startOneThreadBlocker({ port: 0, millisecondsPerAnswer: 10 });
    t.teardown(() => blocker.close());
    const served = await serve(
      t,
      `
admin: { listen: "127.0.0.9:0" }
listen: "127.0.0.1:0"
routes:
  - { preset: bot-block, upstream: "${blocker.url}", timeouts: { connect: 500ms, read: ${READ_MS}ms, total: 4s } }
`,
    );
    const url = `${served.urls[0]}/auth`;
    t.equal((await ask(url, { headers: BYSTANDER })).status, 200);
    const flood = crowd(url, bots, BOT);
    const beside = await visits(url, FLOOD_MS);
    t.ok(flood.replies.length > 50, "they are many");
    t.equal(flood.replies.filter(({ status }) => status === 200).length, 0, "no bot is let in");
    t.same([...new Set(beside.map(({ status }) => status))], [200], "a bystander is answered");
    t.equal(fallbacks(beside), 0, "by the blocker");
    t.ok(await isClosed(served, "bot-block"));

    // An endless page takes the only thread.
    const endless = connect(blocker.port, "127.0.0.1").on("error", () => {});
    endless.resume().write("GET /endless HTTP/1.0\r\n\r\n");
    t.teardown(() => endless.destroy());
    const onset = performance.now();
    let reply = await ask(url, { headers: BYSTANDER });
    while (reply.headers["x-auth-fallback"] === undefined && performance.now() < onset + 2 * FALLBACK_MS)
      reply = await ask(url, { headers: BYSTANDER });
    await flood.stop();
    t.equal(reply.headers["x-auth-fallback"], "allow", "one that is really dead is found beside them");
    t.ok(performance.now() - onset < FALLBACK_MS, `${Math.round(performance.now() - onset)} ms after`);
  });
}

/**
 * It takes every connection and answers one check at a time, as long as somebody waits for the answer. A login is `new`
 * without a cookie, and may need two turns.
 */
async function oneAtATime(t: Test, milliseconds: number, turnsOfNew: 1 | 2 = 1): Promise<string> {
  const waiting: ServerResponse[] = [];
  const again = new Set<ServerResponse>();
  const server = createServer((request, response) => {
    waiting.push(response);
    if (turnsOfNew === 2 && request.headers.cookie === undefined) again.add(response);
  }).listen(0, "127.0.0.1");
  const timer = setInterval(() => {
    const setCookie = { "Set-Cookie": "authentik_proxy_5ba4e1c2=x", Location: "https://auth.example.com/" };
    while (waiting[0]?.destroyed) waiting.shift();
    const next = waiting.shift();
    if (next && again.delete(next)) waiting.push(next);
    else next?.writeHead(302, setCookie).end();
  }, milliseconds);
  t.teardown(() => {
    clearInterval(timer);
    server.closeAllConnections();
    server.close();
  });
  await new Promise((resolve) => server.once("listening", resolve));
  const address = server.address();
  return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
}

for (const mode of ["allow", "basic-auth"] as const) {
  t.test(`${mode}: an outpost that is too busy for all is not broken`, async (t) => {
    const upstream = await oneAtATime(t, 10);
    const file = join(t.testdir({ htpasswd: htpasswdOf({ admin: "right" }) }), "htpasswd");
    const fallback = mode === "allow" ? "{ mode: allow }" : `{ mode: basic-auth, htpasswd: ${file} }`;
    const served = await serve(
      t,
      `
admin: { listen: "127.0.0.9:0" }
listen: "127.0.0.1:0"
routes:
  - { preset: authentik, upstream: "${upstream}", timeouts: { connect: 500ms, read: ${SHORT_READ_MS}ms, total: 2s }, fallback: ${fallback} }
`,
    );
    const url = `${served.urls[0]}/outpost.goauthentik.io/auth/traefik`;
    t.equal((await ask(url, { headers: BYSTANDER })).status, 302);
    // They ask for more than it can do within `read`.
    const flood = crowd(url, 70, headersOf("192.0.2.66"));
    const beside = await visits(url, 3 * FLOOD_MS);
    await flood.stop();
    const letIn = flood.replies.filter(({ headers }) => headers["x-auth-fallback"] === "allow");
    t.equal(letIn.length, 0, "nobody of the crowd is let in");
    t.equal(fallbacks(beside), 0, "and no bystander falls back");
    t.ok(await isClosed(served, "authentik"));
  });
}

t.test("regression: a crowd with cookies opens no door to those without", async (t) => {
  const upstream = await oneAtATime(t, 10, 2);
  const served = await serve(
    t,
    `
admin: { listen: "127.0.0.9:0" }
listen: "127.0.0.1:0"
routes:
  - { preset: authentik, upstream: "${upstream}", timeouts: { connect: 500ms, read: ${SHORT_READ_MS}ms, total: 2s }, fallback: { mode: allow } }
`,
  );
  const url = `${served.urls[0]}/outpost.goauthentik.io/auth/traefik`;
  await warmedUp(served.metrics, ["authentik"], () => ask(url, { headers: BYSTANDER }));
  // They are answered within `read`, and a check without a cookie, a probe too, is not.
  const flood = crowd(url, 42, { ...headersOf("192.0.2.66"), Cookie: "a=b" });
  await sleep(SHORT_READ_MS);
  const without = crowd(url, 2, headersOf("192.0.2.66"));
  await sleep(3 * FLOOD_MS);
  await Promise.all([flood.stop(), without.stop()]);
  t.ok(without.replies.length > 0);
  t.equal(fallbacks(without.replies), 0, "nobody is let in");
  t.ok(await isClosed(served, "authentik"));
});
