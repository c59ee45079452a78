import t, { type Test } from "tap";
import { assetText } from "../../src/admin/assets.ts";
import { createAdminServer } from "../../src/admin/server.ts";
import { statusPage, statusSections } from "../../src/admin/status-page.ts";
import type { Status } from "../../src/observe/status/status.ts";
import { CLOSED_ACTIONS } from "../support/admin-actions.ts";
import { ask } from "../support/app.ts";
import { DRAIN_BEGAN } from "../support/events.ts";
import { outage } from "../support/status-scene.ts";

const OPEN = { isOpen: true };

async function startAdmin(t: Test, status = outage) {
  const server = createAdminServer({
    listen: { host: "127.0.0.1", port: 0 },
    metrics: { contentType: "text/plain", text: async () => "" },
    readiness: () => "ready",
    status,
    actions: CLOSED_ACTIONS,
  });
  const { port } = await server.listen();
  t.teardown(() => server.close());
  return `http://127.0.0.1:${port}`;
}

/** The words that a person reads, in their order. */
function words(page: string): string {
  return page
    .replace(/<(style|script|title)[\s\S]*?<\/\1>/g, "")
    .replace(/<[^>]*>/g, " ")
    .replace(/\s+/g, " ");
}

t.test("one look says what is broken, since when, and who is let in", async (t) => {
  const page = statusPage(await outage(), OPEN);
  t.match(page, "<title>1 of 3 routes is in fallback · sparekey</title>");
  const said = words(page);
  for (const text of [
    "1 of 3 routes is in fallback",
    "authentik basic-auth Fallback Emergency login active for 12 min: the upstream refuses connections",
    "Who gets in: who has an emergency password (3 users)",
    "4,935 checks in 15 minutes 1,360 by the upstream 3,575 by fallback",
    "Breaker open for 12 min",
    "Last fault refused 11 min ago",
    "Latency ≤ 2.5 ms p99 ≤ 10 ms",
    "Emergency logins 2,145 14 wrong",
    "bot-block allow Answering for",
    "If it fails: everybody, unasked",
    "authentik-login none Idle No check yet",
    "authentik Fallback began (basic-auth): the upstream refuses connections",
    "09:08:07",
  ])
    t.ok(said.includes(text), text);
});

t.test("what differs from a quiet day is said", async (t) => {
  const base = await outage();
  const [first, ...others] = base.routes;
  if (!first) throw new Error("no route");
  const override = {
    mode: "upstream",
    until: { at: "2026-04-18T09:50:07.000Z", seconds: 1_800 },
    reason: null,
  } as const;
  const rows: readonly { name: string; status: Partial<Status>; says: string }[] = [
    {
      name: "a refused config",
      status: { config: { ...base.config, lastReload: "refused" } },
      says: "The last config was refused , the one in use is 15 min old",
    },
    {
      name: "workers",
      status: { workers: { wanted: 2, serving: 2, silent: 0 } },
      says: "2 of 2 workers serve",
    },
    {
      name: "a missing one",
      status: { workers: { wanted: 2, serving: 1, silent: 0 } },
      says: "1 of 2 workers serves",
    },
    {
      name: "a silent one",
      status: { workers: { wanted: 2, serving: 2, silent: 1 } },
      says: "2 of 2 workers serve, 1 silent",
    },
    {
      name: "a warning",
      status: { routes: [{ ...first, warnings: ["Nobody can log in"] }, ...others] },
      says: "Nobody can log in",
    },
    {
      name: "an override",
      status: { routes: [{ ...first, override }, ...others] },
      says: "By hand to upstream until 09:50:07, for 30 min more",
    },
    {
      name: "its reason",
      status: { routes: [{ ...first, override: { ...override, reason: "drill" } }, ...others] },
      says: "for 30 min more: drill",
    },
    {
      name: "many routes: the broken ones are named above",
      status: { routes: [...others, ...others, ...others, first] },
      says: "Started 15 min ago authentik Emergency login active for 12 min",
    },
  ];
  for (const { name, status, says } of rows) {
    t.ok(words(statusPage({ ...base, ...status }, OPEN)).includes(says), name);
  }
  const text = (options: { isOpen: boolean }) => statusPage(base, options);
  t.match(text({ isOpen: true }), '<a href="/operator">');
  t.notMatch(text({ isOpen: false }), "/operator");
});

t.test("nothing of the config or of a person can become a part of the page", async (t) => {
  const base = await outage();
  const evil = `</script><img src=x onerror=alert(1)>'"&`;
  const [first, ...others] = base.routes;
  if (!first) throw new Error("no route");
  const status: Status = {
    ...base,
    instance: evil,
    summary: evil,
    version: evil,
    routes: [
      {
        ...first,
        name: evil,
        summary: evil,
        letsIn: evil,
        warnings: [evil],
        override: { mode: "fallback", until: first.since, reason: evil },
      },
      ...others,
    ],
    events: base.events.map((event) => ({ ...event, route: evil, text: evil })),
  };
  const page = statusPage(status, OPEN);
  t.notMatch(page, "<img");
  t.notMatch(page, "onerror=alert(1)>'");
  t.ok(page.split("&lt;img src=x onerror=alert(1)&gt;&#39;&quot;&amp;").length > 10);
});

t.test("only what changed is sent again", async (t) => {
  const base = await outage();
  const before = new Map(statusSections(base).map(({ id, html }) => [id, html]));
  t.same(
    [...before.keys()],
    ["top", "route-authentik", "route-bot-block", "route-authentik-login", "timeline"],
  );
  const changed = (status: Status) =>
    statusSections(status)
      .filter(({ id, html }) => before.get(id) !== html)
      .map(({ id }) => id);
  t.same(changed(await outage()), []);
  t.same(changed({ ...base, time: new Date(Date.parse(base.time) + 1_000).toISOString() }), []);
  t.same(changed(await outage([DRAIN_BEGAN])), ["timeline"]);
});

t.test("over HTTP: it loads nothing from elsewhere and nobody frames it", async (t) => {
  const url = await startAdmin(t);
  const rows = [
    { path: "/", type: "text/html; charset=utf-8" },
    { path: "/?from=a-bookmark", type: "text/html; charset=utf-8" },
    { path: "/status/page.css", type: "text/css; charset=utf-8" },
    { path: "/status/page.js", type: "text/javascript; charset=utf-8" },
    { path: "/status/icon-good.svg", type: "image/svg+xml; charset=utf-8" },
    { path: "/status/icon-warn.svg", type: "image/svg+xml; charset=utf-8" },
    { path: "/status/icon-bad.svg", type: "image/svg+xml; charset=utf-8" },
  ];
  for (const { path, type } of rows) {
    const { status, headers } = await ask(url + path);
    t.equal(status, 200, path);
    t.equal(headers["content-type"], type, path);
    t.match(headers["content-security-policy"], /^default-src 'none'; .*frame-ancestors 'none'$/, path);
    t.notMatch(headers["content-security-policy"], "unsafe", path);
    t.equal(headers["x-content-type-options"], "nosniff", path);
    t.equal(headers["cache-control"], "no-store", path);
    t.equal(headers["x-frame-options"], "DENY", path);
  }
  t.equal((await ask(`${url}/favicon.ico`)).status, 404);
  const page = (await ask(`${url}/`)).text;
  const links = [...page.matchAll(/(?:href|src)="([^"]*)"/g)].map(([, link = ""]) => link);
  t.ok(links.length > 8);
  for (const link of links) t.match(link, /^[/#]/, `${link} is of this host`);
  for (const link of new Set(links.filter((one) => one.startsWith("/status/")))) {
    t.equal((await ask(url + link)).status, 200, link);
  }
  t.notMatch(page, /<style| style=|<script>| on[a-z]+="/, "nothing inline");
  t.match(page, '<noscript><meta http-equiv="refresh" content="10">');
});

t.test("its weight, with the most events there can be", async (t) => {
  const base = await outage();
  const events = Array.from({ length: 100 }, () => base.events[1] ?? base.events[0]).filter(
    (event) => !!event,
  );
  const page = statusPage({ ...base, events }, OPEN);
  const assets = await Promise.all([assetText("page.css"), assetText("page.js")]);
  const bytes = [page, ...assets].reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  t.ok(bytes < 60_000, `${bytes} bytes`);
});

t.test("a failure inside says nothing of itself", async (t) => {
  const url = await startAdmin(t, () => Promise.reject(new Error("/etc/secret-path")));
  for (const path of ["/", "/status.json"]) {
    const reply = await ask(url + path);
    t.equal(reply.status, 500, path);
    t.equal(reply.text, "internal error\n", path);
  }
});
