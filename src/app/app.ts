/** A serving process: it is built, applies one config after another, drains and closes. */
import { addressText } from "../core/address-text.ts";
import type { Address, Snapshot } from "../core/snapshot.ts";
import type { ReloadResult } from "../core/types.ts";
import { ListenError } from "../gateway/listeners.ts";
import { applyConfig, needsRestart } from "./apply.ts";
import { type AppDeps, type AppState, buildApp, type EngineMaker, localEngine } from "./build.ts";

/** A shutdown waits so long for messages that wait to be sent. */
const NOTIFY_DRAIN_MS = 1_000;
/** A third of the time that one bucket of the history holds. */
const STATUS_TICK_MS = 5_000;

export interface App {
  /** Where the admin listener is now. */
  readonly admin: Address;
  /** Where each distinct `listen` of the config is served now. */
  readonly listeners: readonly Address[];
  /**
   * Serves by `snapshot` from now on, and no check notices. It is refused whole, and nothing changes, when an address
   * cannot be had. It is reported either way. Reloads go one at a time and never reject.
   */
  reload(snapshot: Snapshot): Promise<ReloadResult>;
  /** Reports that a config with these problems was refused. Nothing changes. */
  refuse(problems: readonly string[]): Promise<ReloadResult>;
  /** Finishes what is in flight, as the config's `drain` says, then closes. */
  drain(): Promise<void>;
  /** Cuts everything. */
  close(): Promise<void>;
}

/** Workers that cannot be started; the message says why. */
export class WorkerError extends Error {}

export const ENDING: ReloadResult = { ok: false, problems: ["sparekey is ending"] };

/** Rejects with a `ListenError` when an address cannot be had; nothing is left open then. */
export async function startApp(
  first: Snapshot,
  deps: AppDeps,
  makeEngine: EngineMaker = localEngine,
): Promise<App> {
  const state: AppState = { snapshot: first, readiness: "starting" };
  const parts = buildApp(state, deps, makeEngine);
  const { report, engine, notifier, adminAccess, adminListener, liveStatus } = parts;
  const statusTick = setInterval(liveStatus.tick, STATUS_TICK_MS).unref();

  const close = async (): Promise<void> => {
    clearInterval(statusTick);
    notifier.close();
    await Promise.all([adminListener.close(), adminAccess.close(), engine.close()]);
  };
  await applyConfig(first, state, parts).catch(async (error: unknown) => {
    await close();
    throw error;
  });
  state.readiness = "ready";
  const adminAddress = (): Address => adminListener.address() ?? first.admin.listen;
  const names = ({ routes }: Snapshot): readonly string[] => routes.map((route) => route.name);
  report({
    kind: "started",
    admin: addressText(adminAddress()),
    listen: engine.addresses().map(addressText),
    routes: names(first),
    workers: first.workers,
  });

  const refuse = async (problems: readonly string[], defect?: unknown): Promise<ReloadResult> => {
    report({ kind: "reload_refused", problems, defect });
    return { ok: false, problems };
  };
  const reloadNow = async (next: Snapshot): Promise<ReloadResult> => {
    if (state.readiness !== "ready") return ENDING;
    try {
      const changes = await applyConfig(next, state, parts);
      report({
        kind: "reloaded",
        routes: names(next),
        opened: changes.opened.map(addressText),
        closed: changes.closed.map(addressText),
        needsRestart: needsRestart(changes, next.workers, first.workers),
      });
      return { ok: true };
    } catch (error) {
      return error instanceof ListenError ? refuse([error.message]) : refuse(["a defect of sparekey"], error);
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
    refuse: (problems) => refuse(problems),
    drain: async () => {
      state.readiness = "draining";
      await reloaded;
      report({ kind: "drain_began", ...state.snapshot.drain });
      const left = await engine.drain(state.snapshot.drain);
      await notifier.drain(NOTIFY_DRAIN_MS);
      await close();
      report({ kind: "drain_ended", left });
    },
    close,
  };
}
