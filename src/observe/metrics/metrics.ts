/**
 * The metrics of DESIGN section 7. Checks only add to the numbers of a route record; the registry is filled
 * from them at each scrape.
 */

import { setImmediate } from "node:timers/promises";
import type {
  MetricObjectWithValues,
  MetricValueWithName,
  PrometheusContentType,
} from "@prometheus-io/client";
import Counter from "@prometheus-io/client/lib/counter.js";
import Gauge from "@prometheus-io/client/lib/gauge.js";
import Registry from "@prometheus-io/client/lib/registry.js";
import type { Route } from "../../core/snapshot.ts";
import { isActive } from "../fallback-periods.ts";
import { fewestUsers, newRouteRecord, type RouteRecord } from "../route-record.ts";
import { DurationFamily } from "./duration-family.ts";
import {
  answerSeries,
  breakerSeries,
  checkSeries,
  fallbackSeries,
  faultSeries,
  loginSeries,
  probeSeries,
  type Series,
  suspectSeries,
} from "./series.ts";

export interface MetricsDeps {
  readonly version: string;
  /** Version of Node. */
  readonly node: string;
  /** Checks being worked on. */
  inFlight(): number;
  /** Open connections of gateways. */
  connections(): number;
  /** Users in an htpasswd file; 0 when it cannot be read. */
  htpasswdUsers(file: string): number;
  /** Milliseconds, monotonic. */
  now(): number;
}

export interface Metrics {
  readonly contentType: string;
  /** Prometheus text format 0.0.4. */
  text(): Promise<string>;
  /** The same as data, to be added up with that of other processes: observe/metrics-sum.ts. */
  families(): Promise<readonly Family[]>;
  /** The routes of a config. Those that stay (by name) keep their numbers, removed ones vanish. */
  useRoutes(routes: readonly Route[]): void;
  /** How reading the config went, at the start and at each reload. The time is by the wall clock. */
  configRead(successful: boolean, unixMilliseconds: number): void;
  /** undefined: no such route now. */
  recordOf(route: string): RouteRecord | undefined;
  records(): Iterable<RouteRecord>;
}

/** How the values of several processes become one. */
type Aggregator = "sum" | "max" | "min" | "first";

export interface FamilyValue {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  /** Of the parts of a histogram. */
  readonly metricName?: string;
}

export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly aggregator: string;
  readonly values: readonly FamilyValue[];
}

type PrometheusRegistry = Registry<PrometheusContentType>;

/** Of several processes the worst counts. */
export const BREAKER_STATE = "sparekey_breaker_state";

export function createMetrics(sources: MetricsDeps): Metrics {
  const registry: PrometheusRegistry = new Registry();
  let records: ReadonlyMap<string, RouteRecord> = new Map();
  const config = { successful: 0, succeededAtSeconds: 0 };
  const lag = { seconds: 0 };

  addRouteFamilies(registry, () => records.values(), sources);
  addProcessFamilies(registry, sources, config, lag);

  return {
    contentType: registry.contentType,
    async text() {
      lag.seconds = await eventLoopLag();
      return registry.metrics();
    },
    async families() {
      lag.seconds = await eventLoopLag();
      return (await registry.getMetricsAsJSON()).map(asFamily);
    },
    useRoutes(routes) {
      records = new Map(routes.map((route) => [route.name, keptRecord(records.get(route.name), route)]));
    },
    configRead(successful, unixMilliseconds) {
      config.successful = successful ? 1 : 0;
      if (successful) config.succeededAtSeconds = unixMilliseconds / 1000;
    },
    recordOf: (route) => records.get(route),
    records: () => records.values(),
  };
}

/** Nothing but data: it may go to another process. */
function asFamily(metric: MetricObjectWithValues<MetricValueWithName<string>>): Family {
  const { name, help, type, aggregator, values } = metric;
  return {
    name,
    help,
    type: String(type),
    aggregator,
    values: values.map(({ labels, value, metricName }) => ({
      labels: { ...labels } as FamilyValue["labels"],
      value,
      ...(metricName !== undefined && { metricName }),
    })),
  };
}

function keptRecord(known: RouteRecord | undefined, route: Route): RouteRecord {
  if (known === undefined) return newRouteRecord(route);
  known.route = route;
  return known;
}

function addRouteFamilies(
  registry: PrometheusRegistry,
  records: () => Iterable<RouteRecord>,
  sources: MetricsDeps,
): void {
  counter(
    registry,
    "sparekey_checks_total",
    "Checks that got a reply, by where the decision came from.",
    ["route", "source", "verdict"],
    () => each(records, checkSeries),
  );
  counter(
    registry,
    "sparekey_fallback_total",
    "Checks decided by the fallback, by what was wrong with the upstream.",
    ["route", "mode", "reason", "result"],
    () => each(records, fallbackSeries),
  );
  counter(
    registry,
    "sparekey_faults_total",
    "Exchanges in which the upstream gave no usable verdict.",
    ["route", "reason"],
    () => each(records, faultSeries),
  );
  counter(
    registry,
    "sparekey_suspects_total",
    "Suspicions that a probe judged: confirmed, or cleared because the client caused them.",
    ["route", "reason", "finding"],
    () => each(records, suspectSeries),
  );
  counter(
    registry,
    "sparekey_probes_total",
    "Probes by whether the upstream gave a verdict.",
    ["route", "result"],
    () => each(records, probeSeries),
  );
  counter(
    registry,
    "sparekey_upstream_answers_total",
    "Answers of the upstream by status.",
    ["route", "code"],
    () => each(records, answerSeries),
  );
  counter(
    registry,
    "sparekey_emergency_logins_total",
    "Checks that met the emergency login.",
    ["route", "result"],
    () => each(records, loginSeries),
  );
  new DurationFamily(
    registry,
    "sparekey_check_duration_seconds",
    "From a check to the reply to it, both here.",
    () => each(records, ({ route, checkDurations }) => [{ route: route.name, durations: checkDurations }]),
  );
  new DurationFamily(
    registry,
    "sparekey_upstream_duration_seconds",
    "From a check to the upstream's answer to it.",
    () => each(records, ({ route, answerDurations }) => [{ route: route.name, durations: answerDurations }]),
  );
  gauge(
    registry,
    BREAKER_STATE,
    "1: the state the breaker is in.",
    ["route", "state"],
    () => each(records, breakerSeries),
    "max",
  );
  gauge(
    registry,
    "sparekey_fallback_active",
    "1: a fallback was served in the last 60 s, or the breaker is not closed.",
    ["route"],
    () =>
      each(records, (record) => [
        { labels: { route: record.route.name }, value: isActive(record, sources.now()) ? 1 : 0 },
      ]),
    "max",
  );
  gauge(
    registry,
    "sparekey_htpasswd_users",
    "Users who can log in with a password.",
    ["route"],
    () => each(records, ({ route }) => htpasswdSeries(route, sources)),
    "min",
  );
}

function htpasswdSeries(route: Route, { htpasswdUsers }: MetricsDeps): readonly Series<"route">[] {
  const users = fewestUsers(route, htpasswdUsers);
  return users === null ? [] : [{ labels: { route: route.name }, value: users }];
}

/**
 * Of Node only what costs nothing between two scrapes: the package's default metrics keep a garbage collection
 * observer, a 10 ms timer and a 100 ms timer running.
 */
function addProcessFamilies(
  registry: PrometheusRegistry,
  sources: MetricsDeps,
  config: Readonly<{ successful: number; succeededAtSeconds: number }>,
  lag: Readonly<{ seconds: number }>,
): void {
  const startedAt = performance.timeOrigin / 1000;
  const single = (name: string, help: string, aggregator: Aggregator, value: () => number) =>
    gauge(registry, name, help, [], () => [{ labels: {}, value: value() }], aggregator);

  single("sparekey_in_flight", "Checks being worked on.", "sum", () => sources.inFlight());
  single("sparekey_connections", "Open connections of gateways.", "sum", () => sources.connections());
  single(
    "sparekey_config_last_reload_successful",
    "1: the config file was good when it was last read.",
    "first",
    () => config.successful,
  );
  single(
    "sparekey_config_last_reload_success_timestamp_seconds",
    "When the config in use was read.",
    "first",
    () => config.succeededAtSeconds,
  );
  gauge(
    registry,
    "sparekey_build_info",
    "What is running.",
    ["version", "node"],
    () => [{ labels: { version: sources.version, node: sources.node }, value: 1 }],
    "first",
  );
  counter(registry, "process_cpu_seconds_total", "CPU time spent, user and system.", [], () => [
    { labels: {}, value: cpuSeconds() },
  ]);
  single("process_resident_memory_bytes", "Resident memory.", "sum", () => process.memoryUsage.rss());
  single("process_start_time_seconds", "When the process started.", "first", () => startedAt);
  single(
    "nodejs_eventloop_lag_seconds",
    "What was left of the event loop's turn when this scrape came in.",
    "max",
    () => lag.seconds,
  );
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** Seconds until the work of this turn of the event loop is done. */
async function eventLoopLag(): Promise<number> {
  const begin = performance.now();
  await setImmediate();
  return (performance.now() - begin) / 1000;
}

function* each<Item>(
  records: () => Iterable<RouteRecord>,
  of: (record: RouteRecord) => Iterable<Item>,
): Iterable<Item> {
  for (const record of records()) yield* of(record);
}

function counter<Label extends string>(
  registry: PrometheusRegistry,
  name: string,
  help: string,
  labelNames: readonly Label[],
  series: () => Iterable<Series<Label>>,
): void {
  new Counter<string>({
    name,
    help,
    labelNames,
    registers: [registry],
    collect() {
      this.reset();
      for (const { labels, value } of series()) this.inc(labels, value);
    },
  });
}

function gauge<Label extends string>(
  registry: PrometheusRegistry,
  name: string,
  help: string,
  labelNames: readonly Label[],
  series: () => Iterable<Series<Label>>,
  aggregator: Aggregator,
): void {
  new Gauge<string>({
    name,
    help,
    labelNames,
    aggregator,
    registers: [registry],
    collect() {
      this.reset();
      for (const { labels, value } of series()) this.set(labels, value);
    },
  });
}
