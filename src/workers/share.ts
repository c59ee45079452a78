/** A worker's share of what the config allows all workers together. */
import { addressText } from "../core/address-text.ts";
import type { Address, Fallback, Route, Snapshot } from "../core/snapshot.ts";

/**
 * The share of one of `workers`. Grace is off, because a worker does not know which clients the upstream refused at
 * another. `bound` has the address that each `listen` got, by `addressText`.
 */
export function shareOf(snapshot: Snapshot, workers: number, bound: ReadonlyMap<string, Address>): Snapshot {
  const part = (whole: number): number => Math.max(1, Math.floor(whole / workers));
  const { limits, routes } = snapshot;
  const share = (route: Route): Route => ({
    ...route,
    listen: bound.get(addressText(route.listen)) ?? route.listen,
    upstream: { ...route.upstream, maxConnections: part(route.upstream.maxConnections) },
    maxInFlight: part(route.maxInFlight),
    fallback: withoutGrace(route.fallback),
    hosts: route.hosts.map((policy) => ({ ...policy, fallback: withoutGrace(policy.fallback) })),
  });
  return {
    ...snapshot,
    // The primary alone sends messages, so the secrets of their targets stay there.
    notify: [],
    limits: { ...limits, connections: part(limits.connections) },
    routes: routes.map(share),
  };
}

function withoutGrace(fallback: Fallback): Fallback {
  return "grace" in fallback ? { ...fallback, grace: null } : fallback;
}
