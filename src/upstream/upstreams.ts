/**
 * The only door to upstreams. A check that the gateway's connection read as bytes is carried as bytes, and everything
 * else by undici. Both use the same pools, so that limits, wait queues and endpoints are the same for both.
 */
import type { Ask } from "../core/ask.ts";
import type { AttemptKind, EndpointChange, EndpointStatus } from "../core/endpoint.ts";
import { upstreamRequest } from "../core/headers.ts";
import type { Upstream } from "../core/snapshot.ts";
import type { Check, Forwarded, Gone, Outcome, UpstreamRequest, Waiting } from "../core/types.ts";
import { ownCheck } from "../wire/own-check.ts";
import { WireCheck } from "../wire/wire-check.ts";
import { type ByteSubject, createBytePath } from "./bytes/path.ts";
import { Deadlines } from "./deadline-tick.ts";
import { Exchange } from "./exchange.ts";
import { createPools } from "./pools.ts";
import { createResolver, type Resolver } from "./resolver.ts";
import { UNDICI_PATH } from "./undici/path.ts";
import { hasUndici, loadingUndici } from "./undici/undici-client.ts";

export interface Upstreams {
  /**
   * Passes a check on. It always settles, within `timeouts.total`, and never rejects. `gone` fires when the
   * gateway no longer waits. `waiting` holds a way out while the answer is waited for.
   */
  exchange(upstream: Upstream, forwarded: Forwarded, gone: Gone, waiting: Waiting): Promise<Outcome>;
  /** Sends a request of our own, such as a probe or a webhook. The rules are those of `exchange`. */
  readonly ask: Ask;
  /** The upstream works again after an outage, so few checks are sent at first. */
  recovered(upstream: Upstream): void;
  /** The endpoints that are known. */
  endpoints(upstream: Upstream): readonly EndpointStatus[];
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
  readonly resolve?: Resolver;
  /** 0 to 1. */
  readonly random?: () => number;
  /** A further attempt of a check. */
  onAttempt?(upstream: Upstream, kind: AttemptKind): void;
  onEndpoint?(upstream: Upstream, change: EndpointChange): void;
}

export function createUpstreams({
  now,
  asksInBytes,
  resolve = createResolver(now),
  random = Math.random,
  onAttempt = () => {},
  onEndpoint = () => {},
}: UpstreamsDeps): Upstreams {
  const pools = createPools({ resolve, now, random, onEndpoint });
  const deadlines = new Deadlines(now);
  const bytes = createBytePath(deadlines, now);

  const shared = { deadlines, now, onAttempt };
  const inBytes = { ...shared, path: bytes };
  const overUndici = { ...shared, path: UNDICI_PATH };

  const asBytes = (upstream: Upstream, forwarded: BytesForwarded, gone: Gone, waiting: Waiting) =>
    new Promise<Outcome>((settle) => {
      const pool = pools.of(upstream);
      const has = forwarded.check;
      const question = { pool, subject: forwarded, how: forwarded, has, gone, waiting, settle };
      new Exchange(inBytes, question).begin();
    });

  const byUndici = async (
    upstream: Upstream,
    subject: UpstreamRequest,
    how: Pick<Forwarded, "repeatable" | "trying" | "begin">,
    has: Pick<Check, "hasCookie" | "hasAuthorization">,
    gone: Gone,
    waiting: Waiting,
  ): Promise<Outcome> => {
    const loading = loadingUndici();
    if (loading !== null && !(await loading)) return { kind: "overload" };
    return new Promise((settle) => {
      const question = { pool: pools.of(upstream), subject, how, has, gone, waiting, settle };
      new Exchange(overUndici, question).begin();
    });
  };

  return {
    exchange: (upstream, forwarded, gone, waiting) => {
      if (isInBytes(forwarded)) return asBytes(upstream, forwarded, gone, waiting);
      const request = upstreamRequest(forwarded);
      return byUndici(upstream, request, forwarded, forwarded.check, gone, waiting);
    },
    ask: (upstream, request, gone, waiting) => {
      const { repeatable, trying } = request;
      const how = { repeatable, trying, begin: now() };
      const check = asksInBytes() && upstream.protocol === "http:" ? ownCheck(request) : null;
      if (check === null) return byUndici(upstream, request, how, OWN, gone, waiting);
      return asBytes(upstream, { check, staysHere: () => false, ...how }, gone, waiting);
    },
    recovered: pools.recovered,
    endpoints: pools.endpoints,
    use: pools.use,
    preload: (onFailure) => void hasUndici(onFailure),
    close: () => {
      pools.close();
      bytes.close();
    },
  };
}

/** A probe carries neither a cookie nor a credential (core/probe.ts). */
const OWN = { hasCookie: false, hasAuthorization: false };

type BytesForwarded = Forwarded & ByteSubject;

function isInBytes(forwarded: Forwarded): forwarded is BytesForwarded {
  return forwarded.check instanceof WireCheck;
}
