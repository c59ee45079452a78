import { randomBytes } from "node:crypto";
import t from "tap";
import { addressText } from "../../src/core/address-text.ts";
import type { Questioned, RouteState } from "../../src/core/answer-check.ts";
import type { Route, Snapshot, Upstream } from "../../src/core/snapshot.ts";
import { createGenerations, htpasswdFiles } from "../../src/route/generations.ts";
import { createGraceStore } from "../../src/route/grace-store.ts";
import { answering } from "../support/check-world.ts";
import { oneRoute, snapshotOf } from "../support/config-text.ts";
import {
  answer,
  BREAKER_RULES,
  basicAuth,
  check,
  DENY,
  FAULT_RULES,
  PROBE_RULES,
  route,
} from "../support/fixtures.ts";
import { upstreamAt } from "../support/raw-upstream.ts";

const EMPTY = await snapshotOf(oneRoute("preset: authentik"));
/** Copies the routes, because a reload reads equal ones at best and never the same ones. */
const snapshot = (...routes: readonly Route[]): Snapshot => ({ ...EMPTY, routes: structuredClone(routes) });

function scene() {
  const states: string[] = [];
  const proven: (string | null)[] = [];
  const upstreams: (readonly Upstream[])[] = [];
  const files: (readonly string[])[] = [];
  let closed = 0;
  const generations = createGenerations({
    upstreams: {
      endpoints: () => [],
      recovered: () => {},
      ask: async () => answering(answer(200)),
      use: (used) => void upstreams.push([...used]),
      close: () => {
        closed += 1;
      },
    },
    logins: {
      use: async (names) => {
        files.push(names);
      },
    },
    grace: createGraceStore({ now: () => 0, randomBytes }),
    overrides: { of: (name) => (name === "held" ? "fallback" : null) },
    record: {
      probe: () => {},
      proven: (_route, standing) => proven.push(standing.proven),
      breaker: ({ name }, state, reason) => states.push(`${name} ${state} ${reason}`),
    },
    now: () => 0,
    random: () => 0,
    userAgent: "sparekey/1",
  });
  t.teardown(() => generations.close());
  const serve = async (...routes: readonly Route[]) => {
    const generation = await generations.prepare(snapshot(...routes));
    generations.use(generation);
    return generation;
  };
  return { generations, serve, states, proven, upstreams, files, closed: () => closed };
}

function questioned(): Questioned {
  return { check: check(), begin: 0, client: () => "192.0.2.1" };
}

const changes: readonly {
  readonly name: string;
  readonly change: Partial<Route>;
  readonly keeps: "all" | "grace" | "nothing";
}[] = [
  { name: "nothing", change: {}, keeps: "all" },
  { name: "its limit of checks", change: { maxInFlight: 1 }, keeps: "all" },
  { name: "its fallback", change: { fallback: DENY }, keeps: "all" },
  {
    name: "its hosts",
    change: { hosts: [{ host: { kind: "exact", match: "a" }, fallback: DENY }] },
    keeps: "all",
  },
  { name: "its listener", change: { listen: { host: "::", port: 1 } }, keeps: "all" },
  { name: "what it strips", change: { stripEmergencyCredentials: false }, keeps: "all" },
  { name: "its breaker", change: { breaker: { ...BREAKER_RULES, failures: 1 } }, keeps: "grace" },
  { name: "its faults", change: { fault: { ...FAULT_RULES, statuses: new Set([502]) } }, keeps: "grace" },
  { name: "its probe", change: { probe: { ...PROBE_RULES, uri: "/deep" } }, keeps: "grace" },
  { name: "its upstream", change: { upstream: upstreamAt(10) }, keeps: "nothing" },
  {
    name: "a deadline of its upstream",
    change: { upstream: upstreamAt(9, { timeouts: { connect: 1, read: 1, total: 1 } }) },
    keeps: "nothing",
  },
  { name: "its path", change: { path: { kind: "exact", path: "/other" } }, keeps: "nothing" },
  { name: "what an allow must bring", change: { requireHeaders: ["x-user"] }, keeps: "nothing" },
  { name: "its name", change: { name: "other" }, keeps: "nothing" },
];
for (const { name, change, keeps } of changes) {
  t.test(`a reload that changes ${name} keeps ${keeps}`, async (t) => {
    const { serve, states } = scene();
    const before = (await serve(route())).states.get("sso");
    const { states: after, snapshot: used } = await serve(route(change));
    const state = after.get(change.name ?? "sso");
    t.equal(state === before, keeps === "all", "breaker, probe results, checks in flight");
    t.equal(state?.grace === before?.grace, keeps !== "nothing", "what clients were allowed");
    const isSameUpstream = used.routes[0]?.upstream === before?.health.upstreams[0];
    t.equal(isSameUpstream, change.upstream === undefined && change.name === undefined, "connections");
    t.same(states, keeps === "all" || change.name ? [] : ["sso closed null"], "its breaker starts closed");
  });
}

/** One is proven by a probe of its own, which a check in quiet times has sent. */
async function proveHost(state: RouteState | undefined): Promise<void> {
  const asking = state?.health.admit(check());
  if (asking?.kind !== "ask") throw new Error("refused");
  state?.health.observe(asking, questioned(), { kind: "allow", answer: answer(200) }, 0);
  await new Promise((resolve) => setImmediate(resolve));
}

const servers = [{ host: "127.0.0.1", port: 10 }] as const;
const proofs: readonly { readonly name: string; readonly change: Partial<Route>; readonly keeps: boolean }[] =
  [
    { name: "nothing", change: {}, keeps: true },
    { name: "its fallback", change: { fallback: DENY }, keeps: true },
    { name: "its breaker", change: { breaker: { ...BREAKER_RULES, failures: 1 } }, keeps: true },
    {
      name: "a deadline of its upstream",
      change: { upstream: upstreamAt(9, { timeouts: { connect: 1, read: 1, total: 1 } }) },
      keeps: true,
    },
    { name: "its connections", change: { upstream: upstreamAt(9, { maxConnections: 3 }) }, keeps: true },
    {
      name: "how long a probe holds",
      change: { probe: { ...PROBE_RULES, minInterval: 1 } },
      keeps: true,
    },
    {
      name: "its fault statuses",
      change: { fault: { ...FAULT_RULES, statuses: new Set([502]) } },
      keeps: true,
    },
    { name: "what an allow must bring", change: { requireHeaders: ["x-user"] }, keeps: true },
    { name: "its upstream", change: { upstream: upstreamAt(10, { servers }) }, keeps: false },
    {
      name: "what it expects",
      change: {
        fault: { ...FAULT_RULES, expect: { ...FAULT_RULES.expect, allow: { headers: ["x-user"] } } },
      },
      keeps: false,
    },
    {
      name: "what matches a fault",
      change: { fault: { ...FAULT_RULES, match: [{ status: 403, header: null, body: null }] } },
      keeps: false,
    },
    { name: "the hosts of its probe", change: { probe: { ...PROBE_RULES, hosts: ["a"] } }, keeps: false },
    { name: "the URI of its probe", change: { probe: { ...PROBE_RULES, uri: "/deep" } }, keeps: false },
    {
      name: "the headers of its probe",
      change: { probe: { ...PROBE_RULES, headers: ["X", "1"] } },
      keeps: false,
    },
    { name: "its path", change: { path: { kind: "exact", path: "/other" } }, keeps: false },
    { name: "its gateway", change: { gateway: "caddy" }, keeps: false },
  ];
for (const { name, change, keeps } of proofs) {
  t.test(
    `a reload that changes ${name} keeps ${keeps ? "what probes have proven" : "no proof"}`,
    async (t) => {
      const { serve, proven } = scene();
      const before = (await serve(route())).states.get("sso");
      await proveHost(before);
      t.equal(before?.health.templates.proven, "allow", "it is proven");
      const after = (await serve(route(change))).states.get("sso");
      t.equal(after?.health.templates.proven, keeps ? "allow" : null);
      const last = proven.at(-1);
      t.equal(last, keeps ? "allow" : null, "and so it is told");
    },
  );
}

t.test("a check holds the generation it began with, and the last to let go closes it", async (t) => {
  const { generations, serve, upstreams } = scene();
  const first = await serve(route({ upstream: upstreamAt(1) }));
  const [old] = first.snapshot.routes;
  const listen = first.listens.get(addressText(route().listen));
  listen?.current.hold();
  listen?.current.hold();
  await serve(route({ upstream: upstreamAt(2) }));
  t.equal(upstreams.length, 0, "nothing is closed while checks are on their way");
  listen?.current.release();
  t.equal(upstreams.length, 0);
  listen?.current.release();
  t.equal(upstreams.length, 1);
  t.notOk(upstreams[0]?.includes(old?.upstream ?? upstreamAt(0)));
  t.ok(upstreams[0]?.some(({ servers: [server] }) => server.port === 2));
  t.equal(generations.probe("none"), null);
});

t.test("one that was prepared and refused takes nothing with it", async (t) => {
  const { generations, serve, upstreams, files, states } = scene();
  const used = await serve(route());
  const refused = await generations.prepare(
    snapshot(
      route(),
      route({ name: "new", upstream: upstreamAt(2), fallback: basicAuth({ htpasswd: "/new" }) }),
    ),
  );
  t.same(files.at(-1), ["/etc/sparekey/htpasswd", "/etc/sparekey/htpasswd", "/new"]);
  generations.release(refused);
  t.same(files.at(-1), ["/etc/sparekey/htpasswd"]);
  t.same(upstreams.at(-1), used.states.get("sso")?.health.upstreams);
  t.equal(generations.probe("new"), null, "it was never in use");
  t.same(states, []);
});

t.test("checks in flight are summed over generations, each state once", async (t) => {
  const { generations, serve } = scene();
  const first = await serve(route(), route({ name: "b" }));
  const hold = first.listens.get(addressText(route().listen))?.current;
  for (const state of first.states.values()) state.inFlight = 2;
  hold?.hold();
  await serve(route(), route({ name: "c" }));
  t.equal(generations.inFlight(), 4, "sso is in both, b in the old one alone");
  hold?.release();
  t.equal(generations.inFlight(), 2);
});

t.test("what becomes of the checks of an old state says nothing of the one in use", async (t) => {
  const { serve, states } = scene();
  const failures = 1;
  const fault = { kind: "fault", reason: "refused", answer: null } as const;
  const first = await serve(route({ breaker: { ...BREAKER_RULES, failures } }));
  const current = first.listens.get(addressText(route().listen))?.current;
  current?.hold();
  await serve(route({ breaker: { ...BREAKER_RULES, failures, successes: 1 } }));
  const old = first.states.get("sso")?.health;
  const asking = old?.admit(check());
  if (asking?.kind === "ask") old?.observe(asking, questioned(), fault, 0);
  t.equal(old?.admit(check()).kind, "refused", "its own breaker is open");
  t.same(states, ["sso closed null"], "and nobody hears of it");
  current?.release();
});

t.test("routes of one address share a listener, whatever their order", async (t) => {
  const { serve } = scene();
  const other = { host: "::1", port: 9000 };
  const { listens } = await serve(
    route({ name: "a" }),
    route({ name: "b", listen: other }),
    route({ name: "held", path: { kind: "prefix", prefix: "/x/" } }),
  );
  t.same([...listens.keys()], ["127.0.0.1:9000", "[::1]:9000"]);
  const current = listens.get("127.0.0.1:9000")?.current;
  t.equal(current?.stateOf(route({ name: "held" })).override(), "fallback", "an override goes by the name");
  t.throws(() => current?.stateOf(route({ name: "gone" })), { message: "route gone has no state" });
});

t.test("a route that is not there is neither probed nor forgotten", async (t) => {
  const { generations, serve, closed } = scene();
  t.equal(generations.probe("sso"), null, "before anything is in use");
  generations.forgetAllows("sso");
  await serve(route());
  t.same(await generations.probe("sso"), { kind: "fine", passed: true });
  t.equal(generations.probe("toString"), null);
  generations.forgetAllows("none");
  generations.close();
  t.equal(closed(), 1);
  t.equal(generations.inFlight(), 0);
});

t.test("htpasswd files are those of emergency logins, of routes and of hosts", async (t) => {
  const host = { kind: "exact", match: "a" } as const;
  const login = (htpasswd: string) => basicAuth({ htpasswd });
  t.same(htpasswdFiles([]), []);
  const routes = [
    route({
      fallback: login("/a"),
      hosts: [
        { host, fallback: login("/b") },
        { host, fallback: DENY },
      ],
    }),
    route({
      name: "open",
      fallback: { mode: "allow", onOverload: "shed" },
      hosts: [{ host, fallback: login("/c") }],
    }),
  ];
  t.same(
    htpasswdFiles([{ snapshot: snapshot(...routes) }, { snapshot: snapshot(route({ fallback: DENY })) }]),
    ["/a", "/b", "/c"],
  );
});
