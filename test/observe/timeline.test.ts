import t from "tap";
import { newsText } from "../../src/observe/status/wording.ts";
import { createTimeline, htpasswdRead, type News, reloadRefused } from "../../src/observe/timeline.ts";

t.test("the newest come first, and the oldest go", async (t) => {
  let now = 0;
  const timeline = createTimeline(() => {
    now += 1;
    return now;
  });
  for (let count = 0; count < 150; count += 1) timeline.add({ kind: "worker_died", number: count }, count);
  const all = timeline.all();
  t.equal(all.length, 100);
  t.match(all[0], { at: 150, worker: 149, news: { number: 149 } });
  t.match(all[99], { at: 51 });
});

t.test("regression: the newest come first, also after the clock was set back", async (t) => {
  let now = 9_000;
  const timeline = createTimeline(() => now);
  timeline.add({ kind: "started" });
  timeline.add({ kind: "emergency_login", route: "sso", user: "eve" });
  now = 1_000;
  timeline.add({ kind: "drain_began" });
  t.same(
    timeline.all().map(({ at, news }) => [at, news.kind]),
    [
      [1_000, "drain_began"],
      [9_000, "emergency_login"],
      [9_000, "started"],
    ],
  );
});

t.test("logins do not push out how the outage began", async (t) => {
  let now = 0;
  const timeline = createTimeline(() => now);
  timeline.add({ kind: "started" });
  for (now = 1; now <= 500; now += 1) timeline.add({ kind: "emergency_login", route: "sso", user: "eve" });
  t.equal(timeline.all().length, 101);
  t.same(timeline.all().at(-1), { at: 0, worker: null, news: { kind: "started" } });
});

t.test("what is kept of a bad file is bounded", async (t) => {
  const refused = reloadRefused(Array.from({ length: 9 }, () => "x".repeat(5_000)));
  t.match(refused, { kind: "reload_refused", count: 9 });
  t.ok(JSON.stringify(refused).length < 2_000);
  const problems = Array.from({ length: 9_000 }, (_, line) => ({ line, message: "bad" }));
  const read = htpasswdRead({ kind: "loaded", file: "/etc/x", users: 2, problems });
  t.same(read, { kind: "htpasswd_loaded", file: "/etc/x", users: 2, ignored: 9_000 });
});

t.test("in words: what is for everybody names no person, file or address", async (t) => {
  const override = { route: "sso", mode: "fallback", user: "root" } as const;
  const rows: readonly { news: News; text: string; detail?: string; tone: string }[] = [
    { news: { kind: "started" }, text: "sparekey started", tone: "plain" },
    {
      news: { kind: "fallback_began", route: "sso", mode: "basic-auth", reason: "refused" },
      text: "Fallback began (basic-auth): the upstream refuses connections",
      tone: "bad",
    },
    {
      news: { kind: "fallback_ended", route: "sso", mode: "allow", seconds: 3_725, checks: 12_345 },
      text: "Fallback ended (allow) after 1 h 2 min and 12,345 checks",
      tone: "good",
    },
    {
      news: { kind: "breaker_opened", route: "sso", reason: "status_503" },
      text: "Breaker opened: the upstream answers 503",
      tone: "bad",
    },
    { news: { kind: "breaker_opened", route: "sso", reason: null }, text: "Breaker opened", tone: "bad" },
    {
      news: { kind: "breaker_closed", route: "sso", seconds: 59.9 },
      text: "Breaker closed after 59 s",
      tone: "good",
    },
    {
      news: { kind: "emergency_login", route: "sso", user: "eve" },
      text: "Emergency login",
      detail: "Emergency login of eve",
      tone: "warn",
    },
    {
      news: { kind: "override", event: { kind: "begins", ...override, seconds: 1_800, reason: "drill" } },
      text: "Override to fallback for 30 min: “drill”",
      detail: "Override to fallback for 30 min by root: “drill”",
      tone: "warn",
    },
    {
      news: { kind: "override", event: { kind: "begins", ...override, seconds: 60, reason: null } },
      text: "Override to fallback for 1 min",
      detail: "Override to fallback for 1 min by root",
      tone: "warn",
    },
    {
      news: { kind: "override", event: { kind: "ended", ...override, by: "person" } },
      text: "Override to fallback ended: by hand",
      detail: "Override to fallback ended: by hand (root)",
      tone: "plain",
    },
    {
      news: { kind: "override", event: { kind: "ended", ...override, by: "expiry", user: null } },
      text: "Override to fallback ended: its time is over",
      tone: "plain",
    },
    { news: { kind: "reloaded", needsRestart: [] }, text: "Config reloaded", tone: "good" },
    {
      news: { kind: "reloaded", needsRestart: ["workers: it stays 2"] },
      text: "Config reloaded, but not all of it; workers: it stays 2",
      tone: "warn",
    },
    {
      news: reloadRefused(["/etc/a.yaml:1:9 routes: value 5 is not a list"]),
      text: "Config refused, the one in use stays: 1 problem, see the log",
      detail:
        "Config refused, the one in use stays: 1 problem. /etc/a.yaml:1:9 routes: value 5 is not a list",
      tone: "bad",
    },
    {
      news: { kind: "htpasswd_loaded", file: "/etc/h", users: 3, ignored: 0 },
      text: "htpasswd loaded: 3 users",
      detail: "htpasswd loaded: 3 users (/etc/h)",
      tone: "plain",
    },
    {
      news: { kind: "htpasswd_loaded", file: "/etc/h", users: 0, ignored: 1 },
      text: "htpasswd loaded: 0 users, 1 bad line ignored",
      detail: "htpasswd loaded: 0 users, 1 bad line ignored (/etc/h)",
      tone: "bad",
    },
    {
      news: { kind: "htpasswd_unreadable", file: "/etc/h", problem: "no such file" },
      text: "An htpasswd file is unreadable: nobody can log in by it",
      detail: "An htpasswd file is unreadable: nobody can log in by it. /etc/h: no such file",
      tone: "bad",
    },
    {
      news: { kind: "notify", event: { kind: "failing", origin: "http://inner", entry: 1, reason: "dns" } },
      text: "Messages to notify[1] do not get through: dns",
      detail: "Messages to notify[1] do not get through: dns (http://inner)",
      tone: "warn",
    },
    {
      news: {
        kind: "notify",
        event: { kind: "given_up", origin: "http://inner", entry: 0, reason: "dns", lost: 2 },
      },
      text: "2 messages to notify[0] given up: dns",
      detail: "2 messages to notify[0] given up: dns (http://inner)",
      tone: "bad",
    },
    { news: { kind: "worker_died", number: 2 }, text: "Worker 2 died", tone: "bad" },
  ];
  for (const { news, text, detail = text, tone } of rows)
    t.same(newsText(news), { text, detail, tone }, text);
});
