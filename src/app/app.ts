/** The wiring: a snapshot and the outside world in, a serving process out. Nothing is decided here. */

import { hostname } from "node:os";
import { performance } from "node:perf_hooks";
import { type AdminServer, createAdminServer } from "../admin/server.ts";
import { addressText } from "../core/address-text.ts";
import type { Address, Snapshot } from "../core/snapshot.ts";
import type { FallbackChange, HtpasswdEvent, OverrideEvent, ReloadResult } from "../core/types.ts";
import { ListenError, type ListenerChanges, naming } from "../gateway/listeners.ts";
import { openLogins } from "../login/logins.ts";
import { createNotifier } from "../notify/notifier.ts";
import {
  logHtpasswd,
  logNotify,
  logOverride,
  logRefusedReload,
  logReload,
  logReloadDefect,
  needsRestart,
} from "../observe/log/events.ts";
import { createLogger, type Logger } from "../observe/log/logger.ts";
import { createLiveStatus } from "../observe/status/live-status.ts";
import type { Readiness } from "../observe/status/status.ts";
import { htpasswdRead, type News, reloadRefused } from "../observe/timeline.ts";
import { inTime } from "../process/file-patience.ts";
import { version } from "../process/version.ts";
import { createResolver, oneByOne } from "../upstream/resolver.ts";
import { createUpstreams } from "../upstream/upstreams.ts";
import { createAdminAccess } from "./admin-access.ts";
import { createEngine, type Engine } from "./engine.ts";

/** What messages that wait to be told may cost a shutdown. */
const NOTIFY_DRAIN_MS = 1_000;
/** A third of what the history's buckets hold. */
const STATUS_TICK_MS = 5_000;

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

/** Workers that cannot be started; the message says why. */
export class WorkerError extends Error {}

export const ENDING: ReloadResult = { ok: false, problems: ["sparekey is ending"] };

export interface AppDeps {
  /** Takes one line without its end; neither waits nor throws. */
  writeLine(line: string): void;
  /** Reads the config again, and has it used. Never rejects. */
  reload(): Promise<ReloadResult>;
}

/** What an engine gets of the app. */
export interface EngineMakerDeps {
  readonly logger: Logger;
  onFile(event: HtpasswdEvent): void;
  onActivity(change: FallbackChange): void;
  /** `worker`: whose it is, where it is no news of this process. */
  onNews(news: News, worker?: number): void;
  /** Milliseconds, monotonic. */
  now(): number;
}

export type EngineMaker = (first: Snapshot, parts: EngineMakerDeps) => Engine;

interface Admin {
  readonly wanted: string;
  readonly address: Address;
  readonly server: AdminServer;
}

/** Rejects with a `ListenError` when an address cannot be had; nothing is left open then. */
export async function startApp(
  first: Snapshot,
  world: AppDeps,
  makeEngine: EngineMaker = inThisProcess,
): Promise<App> {
  const now = (): number => performance.now();
  const logger = createLogger({ level: first.log.level, write: world.writeLine, now: Date.now });
  let snapshot = first;
  let readiness: Readiness = "starting";
  let admin: Admin | null = null;
  const leftAdmins = new Set<AdminServer>();

  const liveStatus = createLiveStatus({
    version: version(),
    instance: hostname(),
    routes: () => snapshot.routes,
    engine: {
      facts: () => engine.status.facts(),
      workers: () => engine.status.workers(),
      refresh: () => engine.status.refresh(),
    },
    overrideOf: (route) => adminAccess.actions.overrideOf(route),
    readiness: () => readinessNow(),
    now,
    unixNow: Date.now,
  });
  const readinessNow = (): Readiness =>
    readiness === "ready" && !engine.isServing() ? "starting" : readiness;
  const onFile = (event: HtpasswdEvent): void => {
    logHtpasswd(logger, event);
    liveStatus.tell(htpasswdRead(event));
  };
  const notifier = createNotifier({
    upstreams: createUpstreams({ now, asksInBytes: () => false, lookup: createResolver(now, oneByOne()) }),
    userAgent: `sparekey/${version()}`,
    instance: hostname(),
    now,
    unixNow: Date.now,
    random: Math.random,
    later,
    onEvent: (event) => {
      logNotify(logger, event);
      liveStatus.tell({ kind: "notify", event });
    },
  });
  const engine = makeEngine(first, {
    logger,
    onFile,
    onActivity: notifier.notify,
    onNews: liveStatus.tell,
    now,
  });
  const adminAccess = createAdminAccess({
    overrides: engine.overrides,
    logger,
    onFile,
    inTime,
    routes: () => snapshot.routes,
    reload: () => world.reload(),
    probe: engine.probe,
    onNews: liveStatus.tell,
    told: liveStatus.told,
    now,
  });

  const openAdmin = async (listen: Address): Promise<Admin> => {
    const wanted = addressText(listen);
    if (admin?.wanted === wanted) return admin;
    const ours = [...engine.addresses(), ...(admin ? [admin.address] : [])];
    const server = createAdminServer({
      listen,
      metrics: engine.metrics,
      readiness: readinessNow,
      status: liveStatus.status,
      actions: adminAccess.actions,
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

  const configRead = (successful: boolean): void => {
    engine.metrics.configRead(successful, Date.now());
    liveStatus.configRead(successful);
  };

  /** All that can fail comes first and can be undone. What follows is done at once: no check sees half of it. */
  const apply = async (next: Snapshot): Promise<ListenerChanges> => {
    const prepared = await engine.prepare(next);
    await adminAccess.prepare(next.admin);
    const opened = await openAdmin(next.admin.listen).catch(async (error: unknown) => {
      await prepared.undo();
      adminAccess.use(snapshot.admin);
      throw error;
    });
    snapshot = next;
    logger.setLevel(next.log.level);
    notifier.use(next.notify);
    configRead(true);
    const changes = prepared.use();
    adminAccess.use(next.admin);
    if (admin !== null && admin !== opened) void leaveAdmin(admin.server);
    admin = opened;
    return changes;
  };

  const statusTick = setInterval(liveStatus.tick, STATUS_TICK_MS).unref();
  const close = async (): Promise<void> => {
    clearInterval(statusTick);
    notifier.close();
    const admins = [...leftAdmins, ...(admin ? [admin.server] : [])];
    await Promise.all([...admins.map((server) => server.close()), adminAccess.close(), engine.close()]);
  };

  await apply(first).catch(async (error: unknown) => {
    await close();
    throw error;
  });
  readiness = "ready";
  liveStatus.tell({ kind: "started" });
  const adminAddress = (): Address => admin?.address ?? first.admin.listen;
  logger.info("serving", {
    admin: addressText(adminAddress()),
    listen: engine.addresses().map(addressText),
    routes: first.routes.map((route) => route.name),
    ...(first.workers > 1 && { workers: first.workers }),
  });

  const refuse = async (problems: readonly string[]): Promise<ReloadResult> => {
    configRead(false);
    logRefusedReload(logger, problems);
    liveStatus.tell(reloadRefused(problems));
    return { ok: false, problems };
  };
  const reloadNow = async (next: Snapshot): Promise<ReloadResult> => {
    if (readiness !== "ready") return ENDING;
    try {
      const { opened, closed, keepsOldLimits } = await apply(next);
      const event = {
        routes: next.routes.map((route) => route.name),
        opened: opened.map(addressText),
        closed: closed.map(addressText),
        keepsOldLimits,
        keptWorkers: next.workers === first.workers ? null : first.workers,
      };
      logReload(logger, event);
      liveStatus.tell({ kind: "reloaded", needsRestart: needsRestart(event) });
      return { ok: true };
    } catch (error) {
      if (!(error instanceof ListenError)) {
        logReloadDefect(logger, error);
        configRead(false);
        const problems = ["a defect of sparekey"];
        liveStatus.tell(reloadRefused(problems));
        return { ok: false, problems };
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
      return engine.addresses();
    },
    reload: (next) => {
      const result = reloaded.then(() => reloadNow(next));
      reloaded = result;
      return result;
    },
    refuse,
    drain: async () => {
      readiness = "draining";
      liveStatus.tell({ kind: "drain_began" });
      await reloaded;
      const { delay, timeout } = snapshot.drain;
      logger.info("drain begins", { delay_ms: delay, timeout_ms: timeout });
      const left = await engine.drain(snapshot.drain);
      await notifier.drain(NOTIFY_DRAIN_MS);
      await close();
      logger.info("drain ended", { complete: left === 0, connections_cut: left });
    },
    close,
  };
}

function inThisProcess(first: Snapshot, parts: EngineMakerDeps): Engine {
  const { logger, onFile, onActivity, onNews, now } = parts;
  const logins = openLogins({ onFile, inTime, now });
  const onOverride = (event: OverrideEvent): void => {
    logOverride(logger, event);
    onNews({ kind: "override", event });
  };
  return createEngine(first, { logger, logins, sharesPorts: false, onOverride, onActivity, onNews, now });
}

/** Runs `run` once, unless the result is called before. Does not keep the process alive. */
function later(milliseconds: number, run: () => void): () => void {
  const timer = setTimeout(run, milliseconds).unref();
  return () => clearTimeout(timer);
}
