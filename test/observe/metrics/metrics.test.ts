import { spawnSync } from "node:child_process";
import t from "tap";
import type { EndpointStatus } from "../../../src/core/endpoint.ts";
import type { Expectations, Fallback, Route } from "../../../src/core/snapshot.ts";
import type { FallbackMode } from "../../../src/core/types.ts";
import type { FallbackPeriod } from "../../../src/observe/fallback-periods.ts";
import {
  countAnswer,
  countCheck,
  countFault,
  countSuspect,
  type RouteRecord,
} from "../../../src/observe/route-record.ts";
import { missing } from "../../support/programs.ts";
import { type CountedProcess, countedProcess } from "../counted-process.ts";
import { allowedBy, fromUpstream, loginDecision, routeWith, SHED } from "../samples.ts";

function metricsOf(routes: readonly Route[], clock = { now: 0 }): CountedProcess {
  return countedProcess(routes, {
    inFlight: 4,
    connections: 7,
    htpasswdUsers: (file) => (file === "/etc/sparekey/htpasswd" ? 2 : 0),
    now: () => clock.now,
  });
}

function recordOf(metrics: CountedProcess, route: string): RouteRecord {
  return metrics.recordOf(route);
}

async function linesOf(metrics: Pick<CountedProcess, "text">, family: string): Promise<readonly string[]> {
  const lines = (await metrics.text()).split("\n");
  return lines.filter((line) => line.startsWith(`${family}{`) || line.startsWith(`${family} `));
}

t.test("what can happen on a route is there from the start at 0", async (t) => {
  const rows: readonly {
    mode: FallbackMode;
    checks: readonly string[];
    results: readonly string[];
    reasons: number;
    faults: number;
    suspects: number;
    logins: number;
    abandoned: number;
    proven: number;
  }[] = [
    {
      mode: "allow",
      checks: ["fallback allow"],
      results: ["allowed"],
      reasons: 16,
      faults: 15,
      suspects: 10,
      logins: 0,
      abandoned: 1,
      proven: 1,
    },
    {
      mode: "basic-auth",
      checks: ["fallback allow", "fallback challenge", "fallback deny"],
      results: ["allowed", "challenged", "rejected", "limited", "denied"],
      reasons: 16,
      faults: 15,
      suspects: 3,
      logins: 5,
      abandoned: 1,
      proven: 1,
    },
    {
      mode: "deny",
      checks: ["fallback deny"],
      results: ["denied"],
      reasons: 16,
      faults: 15,
      suspects: 3,
      logins: 0,
      abandoned: 1,
      proven: 1,
    },
    {
      mode: "none",
      checks: ["fallback error"],
      results: ["denied"],
      reasons: 12,
      faults: 12,
      suspects: 0,
      logins: 0,
      abandoned: 0,
      proven: 0,
    },
  ];
  for (const row of rows) {
    const { mode, checks, results, reasons, faults, suspects, logins } = row;
    t.test(mode, async (t) => {
      const metrics = metricsOf([routeWith("sso", mode)]);
      const checkLines = await linesOf(metrics, "sparekey_checks_total");
      const always = ["upstream allow", "upstream challenge", "upstream deny", "upstream error"];
      const chosen = checks.map((pair) => pair.replace("fallback", "override"));
      const failed = mode === "none" ? [] : ["override error"];
      const expected = [...always, ...checks, ...chosen, ...failed, "shed deny"].map((pair) => {
        const [source, verdict] = pair.split(" ");
        return `sparekey_checks_total{route="sso",source="${source}",verdict="${verdict}"} 0`;
      });
      t.same(checkLines, expected);

      const fallbacks = await linesOf(metrics, "sparekey_fallback_total");
      t.equal(fallbacks.length, reasons * results.length);
      for (const result of results) {
        t.ok(
          fallbacks.includes(
            `sparekey_fallback_total{route="sso",mode="${mode}",reason="refused",result="${result}"} 0`,
          ),
        );
      }
      t.ok(fallbacks.every((line) => line.endsWith(" 0")));

      const faultLines = await linesOf(metrics, "sparekey_faults_total");
      t.equal(faultLines.length, faults);
      t.equal((await linesOf(metrics, "sparekey_suspects_total")).length, suspects * 2);
      t.same(await linesOf(metrics, "sparekey_probes_total"), [
        'sparekey_probes_total{route="sso",result="ok"} 0',
        'sparekey_probes_total{route="sso",result="fault"} 0',
      ]);
      t.same(await linesOf(metrics, "sparekey_retries_total"), [
        'sparekey_retries_total{route="sso",kind="retry"} 0',
        'sparekey_retries_total{route="sso",kind="hedge"} 0',
      ]);
      t.same(await linesOf(metrics, "sparekey_endpoints"), [
        'sparekey_endpoints{route="sso",state="in_use"} 0',
        'sparekey_endpoints{route="sso",state="ejected"} 0',
        'sparekey_endpoints{route="sso",state="ejected_cookieless"} 0',
      ]);
      t.same(await linesOf(metrics, "sparekey_breaker_state"), [
        'sparekey_breaker_state{route="sso",state="closed"} 1',
        'sparekey_breaker_state{route="sso",state="open"} 0',
        'sparekey_breaker_state{route="sso",state="half-open"} 0',
      ]);
      t.ok(faultLines.includes('sparekey_faults_total{route="sso",reason="status_503"} 0'));
      const shown = (name: string, count: number) => (count === 0 ? [] : [`${name}{route="sso"} 0`]);
      for (const [name, count] of [
        ["sparekey_abandoned_total", row.abandoned],
        ["sparekey_probe_proven", row.proven],
      ] as const)
        t.same(await linesOf(metrics, name), shown(name, count), name);
      t.equal((await linesOf(metrics, "sparekey_emergency_logins_total")).length, logins);
      t.equal((await linesOf(metrics, "sparekey_htpasswd_users")).length, mode === "basic-auth" ? 1 : 0);
      t.same(await linesOf(metrics, "sparekey_check_duration_seconds_count"), [
        'sparekey_check_duration_seconds_count{route="sso"} 0',
      ]);
      t.same(await linesOf(metrics, "sparekey_fallback_active"), ['sparekey_fallback_active{route="sso"} 0']);
      const codes = await linesOf(metrics, "sparekey_upstream_answers_total");
      t.ok(codes.includes('sparekey_upstream_answers_total{route="sso",code="503"} 0'));
    });
  }
});

/** The values of `reason`, each once. */
function reasonsIn(lines: readonly string[]): readonly string[] {
  return [...new Set(lines.map((line) => /reason="(\w+)"/.exec(line)?.[1] ?? "none"))];
}

interface Expected {
  readonly challenge?: Partial<Expectations["challenge"]>;
  readonly allow?: Partial<Expectations["allow"]>;
}

function expecting({ challenge, allow }: Expected): Expectations {
  const { expect } = routeWith("sso", "deny").fault;
  return { challenge: { ...expect.challenge, ...challenge }, allow: { ...expect.allow, ...allow } };
}

t.test("the reasons there from the start are those a route's rules can lead to", async (t) => {
  const failures = ["refused", "unreachable", "connect_timeout", "dns", "tls"];
  const answers = ["read_timeout", "total_timeout", "reset", "malformed", "too_large"];
  const judged = ["connect_timeout", ...answers];
  const loginHealth = { upstream: routeWith("core", "none").upstream, target: "/-/health/ready/" };
  const rows: readonly {
    name: string;
    mode: FallbackMode;
    fault?: Partial<Route["fault"]>;
    probe?: Partial<Route["probe"]>;
    fallback?: Fallback;
    faults: readonly string[];
    suspects: readonly string[];
    /** Reasons of a fallback that are no faults. */
    others?: readonly string[];
  }[] = [
    {
      name: "a login asks for a probe only where the client may be behind it",
      mode: "basic-auth",
      faults: ["status_502", "status_503", "status_500", "bare_400"],
      suspects: ["connect_timeout", "status_500", "bare_400"],
    },
    {
      name: "an open door asks for each that is no failed connection",
      mode: "allow",
      faults: ["status_502", "status_503", "status_500", "bare_400"],
      suspects: [...judged, "status_502", "status_503", "status_500", "bare_400"],
    },
    {
      name: "so does confirm: always",
      mode: "deny",
      fault: { confirm: "always" },
      faults: ["status_502", "status_503", "status_500", "bare_400"],
      suspects: [...judged, "status_502", "status_503", "status_500", "bare_400"],
    },
    {
      name: "confirm: never",
      mode: "allow",
      fault: { confirm: "never" },
      faults: ["status_502", "status_503"],
      suspects: [],
    },
    {
      name: "other statuses, and no bare 400",
      mode: "deny",
      fault: { statuses: new Set([503]), suspectStatuses: new Set([404]), bare400: false },
      faults: ["status_503", "status_500", "status_404"],
      suspects: ["connect_timeout", "status_500", "status_404"],
    },
    {
      name: "a 500 that is a fault is no suspect",
      mode: "deny",
      fault: { statuses: new Set([500]), suspectStatuses: new Set() },
      faults: ["status_500", "bare_400"],
      suspects: ["connect_timeout", "bare_400"],
    },
    {
      name: "the health of the login page is asked",
      mode: "deny",
      probe: { loginHealth: [loginHealth] },
      faults: ["status_502", "status_503", "status_500", "bare_400", "login_down"],
      suspects: ["connect_timeout", "status_500", "bare_400"],
    },
    {
      name: "a challenge that must set a cookie",
      mode: "deny",
      fault: { expect: expecting({ challenge: { headers: ["set-cookie"] } }) },
      faults: ["status_502", "status_503", "status_500", "bare_400", "unexpected"],
      suspects: ["connect_timeout", "status_500", "bare_400", "unexpected"],
    },
    {
      name: "a challenge that must lead to the login",
      mode: "deny",
      fault: { expect: expecting({ challenge: { location: "https://auth.example.com/" } }) },
      faults: ["status_502", "status_503", "status_500", "bare_400", "unexpected"],
      suspects: ["connect_timeout", "status_500", "bare_400", "unexpected"],
    },
    {
      name: "an allow that must name its user, where nothing is confirmed",
      mode: "deny",
      fault: { expect: expecting({ allow: { headers: ["x-user"] } }), confirm: "never" },
      faults: ["status_502", "status_503"],
      suspects: [],
    },
    {
      name: "an answer that is named as a fault",
      mode: "allow",
      fault: { match: [{ status: 403, header: "x-bouncer-error", body: null }] },
      faults: ["status_502", "status_503", "status_403", "status_500", "bare_400"],
      suspects: [...judged, "status_502", "status_503", "status_403", "status_500", "bare_400"],
    },
    {
      name: "sites that stay up at any price",
      mode: "allow",
      fallback: { mode: "allow", onOverload: "fallback" },
      faults: ["status_502", "status_503", "status_500", "bare_400"],
      suspects: [...judged, "status_502", "status_503", "status_500", "bare_400"],
      others: ["overload"],
    },
  ];
  for (const { name, mode, fault, probe, faults, suspects, fallback, others = [] } of rows) {
    t.test(name, async (t) => {
      const route = routeWith("sso", mode);
      const metrics = metricsOf([
        {
          ...route,
          fault: { ...route.fault, ...fault },
          probe: { ...route.probe, ...probe },
          fallback: fallback ?? route.fallback,
        },
      ]);
      const all = [...failures, ...answers, ...faults];
      t.same(reasonsIn(await linesOf(metrics, "sparekey_faults_total")), [...all, "abandoned"]);
      t.same(reasonsIn(await linesOf(metrics, "sparekey_fallback_total")), [
        ...all,
        ...others,
        "breaker_open",
        "override",
      ]);
      t.same(reasonsIn(await linesOf(metrics, "sparekey_suspects_total")), suspects);
    });
  }
});

t.test("logins of people are counted where the route carries their login pages", async (t) => {
  const metrics = metricsOf([
    { ...routeWith("login", "none"), loginOf: "authentik" },
    routeWith("plain", "none"),
  ]);
  recordOf(metrics, "login").counts.loginEnds.failed += 2;
  t.same(await linesOf(metrics, "sparekey_logins_total"), [
    'sparekey_logins_total{route="login",result="ok"} 0',
    'sparekey_logins_total{route="login",result="failed"} 2',
    'sparekey_logins_total{route="login",result="loop"} 0',
  ]);
});

t.test("a status below 400 is a reason where an answer with it is named as a fault", async (t) => {
  const route = routeWith("sso", "deny");
  const match = [{ status: 200, header: null, body: "out of service" }];
  const metrics = metricsOf([{ ...route, fault: { ...route.fault, match } }]);
  countFault(recordOf(metrics, "sso"), "status_200", 0);
  countFault(recordOf(metrics, "sso"), "status_204", 0);
  const lines = await linesOf(metrics, "sparekey_faults_total");
  t.ok(lines.includes('sparekey_faults_total{route="sso",reason="status_200"} 1'));
  t.ok(lines.includes('sparekey_faults_total{route="sso",reason="malformed"} 1'));
});

t.test("counts", async (t) => {
  const metrics = metricsOf([routeWith("sso", "basic-auth"), routeWith("bots", "allow")]);
  const sso = recordOf(metrics, "sso");
  countCheck(sso, fromUpstream(200, "allow"), 2);
  countCheck(sso, fromUpstream(200, "allow"), 2);
  countCheck(sso, SHED, 0.1);
  countCheck(sso, loginDecision({ kind: "ok", user: "evelyn" }, "status_503"), 3);
  countCheck(sso, loginDecision({ kind: "bad" }, "dns"), 3);
  countFault(sso, "dns", 0);
  countSuspect(sso, "bare_400", "confirmed");
  countSuspect(sso, "status_500", "cleared");
  countSuspect(sso, "status_599", "cleared");
  sso.counts.probes.fault += 1;
  sso.breaker = { state: "half-open", since: 0 };
  countCheck(recordOf(metrics, "bots"), allowedBy("allow", "tls"), 1);
  const text = await metrics.text();

  const rows = [
    'sparekey_checks_total{route="sso",source="upstream",verdict="allow"} 2',
    'sparekey_checks_total{route="sso",source="shed",verdict="deny"} 1',
    'sparekey_checks_total{route="sso",source="fallback",verdict="challenge"} 1',
    'sparekey_checks_total{route="bots",source="fallback",verdict="allow"} 1',
    'sparekey_fallback_total{route="sso",mode="basic-auth",reason="status_503",result="allowed"} 1',
    'sparekey_fallback_total{route="sso",mode="basic-auth",reason="dns",result="rejected"} 1',
    'sparekey_fallback_total{route="bots",mode="allow",reason="tls",result="allowed"} 1',
    'sparekey_emergency_logins_total{route="sso",result="ok"} 1',
    'sparekey_emergency_logins_total{route="sso",result="bad"} 1',
    'sparekey_faults_total{route="sso",reason="dns"} 1',
    'sparekey_suspects_total{route="sso",reason="bare_400",finding="confirmed"} 1',
    'sparekey_suspects_total{route="sso",reason="bare_400",finding="cleared"} 0',
    'sparekey_suspects_total{route="sso",reason="status_500",finding="cleared"} 1',
    'sparekey_suspects_total{route="sso",reason="status_599",finding="cleared"} 1',
    'sparekey_probes_total{route="sso",result="fault"} 1',
    'sparekey_breaker_state{route="sso",state="closed"} 0',
    'sparekey_breaker_state{route="sso",state="half-open"} 1',
    'sparekey_breaker_state{route="bots",state="closed"} 1',
    'sparekey_htpasswd_users{route="sso"} 2',
    "sparekey_in_flight 4",
    "sparekey_connections 7",
    'sparekey_build_info{version="1.2.3",node="26.0.0"} 1',
  ];
  for (const row of rows) t.ok(text.includes(`\n${row}\n`), row);
  t.notMatch(text, "evelyn", "no user name is a label");
});

t.test(
  "the emergency login of one of a route's hosts shows: its logins, and its htpasswd when it is empty",
  async (t) => {
    const login = (htpasswd: string) => ({ ...routeWith("x", "basic-auth").fallback, htpasswd }) as Fallback;
    const [two, empty] = [login("/etc/sparekey/htpasswd"), login("/etc/sparekey/empty")];
    const deny = { mode: "deny", grace: null, page: null } as const;
    const rows: readonly {
      name: string;
      fallback: Fallback;
      hosts: readonly Fallback[];
      users: number | null;
    }[] = [
      { name: "the route's alone", fallback: two, hosts: [], users: 2 },
      { name: "a host's alone", fallback: deny, hosts: [deny, two], users: 2 },
      { name: "both", fallback: two, hosts: [two, deny], users: 2 },
      { name: "the route's is empty", fallback: empty, hosts: [two], users: 0 },
      { name: "a host's is empty", fallback: two, hosts: [two, empty, deny], users: 0 },
      { name: "none", fallback: deny, hosts: [{ mode: "allow", onOverload: "shed" }], users: null },
    ];
    for (const { name, fallback, hosts, users } of rows) {
      const policies = hosts.map((of, index) => ({
        host: { kind: "exact" as const, match: `h${index}` },
        fallback: of,
      }));
      const metrics = metricsOf([{ ...routeWith("sso", "deny"), fallback, hosts: policies }]);
      const line = `sparekey_htpasswd_users{route="sso"} ${users}`;
      t.same(await linesOf(metrics, "sparekey_htpasswd_users"), users === null ? [] : [line], name);
      const logins = await linesOf(metrics, "sparekey_emergency_logins_total");
      t.equal(logins.length, users === null ? 0 : 5, `${name}: logins are counted from the start`);
    }
  },
);

t.test("whether the probe is proven, whatever verdict proved it", async (t) => {
  const metrics = metricsOf([routeWith("sso", "deny"), routeWith("bots", "allow"), routeWith("new", "deny")]);
  recordOf(metrics, "sso").standing = { proven: "challenge", refused: null };
  recordOf(metrics, "bots").standing = { proven: "allow", refused: null };
  recordOf(metrics, "new").standing = { proven: null, refused: 400 };
  t.same(await linesOf(metrics, "sparekey_probe_proven"), [
    'sparekey_probe_proven{route="sso"} 1',
    'sparekey_probe_proven{route="bots"} 1',
    'sparekey_probe_proven{route="new"} 0',
  ]);
});

t.test("endpoints by whether they are asked, without their addresses", async (t) => {
  const from = [null, null, null, "all", "all", "cookieless"] as const;
  const all = from.map(
    (one, index): EndpointStatus => ({
      endpoint: `10.0.3.${index}:9000`,
      ejected: one && { from: one, reason: "slow", since: 0 },
    }),
  );
  const metrics = countedProcess([routeWith("sso", "deny"), routeWith("bots", "allow")], {
    endpoints: (route) => (route === "sso" ? all : all.slice(0, 1)),
  });
  t.same(await linesOf(metrics, "sparekey_endpoints"), [
    'sparekey_endpoints{route="sso",state="in_use"} 3',
    'sparekey_endpoints{route="sso",state="ejected"} 2',
    'sparekey_endpoints{route="sso",state="ejected_cookieless"} 1',
    'sparekey_endpoints{route="bots",state="in_use"} 1',
    'sparekey_endpoints{route="bots",state="ejected"} 0',
    'sparekey_endpoints{route="bots",state="ejected_cookieless"} 0',
  ]);
  t.notMatch(await metrics.text(), "10.0.3");
});

t.test("durations", async (t) => {
  const metrics = metricsOf([routeWith("sso", "deny")]);
  const record = recordOf(metrics, "sso");
  // A clock that went wrong must not spoil the sums.
  for (const ms of [1, 1.5, 700, 60_000, -5, Number.NaN, Number.POSITIVE_INFINITY])
    countAnswer(record, 200, ms);
  const family = "sparekey_upstream_duration_seconds";
  const buckets = await linesOf(metrics, `${family}_bucket`);
  const count = (le: string) =>
    buckets
      .find((line) => line.includes(`le="${le}"`))
      ?.split(" ")
      .at(-1);
  t.equal(buckets.length, 14);
  t.equal(count("0.001"), "2", "a bound belongs to its bucket");
  t.equal(count("0.0025"), "3");
  t.equal(count("0.5"), "3");
  t.equal(count("1"), "4");
  t.equal(count("10"), "4");
  t.equal(count("+Inf"), "5");
  t.same(await linesOf(metrics, `${family}_count`), [`${family}_count{route="sso"} 5`]);
  t.same(await linesOf(metrics, `${family}_sum`), [`${family}_sum{route="sso"} 60.7025`]);
});

t.test("an upstream cannot make up series", async (t) => {
  const metrics = metricsOf([routeWith("sso", "deny")]);
  const record = recordOf(metrics, "sso");
  const before = (await linesOf(metrics, "sparekey_upstream_answers_total")).length;
  for (const status of [600, 999, 99, 0, -1, 200.5, Number.NaN]) countAnswer(record, status, 1);
  countAnswer(record, 418, 1);
  const lines = await linesOf(metrics, "sparekey_upstream_answers_total");
  t.equal(lines.length, before + 2);
  t.ok(lines.includes('sparekey_upstream_answers_total{route="sso",code="other"} 7'));
  t.ok(lines.includes('sparekey_upstream_answers_total{route="sso",code="418"} 1'));
});

t.test("nor a reason", async (t) => {
  const metrics = metricsOf([routeWith("sso", "deny")]);
  const record = recordOf(metrics, "sso");
  for (const status of [399, 600, 5000, 500.5, Number.NaN]) {
    const reason = `status_${status}` as const;
    countSuspect(record, reason, "cleared");
    countFault(record, reason, 0);
    countCheck(record, allowedBy("deny", reason), 1);
  }
  const text = await metrics.text();
  t.match(text, 'sparekey_suspects_total{route="sso",reason="malformed",finding="cleared"} 5');
  t.match(text, 'sparekey_faults_total{route="sso",reason="malformed"} 5');
  t.match(text, 'sparekey_fallback_total{route="sso",mode="deny",reason="malformed",result="allowed"} 5');
  t.notMatch(text, /status_(399|600|5000|NaN|500\.5)/);
});

t.test("a reload keeps the numbers of routes that stay", async (t) => {
  const metrics = metricsOf([routeWith("stays", "allow"), routeWith("goes", "allow")]);
  for (const route of ["stays", "goes"]) countCheck(recordOf(metrics, route), allowedBy("allow", "reset"), 1);
  const stays = recordOf(metrics, "stays");
  stays.breaker = { state: "open", since: 0 };
  stays.counts.probes.ok += 1;
  countSuspect(stays, "reset", "confirmed");
  metrics.useRoutes([routeWith("stays", "deny"), routeWith("comes", "deny")]);
  const text = await metrics.text();
  t.match(text, 'sparekey_checks_total{route="stays",source="fallback",verdict="allow"} 1');
  t.match(text, 'sparekey_fallback_total{route="stays",mode="allow",reason="reset",result="allowed"} 1');
  t.match(text, 'sparekey_fallback_total{route="stays",mode="deny",reason="reset",result="denied"} 0');
  t.match(text, 'sparekey_suspects_total{route="stays",reason="reset",finding="confirmed"} 1');
  t.match(text, 'sparekey_probes_total{route="stays",result="ok"} 1');
  t.match(text, 'sparekey_breaker_state{route="stays",state="open"} 1');
  t.match(text, 'sparekey_checks_total{route="comes",source="fallback",verdict="deny"} 0');
  t.notMatch(text, 'route="goes"');
  t.equal(metrics.records.of("goes"), undefined);
});

const PERIOD: FallbackPeriod = {
  mode: "deny",
  reason: "refused",
  since: 0,
  served: 1000,
  held: 0,
  checks: 2,
  isProven: false,
};

t.test("fallback_active falls back to 0 by itself", async (t) => {
  const clock = { now: 0 };
  const metrics = metricsOf([routeWith("sso", "deny")], clock);
  recordOf(metrics, "sso").period = PERIOD;
  clock.now = 60_999;
  t.same(await linesOf(metrics, "sparekey_fallback_active"), ['sparekey_fallback_active{route="sso"} 1']);
  clock.now = 61_000;
  t.same(await linesOf(metrics, "sparekey_fallback_active"), ['sparekey_fallback_active{route="sso"} 0']);
});

t.test("fallback_active is 1 until the breaker has closed", async (t) => {
  const metrics = metricsOf([routeWith("sso", "deny")]);
  const record = recordOf(metrics, "sso");
  const rows = [
    { breaker: { state: "open", since: 0 }, active: 1 },
    { breaker: { state: "half-open", since: 0 }, active: 1 },
    { breaker: { state: "closed" }, active: 0 },
  ] as const;
  for (const { breaker, active } of rows) {
    record.breaker = breaker;
    t.same(
      await linesOf(metrics, "sparekey_fallback_active"),
      [`sparekey_fallback_active{route="sso"} ${active}`],
      breaker.state,
    );
  }
});

const RELOADED = { kind: "reloaded", routes: [], opened: [], closed: [], needsRestart: [] } as const;

t.test("config read", async (t) => {
  const metrics = metricsOf([]);
  metrics.clock.unix = 1_700_000_000_500;
  metrics.onEvent(RELOADED);
  metrics.clock.unix = 1_700_000_099_000;
  metrics.onEvent({ kind: "reload_refused", problems: ["bad"] });
  t.same(await linesOf(metrics, "sparekey_config_last_reload_successful"), [
    "sparekey_config_last_reload_successful 0",
  ]);
  t.same(await linesOf(metrics, "sparekey_config_last_reload_success_timestamp_seconds"), [
    "sparekey_config_last_reload_success_timestamp_seconds 1700000000.5",
  ]);
});

t.test("promtool has nothing to complain about", { skip: missing("promtool") }, async (t) => {
  const metrics = metricsOf([
    routeWith("sso", "basic-auth"),
    routeWith("bots", "allow"),
    routeWith("closed", "deny"),
    routeWith("plain", "none"),
  ]);
  countCheck(recordOf(metrics, "sso"), loginDecision({ kind: "missing" }), 12);
  countAnswer(recordOf(metrics, "bots"), 200, 3);
  const [input, again] = await Promise.all([metrics.text(), metrics.text()]);
  t.equal(input.split("\n").length, again.split("\n").length, "two scrapes at once");
  t.match(metrics.contentType, /^text\/plain; version=0\.0\.4/);

  const promtool = spawnSync("promtool", ["check", "metrics"], { input, encoding: "utf8" });
  t.equal(promtool.error, undefined);
  t.equal(promtool.stdout + promtool.stderr, "");
  t.equal(promtool.status, 0);
});
