import { configJsonSchema } from "../config/json-schema.ts";
import type { CommandIo } from "./command-io.ts";

/** Prints the config's JSON Schema. config/schema.json holds the same text. */
export function schemaCommand(io: CommandIo): number {
  io.out(`${JSON.stringify(configJsonSchema(), null, 2)}\n`);
  return 0;
}
