import * as z from "zod/mini";
import { asMapping } from "./plain-data.ts";
import { configSchema } from "./schema.ts";

const REFERENCE = "|\\$\\{[A-Za-z_][A-Za-z0-9_]*\\}";

/** What a config may hold, as JSON Schema draft 7: the draft editors know best. */
export function configJsonSchema(): z.core.JSONSchema.JSONSchema {
  const schema = z.toJSONSchema(configSchema, {
    io: "input",
    target: "draft-7",
    override: ({ jsonSchema, path }) => {
      // Any text may come from the environment; only the program knows what it will be.
      // Wrappers such as a default come here again with what they wrap.
      const { pattern } = jsonSchema;
      // Keys are never filled in.
      if (path.at(-1) === "propertyNames") return;
      if (pattern !== undefined && !pattern.endsWith(REFERENCE)) jsonSchema.pattern = pattern + REFERENCE;
    },
  });
  return { ...schema, title: "sparekey config" };
}

/** Every key there is, wherever it belongs. */
export function knownKeys(): ReadonlySet<string> {
  return new Set(keysIn(configJsonSchema()));
}

function keysIn(node: unknown): string[] {
  const { items, properties } = asMapping(node);
  const own = Object.entries(asMapping(properties));
  return [...(items ? keysIn(items) : []), ...own.flatMap(([key, inner]) => [key, ...keysIn(inner)])];
}
