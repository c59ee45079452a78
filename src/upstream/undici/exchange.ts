/**
 * Asks an upstream once and says what came of it. It always settles, within `timeouts.total`, and never rejects.
 * A request is sent a second time, and no third, only when its connection died as `isStale` has it. The second goes to
 * another server where there are several, so that the restart of one is no fault.
 */
import type { Upstream } from "../../core/snapshot.ts";
import type { Gone, Outcome, UpstreamRequest, Waiting } from "../../core/types.ts";
import type { Peer } from "../connect.ts";
import { type Interrupt, startInterrupt } from "../interrupt.ts";
import { type Pool, type Pools, withoutConnection } from "../pool.ts";
import { CONNECTION } from "./connection.ts";
import { loadingUndici } from "./undici-client.ts";

/** The rules are those of `exchange` in upstreams.ts. */
interface UndiciExchanger {
  exchange(upstream: Upstream, request: UpstreamRequest, gone: Gone, waiting: Waiting): Promise<Outcome>;
}

export function createUndiciExchanger(pools: Pick<Pools, "of">): UndiciExchanger {
  return {
    exchange: async (upstream, request, gone, waiting) => {
      const loading = loadingUndici();
      if (loading !== null && !(await loading)) return { kind: "overload" };
      const interrupt = startInterrupt(upstream.timeouts.total, gone, waiting);
      return exchange(pools.of(upstream), request, interrupt);
    },
  };
}

async function exchange(pool: Pool, request: UpstreamRequest, interrupt: Interrupt): Promise<Outcome> {
  const first = await attempt(pool, request, interrupt, null);
  if (first.kind !== "stale") return first;
  if (first.sent && !request.repeatable) return died(interrupt);
  const second = await attempt(pool, request, interrupt, first.peer);
  return second.kind === "stale" ? died(interrupt) : second;
}

/** `peer` is what the connection led to. */
type Attempted = Outcome | { readonly kind: "stale"; readonly sent: boolean; readonly peer: Peer };

async function attempt(
  pool: Pool,
  request: UpstreamRequest,
  interrupt: Interrupt,
  died: Peer | null,
): Promise<Attempted> {
  const taken = await pool.take(CONNECTION, died, interrupt.signal);
  if (taken.kind !== "taken") {
    interrupt.clear();
    return withoutConnection(taken, interrupt.reason);
  }
  const { connection, queued } = taken;
  const asked = await connection.ask(request, interrupt, queued ? "busy" : "none");
  return asked.kind === "stale" ? { ...asked, peer: connection.peer } : asked;
}

function died(interrupt: Interrupt): Outcome {
  interrupt.clear();
  return { kind: "failure", reason: "reset" };
}
