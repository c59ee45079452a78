/** The parts of a serving process, wired up. Nothing is opened here, and nothing is decided. */
import { hostname } from "node:os";
import type { Snapshot } from "../core/snapshot.ts";
import type { ReloadResult } from "../core/types.ts";
import { openLogins } from "../login/logins.ts";
import { fallbackMessages } from "../notify/fallback-messages.ts";
import { createNotifier, type Notifier } from "../notify/notifier.ts";
import type { Report } from "../observe/event.ts";
import { logEvent } from "../observe/log/events.ts";
import { createLogger, type Logger } from "../observe/log/logger.ts";
import { createMetrics } from "../observe/metrics/metrics.ts";
import { sumReports } from "../observe/report.ts";
import { createLiveStatus, type LiveStatus } from "../observe/status/live-status.ts";
import { factsOf } from "../observe/status/route-facts.ts";
import type { Readiness } from "../observe/status/status.ts";
import { inTime } from "../process/file-patience.ts";
import { version } from "../process/version.ts";
import { createResolver, oneByOne } from "../upstream/resolver.ts";
import { createUpstreams } from "../upstream/upstreams.ts";
import { type AdminAccess, createAdminAccess } from "./admin-access.ts";
import { type AdminListener, createAdminListener } from "./admin-listener.ts";
import { createEngine, type Engine } from "./engine.ts";

export interface AppDeps {
  /** Takes one line without its end; neither waits nor throws. */
  writeLine(line: string): void;
  /** Reads the config again and has it used. Never rejects. */
  reload(): Promise<ReloadResult>;
}

export interface EngineMakerDeps {
  readonly logger: Logger;
  readonly report: Report;
  /** Milliseconds, monotonic. */
  now(): number;
}

export type EngineMaker = (first: Snapshot, deps: EngineMakerDeps) => Engine;

/** What changes while a process serves. */
export interface AppState {
  snapshot: Snapshot;
  readiness: Readiness;
}

export interface AppParts {
  readonly logger: Logger;
  readonly report: Report;
  readonly engine: Engine;
  readonly notifier: Notifier;
  readonly adminAccess: AdminAccess;
  readonly adminListener: AdminListener;
  readonly liveStatus: LiveStatus;
}

export function buildApp(state: AppState, deps: AppDeps, makeEngine: EngineMaker): AppParts {
  const now = (): number => performance.now();
  const unixNow = Date.now;
  const logger = createLogger({ level: state.snapshot.log.level, write: deps.writeLine, now: unixNow });
  /** Each takes from an event what it shows. The log comes first. */
  const subscribers: Report[] = [];
  const report: Report = (event, worker) => {
    for (const subscriber of subscribers) subscriber(event, worker);
  };

  const notifier = createNotifier({
    upstreams: createUpstreams({ now, asksInBytes: () => false, resolve: createResolver(now, oneByOne()) }),
    userAgent: `sparekey/${version()}`,
    instance: hostname(),
    now,
    unixNow,
    random: Math.random,
    later,
    report,
  });
  const engine = makeEngine(state.snapshot, { logger, report, now });
  const { reports } = engine;
  const routes = () => state.snapshot.routes;
  const metrics = createMetrics({
    version: version(),
    node: process.version,
    routes,
    report: async () => {
      await reports.refresh();
      return sumReports(reports.all());
    },
    workers: reports.workers,
    unixNow,
  });
  const readiness = (): Readiness =>
    state.readiness === "ready" && !engine.isServing() ? "starting" : state.readiness;
  const liveStatus = createLiveStatus({
    version: version(),
    instance: hostname(),
    routes,
    engine: {
      facts: () => sumReports(reports.all()).routes.map(factsOf),
      workers: reports.workers,
      refresh: reports.refresh,
    },
    overrideOf: (route) => adminAccess.actions.overrideOf(route),
    readiness,
    now,
    unixNow,
  });
  const adminAccess = createAdminAccess({
    overrides: engine.overrides,
    report,
    inTime,
    routes,
    reload: deps.reload,
    probe: engine.probe,
    endpointsOf: liveStatus.endpointsOf,
    timeline: liveStatus.timeline,
    now,
  });
  const adminListener = createAdminListener({
    metrics,
    actions: adminAccess.actions,
    readiness,
    status: liveStatus.status,
    addresses: engine.addresses,
  });
  subscribers.push(
    // A worker logs its events itself.
    (event, worker) => worker === undefined && logEvent(logger, event),
    metrics.onEvent,
    liveStatus.onEvent,
    fallbackMessages({ notify: notifier.notify, now, later }),
  );
  return { logger, report, engine, notifier, adminAccess, adminListener, liveStatus };
}

/** Makes the engine that answers checks in this process. */
export function localEngine(first: Snapshot, { logger, report, now }: EngineMakerDeps): Engine {
  const logins = openLogins({ report, inTime, now });
  return createEngine(first, { logger, logins, sharesPorts: false, report, now });
}

/** Runs `run` once, unless the result is called before. Does not keep the process alive. */
function later(milliseconds: number, run: () => void): () => void {
  const timer = setTimeout(run, milliseconds).unref();
  return () => clearTimeout(timer);
}
