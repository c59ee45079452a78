/** Where the replicas of one scene are, and how the subjects reach them. All of it is in the bench's own namespace. */
import type { DnsServer } from "../faults/dns-server.ts";
import { addAddress, balance, removeAddress, unbalance } from "../faults/namespace.ts";
import type { Reach } from "./cells.ts";

/** The port of every replica. */
export const PORT = 9000;
const PER_BLOCK = 256;
const FIRST_BLOCK = 100;

export interface Place {
  readonly reach: Reach;
  /** One for each replica. */
  readonly addresses: readonly string[];
  /** `host:port` of each upstream, as a subject's config names it. */
  readonly upstreams: readonly string[];
  /** Who is behind the address or the name from now on. A list cannot change. */
  setMembers(addresses: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

/** `number` must be new at each call, so that nothing of an earlier scene is left there. All replicas are members. */
export async function openPlace(
  reach: Reach,
  number: number,
  replicas: number,
  dns: DnsServer,
): Promise<Place> {
  const [block, inBlock] = [Math.floor(number / PER_BLOCK), number % PER_BLOCK];
  const addresses = Array.from(
    { length: replicas },
    (_, index) => `10.${FIRST_BLOCK + block}.${inBlock}.${index + 1}`,
  );
  const service = `10.96.${block}.${inBlock}`;
  const name = `outpost-${number}.test`;
  const all = reach === "vip" ? [...addresses, service] : addresses;
  for (const address of all) await addAddress(address);
  const setMembers = async (members: readonly string[]): Promise<void> => {
    if (reach === "vip") await balance(service, PORT, members);
    if (reach === "headless") dns.set(name, members);
  };
  await setMembers(addresses);
  return {
    reach,
    addresses,
    upstreams: { vip: [service], list: addresses, headless: [name] }[reach].map((host) => `${host}:${PORT}`),
    setMembers,
    close: async () => {
      if (reach === "vip") await unbalance(service);
      if (reach === "headless") dns.set(name, "nxdomain");
      for (const address of all) await removeAddress(address);
    },
  };
}
