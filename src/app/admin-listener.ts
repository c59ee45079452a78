/** The admin listener of a process, which a reload may move to another address. */
import type { AdminActions } from "../admin/actions.ts";
import { type AdminServer, createAdminServer } from "../admin/server.ts";
import { addressText } from "../core/address-text.ts";
import type { Address } from "../core/snapshot.ts";
import { naming } from "../gateway/listeners.ts";
import type { Metrics } from "../observe/metrics/metrics.ts";
import type { Readiness, Status } from "../observe/status/status.ts";

interface OpenAdmin {
  readonly wanted: string;
  readonly address: Address;
  readonly server: AdminServer;
}

export interface AdminListener {
  /** Opens `listen`, unless it is the one in use. Rejects with a `ListenError` when it cannot be had. */
  open(listen: Address): Promise<OpenAdmin>;
  /** Takes `opened` into use, in place of the one before. */
  use(opened: OpenAdmin): void;
  /** null: none is in use yet. */
  address(): Address | null;
  close(): Promise<void>;
}

interface AdminListenerDeps {
  readonly metrics: Pick<Metrics, "contentType" | "text">;
  readonly actions: AdminActions;
  readiness(): Readiness;
  status(): Promise<Status>;
  /** Where this process listens for checks. */
  addresses(): readonly Address[];
}

export function createAdminListener(deps: AdminListenerDeps): AdminListener {
  let used: OpenAdmin | null = null;
  const left = new Set<AdminServer>();

  /** The last request of the one that is left may be the one that asked for this. */
  const leave = async (server: AdminServer): Promise<void> => {
    left.add(server);
    await server.leave();
    left.delete(server);
  };

  return {
    open: async (listen) => {
      const wanted = addressText(listen);
      if (used?.wanted === wanted) return used;
      const ours = [...deps.addresses(), ...(used ? [used.address] : [])];
      const { metrics, readiness, status, actions } = deps;
      const server = createAdminServer({ listen, metrics, readiness, status, actions });
      try {
        return { wanted, server, address: await naming(listen, server.listen(), ours) };
      } catch (error) {
        await server.close();
        throw error;
      }
    },
    use: (opened) => {
      if (used !== null && used !== opened) void leave(used.server);
      used = opened;
    },
    address: () => used?.address ?? null,
    close: async () => {
      const servers = [...left, ...(used ? [used.server] : [])];
      await Promise.all(servers.map((server) => server.close()));
    },
  };
}
