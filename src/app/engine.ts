/** The engine answers checks in this process. Everything a check needs is wired up here, and nothing is decided. */
import { randomBytes } from "node:crypto";
import { clientAddress } from "../core/client-address.ts";
import type { ProbeResult } from "../core/probe.ts";
import type { Address, Drain, Snapshot } from "../core/snapshot.ts";
import { createListeners, type ListenerChanges } from "../gateway/listeners.ts";
import { drain } from "../http/drain.ts";
import { hasFastify } from "../http/lazy-fastify.ts";
import type { OpenLogins } from "../login/logins.ts";
import type { Report } from "../observe/event.ts";
import type { Logger } from "../observe/log/logger.ts";
import { createProcessUsage } from "../observe/metrics/process-usage.ts";
import { createRecorder } from "../observe/recorder.ts";
import { type ProcessReport, routeReport, type WorkersReport } from "../observe/report.ts";
import { createRouteRecords } from "../observe/route-record.ts";
import { createWallClock } from "../observe/wall-clock.ts";
import { version } from "../process/version.ts";
import { createGenerations } from "../route/generations.ts";
import { createGraceStore } from "../route/grace-store.ts";
import { createOverrides, type Overrides } from "../route/overrides.ts";
import { createUpstreams } from "../upstream/upstreams.ts";

const TICK_MS = 1_000;

export interface Engine {
  readonly overrides: Overrides;
  readonly reports: Reports;
  /** Probes at once, and gives one result of each process. Never rejects. */
  probe(route: string): Promise<readonly ProbeResult[]>;
  /** Gets ready for `next`, and no check notices. Rejects with a `ListenError` when an address cannot be had. */
  prepare(next: Snapshot): Promise<Prepared>;
  /** False: there is no process to answer a check. */
  isServing(): boolean;
  /** Where each distinct `listen` of the config in use is served. */
  addresses(): readonly Address[];
  /** Resolves with the connections still open when the time was up. */
  drain(rules: Drain): Promise<number>;
  /** Cuts everything. */
  close(): Promise<void>;
}

/** What the processes of an engine have counted. */
export interface Reports {
  /** The reports of all processes there are and of those that ended, as they reported last. */
  all(): readonly ProcessReport[];
  /** Has them report anew. Settles soon, never rejects. */
  refresh(): Promise<void>;
  /** null: checks are answered in this process alone. */
  workers(): WorkersReport | null;
}

/** One of the two is called, once. */
export interface Prepared {
  /** Takes it into use at once, so that no check sees half of it. */
  use(): ListenerChanges;
  undo(): Promise<void>;
}

interface EngineDeps {
  readonly logger: Logger;
  /** Closed with the engine. */
  readonly logins: OpenLogins;
  /** Whether other processes listen on the same ports. */
  readonly sharesPorts: boolean;
  readonly report: Report;
  /** Milliseconds, monotonic. */
  now(): number;
}

export function createEngine(
  first: Snapshot,
  { logger, logins, sharesPorts, report, now }: EngineDeps,
): Engine {
  let snapshot = first;
  const usesFastPath = (): boolean => snapshot.wire === "auto";
  const upstreams = createUpstreams({
    now,
    asksInBytes: usesFastPath,
    onAttempt: (upstream, kind) => {
      for (const route of generations.routes()) if (route.upstream === upstream) record.attempt(route, kind);
    },
    onEndpoint: ({ servers }, change) => {
      for (const route of generations.routes())
        if (route.upstream.servers === servers) record.endpoint(route, change);
    },
  });
  const records = createRouteRecords();
  const usage = createProcessUsage();
  const wallClock = createWallClock(now, Date.now);
  const htpasswdUsers = (file: string): number => logins.users(file);
  const record = createRecorder({
    records,
    logger,
    access: () => snapshot.log.access,
    clientOf: (check) => clientAddress(check, snapshot.trustedProxies),
    now,
    report,
  });
  const overrides = createOverrides(now, (change) => {
    report({ kind: "override", change });
    record.override(change.route, change.kind === "begins" ? change.mode : null);
    // The allows that grace remembers may be why a person chose the fallback.
    if (change.kind === "begins" && change.mode === "fallback") generations.forgetAllows(change.route);
  });
  const generations = createGenerations({
    upstreams,
    logins,
    grace: createGraceStore({ now, randomBytes }),
    overrides,
    record,
    now,
    random: Math.random,
    userAgent: `sparekey/${version()}`,
  });
  const onUnloadable = (error: unknown): void => report({ kind: "unloadable", error });
  const listeners = createListeners({
    answering: { exchange: upstreams.exchange, logins, record, now },
    usesFastPath,
    sharesPorts,
    onDrops: (limit, closed) => report({ kind: "connections_closed", limit, closed }),
    onDefect: (error) => report({ kind: "defect", error }),
    onUnloadable,
  });
  const tick = setInterval(() => {
    record.tick();
    listeners.tick();
    overrides.tick();
  }, TICK_MS).unref();

  /** Loads it now, and not while the first check waits. What cannot be read now is read then. */
  const preloadSlowPath = (): void => {
    upstreams.preload(onUnloadable);
    hasFastify(onUnloadable);
  };
  const processReport = (): ProcessReport => ({
    routes: Array.from(records.all(), (one) =>
      routeReport(one, { now, wallClock, htpasswdUsers, endpoints: generations.endpoints }),
    ),
    inFlight: generations.inFlight(),
    connections: listeners.connections(),
    ...usage.read(),
  });

  return {
    overrides,
    reports: { all: () => [processReport()], refresh: usage.refresh, workers: () => null },
    probe: async (route) => {
      const result = await generations.probe(route);
      return result === null ? [] : [result];
    },
    prepare: async (next) => {
      if (!isPlain(next)) preloadSlowPath();
      const generation = await generations.prepare(next);
      const opened = await listeners.open(generation).catch((error: unknown) => {
        generations.release(generation);
        throw error;
      });
      return {
        use: () => {
          snapshot = next;
          records.use(generation.snapshot.routes);
          const changes = listeners.use(generation, opened);
          generations.use(generation);
          overrides.keep(generation.states.keys());
          return changes;
        },
        undo: async () => {
          await listeners.discard(opened);
          generations.release(generation);
        },
      };
    },
    isServing: () => true,
    addresses: listeners.addresses,
    drain: (rules) => drain(listeners.servers(), rules),
    close: async () => {
      clearInterval(tick);
      generations.close();
      await Promise.all([logins.close(), listeners.close()]);
    },
  };
}

/** Whether nearly all checks take the fast path. */
function isPlain({ wire, routes }: Snapshot): boolean {
  return wire === "auto" && routes.every(({ upstream }) => upstream.protocol === "http:");
}
