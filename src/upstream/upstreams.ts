/**
 * The only door to upstreams. A check that the gateway's connection read as bytes is carried as bytes, and everything
 * else by undici. Both use the same pools, so that limits, wait queues and addresses are the same for both.
 */
import type { LookupFunction } from "node:net";
import type { Ask } from "../core/ask.ts";
import { upstreamRequest } from "../core/headers.ts";
import type { Upstream } from "../core/snapshot.ts";
import type { Forwarded, Gone, Outcome, Waiting } from "../core/types.ts";
import { ownCheck } from "../wire/own-check.ts";
import { WireCheck } from "../wire/wire-check.ts";
import { createByteExchanger } from "./bytes/exchanger.ts";
import { createPools } from "./pool.ts";
import { createResolver } from "./resolver.ts";
import { createUndiciExchanger } from "./undici/exchange.ts";
import { hasUndici } from "./undici/undici-client.ts";

export interface Upstreams {
  /**
   * Passes a check on, once. It always settles, within `timeouts.total`, and never rejects. `gone` fires when the
   * gateway no longer waits. `waiting` holds a way out while the answer is waited for.
   */
  exchange(upstream: Upstream, forwarded: Forwarded, gone: Gone, waiting: Waiting): Promise<Outcome>;
  /** Sends a request of our own, such as a probe or a webhook. The rules are those of `exchange`. */
  readonly ask: Ask;
  /** Drops the connections of all other upstreams: idle ones at once, busy ones after their answer. */
  use(upstreams: Iterable<Upstream>): void;
  /** Loads undici now, and not while the first check that needs it waits. What cannot be read now is read then. */
  preload(onFailure: (error: unknown) => void): void;
  close(): void;
}

interface UpstreamsDeps {
  /** Milliseconds that never go back. */
  now(): number;
  /** Whether requests of our own go as bytes, where that can be: they go as checks do. */
  asksInBytes(): boolean;
  /** Names to addresses; by default as the system resolves them. */
  readonly lookup?: LookupFunction;
}

export function createUpstreams({
  now,
  asksInBytes,
  lookup = createResolver(now),
}: UpstreamsDeps): Upstreams {
  const pools = createPools(lookup);
  const undici = createUndiciExchanger(pools);
  const bytes = createByteExchanger(pools, now);
  return {
    exchange: (upstream, forwarded, gone, waiting) =>
      forwarded.check instanceof WireCheck
        ? bytes.exchange(upstream, forwarded.check, forwarded, gone, waiting)
        : undici.exchange(upstream, upstreamRequest(forwarded), gone, waiting),
    ask: (upstream, request, gone, waiting) => {
      const check = asksInBytes() && upstream.protocol === "http:" ? ownCheck(request) : null;
      if (check === null) return undici.exchange(upstream, request, gone, waiting);
      const forwarded = { check, staysHere: () => false, repeatable: request.repeatable };
      return bytes.exchange(upstream, check, forwarded, gone, waiting);
    },
    use: pools.use,
    preload: (onFailure) => void hasUndici(onFailure),
    close: () => {
      pools.close();
      bytes.close();
    },
  };
}
