/**
 * The metrics (docs/metrics.md), rendered at each scrape from the reports of all processes. The config's own and the
 * deaths of workers come from events.
 */
import type { PrometheusContentType } from "@prometheus-io/client";
import Counter from "@prometheus-io/client/lib/counter.js";
import Gauge from "@prometheus-io/client/lib/gauge.js";
import Registry from "@prometheus-io/client/lib/registry.js";
import type { Route } from "../../core/snapshot.ts";
import type { Report } from "../event.ts";
import { emptyRouteReport, type ProcessReport, type WorkersReport } from "../report.ts";
import type { Durations, RouteCounts } from "../route-record.ts";
import { DurationFamily } from "./duration-family.ts";
import {
  abandonedSeries,
  answerSeries,
  attemptSeries,
  breakerSeries,
  checkSeries,
  endpointSeries,
  fallbackSeries,
  faultSeries,
  loginEndSeries,
  loginSeries,
  probeSeries,
  provenSeries,
  type RouteNumbers,
  type Series,
  suspectSeries,
} from "./series.ts";

interface MetricsDeps {
  readonly version: string;
  /** Version of Node. */
  readonly node: string;
  /** The routes of the config in use. */
  routes(): readonly Route[];
  /** What all processes have counted by now. Settles soon, never rejects. */
  report(): Promise<ProcessReport>;
  /** null: checks are answered by this process alone. */
  workers(): WorkersReport | null;
  /** Unix milliseconds by the wall clock. */
  unixNow(): number;
}

export interface Metrics {
  readonly contentType: string;
  /** Prometheus text format 0.0.4. */
  text(): Promise<string>;
  readonly onEvent: Report;
}

type PrometheusRegistry = Registry<PrometheusContentType>;

/** What is rendered. */
interface Totals {
  routes: readonly RouteNumbers[];
  process: Omit<ProcessReport, "routes">;
}

/** What events have told. */
interface EventCounts {
  /** The config was good when it was last read. */
  configIsGood: boolean;
  /** When the config in use was read. */
  configReadSeconds: number;
  workerDeaths: number;
}

export function createMetrics(deps: MetricsDeps): Metrics {
  const registry: PrometheusRegistry = new Registry();
  const totals: Totals = {
    routes: [],
    process: { inFlight: 0, connections: 0, cpuSeconds: 0, residentBytes: 0, lagSeconds: 0 },
  };
  const events: EventCounts = { configIsGood: false, configReadSeconds: 0, workerDeaths: 0 };

  addRouteFamilies(registry, () => totals.routes);
  addProcessFamilies(registry, deps, totals, events);
  addWorkerFamilies(registry, deps, events);

  return {
    contentType: registry.contentType,
    async text() {
      const report = await deps.report();
      const reported = new Map(report.routes.map((one) => [one.route, one]));
      totals.process = report;
      totals.routes = deps.routes().map((route) => ({
        ...(reported.get(route.name) ?? emptyRouteReport(route.name)),
        route,
      }));
      return registry.metrics();
    },
    onEvent: ({ kind }) => {
      if (kind === "worker_died") events.workerDeaths += 1;
      if (kind === "reload_refused") events.configIsGood = false;
      if (kind !== "started" && kind !== "reloaded") return;
      events.configIsGood = true;
      events.configReadSeconds = deps.unixNow() / 1000;
    },
  };
}

interface RouteFamily {
  readonly name: string;
  readonly help: string;
  /** Besides `route`. */
  readonly labels: readonly string[];
  series(numbers: RouteNumbers): Iterable<Series<string>>;
}

const ROUTE_COUNTERS: readonly RouteFamily[] = [
  {
    name: "sparekey_checks_total",
    help: "Checks that got a reply, by where the decision came from.",
    labels: ["source", "verdict"],
    series: checkSeries,
  },
  {
    name: "sparekey_fallback_total",
    help: "Checks decided by the fallback, by what was wrong with the upstream.",
    labels: ["mode", "reason", "result"],
    series: fallbackSeries,
  },
  {
    name: "sparekey_faults_total",
    help: "Exchanges in which the upstream gave no usable verdict.",
    labels: ["reason"],
    series: faultSeries,
  },
  {
    name: "sparekey_suspects_total",
    help: "Suspicions that a probe judged: confirmed, or cleared because the client caused them.",
    labels: ["reason", "finding"],
    series: suspectSeries,
  },
  {
    name: "sparekey_probes_total",
    help: "Probes by whether the upstream gave a verdict.",
    labels: ["result"],
    series: probeSeries,
  },
  {
    name: "sparekey_abandoned_total",
    help: "Checks that their gateway gave up on after they had waited unusually long.",
    labels: [],
    series: abandonedSeries,
  },
  {
    name: "sparekey_retries_total",
    help: "Checks asked once more: after a failed attempt, or beside a slow one.",
    labels: ["kind"],
    series: attemptSeries,
  },
  {
    name: "sparekey_upstream_answers_total",
    help: "Answers of the upstream by status.",
    labels: ["code"],
    series: answerSeries,
  },
  {
    name: "sparekey_emergency_logins_total",
    help: "Checks that met the emergency login.",
    labels: ["result"],
    series: loginSeries,
  },
  {
    name: "sparekey_logins_total",
    help: "Logins at the login pages that the route carries, by how they ended.",
    labels: ["result"],
    series: loginEndSeries,
  },
];

const ROUTE_GAUGES: readonly RouteFamily[] = [
  {
    name: "sparekey_breaker_state",
    help: "1: the state the breaker is in.",
    labels: ["state"],
    series: breakerSeries,
  },
  {
    name: "sparekey_fallback_active",
    help: "1: a fallback was served in the last 60 s, or the breaker is not closed.",
    labels: [],
    series: ({ route, isInFallback }) =>
      isInFallback === null ? [] : [labelled(route, isInFallback ? 1 : 0)],
  },
  {
    name: "sparekey_endpoints",
    help: "Addresses of the upstream by whether they are asked.",
    labels: ["state"],
    series: endpointSeries,
  },
  {
    name: "sparekey_probe_proven",
    help: "1: a probe got the upstream's verdict in quiet times, so that its results can be believed.",
    labels: [],
    series: provenSeries,
  },
  {
    name: "sparekey_htpasswd_users",
    help: "Users who can log in with a password.",
    labels: [],
    series: ({ route, users }) => (users === null ? [] : [labelled(route, users)]),
  },
];

function addRouteFamilies(registry: PrometheusRegistry, routes: () => readonly RouteNumbers[]): void {
  const durations = (name: string, help: string, of: (counts: RouteCounts) => Durations) =>
    new DurationFamily(registry, name, help, () =>
      each(routes, ({ route, counts }) => [{ route: route.name, durations: of(counts) }]),
    );
  for (const { name, help, labels, series } of ROUTE_COUNTERS) {
    family(Counter, registry, name, help, ["route", ...labels], () => each(routes, series));
  }
  durations(
    "sparekey_check_duration_seconds",
    "From a check to the reply to it, both here.",
    ({ checkDurations }) => checkDurations,
  );
  durations(
    "sparekey_upstream_duration_seconds",
    "From a check to the upstream's answer to it.",
    ({ answerDurations }) => answerDurations,
  );
  for (const { name, help, labels, series } of ROUTE_GAUGES) {
    family(Gauge, registry, name, help, ["route", ...labels], () => each(routes, series));
  }
}

/**
 * Node's own numbers are those that cost nothing between two scrapes. The package's default metrics would keep a
 * garbage collection observer, a 10 ms timer and a 100 ms timer running.
 */
function addProcessFamilies(
  registry: PrometheusRegistry,
  { version, node }: MetricsDeps,
  totals: Readonly<Totals>,
  events: Readonly<EventCounts>,
): void {
  const startedAt = performance.timeOrigin / 1000;
  const single = (name: string, help: string, value: () => number) =>
    family(Gauge, registry, name, help, [], () => [{ labels: {}, value: value() }]);

  single("sparekey_in_flight", "Checks being worked on.", () => totals.process.inFlight);
  single("sparekey_connections", "Open connections of gateways.", () => totals.process.connections);
  single(
    "sparekey_config_last_reload_successful",
    "1: the config file was good when it was last read.",
    () => (events.configIsGood ? 1 : 0),
  );
  single(
    "sparekey_config_last_reload_success_timestamp_seconds",
    "When the config in use was read.",
    () => events.configReadSeconds,
  );
  family(Gauge, registry, "sparekey_build_info", "What is running.", ["version", "node"], () => [
    { labels: { version, node }, value: 1 },
  ]);
  family(Counter, registry, "process_cpu_seconds_total", "CPU time spent, user and system.", [], () => [
    { labels: {}, value: totals.process.cpuSeconds },
  ]);
  single("process_resident_memory_bytes", "Resident memory.", () => totals.process.residentBytes);
  single("process_start_time_seconds", "When the process started.", () => startedAt);
  single(
    "nodejs_eventloop_lag_seconds",
    "What was left of the event loop's turn when this scrape came in.",
    () => totals.process.lagSeconds,
  );
}

/** They are there from the start where checks are answered by workers, and nowhere else. */
function addWorkerFamilies(
  registry: PrometheusRegistry,
  { workers }: MetricsDeps,
  events: Readonly<EventCounts>,
): void {
  if (workers() === null) return;
  family(
    Gauge,
    registry,
    "sparekey_workers",
    "Workers: those that answered this scrape, those that did not in time, and those being replaced.",
    ["state"],
    () => {
      const { wanted, serving, silent } = workers() ?? { wanted: 0, serving: 0, silent: 0 };
      return [
        { labels: { state: "serving" }, value: serving - silent },
        { labels: { state: "silent" }, value: silent },
        { labels: { state: "missing" }, value: wanted - serving },
      ];
    },
  );
  family(Counter, registry, "sparekey_worker_deaths_total", "Workers that died.", [], () => [
    { labels: {}, value: events.workerDeaths },
  ]);
}

function labelled({ name }: Route, value: number): Series<"route"> {
  return { labels: { route: name }, value };
}

function* each<Item>(
  routes: () => readonly RouteNumbers[],
  of: (numbers: RouteNumbers) => Iterable<Item>,
): Iterable<Item> {
  for (const numbers of routes()) yield* of(numbers);
}

/** Its values are read at every scrape. */
function family(
  Family: typeof Counter | typeof Gauge,
  registry: PrometheusRegistry,
  name: string,
  help: string,
  labelNames: readonly string[],
  series: () => Iterable<Series<string>>,
): void {
  new Family<string>({
    name,
    help,
    labelNames,
    registers: [registry],
    collect(this: Counter<string> | Gauge<string>) {
      this.reset();
      for (const { labels, value } of series()) this.inc(labels, value);
    },
  });
}
