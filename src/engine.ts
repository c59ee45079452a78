/** What answers checks, in this process. Everything a check needs is wired up here; nothing is decided. */
import { randomBytes } from "node:crypto";
import type { Ports } from "./check.ts";
import { clientAddress } from "./core/client-address.ts";
import { upstreamRequest } from "./core/headers.ts";
import type { Finding } from "./core/probe.ts";
import type { Address, Drain, Snapshot } from "./core/snapshot.ts";
import type { FallbackChange } from "./core/types.ts";
import { drain } from "./io/drain.ts";
import { createExchanger, type Exchanger } from "./io/exchange.ts";
import { createGraceStore } from "./io/grace.ts";
import { hasUndici } from "./io/undici-client.ts";
import { createListeners, type ListenerChanges } from "./listeners.ts";
import type { OpenLogins } from "./logins.ts";
import type { EngineFacts } from "./observe/board.ts";
import { logUnloadable, type OverrideEvent } from "./observe/events.ts";
import type { Logger } from "./observe/logs.ts";
import { createMetrics, type Metrics } from "./observe/metrics.ts";
import type { News } from "./observe/news.ts";
import { createRecorder } from "./observe/recorder.ts";
import { factsOf } from "./observe/route-facts.ts";
import { createWallClock } from "./observe/wall-clock.ts";
import { createOverrides, type Overrides } from "./overrides.ts";
import type { Wire } from "./servers/checks.ts";
import { hasFastify } from "./servers/late-fastify.ts";
import { createServing } from "./serving.ts";
import { version } from "./version.ts";
import { createWireExchanger } from "./wire/exchange.ts";
import { GatewayConnection } from "./wire/gateway-connection.ts";
import { ownCheck } from "./wire/own-check.ts";
import { WireCheck } from "./wire/wire-check.ts";

const WIRE: Wire = {
  accept: (use, options) => new GatewayConnection(use, options),
};
const TICK_MS = 1_000;

export interface Engine {
  readonly metrics: Pick<Metrics, "contentType" | "text" | "configRead">;
  readonly overrides: Overrides;
  /** For the status page. */
  readonly status: EngineFacts;
  /** Probes at once: one finding of each process. Never rejects. */
  probe(route: string): Promise<readonly Finding[]>;
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

export interface EnginePorts {
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

export function createEngine(first: Snapshot, ports: EnginePorts): LocalEngine {
  const { logger, logins, now } = ports;
  let snapshot = first;
  const exchanger = createExchanger();
  const wireExchanger = createWireExchanger(exchanger.pools, now);
  /** Probes go as bytes where checks do. */
  const exchangeOwn: Exchanger["exchange"] = (upstream, request, gone, waiting) => {
    const check = snapshot.wire === "auto" && upstream.protocol === "http:" ? ownCheck(request) : null;
    if (check === null) return exchanger.exchange(upstream, request, gone, waiting);
    const forwarded = { check, staysHere: () => false, repeatable: request.repeatable };
    return wireExchanger.exchange(upstream, check, forwarded, gone, waiting);
  };
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
    onActivity: ports.onActivity,
    onNews: ports.onNews,
  });
  const overrides = createOverrides(now, (event) => {
    ports.onOverride(event);
    record.override(event.route, event.kind === "begins" ? event.mode : null);
    // Who was let in may be why it was chosen.
    if (event.kind === "begins" && event.mode === "fallback") serving.forgetAllows(event.route);
  });
  const serving = createServing({
    exchanger: { ...exchanger, exchange: exchangeOwn },
    logins,
    grace: createGraceStore({ now, randomBytes }),
    overrides,
    record,
    now,
    random: Math.random,
    userAgent: `sparekey/${version()}`,
  });
  const exchange: Ports["exchange"] = (upstream, forwarded, gone, waiting) =>
    forwarded.check instanceof WireCheck
      ? wireExchanger.exchange(upstream, forwarded.check, forwarded, gone, waiting)
      : exchanger.exchange(upstream, upstreamRequest(forwarded), gone, waiting);
  const wire = (): Wire | null => (snapshot.wire === "auto" ? WIRE : null);
  const listeners = createListeners({ exchange, logins, record, now }, wire, logger, ports.sharesPorts);
  const tick = setInterval(() => {
    record.tick();
    listeners.tick();
    overrides.tick();
  }, TICK_MS).unref();

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
      if (!isPlain(next)) loadOtherCarrier((error) => logUnloadable(logger, error));
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
      wireExchanger.close();
      await Promise.all([logins.close(), listeners.close()]);
    },
  };
}

/** Whether nearly all checks go as bytes. */
function isPlain({ wire, routes }: Snapshot): boolean {
  return wire === "auto" && routes.every(({ upstream }) => upstream.protocol === "http:");
}

/** Now, and not while the first check waits. What cannot be read now is read then. */
function loadOtherCarrier(onFailure: (error: unknown) => void): void {
  hasUndici(onFailure);
  hasFastify(onFailure);
}
