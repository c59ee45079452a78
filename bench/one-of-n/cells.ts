/** The cells of the bench: what is wrong with one replica, how the replicas are reached, and how many there are. */

/**
 * `none`: all replicas are healthy. `all`: every one hangs. `400` hits every check, `store-full` those without a
 * session alone, as a real outpost with a full session store does.
 */
export const BADS = [
  "none",
  "hung",
  "refusing",
  "dropped",
  "503",
  "500",
  "400",
  "store-full",
  "reset",
  "drip",
  "slow",
  "all",
] as const;
export type Bad = (typeof BADS)[number];

/** `vip`: one address, a replica by chance for each connection. `list`: all addresses. `headless`: a name with all. */
export const REACHES = ["vip", "list", "headless"] as const;
export type Reach = (typeof REACHES)[number];

export const COUNTS = ["2", "3"] as const;

export const SUBJECTS = ["sparekey", "nginx", "envoy"] as const;
export type SubjectName = (typeof SUBJECTS)[number];

export const SCENES = ["cells", "rolling", "dns"] as const;

export interface Cell {
  readonly bad: Bad;
  readonly reach: Reach;
  /** How many replicas there are. */
  readonly n: number;
}

export function cellsOf(bads: readonly Bad[], reaches: readonly Reach[], counts: readonly number[]): Cell[] {
  return bads.flatMap((bad) => reaches.flatMap((reach) => counts.map((n) => ({ bad, reach, n }))));
}

export function nameOf({ bad, reach, n }: Cell): string {
  return `${bad} · ${reach} · ${n}`;
}

/** "hung,503" → hung, 503. undefined: all that are known. Throws when one is not known. */
export function chosen<Name extends string>(
  option: string,
  text: string | undefined,
  known: readonly Name[],
): readonly Name[] {
  if (text === undefined) return known;
  const wanted = text.split(",").map((name) => name.trim());
  const strange = wanted.find((name) => !known.some((one) => one === name));
  if (strange !== undefined) {
    throw new Error(`There is no ${option} ${JSON.stringify(strange)}. There are: ${known.join(", ")}`);
  }
  return known.filter((name) => wanted.includes(name));
}
