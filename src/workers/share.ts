/** A worker's share of what the config allows all workers together. */
import { addressText } from "../core/address-text.ts";
import type { Address, Fallback, Route, Snapshot } from "../core/snapshot.ts";

/**
 * For one of `workers`. Grace is off: what the upstream refused a client at one worker, the others would not know.
 * `bound`: where each `listen` is in truth, by `addressText`.
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
    // Told by the primary alone: their secrets stay there.
    notify: [],
    limits: { ...limits, connections: part(limits.connections) },
    routes: routes.map(share),
  };
}

function withoutGrace(fallback: Fallback): Fallback {
  return "grace" in fallback ? { ...fallback, grace: null } : fallback;
}
