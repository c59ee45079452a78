import t from "tap";
import { configJsonSchema, knownKeys } from "../../src/config/json-schema.ts";
import { asMapping } from "../../src/config/plain-data.ts";

type Found = readonly { readonly path: string; readonly pattern: string }[];

function patternsIn(node: unknown, path: string): Found {
  if (Array.isArray(node)) return node.flatMap((inner, index) => patternsIn(inner, `${path}[${index}]`));
  return Object.entries(asMapping(node)).flatMap(([key, inner]): Found => {
    if (key === "pattern" && typeof inner === "string") return [{ path, pattern: inner }];
    return patternsIn(inner, `${path}.${key}`);
  });
}

t.test("an editor takes a reference wherever the program does, and in no name of a header", async (t) => {
  const patterns = patternsIn(configJsonSchema(), "");
  t.ok(patterns.length > 20);
  for (const { path, pattern } of patterns) {
    const takesReference = new RegExp(pattern, "u").test(`a \${UPSTREAM_1} b`);
    t.equal(takesReference, !path.endsWith(".propertyNames"), path);
    t.equal(pattern.split("A-Za-z_][A-Za-z0-9_]*").length <= 2, true, `${path}: once`);
  }
});

t.test("an editor refuses what the program refuses", async (t) => {
  const { properties } = configJsonSchema();
  const { pattern } = asMapping(asMapping(properties).listen);
  for (const text of ["0.0.0.0:9000", `\${A}:\${B}`]) t.match(text, new RegExp(String(pattern), "u"));
  for (const text of ["9000", `\${}`, `\${1}`, "$A"]) t.notMatch(text, new RegExp(String(pattern), "u"));
});

t.test(
  "every key is known, at whatever depth; no header's name or JavaScript's own word is one",
  async (t) => {
    const known = knownKeys();
    for (const key of [
      "listen",
      "routes",
      "upstream",
      "mode",
      "per",
      "match",
      "url",
      "headers",
      "loginHealth",
    ])
      t.ok(known.has(key), key);
    for (const key of ["Host", "items", "properties", "type", "__proto__", "constructor", ""])
      t.notOk(known.has(key), key);
  },
);
