import t from "tap";
import type { Route } from "../../../src/core/snapshot.ts";
import type { RouteFacts } from "../../../src/observe/status/route-facts.ts";
import {
  type KnownRoute,
  overallText,
  type RouteStatusState,
  routeStatus,
  routeStatusState,
} from "../../../src/observe/status/status.ts";
import { durationText, letsInText, numberText, reasonText } from "../../../src/observe/status/wording.ts";
import { emergencyLogin, endpointEjected, reloaded } from "../../support/events.ts";
import { ENDPOINTS, facts, NOW, outage, recent, statusScene } from "../../support/status-scene.ts";
import { routeWith } from "../samples.ts";

const SECOND = 1_000;
const SSO = routeWith("sso", "basic-auth");

type Fallback = NonNullable<RouteFacts["fallback"]>;

function fallback(changes: Partial<Fallback> = {}): Partial<RouteFacts> {
  const since = NOW - 720 * SECOND;
  return {
    fallback: {
      mode: "basic-auth",
      reason: "refused",
      since,
      served: NOW,
      isHeld: true,
      checks: 9,
      ...changes,
    },
  };
}

t.test("the state of a route, in a word and a sentence", async (t) => {
  const rows: readonly {
    state: RouteStatusState;
    says: string;
    facts?: Partial<RouteFacts>;
    recent?: Parameters<typeof recent>[0];
    /** Seconds ago. */
    since?: number;
  }[] = [
    { state: "idle", says: "No check yet" },
    {
      state: "idle",
      says: "No check in the last 15 minutes",
      facts: { checks: { upstream: 5, fallback: 0, grace: 0, override: 0, shed: 0 } },
    },
    { state: "answering", says: "Answering", recent: { checks: [1] } },
    { state: "answering", says: "Answering", recent: { checks: [5, 5], errors: [0, 1] } },
    {
      state: "errors",
      says: "Answering with errors: 1,200 of 4,000 checks in the last minute",
      recent: { checks: [2_000, 2_000], errors: [0, 1_200] },
    },
    {
      state: "answering",
      says: "Answering",
      recent: { checks: [10, 0, 0, 0, 0, 10], errors: [10, 0, 0, 0, 0, 0] },
    },
    {
      state: "fallback",
      says: "Emergency login active for 12 min: the upstream refuses connections",
      facts: fallback(),
      since: 720,
    },
    {
      state: "fallback",
      says: "Emergency login for some checks, for 12 min: the upstream answers empty 400s",
      facts: fallback({ reason: "bare_400", isHeld: false, served: NOW - 15 * SECOND }),
      since: 720,
    },
    {
      state: "recovering",
      says: "No fallback for 16 s, after 11 min of emergency login",
      facts: fallback({ isHeld: false, served: NOW - 16 * SECOND }),
      since: 16,
    },
    {
      state: "fallback",
      says: "Everybody is let through for 12 min: the upstream answers 503",
      facts: fallback({ mode: "allow", reason: "status_503", served: null }),
      since: 720,
    },
    {
      state: "fallback",
      says: "Everybody is refused for 12 min: a person chose it",
      facts: fallback({ mode: "deny", reason: "override", served: NOW - 300 * SECOND }),
      since: 720,
    },
    {
      state: "fallback",
      says: "Unavailable for 12 min: the upstream's name cannot be resolved",
      facts: fallback({ mode: "none", reason: "dns" }),
      since: 720,
    },
  ];
  for (const row of rows) {
    const known: KnownRoute = {
      route: SSO,
      facts: facts("sso", row.facts),
      recent: recent(row.recent),
      override: null,
    };
    t.equal(routeStatusState(known, NOW), row.state, row.says);
    const status = routeStatus(known, row.state, NOW - 3 * SECOND, NOW);
    t.equal(status.summary, row.says);
    t.equal(status.since.seconds, row.since ?? 3, `${row.says}: since`);
  }
});

/** One check so many minutes ago. */
function minutesAgo(minutes: number): readonly number[] {
  return [1, ...Array.from({ length: minutes * 4 }, () => 0)];
}

t.test("warnings", async (t) => {
  const rows: readonly {
    name: string;
    facts?: Partial<RouteFacts>;
    shed?: readonly number[];
    checks?: readonly number[];
    says: readonly string[];
  }[] = [
    { name: "none", says: [] },
    {
      name: "nobody has a password",
      facts: { users: 0 },
      says: ["Nobody can log in in an emergency: no htpasswd user"],
    },
    { name: "somebody has", facts: { users: 1 }, says: [] },
    {
      name: "our own limits",
      shed: [9, 0, 0, 0, 0, 1],
      says: ["1 check of the last minute refused by sparekey's own limits"],
    },
    { name: "they were reached long ago", shed: [9, 0, 0, 0, 0, 0], says: [] },
    {
      name: "nobody's login goes well",
      facts: { failingLogins: { failed: 5, addresses: 3 } },
      says: ["Logins fail: 5 from 3 addresses, and none went well in 10 minutes"],
    },
    {
      name: "a probe that is refused",
      facts: { probe: { proven: null, refused: 400 } },
      checks: minutesAgo(9),
      says: ["Probes are answered 400: set probe.hosts to a host that the upstream knows"],
    },
    {
      name: "a probe that is not proven, after minutes of checks",
      facts: { probe: { proven: null, refused: null } },
      checks: minutesAgo(6),
      says: ["No probe is known to work, so sparekey may misjudge an outage: see what sparekey probe prints"],
    },
    {
      name: "one that had no time to be",
      facts: { probe: { proven: null, refused: null } },
      checks: minutesAgo(4),
      says: [],
    },
    {
      name: "one that is proven",
      facts: { probe: { proven: "allow", refused: null } },
      checks: minutesAgo(9),
      says: [],
    },
  ];
  for (const row of rows) {
    const known = {
      route: SSO,
      facts: facts("sso", row.facts),
      recent: recent({ shed: row.shed ?? [], checks: row.checks ?? [] }),
      override: null,
    };
    t.same(routeStatus(known, "answering", NOW, NOW).warnings, row.says, row.name);
  }
});

t.test("whom the fallback lets in", async (t) => {
  const login = SSO.fallback;
  const grace = { milliseconds: 1, usernameHeader: "x", identityHeaders: new Set<string>() };
  const hosts: Route["hosts"] = [
    { host: { kind: "exact", match: "a" }, fallback: { mode: "deny", grace: null, page: null } },
  ];
  const rows: readonly { name: string; changes?: Partial<Route>; users: number | null; says: string }[] = [
    { name: "users", users: 3, says: "who has an emergency password (3 users)" },
    { name: "none", users: 0, says: "nobody: the emergency login has no users" },
    {
      name: "hosts of their own",
      changes: { hosts },
      users: 0,
      says: "who has an emergency password; 1 host pattern may differ",
    },
    {
      name: "grace",
      changes: { fallback: { ...login, grace } as Route["fallback"] },
      users: 1,
      says: "who has an emergency password (1 user); who was let in a short while ago goes on",
    },
    {
      name: "allow",
      changes: { fallback: { mode: "allow", onOverload: "shed" } },
      users: null,
      says: "everybody, unasked",
    },
    {
      name: "deny",
      changes: { fallback: { mode: "deny", grace: null, page: null } },
      users: null,
      says: "nobody",
    },
    {
      name: "none",
      changes: { fallback: { mode: "none" } },
      users: null,
      says: "nobody: checks get 502 or 504",
    },
  ];
  for (const { name, changes, users, says } of rows)
    t.equal(letsInText({ ...SSO, ...changes }, users), says, name);
});

t.test("all routes in one sentence", async (t) => {
  const rows: readonly { states: readonly RouteStatusState[]; says: string }[] = [
    { states: ["answering"], says: "The route answers" },
    { states: ["answering", "answering", "answering"], says: "All 3 routes answer" },
    { states: ["answering", "idle"], says: "No route is in fallback" },
    { states: ["fallback"], says: "The route is in fallback" },
    { states: ["fallback", "errors", "answering"], says: "1 of 3 routes is in fallback" },
    { states: ["fallback", "fallback"], says: "2 of 2 routes are in fallback" },
    { states: ["errors", "recovering"], says: "1 of 2 routes answers with errors" },
    { states: ["recovering", "idle"], says: "1 of 2 routes is recovering" },
  ];
  for (const { states, says } of rows) t.equal(overallText("ready", states), says);
  t.equal(overallText("draining", ["fallback"]), "Draining: sparekey is about to end");
});

t.test("durations and numbers", async (t) => {
  const durations: readonly [number, string][] = [
    [0, "0 s"],
    [59.9, "59 s"],
    [60, "1 min"],
    [3_599, "59 min"],
    [3_600, "1 h"],
    [11_100, "3 h 5 min"],
    [86_400, "1 d"],
    [187_200, "2 d 4 h"],
    [-5, "0 s"],
  ];
  for (const [seconds, text] of durations) t.equal(durationText(seconds), text);
  const numbers: readonly [number, string][] = [
    [0, "0"],
    [999, "999"],
    [1_000, "1,000"],
    [1_234_567, "1,234,567"],
  ];
  for (const [number, text] of numbers) t.equal(numberText(number), text);
  t.equal(reasonText("status_599"), "the upstream answers 599");
});

t.test("the board of an outage", async (t) => {
  const status = await outage([
    emergencyLogin("eve-secret", "authentik"),
    endpointEjected("10.0.3.7:9000", "authentik"),
  ]);
  const [sso, bots, login] = status.routes;
  t.equal(status.summary, "1 of 3 routes is in fallback");
  t.match(status.started, { seconds: 900 });
  t.match(sso, {
    state: "fallback",
    since: { seconds: 720 },
    breaker: { state: "open", since: { seconds: 720 } },
  });
  t.match(sso?.recent.latency, { p50: { atMost: 0.0025 }, p99: { atMost: 0.01 } });
  t.equal(sso?.recent.fallbacks.slice(0, 11).join(), Array(11).fill(0).join());
  t.equal(bots?.recent.checks.at(-2), 165);
  t.match(bots, { state: "answering" });
  t.match(login, { state: "idle", summary: "No check yet" });
  t.same(
    status.events.map(({ kind }) => kind),
    ["endpoint", "breaker_opened", "fallback_began", "started"],
  );
  t.same(sso?.endpoints, { all: 3, ejected: 1, ejectedCookieless: 1 });
  t.same(bots?.endpoints, { all: 0, ejected: 0, ejectedCookieless: 0 });
  t.notMatch(JSON.stringify(status), "eve-secret");
  t.notMatch(JSON.stringify(status), "10.0.3", "no address of the upstream");
});

t.test("the endpoints of a route are known with their addresses once a status has been made", async (t) => {
  const { scene, liveStatus } = statusScene();
  scene.facts = [facts("authentik", { endpoints: ENDPOINTS })];
  t.same(liveStatus.endpointsOf("authentik"), []);
  await liveStatus.status();
  t.same(liveStatus.endpointsOf("authentik"), ENDPOINTS);
  t.same(liveStatus.endpointsOf("bot-block"), []);
  t.same(liveStatus.endpointsOf("__proto__"), []);
});

t.test("a state lasts since it was first seen", async (t) => {
  const { scene, liveStatus } = statusScene();
  const seen = async () => (await liveStatus.status()).routes[1];
  t.match(await seen(), { state: "idle", since: { seconds: 0 } });
  scene.seconds = 30;
  t.match(await seen(), { state: "idle", since: { seconds: 30 } });
  scene.facts = [
    facts("bot-block", { checks: { upstream: 1, fallback: 0, grace: 0, override: 0, shed: 0 } }),
  ];
  liveStatus.tick();
  scene.seconds = 40;
  t.match(await seen(), { state: "answering", since: { seconds: 10 } });
});

t.test("a config that was refused is told, and how old the one in use is", async (t) => {
  const { scene, liveStatus } = statusScene();
  scene.seconds = 10;
  liveStatus.onEvent(reloaded());
  scene.seconds = 25;
  liveStatus.onEvent({ kind: "reload_refused", problems: ["bad"] });
  t.match((await liveStatus.status()).config, { since: { seconds: 15 }, lastReload: "refused" });
  liveStatus.onEvent(reloaded());
  t.match((await liveStatus.status()).config, { since: { seconds: 0 }, lastReload: "ok" });
});
