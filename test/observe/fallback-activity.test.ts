import t from "tap";
import {
  afterFallback,
  type BreakerState,
  type FallbackActivity,
  isActive,
} from "../../src/observe/fallback-activity.ts";

function afterAll(times: readonly number[], breaker: BreakerState): FallbackActivity {
  return times.reduce<FallbackActivity>((activity, now) => afterFallback(activity, breaker, now), null);
}

t.test("a period", async (t) => {
  const rows: readonly {
    name: string;
    breaker?: BreakerState;
    fallbacks: readonly number[];
    now: number;
    active: boolean;
    period: FallbackActivity;
  }[] = [
    { name: "none yet", fallbacks: [], now: 5, active: false, period: null },
    { name: "just served", fallbacks: [5], now: 5, active: true, period: { since: 5, last: 5, checks: 1 } },
    {
      name: "59.999 s after",
      fallbacks: [0],
      now: 59_999,
      active: true,
      period: { since: 0, last: 0, checks: 1 },
    },
    {
      name: "60 s after",
      fallbacks: [0],
      now: 60_000,
      active: false,
      period: { since: 0, last: 0, checks: 1 },
    },
    {
      name: "prolonged by each fallback",
      fallbacks: [0, 59_000, 118_000],
      now: 177_000,
      active: true,
      period: { since: 0, last: 118_000, checks: 3 },
    },
    {
      name: "a new one after a quiet minute",
      fallbacks: [0, 10, 60_010],
      now: 60_010,
      active: true,
      period: { since: 60_010, last: 60_010, checks: 1 },
    },
    { name: "open, and nobody came", breaker: "open", fallbacks: [], now: 5, active: true, period: null },
    {
      name: "an open breaker lets no period end",
      breaker: "open",
      fallbacks: [0, 90_000],
      now: 900_000,
      active: true,
      period: { since: 0, last: 90_000, checks: 2 },
    },
    {
      name: "nor does a trial",
      breaker: "half-open",
      fallbacks: [0],
      now: 60_000,
      active: true,
      period: { since: 0, last: 0, checks: 1 },
    },
  ];
  for (const { name, breaker = "closed", fallbacks, now, active, period } of rows) {
    t.test(name, async (t) => {
      const activity = afterAll(fallbacks, breaker);
      t.same(activity, period);
      t.equal(isActive(activity, breaker, now), active);
    });
  }
});
