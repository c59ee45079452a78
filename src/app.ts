/** The wiring: a snapshot and the outside world in, a serving process out. Nothing is decided here. */
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { performance } from "node:perf_hooks";
import type { Ports } from "./check.ts";
import { inTime } from "./config/read-file.ts";
import { addressText } from "./core/address-text.ts";
import { clientAddress } from "./core/client-address.ts";
import { upstreamRequest } from "./core/headers.ts";
import type { Address, Snapshot } from "./core/snapshot.ts";
import type { HtpasswdEvent, ReloadResult } from "./core/types.ts";
import { drain } from "./io/drain.ts";
import { createExchanger } from "./io/exchange.ts";
import { createGraceStore } from "./io/grace.ts";
import { createLogins } from "./io/logins.ts";
import { createNotifier } from "./io/notifier.ts";
import { createPasswordPool, defaultPoolSize } from "./io/password-pool.ts";
import { createResolver, oneByOne } from "./io/resolver.ts";
import { createListeners, ListenError, type ListenerChanges, naming, type Opened } from "./listeners.ts";
import {
  logHtpasswd,
  logNotify,
  logOverride,
  logRefusedReload,
  logReload,
  logReloadDefect,
} from "./observe/events.ts";
import { createLogger } from "./observe/logs.ts";
import { createMetrics } from "./observe/metrics.ts";
import { createRecorder } from "./observe/recorder.ts";
import { createOperator } from "./operator.ts";
import { createOverrides } from "./overrides.ts";
import { type AdminServer, createAdminServer, type Readiness } from "./servers/admin.ts";
import type { Wire } from "./servers/checks.ts";
import { createServing, type Generation } from "./serving.ts";
import { version } from "./version.ts";
import { createWireExchanger } from "./wire/exchange.ts";
import { GatewayConnection } from "./wire/gateway-connection.ts";
import { WireCheck } from "./wire/wire-check.ts";

const WIRE: Wire = {
  accept: (socket, use, options) => new GatewayConnection(socket, use, options),
};
const TICK_MS = 1_000;
/** What messages that wait to be told may cost a shutdown. */
const NOTIFY_DRAIN_MS = 1_000;

export interface App {
  /** Where the admin listener is now. */
  readonly admin: Address;
  /** Where each distinct `listen` of the config is served now. */
  readonly listeners: readonly Address[];
  /**
   * Serves by `snapshot` from now on; no check notices. Refused whole, and nothing changed, when an address cannot
   * be had. Logged and counted; one at a time; never rejects.
   */
  reload(snapshot: Snapshot): Promise<ReloadResult>;
  /** A config with these problems was refused: logged and counted, nothing changes. */
  refuse(problems: readonly string[]): Promise<ReloadResult>;
  /** Finishes what is in flight, as the config's `drain` says, then closes. */
  drain(): Promise<void>;
  /** Cuts everything. */
  close(): Promise<void>;
}

export const ENDING: ReloadResult = { ok: false, problems: ["sparekey is ending"] };

export interface World {
  /** Takes one line without its end; neither waits nor throws. */
  writeLine(line: string): void;
  /** Reads the config again, and has it used. Never rejects. */
  reload(): Promise<ReloadResult>;
}

interface Admin {
  readonly wanted: string;
  readonly address: Address;
  readonly server: AdminServer;
}

/** Rejects with a `ListenError` when an address cannot be had; nothing is left open then. */
export async function startApp(first: Snapshot, world: World): Promise<App> {
  const now = (): number => performance.now();
  const logger = createLogger({ level: first.log.level, write: world.writeLine, now: Date.now });
  let snapshot = first;
  let readiness: Readiness = "starting";
  let admin: Admin | null = null;
  const leftAdmins = new Set<AdminServer>();

  const pool = createPasswordPool({ size: defaultPoolSize() });
  const onFile = (event: HtpasswdEvent): void => logHtpasswd(logger, event);
  const logins = createLogins({ now, randomBytes, pool, onFile, inTime });
  const exchanger = createExchanger();
  const wireExchanger = createWireExchanger(exchanger.pools, now);
  const metrics = createMetrics({
    version: version(),
    node: process.version,
    inFlight: () => serving.inFlight(),
    connections: () => listeners.connections(),
    htpasswdUsers: (file) => logins.users(file),
    now,
  });
  const userAgent = `sparekey/${version()}`;
  const notifier = createNotifier({
    exchanger: createExchanger(createResolver(now, oneByOne())),
    userAgent,
    instance: hostname(),
    now,
    unixNow: Date.now,
    random: Math.random,
    later,
    onEvent: (event) => logNotify(logger, event),
  });
  const record = createRecorder({
    metrics,
    logger,
    access: () => snapshot.log.access,
    clientOf: (check) => clientAddress(check, snapshot.trustedProxies),
    now,
    onActivity: notifier.notify,
  });
  const overrides = createOverrides(now, (event) => {
    logOverride(logger, event);
    record.override(event.route, event.kind === "begins" ? event.mode : null);
    // Who was let in may be why it was chosen.
    if (event.kind === "begins" && event.mode === "fallback") serving.forgetAllows(event.route);
  });
  const serving = createServing({
    exchanger,
    logins,
    grace: createGraceStore({ now, randomBytes }),
    overrides,
    record,
    now,
    random: Math.random,
    userAgent,
  });
  const exchange: Ports["exchange"] = (upstream, forwarded, gone, waiting) =>
    forwarded.check instanceof WireCheck
      ? wireExchanger.exchange(upstream, forwarded.check, forwarded, gone, waiting)
      : exchanger.exchange(upstream, upstreamRequest(forwarded), gone, waiting);
  const wire = (): Wire | null => (snapshot.wire === "auto" ? WIRE : null);
  const listeners = createListeners({ exchange, logins, record, now }, wire, logger);
  const operator = createOperator({
    overrides,
    logger,
    onFile,
    inTime,
    routes: () => snapshot.routes.map(({ name }) => name),
    reload: () => world.reload(),
    now,
  });
  const tick = setInterval(() => {
    record.tick();
    listeners.tick();
    overrides.tick();
  }, TICK_MS).unref();

  const openAdmin = async (listen: Address): Promise<Admin> => {
    const wanted = addressText(listen);
    if (admin?.wanted === wanted) return admin;
    const ours = [...listeners.addresses(), ...(admin ? [admin.address] : [])];
    const server = createAdminServer({
      listen,
      metrics,
      readiness: () => readiness,
      actions: operator.actions,
    });
    try {
      return { wanted, server, address: await naming(listen, server.listen(), ours) };
    } catch (error) {
      await server.close();
      throw error;
    }
  };

  /** Its last request may be the one that asked for this. */
  const leaveAdmin = async (server: AdminServer): Promise<void> => {
    leftAdmins.add(server);
    await server.leave();
    leftAdmins.delete(server);
  };

  /** All that can fail comes first and can be undone. What follows is done at once: no check sees half of it. */
  const apply = async (next: Snapshot): Promise<ListenerChanges> => {
    const generation = await serving.prepare(next);
    await operator.prepare(next.admin);
    const opened = await openAll(generation).catch((error: unknown) => {
      serving.release(generation);
      operator.use(snapshot.admin);
      throw error;
    });
    snapshot = next;
    logger.setLevel(next.log.level);
    notifier.use(next.notify);
    metrics.useRoutes(generation.snapshot.routes);
    metrics.configRead(true, Date.now());
    const changes = listeners.use(generation, opened.checks);
    serving.use(generation);
    overrides.keep(generation.states.keys());
    operator.use(next.admin);
    if (admin !== null && admin !== opened.admin) void leaveAdmin(admin.server);
    admin = opened.admin;
    return changes;
  };
  const openAll = async (generation: Generation): Promise<{ checks: Opened; admin: Admin }> => {
    const checks = await listeners.open(generation);
    try {
      return { checks, admin: await openAdmin(generation.snapshot.admin.listen) };
    } catch (error) {
      await listeners.discard(checks);
      throw error;
    }
  };

  const close = async (): Promise<void> => {
    clearInterval(tick);
    notifier.close();
    serving.close();
    wireExchanger.close();
    logins.close();
    const admins = [...leftAdmins, ...(admin ? [admin.server] : [])];
    await Promise.all([
      ...admins.map((server) => server.close()),
      operator.close(),
      pool.close(),
      listeners.close(),
    ]);
  };

  await apply(first).catch(async (error: unknown) => {
    await close();
    throw error;
  });
  readiness = "ready";
  const adminAddress = (): Address => admin?.address ?? first.admin.listen;
  logger.info("serving", {
    admin: addressText(adminAddress()),
    listen: listeners.addresses().map(addressText),
    routes: first.routes.map((route) => route.name),
  });

  const refuse = async (problems: readonly string[]): Promise<ReloadResult> => {
    metrics.configRead(false, Date.now());
    logRefusedReload(logger, problems);
    return { ok: false, problems };
  };
  const reloadNow = async (next: Snapshot): Promise<ReloadResult> => {
    if (readiness !== "ready") return ENDING;
    try {
      const { opened, closed, keepsOldLimits } = await apply(next);
      logReload(logger, {
        routes: next.routes.map((route) => route.name),
        opened: opened.map(addressText),
        closed: closed.map(addressText),
        keepsOldLimits,
      });
      return { ok: true };
    } catch (error) {
      if (!(error instanceof ListenError)) {
        logReloadDefect(logger, error);
        metrics.configRead(false, Date.now());
        return { ok: false, problems: ["a defect of sparekey"] };
      }
      return refuse([error.message]);
    }
  };
  let reloaded: Promise<unknown> = Promise.resolve();

  return {
    get admin() {
      return adminAddress();
    },
    get listeners() {
      return listeners.addresses();
    },
    reload: (next) => {
      const result = reloaded.then(() => reloadNow(next));
      reloaded = result;
      return result;
    },
    refuse,
    drain: async () => {
      readiness = "draining";
      await reloaded;
      const { delay, timeout } = snapshot.drain;
      logger.info("drain begins", { delay_ms: delay, timeout_ms: timeout });
      const left = await drain(listeners.servers(), snapshot.drain);
      await notifier.drain(NOTIFY_DRAIN_MS);
      await close();
      logger.info("drain ended", { complete: left === 0, connections_cut: left });
    },
    close,
  };
}

/** Runs `run` once, unless the result is called before. Does not keep the process alive. */
function later(milliseconds: number, run: () => void): () => void {
  const timer = setTimeout(run, milliseconds).unref();
  return () => clearTimeout(timer);
}
