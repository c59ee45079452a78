import t from "tap";
import { createMetrics, type Metrics } from "../../../src/observe/metrics/metrics.ts";
import { sumEnded, sumText } from "../../../src/observe/metrics/metrics-sum.ts";
import { countAnswer, countCheck } from "../../../src/observe/route-record.ts";
import { sample } from "../../support/app.ts";
import { fromUpstream, routeWith } from "../samples.ts";

const ROUTES = [routeWith("sso", "deny"), routeWith("login", "basic-auth")];

/** What one process counts: `checks` of route sso, each of 20 ms. */
function counted(checks: number, { users = 3, inFlight = 1 } = {}): Metrics {
  const metrics = createMetrics({
    version: "1.2.3",
    node: "v26",
    inFlight: () => inFlight,
    connections: () => 0,
    htpasswdUsers: () => users,
    now: () => 0,
  });
  metrics.useRoutes(ROUTES);
  const record = metrics.recordOf("sso");
  if (!record) throw new Error("the route has no record");
  for (let count = 0; count < checks; count += 1) {
    countCheck(record, fromUpstream(200, "allow"), 20);
    countAnswer(record, 200, 20);
  }
  return metrics;
}

const CHECKS = 'sparekey_checks_total{route="sso",source="upstream",verdict="allow"}';
const stateSeries = (state: string): string => `sparekey_breaker_state{route="sso",state="${state}"}`;

t.test("counters, histograms and what all have in hand are summed", async (t) => {
  const text = await sumText([await counted(3).families(), await counted(4, { inFlight: 5 }).families()]);
  t.equal(sample(text, CHECKS), 7);
  t.equal(sample(text, 'sparekey_upstream_answers_total{route="sso",code="200"}'), 7);
  t.equal(sample(text, 'sparekey_check_duration_seconds_count{route="sso"}'), 7);
  t.equal(sample(text, 'sparekey_check_duration_seconds_bucket{route="sso",le="0.025"}'), 7);
  t.equal(sample(text, 'sparekey_check_duration_seconds_bucket{route="sso",le="0.01"}'), 0);
  t.equal(sample(text, "sparekey_in_flight"), 6);
  t.equal(sample(text, 'sparekey_build_info{version="1.2.3",node="v26"}'), 1);
});

t.test("of one process, the sum says what the process itself says", async (t) => {
  const metrics = counted(2);
  const changing = /^(process|nodejs)_.*$/gm;
  const lines = (text: string): string[] => text.replace(changing, "").split("\n").filter(Boolean).sort();
  t.same(lines(await sumText([await metrics.families()])), lines(await metrics.text()));
});

t.test("an alert on users who can log in sees the process that has none", async (t) => {
  const text = await sumText([await counted(0).families(), await counted(0, { users: 0 }).families()]);
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
    const all = await Promise.all(
      states.map((state) => {
        const metrics = counted(0);
        const record = metrics.recordOf("sso");
        if (record && state !== "closed") record.breaker = { state, since: 0 };
        return metrics.families();
      }),
    );
    const text = await sumText(all);
    for (const state of ["closed", "half-open", "open"]) {
      t.equal(sample(text, stateSeries(state)), state === shown ? 1 : 0, state);
    }
  });
}

t.test("what a process counted outlives it, and what it held does not", async (t) => {
  const dead = await counted(5).families();
  const ended = sumEnded([[], dead], new Set(["sso", "login"]));
  const text = await sumText([ended, await counted(2).families()]);
  t.equal(sample(text, CHECKS), 7);
  t.equal(sample(text, "sparekey_in_flight"), 1);
});

t.test("a route that is gone takes its numbers along, of the dead as well", async (t) => {
  const ended = sumEnded([await counted(5).families()], new Set(["login"]));
  t.notMatch(await sumText([ended]), /route="sso"/);
});
