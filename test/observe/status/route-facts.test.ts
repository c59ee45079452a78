import t from "tap";
import type { EndpointStatus } from "../../../src/core/endpoint.ts";
import { routeReport } from "../../../src/observe/report.ts";
import { newRouteRecord, type RouteRecord } from "../../../src/observe/route-record.ts";
import { factsOf, type RouteFacts } from "../../../src/observe/status/route-facts.ts";
import { routeWith } from "../samples.ts";

const SOURCES = {
  now: () => 100_000,
  wallClock: (at: number) => 1_000_000 + at,
  htpasswdUsers: () => 3,
  endpoints: () => [],
};

t.test("of a record", async (t) => {
  const rows: readonly {
    name: string;
    change: (record: RouteRecord) => void;
    is: Partial<RouteFacts>;
  }[] = [
    {
      name: "at the start",
      change: () => {},
      is: { fallbacks: 0, errors: 0, fallback: null, lastFault: null, users: 3 },
    },
    {
      name: "who decided",
      change: ({ counts: { checks } }) => {
        checks.upstream.allow = 5;
        checks.upstream.error = 2;
        checks.fallback.allow = 3;
        checks.grace.allow = 1;
        checks.shed.deny = 4;
      },
      is: { checks: { upstream: 7, fallback: 3, grace: 1, override: 0, shed: 4 }, fallbacks: 4, errors: 2 },
    },
    {
      name: "an override to the upstream that finds it down is no fallback",
      change: ({ counts: { checks } }) => {
        checks.override.challenge = 3;
        checks.override.error = 2;
      },
      is: { fallbacks: 3, errors: 2 },
    },
    {
      name: "an open breaker",
      change: (record) => {
        record.breaker = { state: "open", since: 40_000 };
        record.period = period({ since: 40_000, served: Number.NEGATIVE_INFINITY });
      },
      is: {
        breaker: { state: "open", since: 1_040_000 },
        fallback: {
          mode: "basic-auth",
          reason: "reset",
          since: 1_040_000,
          served: null,
          isHeld: true,
          checks: 0,
        },
      },
    },
    {
      name: "a quiet minute that is over, before anybody looked",
      change: (record) => {
        record.period = period({ since: 1_000, served: 40_000 });
      },
      is: { fallback: null },
    },
    {
      name: "one fallback a moment ago",
      change: (record) => {
        record.period = period({ since: 1_000, served: 90_000, checks: 2 });
      },
      is: {
        fallback: {
          mode: "basic-auth",
          reason: "reset",
          since: 1_001_000,
          served: 1_090_000,
          isHeld: false,
          checks: 2,
        },
      },
    },
    {
      name: "a person's choice",
      change: (record) => {
        record.isOverridden = true;
        record.period = period({ since: 1_000, served: Number.NEGATIVE_INFINITY });
      },
      is: {
        fallback: {
          mode: "basic-auth",
          reason: "reset",
          since: 1_001_000,
          served: null,
          isHeld: true,
          checks: 0,
        },
      },
    },
  ];
  for (const { name, change, is } of rows) {
    const record = newRouteRecord(routeWith("sso", "basic-auth"));
    change(record);
    t.match(factsOf(routeReport(record, SOURCES)), is, name);
  }
});

function period(changes: { since: number; served: number; checks?: number }) {
  return { mode: "basic-auth", reason: "reset", held: 0, checks: 0, isProven: false, ...changes } as const;
}

t.test("its endpoints, and since when one is not asked", async (t) => {
  const ejected = { from: "cookieless", reason: "bare_400", since: 40_000 } as const;
  const endpoints = (route: string): readonly EndpointStatus[] => [
    { endpoint: `${route}:1`, ejected: null },
    { endpoint: `${route}:2`, ejected },
  ];
  const report = routeReport(newRouteRecord(routeWith("sso", "deny")), { ...SOURCES, endpoints });
  t.same(factsOf(report).endpoints, [
    { endpoint: "sso:1", ejected: null },
    { endpoint: "sso:2", ejected: { ...ejected, since: 1_040_000 } },
  ]);
});

t.test("how far its probe can be believed, which decides nothing on a plain proxy", async (t) => {
  const standing = { proven: "allow", refused: null } as const;
  for (const mode of ["deny", "none"] as const) {
    const record = newRouteRecord(routeWith("sso", mode));
    record.standing = standing;
    t.same(factsOf(routeReport(record, SOURCES)).probe, mode === "none" ? null : standing, mode);
  }
});

t.test("a route that asks for no password has no users", async (t) => {
  t.equal(factsOf(routeReport(newRouteRecord(routeWith("bots", "allow")), SOURCES)).users, null);
});
