/** The records of one process, and what is rendered from its report, as the app has them. */
import type { EndpointStatus } from "../../src/core/endpoint.ts";
import type { Route } from "../../src/core/snapshot.ts";
import { createMetrics } from "../../src/observe/metrics/metrics.ts";
import { type ProcessReport, routeReport } from "../../src/observe/report.ts";
import { createRouteRecords, type RouteRecord } from "../../src/observe/route-record.ts";

export interface CountedProcessOptions {
  now?(): number;
  htpasswdUsers?(file: string): number;
  endpoints?(route: string): readonly EndpointStatus[];
  readonly inFlight?: number;
  readonly connections?: number;
  readonly workers?: { readonly wanted: number; readonly serving: number; readonly silent: number };
}

export function countedProcess(first: readonly Route[], options: CountedProcessOptions = {}) {
  const { now = () => 0, htpasswdUsers = () => 0, endpoints = () => [] } = options;
  const { inFlight = 0, connections = 0, workers = null } = options;
  const records = createRouteRecords();
  let routes = first;
  records.use(first);
  const report = (): ProcessReport => ({
    routes: Array.from(records.all(), (record) =>
      routeReport(record, { now, wallClock: (time) => time, htpasswdUsers, endpoints }),
    ),
    inFlight,
    connections,
    cpuSeconds: 1,
    residentBytes: 2 ** 20,
    lagSeconds: 0.001,
  });
  const metrics = rendered(() => routes, report, workers);
  return {
    records,
    report,
    ...metrics,
    recordOf: (route: string): RouteRecord => {
      const record = records.of(route);
      if (record === undefined) throw new Error(`no record of ${route}`);
      return record;
    },
    useRoutes: (next: readonly Route[]): void => {
      routes = next;
      records.use(next);
    },
  };
}
export type CountedProcess = ReturnType<typeof countedProcess>;

/** The metrics of `report`. */
export function rendered(
  routes: () => readonly Route[],
  report: () => ProcessReport,
  workers: CountedProcessOptions["workers"] | null = null,
) {
  const clock = { unix: 0 };
  const metrics = createMetrics({
    version: "1.2.3",
    node: "26.0.0",
    routes,
    report: async () => report(),
    workers: () => workers,
    unixNow: () => clock.unix,
  });
  return { clock, ...metrics };
}
