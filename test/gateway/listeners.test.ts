import { once } from "node:events";
import { createServer } from "node:net";
import t from "tap";
import { ListenError, naming } from "../../src/gateway/listeners.ts";

const failed = (code: string) => Promise.reject(Object.assign(new Error("x"), { code }));
const ours = [{ host: "0.0.0.0", port: 9000 }];

const rows = [
  { code: "EADDRINUSE", port: 9001, says: "is another process there?" },
  {
    code: "EADDRINUSE",
    port: 9000,
    says: "sparekey itself listens on 0.0.0.0:9000; restart it for this change",
  },
  { code: "EADDRNOTAVAIL", port: 9000, says: "this machine has no such address" },
  { code: "EACCES", port: 80, says: "ports below 1024 need a privilege" },
  { code: "EACCES", port: 9000, says: "the system forbids it" },
];
for (const { code, port, says } of rows) {
  t.test(`${code} on port ${port}`, async (t) => {
    const message = `cannot listen on 10.0.0.9:${port} (${code}); ${says}`;
    const refused = naming({ host: "10.0.0.9", port }, failed(code), ours);
    await t.rejects(refused, { constructor: ListenError, message });
  });
}

t.test("an address of no machine, asked of the system", async (t) => {
  const server = createServer();
  const listening = once(server, "listening");
  server.listen(0, "192.0.2.1");
  const message = "cannot listen on 192.0.2.1:0 (EADDRNOTAVAIL); this machine has no such address";
  const refused = naming({ host: "192.0.2.1", port: 0 }, listening, []);
  await t.rejects(refused, { constructor: ListenError, message });
});
