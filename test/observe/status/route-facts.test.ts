import t from "tap";
import { newRouteRecord, type RouteRecord } from "../../../src/observe/route-record.ts";
import { endedFacts, factsOf, type RouteFacts, sumFacts } from "../../../src/observe/status/route-facts.ts";
import { createWallClock } from "../../../src/observe/status/wall-clock.ts";
import { facts } from "../../support/status-scene.ts";
import { routeWith } from "../samples.ts";

const SOURCES = { now: () => 100_000, wallClock: (at: number) => 1_000_000 + at, htpasswdUsers: () => 3 };

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
      change: ({ checks }) => {
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
      change: ({ checks }) => {
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
    t.match(factsOf(record, SOURCES), is, name);
  }
});

function period(changes: { since: number; served: number; checks?: number }) {
  return { mode: "basic-auth", reason: "reset", held: 0, checks: 0, isTold: false, ...changes } as const;
}

t.test("a route that asks for no password has no users", async (t) => {
  t.equal(factsOf(newRouteRecord(routeWith("bots", "allow")), SOURCES).users, null);
});

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
    of: readonly (readonly Partial<RouteFacts>[])[];
    is: Partial<RouteFacts>;
  }[] = [
    {
      name: "counts are sums",
      of: [
        [{ checks: { upstream: 1, fallback: 2, grace: 3, override: 4, shed: 5 }, fallbacks: 9, errors: 1 }],
        [{ checks: { upstream: 10, fallback: 0, grace: 0, override: 0, shed: 1 }, fallbacks: 1, errors: 1 }],
      ],
      is: { checks: { upstream: 11, fallback: 2, grace: 3, override: 4, shed: 6 }, fallbacks: 10, errors: 2 },
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
  ];
  for (const { name, of, is } of rows) {
    const processes = of.map((all) => all.map((changes) => facts("sso", changes)));
    t.match(sumFacts(processes)[0], is, name);
    t.match(sumFacts(processes.toReversed())[0], is, `${name}, the other way round`);
  }
  t.same(
    sumFacts([[facts("a")], [facts("b"), facts("a")]]).map(({ route }) => route),
    ["a", "b"],
  );
});

t.test("of one that ended only counts stay, as long as its route is there", async (t) => {
  const before = facts("sso", {
    errors: 3,
    breaker: { state: "open", since: 1 },
    fallback: { mode: "allow", reason: "dns", since: 1, served: 1, isHeld: true, checks: 1 },
    users: 0,
  });
  const [after, ...others] = endedFacts([[before, facts("gone")]], new Set(["sso"]));
  t.same(others, []);
  t.match(after, { errors: 3, breaker: { state: "closed", since: null }, fallback: null, users: null });
});

t.test("the wall clock: the same time stays the same, until the clock is set", async (t) => {
  const clock = { monotonic: 10, unix: 1_000_010 };
  const at = createWallClock(
    () => clock.monotonic,
    () => clock.unix,
  );
  t.equal(at(5), 1_000_005);
  clock.monotonic += 1_000;
  clock.unix += 1_400;
  t.equal(at(5), 1_000_005, "corrected by a little");
  clock.unix += 3_600_000;
  t.equal(at(5), 4_600_405, "set");
});
