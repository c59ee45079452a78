/** Packs a snapshot as plain data, to send it from one process to another. */
import { BlockList } from "node:net";
import type { Snapshot } from "./snapshot.ts";

declare const PACKED: unique symbol;
export interface PackedSnapshot {
  readonly [PACKED]: never;
}

/** Lists of networks are the only parts of a snapshot that are not plain data. */
interface PackedList {
  readonly networks: readonly string[];
}

export function pack(snapshot: Snapshot): PackedSnapshot {
  return packed(snapshot) as PackedSnapshot;
}

export function unpack(packedSnapshot: PackedSnapshot): Snapshot {
  return unpacked(packedSnapshot) as Snapshot;
}

function packed(value: unknown): unknown {
  if (value instanceof BlockList) return { networks: value.toJSON() } satisfies PackedList;
  return mapped(value, packed);
}

function unpacked(value: unknown): unknown {
  // Bytes arrive as a view of the whole message. The copy lets the message be freed.
  if (value instanceof Uint8Array) return Buffer.from(value);
  if (!isPackedList(value)) return mapped(value, unpacked);
  const list = new BlockList();
  list.fromJSON(value.networks);
  return list;
}

/** Changes the parts of lists and plain objects. Sets and bytes stay as they are. */
function mapped(value: unknown, change: (value: unknown) => unknown): unknown {
  if (Array.isArray(value)) return value.map(change);
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype)
    return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, change(one)]));
}

function isPackedList(value: unknown): value is PackedList {
  return typeof value === "object" && value !== null && "networks" in value;
}
