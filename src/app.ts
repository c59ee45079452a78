/** The wiring: a snapshot and the outside world in, a serving process out. Nothing is decided here. */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import type { Ports, RouteState } from "./check.ts";
import { clientAddress } from "./core/client-address.ts";
import { buildRouteTable } from "./core/route-table.ts";
import type { Address, Route, Snapshot } from "./core/types.ts";
import { createExchanger } from "./io/exchange.ts";
import type { HtpasswdEvent } from "./io/htpasswd-files.ts";
import { createLogins } from "./io/logins.ts";
import { createPasswordPool, defaultPoolSize } from "./io/password-pool.ts";
import { createLogger, type Logger } from "./observe/logs.ts";
import { createMetrics } from "./observe/metrics.ts";
import { createRecorder } from "./observe/recorder.ts";
import { createAdminServer, type Readiness } from "./servers/admin.ts";
import { type CheckServer, createCheckServer } from "./servers/checks.ts";

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
  const states = new Map<string, RouteState>(snapshot.routes.map((route) => [route.name, { inFlight: 0 }]));
  const stateOf = (route: Route): RouteState => states.get(route.name) ?? { inFlight: 0 };
  let readiness: Readiness = "starting";

  const pool = createPasswordPool({ size: defaultPoolSize() });
  const logins = createLogins({ now, randomBytes, pool, onFile: (event) => logFile(logger, event) });
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
  const tick = setInterval(record.tick, TICK_MS).unref();

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
        onDefect: (error) => logger.error("a check met a defect of sparekey", describe(error)),
      }),
    );
  }
  const admin = createAdminServer({ listen: snapshot.admin.listen, metrics, readiness: () => readiness });

  const close = async (): Promise<void> => {
    clearInterval(tick);
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

  const drain = async (): Promise<void> => {
    readiness = "draining";
    const { delay, timeout } = snapshot.drain;
    logger.info("drain begins", { delay_ms: delay, timeout_ms: timeout });
    await sleep(delay);
    const drained = Promise.all(servers.map((server) => server.drain())).then(() => true);
    const complete = await Promise.race([drained, sleep(timeout).then(() => false)]);
    const left = sum(servers.map((server) => server.connections()));
    await close();
    logger.info("drain ended", { complete, connections_cut: complete ? 0 : left });
  };
  return { ...bound, drain, close };
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
  return routes.flatMap(({ fallback }) => (fallback.mode === "basic-auth" ? [fallback.htpasswd] : []));
}

function logFile(logger: Logger, event: HtpasswdEvent): void {
  if (event.kind === "unreadable") {
    logger.error("htpasswd unreadable: nobody can log in by it", {
      file: event.file,
      problem: event.problem,
    });
    return;
  }
  const { file, users, problems } = event;
  if (users === 0) logger.error("htpasswd has no users: nobody can log in by it", { file });
  else logger.info("htpasswd loaded", { file, users });
  for (const { line, message } of problems)
    logger.warn("htpasswd line ignored", { file, line, problem: message });
}

/** Where a defect is, without its message: that may quote what a client sent. */
function describe(error: unknown): { readonly error: string; readonly at: readonly string[] } {
  if (!(error instanceof Error)) return { error: typeof error, at: [] };
  const frames = (error.stack ?? "").split("\n").filter((line) => /^\s+at /.test(line));
  return { error: error.name, at: frames.slice(0, 8).map((line) => line.trim()) };
}

function addressText({ host, port }: Address): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds).unref();
  });
}

/** Of package.json, which lies beside both src/ and dist/. */
export function version(): string {
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  const read: unknown = JSON.parse(text);
  const found = typeof read === "object" && read !== null && "version" in read ? read.version : null;
  return typeof found === "string" ? found : "unknown";
}
