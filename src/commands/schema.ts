import { configJsonSchema } from "../config/json-schema.ts";
import type { CommandIo } from "./command-io.ts";

/** Prints the config's JSON Schema, which is what config/schema.json holds. */
export function schemaCommand(io: CommandIo): number {
  io.out(`${JSON.stringify(configJsonSchema(), null, 2)}\n`);
  return 0;
}
