/** A snapshot on its way to a worker, with the worker's share of what the config allows all of them together. */
import { BlockList } from "node:net";
import { addressText } from "../core/address-text.ts";
import type { Address, Fallback, Route, Snapshot } from "../core/snapshot.ts";

declare const PACKED: unique symbol;
/** A packed snapshot. */
export interface Parcel {
  readonly [PACKED]: never;
}

/** Lists of networks are the one thing in a snapshot that is not data. */
interface PackedList {
  readonly networks: readonly string[];
}

export function pack(snapshot: Snapshot): Parcel {
  return packed(snapshot) as Parcel;
}

export function unpack(parcel: Parcel): Snapshot {
  return unpacked(parcel) as Snapshot;
}

function packed(value: unknown): unknown {
  if (value instanceof BlockList) return { networks: value.toJSON() } satisfies PackedList;
  return mapped(value, packed);
}

function unpacked(value: unknown): unknown {
  // Bytes come as a view of the whole message, which would stay in memory for them.
  if (value instanceof Uint8Array) return Buffer.from(value);
  if (!isPackedList(value)) return mapped(value, unpacked);
  const list = new BlockList();
  list.fromJSON(value.networks);
  return list;
}

/** Sets and bytes stay as they are. */
function mapped(value: unknown, change: (value: unknown) => unknown): unknown {
  if (Array.isArray(value)) return value.map(change);
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype)
    return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, change(one)]));
}

function isPackedList(value: unknown): value is PackedList {
  return typeof value === "object" && value !== null && "networks" in value;
}

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
