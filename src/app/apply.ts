/** How a config is taken into use, at the start and at each reload. */
import type { Snapshot } from "../core/snapshot.ts";
import type { ListenerChanges } from "../gateway/listeners.ts";
import type { AppParts, AppState } from "./build.ts";

/**
 * All that can fail comes first and can be undone. What follows is done at once, so that no check sees half of it.
 * Rejects with a `ListenError` when an address cannot be had; nothing has changed then.
 */
export async function applyConfig(
  next: Snapshot,
  state: AppState,
  { logger, engine, notifier, adminAccess, adminListener }: AppParts,
): Promise<ListenerChanges> {
  const prepared = await engine.prepare(next);
  await adminAccess.prepare(next.admin);
  const opened = await adminListener.open(next.admin.listen).catch(async (error: unknown) => {
    await prepared.undo();
    adminAccess.use(state.snapshot.admin);
    throw error;
  });
  state.snapshot = next;
  logger.setLevel(next.log.level);
  notifier.use(next.notify);
  const changes = prepared.use();
  adminAccess.use(next.admin);
  adminListener.use(opened);
  return changes;
}

/** Sentences about what of a config is not in use. It says so many `workers`, and there are `kept`. */
export function needsRestart(
  { keepsOldLimits }: ListenerChanges,
  workers: number,
  kept: number,
): readonly string[] {
  return [
    ...(keepsOldLimits
      ? ["limits: listeners that were open keep the old ones until sparekey is restarted"]
      : []),
    ...(workers === kept ? [] : [`workers: it stays ${kept} until sparekey is restarted`]),
  ];
}
