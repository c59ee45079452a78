import t from "tap";
import type { TimelineEvent } from "../../src/observe/event.ts";
import { createTimeline } from "../../src/observe/timeline.ts";
import {
  DRAIN_BEGAN,
  emergencyLogin,
  endpointChanged,
  endpointEjected,
  endpointRestored,
  htpasswdLoaded,
  STARTED,
  workerDied,
} from "../support/events.ts";

/** The seconds of the events that are told, of those that come at a second, from a worker. */
function secondsTold(events: readonly (readonly [number, number, TimelineEvent])[]): readonly number[] {
  let now = 0;
  const timeline = createTimeline(() => now);
  for (const [second, worker, event] of events) {
    now = second * 1_000;
    timeline.add(event, worker);
  }
  return timeline
    .all()
    .map(({ at }) => at / 1_000)
    .toReversed();
}

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

t.test("an endpoint that comes and goes does not push it out either", async (t) => {
  let now = 0;
  const timeline = createTimeline(() => now);
  timeline.add(STARTED);
  for (now = 1; now <= 500; now += 2) {
    timeline.add(endpointEjected("10.0.3.7:9000"));
    timeline.add(endpointRestored("10.0.3.7:9000"));
  }
  t.equal(timeline.all().length, 41);
  t.match(timeline.all().at(-1), { kind: "started" });
});

t.test("a change of an endpoint that several workers notice is told once", async (t) => {
  const endpoint = "10.0.3.7:9000";
  const ejected = endpointEjected(endpoint);
  const broken = endpointChanged({ kind: "ejected", endpoint, from: "all", reason: "reset" });
  const cookieless = endpointChanged({ kind: "ejected", endpoint, from: "cookieless", reason: "bare_400" });
  const restored = endpointRestored(endpoint);
  const sooner = endpointChanged({ kind: "restored", endpoint, from: "all", seconds: 11 });
  const joined = endpointChanged({ kind: "joined", endpoint });
  const rows: readonly {
    name: string;
    /** The second, and the worker. */
    events: readonly (readonly [number, number, TimelineEvent])[];
    told: readonly number[];
  }[] = [
    {
      name: "the same, within 20 s",
      events: [
        [0, 1, ejected],
        [19, 2, ejected],
      ],
      told: [0],
    },
    {
      name: "after 20 s",
      events: [
        [0, 1, ejected],
        [20, 2, ejected],
      ],
      told: [0, 20],
    },
    {
      name: "an address",
      events: [
        [0, 1, joined],
        [5, 2, joined],
        [5, 3, joined],
      ],
      told: [0],
    },
    {
      name: "for another reason",
      events: [
        [0, 1, ejected],
        [1, 2, broken],
      ],
      told: [0],
    },
    {
      name: "restored after another time",
      events: [
        [0, 1, restored],
        [1, 2, sooner],
      ],
      told: [0],
    },
    {
      name: "back and out again, of one process",
      events: [
        [0, 1, ejected],
        [1, 1, restored],
        [2, 1, ejected],
      ],
      told: [0, 1, 2],
    },
    {
      name: "first for some checks, then for all",
      events: [
        [0, 1, cookieless],
        [1, 1, ejected],
      ],
      told: [0, 1],
    },
    {
      name: "another endpoint, and another route",
      events: [
        [0, 1, ejected],
        [1, 1, endpointEjected("10.0.3.8:9000")],
        [2, 1, endpointEjected(endpoint, "bots")],
      ],
      told: [0, 1, 2],
    },
  ];
  for (const { name, events, told } of rows) t.same(secondsTold(events), told, name);
});

t.test("what several workers notice of a probe is told once", async (t) => {
  const proven = (route: string) => ({ kind: "probe_proven", route, verdict: "allow" }) as const;
  const unproven = { kind: "probe_unproven", route: "sso" } as const;
  const rows: readonly {
    name: string;
    /** The second, and the worker. */
    events: readonly (readonly [number, number, TimelineEvent])[];
    told: readonly number[];
  }[] = [
    {
      name: "the same, within 20 s, and later",
      events: [
        [0, 1, proven("sso")],
        [19, 2, proven("sso")],
        [20, 3, proven("sso")],
      ],
      told: [0, 20],
    },
    {
      name: "lost and gained",
      events: [
        [0, 1, proven("sso")],
        [1, 1, unproven],
        [2, 1, proven("sso")],
      ],
      told: [0, 1, 2],
    },
    {
      name: "two routes",
      events: [
        [0, 1, proven("sso")],
        [1, 1, proven("bots")],
        [2, 2, proven("sso")],
        [3, 2, proven("bots")],
      ],
      told: [0, 1],
    },
    {
      name: "two refusals",
      events: [
        [0, 1, { kind: "probe_refused", route: "sso", status: 400 }],
        [1, 2, { kind: "probe_refused", route: "sso", status: 404 }],
      ],
      told: [0, 1],
    },
  ];
  for (const { name, events, told } of rows) t.same(secondsTold(events), told, name);
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
