/** The wiring: a snapshot and the outside world in, a serving process out. Nothing is decided here. */
import { randomBytes } from "node:crypto";
import { performance } from "node:perf_hooks";
import type { Ports, RouteState } from "./check.ts";
import { clientAddress } from "./core/client-address.ts";
import { buildRouteTable } from "./core/route-table.ts";
import type { Address, Route, Snapshot } from "./core/types.ts";
import { drain } from "./io/drain.ts";
import { createExchanger } from "./io/exchange.ts";
import { RouteHealth } from "./io/health.ts";
import { createLogins } from "./io/logins.ts";
import { createPasswordPool, defaultPoolSize } from "./io/password-pool.ts";
import { createDropLog, logDefect, logHtpasswd } from "./observe/events.ts";
import { createLogger } from "./observe/logs.ts";
import { createMetrics } from "./observe/metrics.ts";
import { createRecorder } from "./observe/recorder.ts";
import { createAdminServer, type Readiness } from "./servers/admin.ts";
import { type CheckServer, createCheckServer } from "./servers/checks.ts";
import { version } from "./version.ts";

const TICK_MS = 1_000;

export interface App {
  readonly admin: Address;
  /** Where each distinct `listen` of the config is served. */
  readonly listeners: readonly Address[];
  /** Finishes what is in flight, as the config's `drain` says, then closes. */
  drain(): Promise<void>;
  /** Cuts everything. */
  close(): Promise<void>;
}

export interface World {
  /** Takes one line without its end; neither waits nor throws. */
  writeLine(line: string): void;
}

/** Rejects when an address cannot be had; nothing is left open then. */
export async function startApp(snapshot: Snapshot, world: World): Promise<App> {
  const now = (): number => performance.now();
  const logger = createLogger({ level: snapshot.log.level, write: world.writeLine, now: Date.now });
  const states = new Map<string, RouteState & { readonly health: RouteHealth }>();
  const stateOf = (route: Route): RouteState => {
    const state = states.get(route.name);
    if (!state) throw new Error(`route ${route.name} has no state`);
    return state;
  };
  let readiness: Readiness = "starting";

  const pool = createPasswordPool({ size: defaultPoolSize() });
  const logins = createLogins({ now, randomBytes, pool, onFile: (event) => logHtpasswd(logger, event) });
  await logins.use(htpasswdFiles(snapshot.routes));

  const exchanger = createExchanger();
  const servers: CheckServer[] = [];
  const metrics = createMetrics({
    version: version(),
    node: process.version,
    inFlight: () => sum([...states.values()].map((state) => state.inFlight)),
    connections: () => sum(servers.map((server) => server.connections())),
    htpasswdUsers: (file) => logins.users(file),
    now,
  });
  metrics.useRoutes(snapshot.routes);
  metrics.configRead(true, Date.now());
  const record = createRecorder({
    metrics,
    logger,
    access: () => snapshot.log.access,
    clientOf: (check) => clientAddress(check, snapshot.trustedProxies),
    now,
  });
  const drops = createDropLog(logger, snapshot.limits.connections);
  const tick = setInterval(() => {
    record.tick();
    drops.tick();
  }, TICK_MS).unref();

  const userAgent = `sparekey/${version()}`;
  const healthPorts = { exchange: exchanger.exchange, record, now, random: Math.random, userAgent };
  for (const route of snapshot.routes) {
    states.set(route.name, { inFlight: 0, health: new RouteHealth(route, healthPorts) });
  }
  const ports: Ports = { exchange: exchanger.exchange, logins, record, now };
  const groups = byListener(snapshot.routes);
  for (const routes of groups) {
    const current = { table: buildRouteTable(routes), trustedProxies: snapshot.trustedProxies };
    servers.push(
      createCheckServer({
        listen: routes[0].listen,
        limits: snapshot.limits,
        ports,
        current: () => current,
        stateOf,
        onDrop: drops.dropped,
        onDefect: (error) => logDefect(logger, error),
      }),
    );
  }
  const admin = createAdminServer({ listen: snapshot.admin.listen, metrics, readiness: () => readiness });

  const close = async (): Promise<void> => {
    clearInterval(tick);
    for (const { health } of states.values()) health.close();
    exchanger.close();
    logins.close();
    await Promise.all([admin.close(), pool.close(), ...servers.map((server) => server.close())]);
  };
  const bound = await listenAll(snapshot, admin.listen, groups, servers).catch(async (error: unknown) => {
    await close();
    throw error;
  });
  readiness = "ready";
  logger.info("serving", {
    admin: addressText(bound.admin),
    listen: bound.listeners.map(addressText),
    routes: snapshot.routes.map((route) => route.name),
  });

  const drainAndClose = async (): Promise<void> => {
    readiness = "draining";
    const { delay, timeout } = snapshot.drain;
    logger.info("drain begins", { delay_ms: delay, timeout_ms: timeout });
    const left = await drain(servers, snapshot.drain);
    await close();
    logger.info("drain ended", { complete: left === 0, connections_cut: left });
  };
  return { ...bound, drain: drainAndClose, close };
}

/** Bound in order, so that the message names the first address that cannot be had. */
async function listenAll(
  snapshot: Snapshot,
  listenAdmin: () => Promise<Address>,
  groups: readonly RouteGroup[],
  servers: readonly CheckServer[],
): Promise<{ readonly admin: Address; readonly listeners: readonly Address[] }> {
  const listeners: Address[] = [];
  for (const [index, server] of servers.entries()) {
    const wanted = groups[index]?.[0].listen ?? snapshot.admin.listen;
    listeners.push({ host: wanted.host, port: await naming(wanted, server.listen()) });
  }
  return { admin: await naming(snapshot.admin.listen, listenAdmin()), listeners };
}

async function naming<T>(address: Address, listening: Promise<T>): Promise<T> {
  try {
    return await listening;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown error";
    throw new StartError(`cannot listen on ${addressText(address)} (${code}); is another process there?`);
  }
}

/** A start that failed for a reason the operator can mend; the message says which. */
export class StartError extends Error {}

type RouteGroup = readonly [Route, ...Route[]];

function byListener(routes: readonly Route[]): readonly RouteGroup[] {
  const groups = new Map<string, [Route, ...Route[]]>();
  for (const route of routes) {
    const key = addressText(route.listen);
    const group = groups.get(key);
    if (group) group.push(route);
    else groups.set(key, [route]);
  }
  return [...groups.values()];
}

function htpasswdFiles(routes: readonly Route[]): readonly string[] {
  const fallbacks = routes.flatMap((route) => [
    route.fallback,
    ...route.hosts.map(({ fallback }) => fallback),
  ]);
  return fallbacks.flatMap((fallback) => (fallback.mode === "basic-auth" ? [fallback.htpasswd] : []));
}

function addressText({ host, port }: Address): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
