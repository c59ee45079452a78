import t from "tap";
import type { EjectedFrom } from "../../src/core/endpoint.ts";
import type { FaultReason } from "../../src/core/types.ts";
import {
  type EndpointReport,
  emptyRouteReport,
  endedReport,
  type ProcessReport,
  type RouteReport,
  sumReports,
  sumRoutes,
} from "../../src/observe/report.ts";
import { countAnswer, countCheck, newRouteCounts, type RouteCounts } from "../../src/observe/route-record.ts";
import { sample } from "../support/app.ts";
import { type CountedProcess, countedProcess, rendered } from "./counted-process.ts";
import { fromUpstream, routeWith } from "./samples.ts";

const ROUTES = [routeWith("sso", "deny"), routeWith("login", "basic-auth")];

/** What one process counts: `checks` of route sso, each of 20 ms. */
function counted(checks: number, { users = 3, inFlight = 1 } = {}): CountedProcess {
  const process = countedProcess(ROUTES, { inFlight, htpasswdUsers: () => users });
  const record = process.recordOf("sso");
  for (let count = 0; count < checks; count += 1) {
    countCheck(record, fromUpstream(200, "allow"), 20);
    countAnswer(record, 200, 20);
  }
  return process;
}

function sumText(reports: readonly ProcessReport[], routes = ROUTES): Promise<string> {
  return rendered(
    () => routes,
    () => sumReports(reports),
  ).text();
}

const CHECKS = 'sparekey_checks_total{route="sso",source="upstream",verdict="allow"}';
const stateSeries = (state: string): string => `sparekey_breaker_state{route="sso",state="${state}"}`;

t.test("counters, histograms and what all have in hand are summed", async (t) => {
  const text = await sumText([counted(3).report(), counted(4, { inFlight: 5 }).report()]);
  t.equal(sample(text, CHECKS), 7);
  t.equal(sample(text, 'sparekey_upstream_answers_total{route="sso",code="200"}'), 7);
  t.equal(sample(text, 'sparekey_check_duration_seconds_count{route="sso"}'), 7);
  t.equal(sample(text, 'sparekey_check_duration_seconds_bucket{route="sso",le="0.025"}'), 7);
  t.equal(sample(text, 'sparekey_check_duration_seconds_bucket{route="sso",le="0.01"}'), 0);
  t.equal(sample(text, "sparekey_in_flight"), 6);
  t.equal(sample(text, 'sparekey_build_info{version="1.2.3",node="26.0.0"}'), 1);
});

t.test("of one process, the sum says what the process itself says", async (t) => {
  const metrics = counted(2);
  const changing = /^(process|nodejs)_.*$/gm;
  const lines = (text: string): string[] => text.replace(changing, "").split("\n").filter(Boolean).sort();
  t.same(lines(await sumText([metrics.report()])), lines(await metrics.text()));
});

t.test("an alert on users who can log in sees the process that has none", async (t) => {
  const text = await sumText([counted(0).report(), counted(0, { users: 0 }).report()]);
  t.equal(sample(text, 'sparekey_htpasswd_users{route="login"}'), 0);
});

const breakers = [
  { states: ["closed", "closed"], shown: "closed" },
  { states: ["closed", "half-open"], shown: "half-open" },
  { states: ["half-open", "open"], shown: "open" },
  { states: ["open", "closed"], shown: "open" },
] as const;
for (const { states, shown } of breakers) {
  t.test(`breakers ${states.join(" and ")} are shown as one that is ${shown}`, async (t) => {
    const all = states.map((state) => {
      const process = counted(0);
      if (state !== "closed") process.recordOf("sso").breaker = { state, since: 0 };
      return process.report();
    });
    const text = await sumText(all);
    for (const state of ["closed", "half-open", "open"]) {
      t.equal(sample(text, stateSeries(state)), state === shown ? 1 : 0, state);
    }
  });
}

t.test("what a process counted outlives it, and what it held does not", async (t) => {
  const ended = endedReport([sumReports([]), counted(5).report()], new Set(["sso", "login"]));
  const text = await sumText([ended, counted(2).report()]);
  t.equal(sample(text, CHECKS), 7);
  t.equal(sample(text, "sparekey_in_flight"), 1);
});

t.test("a route that is gone takes its numbers along, of the dead as well", async (t) => {
  const ended = endedReport([counted(5).report()], new Set(["login"]));
  t.same(
    ended.routes.map(({ route }) => route),
    ["login"],
  );
});

t.test("neither of two reports that are summed is changed", async (t) => {
  const [one, other] = [counted(3), counted(4)];
  sumReports([one.report(), other.report()]);
  t.equal(sample(await one.text(), CHECKS), 3);
  t.equal(sample(await other.text(), CHECKS), 4);
});

t.test("workers and their deaths are shown where there are workers", async (t) => {
  const process = countedProcess(ROUTES, { workers: { wanted: 4, serving: 3, silent: 1 } });
  process.onEvent({ kind: "worker_died", number: 2, pid: 7, code: 1, signal: null });
  const text = await process.text();
  const shown = ["serving", "silent", "missing"].map((state) =>
    sample(text, `sparekey_workers{state="${state}"}`),
  );
  t.same(shown, [2, 1, 1]);
  t.equal(sample(text, "sparekey_worker_deaths_total"), 1);
  t.notMatch(await counted(0).text(), "sparekey_worker");
});

function routeReportWith(route: string, changes: Partial<RouteReport> = {}): RouteReport {
  return { ...emptyRouteReport(route), ...changes };
}

function at(endpoint: string, from: EjectedFrom | null = null, since = 0): EndpointReport {
  return { endpoint, ejected: from && { from, reason: "refused", since } };
}

function withFaults(...faults: readonly (readonly [FaultReason, number])[]): RouteCounts {
  return { ...newRouteCounts(), faults: new Map(faults) };
}

t.test("of several processes", async (t) => {
  const fallback = (since: number, changes = {}) =>
    ({
      mode: "basic-auth",
      reason: "reset",
      since,
      served: null,
      isHeld: false,
      checks: 1,
      ...changes,
    }) as const;
  const rows: readonly {
    name: string;
    of: readonly (readonly Partial<RouteReport>[])[];
    is: Partial<RouteReport>;
  }[] = [
    {
      name: "counts are sums",
      of: [[{ counts: withFaults(["reset", 2]) }], [{ counts: withFaults(["reset", 3], ["dns", 1]) }]],
      is: { counts: withFaults(["reset", 5], ["dns", 1]) },
    },
    {
      name: "in fallback where any is",
      of: [[{ isInFallback: false }], [{ isInFallback: true }]],
      is: { isInFallback: true },
    },
    {
      name: "the worst breaker, since the first left closed",
      of: [
        [{ breaker: { state: "closed", since: null } }],
        [{ breaker: { state: "open", since: 9 } }],
        [{ breaker: { state: "half-open", since: 4 } }],
      ],
      is: { breaker: { state: "open", since: 4 } },
    },
    {
      name: "the first fallback, served last, held by any",
      of: [
        [{ fallback: fallback(8, { reason: "dns", served: 30, isHeld: true }) }],
        [{ fallback: null }],
        [{ fallback: fallback(5, { served: 20 }) }],
      ],
      is: {
        fallback: { mode: "basic-auth", reason: "reset", since: 5, served: 30, isHeld: true, checks: 2 },
      },
    },
    {
      name: "the last fault and the fewest users",
      of: [
        [{ lastFault: { reason: "reset", at: 3 }, users: 3 }],
        [{ lastFault: { reason: "dns", at: 7 }, users: 1 }],
        [{ lastFault: null, users: null }],
      ],
      is: { lastFault: { reason: "dns", at: 7 }, users: 1 },
    },
    {
      name: "a probe that all have proven, by the lesser verdict",
      of: [
        [{ probe: { proven: "challenge", refused: null } }],
        [{ probe: { proven: "allow", refused: null } }],
        [{ probe: null }],
      ],
      is: { probe: { proven: "allow", refused: null } },
    },
    {
      name: "a probe that one has not proven, because it is refused",
      of: [
        [{ probe: { proven: "challenge", refused: null } }],
        [{ probe: { proven: null, refused: 400 } }],
        [{ probe: { proven: "challenge", refused: null } }],
      ],
      is: { probe: { proven: null, refused: 400 } },
    },
    {
      name: "logins that fail at some",
      of: [
        [{ failingLogins: { failed: 5, addresses: 3 } }],
        [{ failingLogins: null }],
        [{ failingLogins: { failed: 7, addresses: 4 } }],
      ],
      is: { failingLogins: { failed: 12, addresses: 4 } },
    },
    {
      name: "an endpoint that any has ejected, for most checks and the longest time",
      of: [
        [{ endpoints: [at("a", "cookieless", 1), at("b"), at("c", "all", 5)] }],
        [{ endpoints: [] }],
        [{ endpoints: [at("a", "all", 9), at("b", "cookieless", 2), at("c", "all", 3)] }],
        [{ endpoints: [at("a"), at("b"), at("c")] }],
      ],
      is: { endpoints: [at("a", "all", 9), at("b", "cookieless", 2), at("c", "all", 3)] },
    },
  ];
  for (const { name, of, is } of rows) {
    const processes = of.map((all) => all.map((changes) => routeReportWith("sso", changes)));
    t.match(sumRoutes(processes.flat())[0], is, name);
    t.match(sumRoutes(processes.toReversed().flat())[0], is, `${name}, the other way round`);
  }
  t.same(
    sumRoutes(["a", "b", "a"].map((route) => routeReportWith(route))).map(({ route }) => route),
    ["a", "b"],
  );
});

t.test("of one that ended only counts stay, as long as its route is there", async (t) => {
  const before = routeReportWith("sso", {
    counts: withFaults(["dns", 3]),
    breaker: { state: "open", since: 1 },
    isInFallback: true,
    fallback: { mode: "allow", reason: "dns", since: 1, served: 1, isHeld: true, checks: 1 },
    probe: { proven: "challenge", refused: null },
    failingLogins: { failed: 5, addresses: 3 },
    users: 0,
    endpoints: [at("a")],
  });
  const process = {
    ...sumReports([]),
    routes: [before, routeReportWith("gone")],
    cpuSeconds: 2,
    inFlight: 5,
  };
  const { routes, cpuSeconds, inFlight } = endedReport([process], new Set(["sso"]));
  t.same([cpuSeconds, inFlight], [2, 0]);
  t.match(routes, [
    {
      counts: withFaults(["dns", 3]),
      breaker: null,
      isInFallback: null,
      fallback: null,
      probe: null,
      failingLogins: null,
      users: null,
      endpoints: [],
    },
  ]);
});

t.test("regression: with no process left, nothing is claimed of breakers and fallbacks", async (t) => {
  const ended = endedReport([counted(5).report()], new Set(["sso", "login"]));
  const text = await sumText([ended]);
  t.equal(sample(text, CHECKS), 5);
  for (const family of [
    "sparekey_breaker_state",
    "sparekey_fallback_active",
    "sparekey_endpoints",
    "sparekey_probe_proven",
  ]) {
    t.notMatch(text, new RegExp(`^${family}\\{`, "m"));
  }
  t.equal(sample(await sumText([ended, counted(0).report()]), stateSeries("closed")), 1, "one is back");
});
