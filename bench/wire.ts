/** The option `--wire` of a bench: fast path or slow path, by the names of the config. */
import type { WireMode } from "../src/core/snapshot.ts";

const WIRES: readonly WireMode[] = ["auto", "fastify"];

/** For `parseArgs`. */
export const WIRE_OPTION = { type: "string", default: "auto" } as const;

/** Ends the process when there is no such mode. */
export function wireOf(value: string): WireMode {
  const wire = WIRES.find((name) => name === value);
  if (wire !== undefined) return wire;
  console.error(`There is no wire ${JSON.stringify(value)}. There are: ${WIRES.join(", ")}`);
  process.exit(2);
}
