import * as z from "zod/mini";
import { asMapping } from "./plain-data.ts";
import { configSchema } from "./schema.ts";

const REFERENCE = "|\\$\\{[A-Za-z_][A-Za-z0-9_]*\\}";

/** The schema of a config as JSON Schema draft 7, which most editors know. */
export function configJsonSchema(): z.core.JSONSchema.JSONSchema {
  const schema = z.toJSONSchema(configSchema, {
    io: "input",
    target: "draft-7",
    override: ({ jsonSchema, path }) => {
      // Any text may come from the environment, and only the program knows its value.
      // A wrapper such as a default calls this again for the schema in it.
      const { pattern } = jsonSchema;
      // Keys never come from the environment.
      if (path.at(-1) === "propertyNames") return;
      if (pattern !== undefined && !pattern.endsWith(REFERENCE)) jsonSchema.pattern = pattern + REFERENCE;
    },
  });
  return { ...schema, title: "sparekey config" };
}

/** All keys of all sections. */
export function knownKeys(): ReadonlySet<string> {
  return new Set(keysIn(configJsonSchema()));
}

function keysIn(node: unknown): string[] {
  const { items, properties } = asMapping(node);
  const own = Object.entries(asMapping(properties));
  return [...(items ? keysIn(items) : []), ...own.flatMap(([key, inner]) => [key, ...keysIn(inner)])];
}
