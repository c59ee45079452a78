/** What answers checks, in this process. Everything a check needs is wired up here; nothing is decided. */

import { randomBytes } from "node:crypto";
import { clientAddress } from "../core/client-address.ts";
import type { ProbeResult } from "../core/probe.ts";
import type { Address, Drain, Snapshot } from "../core/snapshot.ts";
import type { FallbackChange, OverrideEvent } from "../core/types.ts";
import { createListeners, type ListenerChanges } from "../gateway/listeners.ts";
import { drain } from "../http/drain.ts";
import { hasFastify } from "../http/lazy-fastify.ts";
import type { OpenLogins } from "../login/logins.ts";
import { logDefect, logDrops, logUnloadable } from "../observe/log/events.ts";
import type { Logger } from "../observe/log/logger.ts";
import { createMetrics, type Metrics } from "../observe/metrics/metrics.ts";
import { createRecorder } from "../observe/recorder.ts";
import type { EngineFacts } from "../observe/status/live-status.ts";
import { factsOf } from "../observe/status/route-facts.ts";
import { createWallClock } from "../observe/status/wall-clock.ts";
import type { News } from "../observe/timeline.ts";
import { version } from "../process/version.ts";
import { createGenerations } from "../route/generations.ts";
import { createGraceStore } from "../route/grace-store.ts";
import { createOverrides, type Overrides } from "../route/overrides.ts";
import { createUpstreams } from "../upstream/upstreams.ts";

const TICK_MS = 1_000;

export interface Engine {
  readonly metrics: Pick<Metrics, "contentType" | "text" | "configRead">;
  readonly overrides: Overrides;
  /** For the status page. */
  readonly status: EngineFacts;
  /** Probes at once: one finding of each process. Never rejects. */
  probe(route: string): Promise<readonly ProbeResult[]>;
  /** Gets ready for `next`; no check notices. Rejects with a `ListenError` when an address cannot be had. */
  prepare(next: Snapshot): Promise<Prepared>;
  /** False: nobody is there to answer a check. */
  isServing(): boolean;
  /** Where each distinct `listen` of the config in use is served. */
  addresses(): readonly Address[];
  /** Resolves with the connections still open when the time was up. */
  drain(rules: Drain): Promise<number>;
  /** Cuts everything. */
  close(): Promise<void>;
}

/** One of the two is called, once. */
export interface Prepared {
  /** Done at once: no check sees half of it. */
  use(): ListenerChanges;
  undo(): Promise<void>;
}

export interface EngineDeps {
  readonly logger: Logger;
  /** Closed with the engine. */
  readonly logins: OpenLogins;
  /** Whether other processes listen on the same ports. */
  readonly sharesPorts: boolean;
  onOverride(event: OverrideEvent): void;
  /** Must neither wait nor throw. */
  onActivity(change: FallbackChange): void;
  /** Must neither wait nor throw. */
  onNews(news: News): void;
  /** Milliseconds, monotonic. */
  now(): number;
}

/** One whose numbers can also be had as data. */
export interface LocalEngine extends Engine {
  readonly metrics: Metrics;
}

export function createEngine(first: Snapshot, deps: EngineDeps): LocalEngine {
  const { logger, logins, now } = deps;
  let snapshot = first;
  const usesFastPath = (): boolean => snapshot.wire === "auto";
  const upstreams = createUpstreams({ now, asksInBytes: usesFastPath });
  const htpasswdUsers = (file: string): number => logins.users(file);
  const metrics = createMetrics({
    version: version(),
    node: process.version,
    inFlight: () => serving.inFlight(),
    connections: () => listeners.connections(),
    htpasswdUsers,
    now,
  });
  const factsSources = { now, wallClock: createWallClock(now, Date.now), htpasswdUsers };
  const record = createRecorder({
    metrics,
    logger,
    access: () => snapshot.log.access,
    clientOf: (check) => clientAddress(check, snapshot.trustedProxies),
    now,
    onActivity: deps.onActivity,
    onNews: deps.onNews,
  });
  const overrides = createOverrides(now, (event) => {
    deps.onOverride(event);
    record.override(event.route, event.kind === "begins" ? event.mode : null);
    // Who was let in may be why it was chosen.
    if (event.kind === "begins" && event.mode === "fallback") serving.forgetAllows(event.route);
  });
  const serving = createGenerations({
    upstreams,
    logins,
    grace: createGraceStore({ now, randomBytes }),
    overrides,
    record,
    now,
    random: Math.random,
    userAgent: `sparekey/${version()}`,
  });
  const listeners = createListeners({
    answering: { exchange: upstreams.exchange, logins, record, now },
    usesFastPath,
    sharesPorts: deps.sharesPorts,
    onDrops: (limit, closed) => logDrops(logger, limit, closed),
    onDefect: (error) => logDefect(logger, error),
    onUnloadable: (error) => logUnloadable(logger, error),
  });
  const tick = setInterval(() => {
    record.tick();
    listeners.tick();
    overrides.tick();
  }, TICK_MS).unref();

  /** Now, and not while the first check waits. What cannot be read now is read then. */
  const preloadSlowPath = (onFailure: (error: unknown) => void): void => {
    upstreams.preload(onFailure);
    hasFastify(onFailure);
  };

  return {
    metrics,
    overrides,
    status: {
      facts: () => Array.from(metrics.records(), (record) => factsOf(record, factsSources)),
      workers: () => null,
      refresh: async () => {},
    },
    probe: async (route) => {
      const finding = await serving.probe(route);
      return finding === null ? [] : [finding];
    },
    prepare: async (next) => {
      if (!isPlain(next)) preloadSlowPath((error) => logUnloadable(logger, error));
      const generation = await serving.prepare(next);
      const opened = await listeners.open(generation).catch((error: unknown) => {
        serving.release(generation);
        throw error;
      });
      return {
        use: () => {
          snapshot = next;
          metrics.useRoutes(generation.snapshot.routes);
          const changes = listeners.use(generation, opened);
          serving.use(generation);
          overrides.keep(generation.states.keys());
          return changes;
        },
        undo: async () => {
          await listeners.discard(opened);
          serving.release(generation);
        },
      };
    },
    isServing: () => true,
    addresses: listeners.addresses,
    drain: (rules) => drain(listeners.servers(), rules),
    close: async () => {
      clearInterval(tick);
      serving.close();
      await Promise.all([logins.close(), listeners.close()]);
    },
  };
}

/** Whether nearly all checks go as bytes. */
function isPlain({ wire, routes }: Snapshot): boolean {
  return wire === "auto" && routes.every(({ upstream }) => upstream.protocol === "http:");
}
