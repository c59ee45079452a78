/**
 * Asks an upstream once and says what came of it. Always settles, within `timeouts.total`; never rejects.
 * A request is sent a second time, and no third, only when the connection died before the first byte of the answer
 * and was a reused one, as when an upstream closes an idle connection (RFC 9112 section 9.3.1), or led to one
 * server of several: the second goes to another then, so that a restart of one is no fault.
 */
import type { LookupFunction } from "node:net";
import type { Upstream } from "../core/snapshot.ts";
import type { Gone, Outcome, UpstreamRequest, Waiting } from "../core/types.ts";
import type { Peer } from "./connect.ts";
import { CONNECTION } from "./connection.ts";
import { type Interrupt, startInterrupt } from "./interrupt.ts";
import { createPools, type NotTaken, type Pool, type Pools } from "./pool.ts";
import { createResolver } from "./resolver.ts";
import { loadingUndici } from "./undici-client.ts";

export interface Exchanger {
  /** `gone` fires when the gateway no longer waits; `waiting` holds a way out while the answer is waited for. */
  exchange(upstream: Upstream, request: UpstreamRequest, gone: Gone, waiting: Waiting): Promise<Outcome>;
  /** Drops the connections of all other upstreams: idle ones at once, busy ones after their answer. */
  use(upstreams: Iterable<Upstream>): void;
  close(): void;
  /** Where its connections are. */
  readonly pools: Pick<Pools, "of">;
}

/** `lookup`: names to addresses; as `createResolver` has it. */
export function createExchanger(lookup: LookupFunction = createResolver(() => performance.now())): Exchanger {
  const pools = createPools(lookup);
  return {
    pools,
    use: pools.use,
    close: pools.close,
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

/** `peer`: whom the connection led to. */
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
    return withoutConnection(taken, interrupt);
  }
  const { connection, queued } = taken;
  const asked = await connection.ask(request, interrupt);
  if (asked.kind === "stale") return { ...asked, peer: connection.peer };
  // The time in line was ours to answer for, not the upstream's.
  const ranOut = asked.kind === "failure" && asked.reason === "total_timeout";
  return ranOut && queued ? { kind: "overload" } : asked;
}

/** What came of an exchange that got no connection. */
export function withoutConnection(taken: NotTaken, interrupt: Pick<Interrupt, "reason">): Outcome {
  if (interrupt.reason === "abandoned" || interrupt.reason === "released") return { kind: interrupt.reason };
  if (interrupt.reason === "starved") return { kind: "overload" };
  if (taken.kind === "interrupted") return { kind: "failure", reason: "total_timeout", unasked: true };
  return taken;
}

function died(interrupt: Interrupt): Outcome {
  interrupt.clear();
  return { kind: "failure", reason: "reset" };
}
