import t from "tap";
import { createTimeline } from "../../src/observe/timeline.ts";
import { DRAIN_BEGAN, emergencyLogin, htpasswdLoaded, STARTED, workerDied } from "../support/events.ts";

t.test("the newest come first, and the oldest go", async (t) => {
  let now = 0;
  const timeline = createTimeline(() => {
    now += 1;
    return now;
  });
  for (let count = 0; count < 150; count += 1) timeline.add(workerDied(count), count);
  const all = timeline.all();
  t.equal(all.length, 100);
  t.match(all[0], { at: 150, worker: 149, kind: "worker_died", text: "Worker 149 died" });
  t.match(all[99], { at: 51 });
});

t.test("regression: the newest come first, also after the clock was set back", async (t) => {
  let now = 9_000;
  const timeline = createTimeline(() => now);
  timeline.add(STARTED);
  timeline.add(emergencyLogin("eve"));
  now = 1_000;
  timeline.add(DRAIN_BEGAN);
  t.same(
    timeline.all().map(({ at, kind }) => [at, kind]),
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
  timeline.add(STARTED);
  for (now = 1; now <= 500; now += 1) timeline.add(emergencyLogin("eve"));
  t.equal(timeline.all().length, 101);
  t.match(timeline.all().at(-1), { at: 0, worker: null, kind: "started", route: null });
});

t.test("what is kept of a bad file is bounded", async (t) => {
  const timeline = createTimeline(() => 0);
  timeline.add({ kind: "reload_refused", problems: Array.from({ length: 9 }, () => "x".repeat(5_000)) });
  timeline.add(htpasswdLoaded("/etc/x", 2, 9_000));
  const [read, refused] = timeline.all();
  t.match(refused, { kind: "reload_refused", text: /9 problems/ });
  t.match(read, { kind: "htpasswd_loaded", text: /9,000 bad lines ignored/ });
  for (const entry of [read, refused]) t.ok(JSON.stringify(entry).length < 2_000);
});

t.test("what the log alone shows, and what webhooks alone are made of, is not kept", async (t) => {
  const timeline = createTimeline(() => 0);
  timeline.add({ kind: "reload_asked", user: "eve" });
  timeline.add({ kind: "fallback_proven", route: "sso", mode: "allow", reason: "dns" });
  timeline.add({ kind: "defect", error: new Error("a secret of a client") });
  t.same(timeline.all(), []);
});
