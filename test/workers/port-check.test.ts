import { once } from "node:events";
import { createServer, type Server } from "node:net";
import t, { type Test } from "tap";
import { tryAddress } from "../../src/workers/port-check.ts";

const LOOPBACK = "127.0.0.1";

async function listening(t: Test, options: { readonly reusePort?: boolean } = {}): Promise<number> {
  const server: Server = createServer();
  server.listen({ host: LOOPBACK, port: 0, ...options });
  await once(server, "listening");
  t.teardown(() => server.close());
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

t.test("port 0 becomes one that can be had, and is free again", async (t) => {
  const had = await tryAddress({ host: LOOPBACK, port: 0 });
  t.equal(had.host, LOOPBACK);
  t.ok(had.port > 0);
  t.same(await tryAddress(had), had, "and once more");
});

const rows = [
  { name: "another process is there", options: {}, code: "EADDRINUSE" },
  { name: "another process is there and shares the port", options: { reusePort: true }, code: "EADDRINUSE" },
];
for (const { name, options, code } of rows) {
  t.test(name, async (t) => {
    const port = await listening(t, options);
    await t.rejects(tryAddress({ host: LOOPBACK, port }), { code });
    await t.rejects(tryAddress({ host: "0.0.0.0", port }), { code }, "on every address as well");
  });
}

t.test("an address of no machine", async (t) => {
  await t.rejects(tryAddress({ host: "192.0.2.1", port: 0 }), { code: "EADDRNOTAVAIL" });
});
