/** What a process that serves has loaded, for it stays in memory: docs/decisions/0007-memory.md. */
import { join } from "node:path";
import t from "tap";
import { startSparekey } from "./support/sparekey.ts";

const PRELOADED = join(import.meta.dirname, "support/told-files.ts");

t.test("what no check needs stays unloaded", async (t) => {
  const running = await startSparekey(
    t,
    'listen: "127.0.0.1:0"\nroutes: [{ preset: authentik, upstream: "http://127.0.0.1:1", fallback: { htpasswd: htpasswd } }]\n',
    { users: { admin: "correct horse" }, env: { NODE_OPTIONS: `--import ${PRELOADED}` } },
  );
  await running.metrics();
  const files = running.process.stderr();
  const loaded: readonly (readonly [name: string, part: string])[] = [
    ["undici's client", "/undici/lib/dispatcher/client.js"],
    ["the registry of metrics", "/@prometheus-io/client/lib/registry.js"],
    ["Fastify", "/fastify/fastify.js"],
  ];
  for (const [name, part] of loaded) t.match(files, part, `${name} is seen`);
  const unloaded: readonly (readonly [name: string, part: string])[] = [
    ["undici's index", "/undici/index.js"],
    ["undici's fetch", "/undici/lib/web/fetch/"],
    ["the push gateway", "/@prometheus-io/client/lib/pushgateway.js"],
    ["the cluster's registry", "/@prometheus-io/client/lib/cluster.js"],
    ["bcrypt, which only workers need", "/bcrypt/"],
    ["the demo", "/src/demo/"],
  ];
  for (const [name, part] of unloaded) t.notMatch(files, part, name);
});
