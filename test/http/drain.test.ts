import t from "tap";
import { type Drainable, drain } from "../../src/http/drain.ts";

const drained: Drainable = { connections: () => 0, drain: async () => {} };
const busy: Drainable = { connections: () => 3, drain: () => new Promise(() => {}) };

t.test("what is still open when the time is up", async (t) => {
  const rows = [
    { name: "no server", servers: [], open: 0 },
    { name: "all are drained, long before", servers: [drained, drained], timeout: 60_000, open: 0 },
    { name: "not all", servers: [drained, busy, busy], open: 6 },
  ];
  for (const { name, servers, timeout = 10, open } of rows)
    t.equal(await drain(servers, { delay: 0, timeout }), open, name);
});

t.test("during the delay, all are still served", async (t) => {
  const events: string[] = [];
  const server = { connections: () => 0, drain: async () => void events.push("drain") };
  const draining = drain([server], { delay: 30, timeout: 10 });
  t.same(events, []);
  await draining;
  t.same(events, ["drain"]);
});
