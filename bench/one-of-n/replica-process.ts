/** The process of the replicas of one scene. It is told over its channel what to do, and ends with the bench. */
import type { SubjectName } from "./cells.ts";
import { createReplica, type Deed } from "./replica.ts";

export type Order =
  | { readonly to: "listen" | "leave"; readonly address: string }
  | { readonly to: "behave"; readonly address: string; readonly deed: Deed }
  | { readonly to: "count" };
export interface Told {
  readonly id: number;
  readonly order: Order;
}
/** Requests by address and subject. */
export type Counts = Readonly<Record<string, Readonly<Partial<Record<SubjectName, number>>>>>;
export interface Done {
  readonly id: number;
  readonly counts: Counts;
  /** null: it is done. */
  readonly error: string | null;
}

const [port = "", ...addresses] = process.argv.slice(2);
const replicas = new Map(addresses.map((address) => [address, createReplica(address, Number(port))]));

process.on("disconnect", () => process.exit());
// Ctrl-C reaches every process of the terminal; the bench ends this one.
process.on("SIGINT", () => {});
process.on("message", ({ id, order }: Told) => {
  carryOut(order).then(
    () => tell({ id, counts: counted(), error: null }),
    (error: unknown) => tell({ id, counts: {}, error: String(error) }),
  );
});

async function carryOut(order: Order): Promise<void> {
  if (order.to === "count") return;
  const replica = replicas.get(order.address);
  if (replica === undefined) throw new Error(`there is no replica at ${order.address}`);
  if (order.to === "behave") await replica.behave(order.deed);
  else await replica[order.to]();
}

function counted(): Counts {
  return Object.fromEntries(Array.from(replicas, ([address, replica]) => [address, replica.counts()]));
}

function tell(done: Done): void {
  if (process.connected) process.send?.(done);
}
