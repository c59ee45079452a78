import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import type { CommandIo } from "../../src/commands/command-io.ts";
import { schemaCommand } from "../../src/commands/schema.ts";

function printed(): unknown {
  const texts: string[] = [];
  const io: CommandIo = { out: (text) => texts.push(text), err: (text) => t.fail(text), env: {} };
  t.equal(schemaCommand(io), 0);
  return JSON.parse(texts.join(""));
}

type Node = {
  readonly properties?: Readonly<Record<string, Node>>;
  readonly items?: Node;
  readonly description?: string;
  readonly additionalProperties?: boolean;
};

t.test("config/schema.json is what the command prints", async (t) => {
  const file = join(import.meta.dirname, "../../config/schema.json");
  t.same(JSON.parse(readFileSync(file, "utf8")), printed(), "write it anew with `sparekey schema`");
});

t.test("every key has a description and no section takes unknown keys", async (t) => {
  const visit = (node: Node, path: string): void => {
    if (node.properties !== undefined) t.equal(node.additionalProperties, false, path);
    for (const [key, inner] of Object.entries(node.properties ?? {})) {
      t.match(inner.description, /\.$/, `${path}.${key}`);
      visit(inner, `${path}.${key}`);
    }
    if (node.items !== undefined) visit(node.items, `${path}[]`);
  };
  visit(printed() as Node, "");
});
