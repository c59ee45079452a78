/**
 * The numbers of several processes as one. Counters and histograms are summed, with those of processes that ended:
 * no sum ever falls. Gauges as each family says. A breaker is shown in the worst state that any process has it in,
 * so that just one state of a route is 1, as with one process.
 */
import Registry from "@prometheus-io/client/lib/registry.js";
import { BREAKER_STATE, type Family, type FamilyValue } from "./metrics.ts";

/** The worst last. */
const BY_SEVERITY: readonly FamilyValue["labels"][string][] = ["closed", "half-open", "open"];

/** Prometheus text format 0.0.4. The first process's word counts where there can be but one. */
export function sumText(processes: readonly (readonly Family[])[]): Promise<string> {
  const summed = add(processes).map((family) => (family.name === BREAKER_STATE ? worst(family) : family));
  return aggregate([summed]).metrics();
}

/** What lasts of processes that ended: their counters and histograms, for as long as their route is there. */
export function sumEnded(
  processes: readonly (readonly Family[])[],
  routes: ReadonlySet<string>,
): readonly Family[] {
  const lasting = processes.map((families) =>
    families
      .filter(({ type }) => type === "counter" || type === "histogram")
      .map((family) => ({ ...family, values: family.values.filter((value) => isOf(routes, value)) })),
  );
  return add(lasting);
}

/** What only the process that sums can tell. */
export function workerFamilies(
  workers: Readonly<Record<"serving" | "silent" | "missing", number>>,
  deaths: number,
): readonly Family[] {
  return [
    {
      name: "sparekey_workers",
      help: "Workers: those that answered this scrape, those that did not in time, and those being replaced.",
      type: "gauge",
      aggregator: "first",
      values: Object.entries(workers).map(([state, value]) => ({ labels: { state }, value })),
    },
    {
      name: "sparekey_worker_deaths_total",
      help: "Workers that died.",
      type: "counter",
      aggregator: "sum",
      values: [{ labels: {}, value: deaths }],
    },
  ];
}

function isOf(routes: ReadonlySet<string>, { labels }: FamilyValue): boolean {
  return labels.route === undefined || routes.has(String(labels.route));
}

function add(processes: readonly (readonly Family[])[]): readonly Family[] {
  // The package's objects hold the values beside a function that gets them; its types do not say so.
  return (aggregate(processes).getMetricsAsArray() as unknown as readonly Family[]).map(
    ({ name, help, type, aggregator, values }) => ({ name, help, type, aggregator, values }),
  );
}

function aggregate(processes: readonly (readonly Family[])[]): Registry {
  return Registry.aggregate(processes.map((families) => [...families]));
}

function worst(family: Family): Family {
  const severities = new Map<string, number>();
  for (const { labels, value } of family.values) {
    const route = String(labels.route);
    if (value === 1) severities.set(route, Math.max(severities.get(route) ?? 0, severityOf(labels)));
  }
  const values = family.values.map((one) => ({
    ...one,
    value: severities.get(String(one.labels.route)) === severityOf(one.labels) ? 1 : 0,
  }));
  return { ...family, values };
}

function severityOf({ state }: FamilyValue["labels"]): number {
  return BY_SEVERITY.indexOf(state ?? "");
}
