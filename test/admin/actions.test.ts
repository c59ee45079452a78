import t, { type Test } from "tap";
import type { AdminActions } from "../../src/admin/actions.ts";
import { createAdminServer } from "../../src/admin/server.ts";
import type { LoginResult, OverrideMode } from "../../src/core/types.ts";
import { ask, basic } from "../support/app.ts";
import { outage } from "../support/status-scene.ts";

const METRICS = { contentType: "text/plain", text: async () => "" };
const GOOD = basic("eve", "s\u00e9same");

/** What was asked for, in order, as `fallback sso 60000 eve`. */
async function startAdmin(t: Test, changes: Partial<AdminActions> = {}) {
  const asked: string[] = [];
  const addresses: string[] = [];
  const overrides = new Map<string, { mode: OverrideMode; until: number; reason: string | null }>();
  const actions: AdminActions = {
    isOpen: () => true,
    login: async ({ user, password }, address) => {
      addresses.push(address);
      return password === "s\u00e9same" ? { kind: "ok", user } : { kind: "bad" };
    },
    reload: async (user) => {
      asked.push(`reload ${user}`);
      return { ok: true };
    },
    probe: async (route, user) => {
      asked.push(`probe ${route} ${user}`);
      return { kind: "fault", reason: "dns" };
    },
    routes: () => ["sso", "bots"],
    upstreamOf: () => ["http://outpost.inner:9000"],
    endpointsOf: () => [],
    timeline: () => [],
    overrideOf: (route) => overrides.get(route) ?? null,
    override: (route, mode, milliseconds, user, reason) => {
      asked.push(`${mode} ${route} ${milliseconds} ${user}${reason === null ? "" : `: ${reason}`}`);
      overrides.delete(route);
      if (mode !== null)
        overrides.set(route, { mode, until: Date.UTC(2026, 3, 18, 1, 2, 3) + milliseconds, reason });
    },
    ...changes,
  };
  const server = createAdminServer({
    listen: { host: "127.0.0.1", port: 0 },
    metrics: METRICS,
    readiness: () => "ready",
    status: outage,
    actions,
  });
  const { port } = await server.listen();
  t.teardown(() => server.close());
  const post = (path: string, body: string, headers: Record<string, string> = {}) =>
    ask(`http://127.0.0.1:${port}${path}`, {
      method: "POST",
      headers: { Authorization: GOOD, ...headers },
      body,
    });
  return { asked, addresses, post, port };
}

const RELOAD = "/-/reload";
const OVERRIDE = "/-/routes/sso/override";
const FALLBACK = '{"mode":"fallback","ttl":"1m"}';

t.test("who may: each of these on both paths", async (t) => {
  const login = (result: LoginResult) => ({ login: async () => result });
  const rows: readonly {
    name: string;
    changes?: Partial<AdminActions>;
    headers?: Record<string, string>;
    status: number;
    says?: RegExp;
  }[] = [
    { name: "the password", status: 200 },
    { name: "no password", headers: { Authorization: "" }, status: 401 },
    { name: "a wrong one", headers: { Authorization: basic("eve", "guess") }, status: 401 },
    { name: "base64 that is none", headers: { Authorization: `Basic ~${GOOD.slice(6)}` }, status: 401 },
    { name: "a token", headers: { Authorization: "Bearer x" }, status: 401 },
    { name: "none is set", changes: { isOpen: () => false }, status: 403, says: /admin\.htpasswd/ },
    {
      name: "none is usable",
      changes: login({ kind: "forbidden", why: "no_users" }),
      status: 403,
      says: /no usable line/,
    },
    { name: "too many tries", changes: login({ kind: "limited", retryAfterSeconds: 7 }), status: 429 },
    { name: "a page of this host", headers: { Origin: "http://127.0.0.1:PORT" }, status: 200 },
    {
      name: "a page of another",
      headers: { Origin: "http://evil.example" },
      status: 403,
      says: /another site/,
    },
    { name: "another port of this host", headers: { Origin: "http://127.0.0.1:1" }, status: 403 },
    { name: "a page of no origin", headers: { Origin: "null" }, status: 403 },
    { name: "from another site", headers: { "Sec-Fetch-Site": "cross-site" }, status: 403 },
    { name: "from a sister site", headers: { "Sec-Fetch-Site": "same-site" }, status: 403 },
    { name: "from this site", headers: { "Sec-Fetch-Site": "same-origin" }, status: 200 },
    { name: "typed in by a person", headers: { "Sec-Fetch-Site": "none" }, status: 200 },
  ];
  for (const { name, changes = {}, headers = {}, status, says } of rows) {
    const { asked, post, port } = await startAdmin(t, changes);
    const sent = Object.entries(headers).map(([key, value]) => [key, value.replace("PORT", String(port))]);
    for (const path of [RELOAD, OVERRIDE]) {
      const reply = await post(path, FALLBACK, Object.fromEntries(sent));
      t.equal(reply.status, status, `${name}: ${path}`);
      if (says) t.match(reply.text, says, `${name}: ${path}`);
      t.equal(reply.headers["cache-control"], "no-store", name);
      t.equal(
        reply.headers["www-authenticate"] !== undefined,
        status === 401,
        `${name}: asks for a password`,
      );
      t.equal(reply.headers["retry-after"], status === 429 ? "7" : undefined, name);
    }
    t.equal(asked.length, status === 200 ? 2 : 0, `${name}: done or not`);
  }
});

t.test("failed logins count by the address of the connection, not by what a header says", async (t) => {
  const { addresses, post } = await startAdmin(t);
  await post(RELOAD, "", { "X-Forwarded-For": "192.0.2.1" });
  t.same(addresses, ["127.0.0.1"]);
});

t.test("a probe by hand: its finding comes back", async (t) => {
  const { asked, post } = await startAdmin(t);
  const reply = await post("/-/routes/sso/probe", "");
  t.equal(reply.status, 200);
  t.same(JSON.parse(reply.text), { route: "sso", finding: "fault", reason: "dns" });
  t.equal((await post("/-/routes/none/probe", "")).status, 404);
  t.equal((await post("/-/routes/sso/probe", "", { Origin: "http://evil.example" })).status, 403);
  t.same(asked, ["probe sso eve"]);
});

t.test("an override", async (t) => {
  const until = "2026-04-18T01:03:03.000Z";
  const rows: readonly {
    name: string;
    path?: string;
    body: string;
    status: number;
    reply: unknown;
    asked?: string;
  }[] = [
    {
      name: "fallback",
      body: FALLBACK,
      status: 200,
      reply: { route: "sso", mode: "fallback", until },
      asked: "fallback sso 60000 eve",
    },
    {
      name: "upstream",
      body: '{"mode":"upstream","ttl":"60s"}',
      status: 200,
      reply: { route: "sso", mode: "upstream", until },
      asked: "upstream sso 60000 eve",
    },
    {
      name: "auto",
      body: '{"mode":"auto"}',
      status: 200,
      reply: { route: "sso", mode: "auto" },
      asked: "null sso 0 eve",
    },
    {
      name: "with a reason",
      body: '{"mode":"fallback","ttl":"1m","reason":"drill, see \u00a7 5 <b>"}',
      status: 200,
      reply: { route: "sso", mode: "fallback", until, reason: "drill, see \u00a7 5 <b>" },
      asked: "fallback sso 60000 eve: drill, see \u00a7 5 <b>",
    },
    {
      name: "an empty reason is none",
      body: '{"mode":"fallback","ttl":"1m","reason":""}',
      status: 200,
      reply: { route: "sso", mode: "fallback", until },
      asked: "fallback sso 60000 eve",
    },
    ...[
      { name: "a reason that is too long", reason: "x".repeat(201) },
      { name: "a reason of two lines", reason: "one\ntwo" },
      { name: "a reason that a terminal obeys", reason: "\u001b[2J" },
      { name: "a reason that turns the text around", reason: "\u202etxt" },
      { name: "a reason that is no text", reason: 5 },
    ].map(({ name, reason }) => ({
      name,
      body: JSON.stringify({ mode: "fallback", ttl: "1m", reason }),
      status: 400,
      reply: /^reason .* is not a line of at most 200 characters$/s,
    })),
    {
      name: "an unknown mode",
      body: '{"mode":"deny","ttl":"1m"}',
      status: 400,
      reply: /^mode "deny" is not one of fallback, upstream, auto; write/,
    },
    { name: "no mode", body: "{}", status: 400, reply: /mode \(missing\) is not one of/ },
    {
      name: "no end",
      body: '{"mode":"fallback"}',
      status: 400,
      reply: /ttl \(missing\) is not a duration from 1s to 24h/,
    },
    {
      name: "a number",
      body: '{"mode":"fallback","ttl":60}',
      status: 400,
      reply: /^ttl .* is not a duration/,
    },
    {
      name: "too short",
      body: '{"mode":"fallback","ttl":"999ms"}',
      status: 400,
      reply: /^ttl .* is not a duration/,
    },
    {
      name: "too long",
      body: '{"mode":"fallback","ttl":"24.1h"}',
      status: 400,
      reply: /^ttl .* is not a duration/,
    },
    {
      name: "no duration",
      body: '{"mode":"fallback","ttl":"soon"}',
      status: 400,
      reply: /^ttl .* is not a duration/,
    },
    {
      name: "a key in another case",
      body: '{"mode":"fallback","TTL":"1m"}',
      status: 400,
      reply: /^"TTL" is not known here/,
    },
    { name: "no JSON", body: "mode=fallback", status: 400, reply: /not a JSON object/ },
    { name: "no object", body: "null", status: 400, reply: /not a JSON object/ },
    { name: "nothing", body: "", status: 400, reply: /not a JSON object/ },
    { name: "too much", body: `{"mode":"auto","x":"${"x".repeat(5_000)}"}`, status: 413, reply: /too large/ },
    {
      name: "an unknown route",
      path: "/-/routes/other/override",
      body: FALLBACK,
      status: 404,
      reply: /there are sso, bots/,
    },
    {
      name: "a prototype's name",
      path: "/-/routes/__proto__/override",
      body: FALLBACK,
      status: 404,
      reply: /no such route/,
    },
  ];
  for (const { name, path = OVERRIDE, body, status, reply, asked } of rows) {
    for (const type of ["application/json", "application/x-www-form-urlencoded", ""]) {
      const admin = await startAdmin(t);
      const got = await admin.post(path, body, type === "" ? {} : { "Content-Type": type });
      t.equal(got.status, status, name);
      const said = JSON.parse(got.text);
      if (reply instanceof RegExp) t.match(said.error, reply, name);
      else t.same(said, reply, name);
      t.same(admin.asked, asked === undefined ? [] : [asked], name);
    }
  }
});

t.test("a reload that is refused says why", async (t) => {
  const result = { ok: false, problems: ["a.yaml:1:1 routes: missing"] } as const;
  const { post } = await startAdmin(t, { reload: async () => result });
  const reply = await post(RELOAD, "");
  t.equal(reply.status, 422);
  t.same(JSON.parse(reply.text), result);
});

t.test("a failure inside says nothing of itself", async (t) => {
  const { post } = await startAdmin(t, { reload: () => Promise.reject(new Error("/etc/secret-path")) });
  const reply = await post(RELOAD, "");
  t.equal(reply.status, 500);
  t.same(JSON.parse(reply.text), { error: "internal error" });
});

t.test("what holds can be read without a password", async (t) => {
  const { post, port } = await startAdmin(t);
  const get = (path: string) => ask(`http://127.0.0.1:${port}${path}`);
  t.same(JSON.parse((await get(OVERRIDE)).text), { route: "sso", mode: "auto" });
  await post(OVERRIDE, FALLBACK);
  const until = "2026-04-18T01:03:03.000Z";
  t.same(JSON.parse((await get(OVERRIDE)).text), { route: "sso", mode: "fallback", until });
  t.equal((await get("/-/routes/other/override")).status, 404);
  const reload = await get(RELOAD);
  t.equal(`${reload.status} ${reload.headers.allow}`, "405 POST");
  t.match(JSON.parse(reload.text).error, /use POST/);
});
