/** The addresses that all workers listen on. The primary tries each of them first and tells the workers its port. */
import { isDeepStrictEqual } from "node:util";
import { addressText } from "../core/address-text.ts";
import type { Address, Limits, Snapshot } from "../core/snapshot.ts";
import { type ListenerChanges, naming } from "../gateway/listeners.ts";
import { tryAddress } from "./port-check.ts";

interface SharedListen {
  readonly address: Address;
  /** The limits at the time when it was opened. */
  readonly limits: Limits;
}

/** The key is the `listen` of the config, as `addressText` writes it. */
export type SharedListens = ReadonlyMap<string, SharedListen>;

export const NO_LISTENS: SharedListens = new Map();

/** Addresses in use stay, and others are tried. Rejects with a `ListenError` when one cannot be had. */
export async function listensFor({ routes, limits }: Snapshot, used: SharedListens): Promise<SharedListens> {
  const listens = new Map<string, SharedListen>();
  for (const { listen } of routes) {
    const key = addressText(listen);
    if (listens.has(key)) continue;
    const address = async (): Promise<Address> => naming(listen, tryAddress(listen), addressesOf(used));
    listens.set(key, used.get(key) ?? { address: await address(), limits });
  }
  return listens;
}

export function addressesOf(listens: SharedListens): readonly Address[] {
  return [...listens.values()].map(({ address }) => address);
}

/** The address that each `listen` of the config got. */
export function boundBy(listens: SharedListens): ReadonlyMap<string, Address> {
  return new Map([...listens].map(([key, { address }]) => [key, address]));
}

export function changesOf(before: SharedListens, next: SharedListens, limits: Limits): ListenerChanges {
  const without = (some: SharedListens, others: SharedListens): readonly Address[] =>
    [...some].filter(([key]) => !others.has(key)).map(([, { address }]) => address);
  return {
    opened: without(next, before),
    closed: without(before, next),
    keepsOldLimits: [...next.values()].some((one) => !isDeepStrictEqual(one.limits, limits)),
  };
}
