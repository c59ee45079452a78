import t, { type Test } from "tap";
import type { AdminActions } from "../../src/admin/actions.ts";
import { createAdminServer } from "../../src/admin/server.ts";
import type { Event } from "../../src/observe/event.ts";
import type { OverrideFacts } from "../../src/observe/status/status.ts";
import { createTimeline, type TimelineEntry } from "../../src/observe/timeline.ts";
import { type Answered, ask, basic } from "../support/app.ts";
import { emergencyLogin, endpointEjected, htpasswdLoaded } from "../support/events.ts";
import { ENDPOINTS, NOW, outage } from "../support/status-scene.ts";

const ROOT = basic("root", "sesame");
const EVIL = `"><script>alert(1)</script>`;
const EVENTS = [
  emergencyLogin(EVIL, "authentik"),
  htpasswdLoaded("/etc/names", 3),
  endpointEjected("10.0.3.7:9000", "authentik"),
];

function timelineOf(...events: readonly Event[]): readonly TimelineEntry[] {
  const timeline = createTimeline(() => NOW);
  for (const event of events) timeline.add(event);
  return timeline.all().toReversed();
}

/** What was asked for, in order. */
async function startAdmin(t: Test, changes: Partial<AdminActions> = {}, status = () => outage(EVENTS)) {
  const asked: string[] = [];
  const overrides = new Map<string, OverrideFacts>();
  const actions: AdminActions = {
    isOpen: () => true,
    login: async ({ user, password }) => (password === "sesame" ? { kind: "ok", user } : { kind: "bad" }),
    reload: async (user) => {
      asked.push(`reload ${user}`);
      return { ok: true };
    },
    probe: async (route, user) => {
      asked.push(`probe ${route} ${user}`);
      return { kind: "fault", reason: "refused" };
    },
    routes: () => ["authentik", "bot-block"],
    upstreamOf: (route) => [`http://${route}.inner:9000`],
    endpointsOf: (route) => (route === "authentik" ? ENDPOINTS : []),
    timeline: () => timelineOf(...EVENTS),
    overrideOf: (route) => overrides.get(route) ?? null,
    override: (route, mode, milliseconds, user, reason) => {
      asked.push(`${mode} ${route} ${milliseconds} ${user} ${reason}`);
      overrides.delete(route);
      if (mode !== null) overrides.set(route, { mode, until: NOW + milliseconds, reason });
    },
    ...changes,
  };
  const server = createAdminServer({
    listen: { host: "127.0.0.1", port: 0 },
    metrics: { contentType: "text/plain", text: async () => "" },
    readiness: () => "ready",
    status,
    actions,
  });
  const { port } = await server.listen();
  t.teardown(() => server.close());
  const url = `http://127.0.0.1:${port}`;
  const get = (authorization = ROOT) => ask(`${url}/operator`, { headers: { Authorization: authorization } });
  const tokenOf = async (authorization = ROOT): Promise<string> =>
    /name="token" value="([^"]+)"/.exec((await get(authorization)).text)?.[1] ?? "no token";
  const post = (path: string, fields: Readonly<Record<string, string>>, headers = {}): Promise<Answered> =>
    ask(`${url}/operator${path}`, {
      method: "POST",
      headers: { Authorization: ROOT, "Content-Type": "application/x-www-form-urlencoded", ...headers },
      body: String(new URLSearchParams(fields)),
    });
  return { asked, url, get, tokenOf, post };
}

t.test("it is for who has logged in, and shows more than the status page", async (t) => {
  const { url, get } = await startAdmin(t);
  const stranger = await ask(`${url}/operator`);
  t.equal(stranger.status, 401);
  t.match(stranger.headers["www-authenticate"], /^Basic realm="sparekey admin"/);
  t.equal((await get(basic("root", "guess"))).status, 401);
  const { status, headers, text } = await get();
  t.equal(status, 200);
  t.match(headers["content-security-policy"], /^default-src 'none';/);
  t.equal(headers["cache-control"], "no-store");
  const home = (await ask(`${url}/`)).text;
  for (const detail of [
    "http://authentik.inner:9000",
    "/etc/names",
    "10.0.3.7:9000 is not asked any more: it refuses connections",
    "10.0.3.7:9000 has not been asked since 09:08:08: it refuses connections",
    "10.0.3.8:9000 has not been asked for checks without a cookie since 04-17 09:05: it answers empty 400s",
    "10.0.3.",
    "Emergency login of &quot;&gt;&lt;script&gt;",
  ]) {
    t.ok(text.includes(detail), detail);
    t.notOk(home.includes(detail), `${detail}, at /`);
    t.notOk(stranger.text.includes(detail), `${detail}, without a password`);
  }
  for (const shared of [
    "2 of 3 endpoints answer, 1 only checks with a cookie",
    "An endpoint is not asked any more",
  ])
    t.ok(home.includes(shared), `${shared}, at /`);
  t.notMatch(text, "10.0.3.9:9000 has");
  t.notMatch(text, "<script>alert");
  t.notMatch(text, "http-equiv", "what somebody types is not lost by itself");
  const closed = await startAdmin(t, { isOpen: () => false });
  const refused = await closed.get();
  t.equal(refused.status, 403);
  t.match(refused.text, "admin.htpasswd");
});

t.test("regression: no two things on a page have one id, whatever the routes are called", async (t) => {
  const names = ["sso", "sso-name", "sso-counts", "sso-mode", "sso-ttl", "sso-reason"];
  const { url, get } = await startAdmin(t, {}, async () => {
    const base = await outage();
    return {
      ...base,
      routes: names.flatMap((name) => base.routes.slice(0, 1).map((one) => ({ ...one, name }))),
    };
  });
  for (const { text } of [await ask(`${url}/`), await get()]) {
    const ids = [...text.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id);
    t.same(
      ids.filter((id, index) => ids.indexOf(id) !== index),
      [],
    );
    for (const [, id] of text.matchAll(/ (?:for|aria-labelledby)="([^"]+)"/g)) t.ok(ids.includes(id));
  }
});

t.test("what is done, and said of it", async (t) => {
  const rows: readonly {
    name: string;
    path: string;
    fields: Readonly<Record<string, string>>;
    asked: string;
    says: string;
    changes?: Partial<AdminActions>;
  }[] = [
    {
      name: "reload",
      path: "/reload",
      fields: {},
      asked: "reload root",
      says: "was read again and is in use",
    },
    {
      name: "override",
      path: "/override",
      fields: { route: "authentik", mode: "fallback", ttl: "10m", reason: "drill <b>" },
      asked: "fallback authentik 600000 root drill <b>",
      says: "authentik is overridden to fallback until 09:15:07 UTC.",
    },
    {
      name: "override without a reason",
      path: "/override",
      fields: { route: "bot-block", mode: "upstream", ttl: "24h", reason: "" },
      asked: "upstream bot-block 86400000 root null",
      says: "bot-block is overridden to upstream",
    },
    {
      name: "the end of one",
      path: "/override",
      fields: { route: "authentik", mode: "auto" },
      asked: "null authentik 0 root null",
      says: "authentik is as the config says again.",
    },
    {
      name: "probe",
      path: "/probe",
      fields: { route: "authentik" },
      asked: "probe authentik root",
      says: "Probe of authentik: at fault: the upstream refuses connections.",
    },
    {
      name: "a config that is refused",
      path: "/reload",
      fields: {},
      asked: "",
      says: "was refused, the one in use stays. a.yaml:1:9 value &lt;b&gt; is no list",
      changes: { reload: async () => ({ ok: false, problems: ["a.yaml:1:9 value <b> is no list"] }) },
    },
  ];
  for (const { name, path, fields, asked: wanted, says, changes = {} } of rows) {
    const { asked, get, tokenOf, post } = await startAdmin(t, changes);
    const reply = await post(path, { ...fields, token: await tokenOf() });
    t.equal(reply.status, 303, name);
    t.equal(reply.headers.location, "/operator", name);
    t.same(asked, wanted === "" ? [] : [wanted], name);
    const { text } = await get();
    t.ok(
      /id="done">(.*)<\/p>/.exec(text)?.[1]?.includes(says),
      `${name}: ${/id="done">(.*)<\/p>/.exec(text)?.[1]}`,
    );
  }
});

t.test("what is refused, and does nothing: each of these on every path", async (t) => {
  const rows: readonly {
    name: string;
    status: number;
    headers?: Readonly<Record<string, string>>;
    token?: (own: string, tokenOf: (authorization: string) => Promise<string>) => string | Promise<string>;
  }[] = [
    { name: "no password", headers: { Authorization: "" }, status: 401 },
    { name: "a wrong password", headers: { Authorization: basic("root", "guess") }, status: 401 },
    { name: "no token", token: () => "", status: 403 },
    { name: "a token that was made up", token: (own) => `${own.slice(0, -4)}AAAA`, status: 403 },
    { name: "a token of another time", token: (own) => `1${own}`, status: 403 },
    { name: "another person's", token: (_own, tokenOf) => tokenOf(basic("eve", "sesame")), status: 403 },
    { name: "a page of another site", headers: { Origin: "http://evil.example" }, status: 403 },
    { name: "a page of no origin", headers: { Origin: "null" }, status: 403 },
    { name: "from another site", headers: { "Sec-Fetch-Site": "cross-site" }, status: 403 },
    { name: "from a sister site", headers: { "Sec-Fetch-Site": "same-site" }, status: 403 },
    { name: "JSON", headers: { "Content-Type": "application/json" }, status: 415 },
    {
      name: "plain text, as a foreign form can send",
      headers: { "Content-Type": "text/plain" },
      status: 415,
    },
  ];
  for (const { name, status, headers = {}, token = (own: string) => own } of rows) {
    const { asked, tokenOf, post } = await startAdmin(t);
    const sent = await token(await tokenOf(), tokenOf);
    for (const path of ["/reload", "/override", "/probe"]) {
      const fields = { route: "authentik", mode: "fallback", ttl: "10m", token: sent };
      const reply = await post(
        path,
        path === "/override" ? fields : { route: "authentik", token: sent },
        headers,
      );
      t.equal(reply.status, status, `${name}: ${path}`);
      t.match(reply.headers["content-type"], "text/html", `${name}: ${path}`);
      t.match(reply.headers["content-security-policy"], /^default-src 'none';/, `${name}: ${path}`);
    }
    t.same(asked, [], name);
  }
});

t.test("a mistake in a form is said", async (t) => {
  const { asked, tokenOf, post } = await startAdmin(t);
  const token = await tokenOf();
  const rows: readonly {
    path: string;
    fields: Readonly<Record<string, string>>;
    status: number;
    says: string;
  }[] = [
    {
      path: "/override",
      fields: { route: "authentik", mode: "fallback", ttl: "2d" },
      status: 400,
      says: "not a duration",
    },
    {
      path: "/override",
      fields: { route: "authentik", mode: "deny", ttl: "1h" },
      status: 400,
      says: "is not one of",
    },
    {
      path: "/override",
      fields: { route: "authentik", mode: "fallback", ttl: "1h", reason: "x".repeat(201) },
      status: 400,
      says: "at most 200 characters",
    },
    { path: "/override", fields: { route: EVIL, mode: "auto" }, status: 404, says: "no such route" },
    { path: "/probe", fields: { route: "__proto__" }, status: 404, says: "no such route" },
  ];
  for (const { path, fields, status, says } of rows) {
    const reply = await post(path, { ...fields, token });
    t.equal(reply.status, status, says);
    t.match(reply.text, says);
    t.notMatch(reply.text, "<script>", says);
  }
  t.same(asked, []);
});

t.test("a link to it may stand on another site, for a link does nothing", async (t) => {
  const { url } = await startAdmin(t);
  const headers = { Authorization: ROOT, "Sec-Fetch-Site": "cross-site" };
  t.equal((await ask(`${url}/operator`, { headers })).status, 200);
  t.equal((await ask(`${url}/operator/reload`, { headers })).status, 404);
});
