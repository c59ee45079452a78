import { createServer, type LookupFunction } from "node:net";
import t from "tap";
import { connect } from "../../src/io/connect.ts";
import { upstreamAt } from "../support/raw-upstream.ts";

function lookupTo(...addresses: readonly string[]): LookupFunction {
  return (_name, _options, done) =>
    done(
      null,
      addresses.map((address) => ({ address, family: 4 })),
    );
}
const failing: LookupFunction = (_name, _options, done) => done(new Error("ENOTFOUND"), []);
const silent: LookupFunction = () => {};

t.test("every address of a name is tried, by our own deadlines and not by Node's race", async (t) => {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => {
    server.once("listening", resolve);
  });
  t.teardown(() => server.close());
  const bound = server.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : 0;
  const rows = [
    { name: "the only one", lookup: lookupTo("127.0.0.1"), result: "connected" },
    { name: "the first is dead", lookup: lookupTo("127.0.0.2", "127.0.0.1"), result: "connected" },
    { name: "a later one is dead", lookup: lookupTo("127.0.0.1", "127.0.0.2"), result: "connected" },
    { name: "all are dead", lookup: lookupTo("127.0.0.2", "127.0.0.3"), result: "refused" },
    { name: "there is none", lookup: lookupTo(), result: "dns" },
    { name: "the lookup fails", lookup: failing, result: "dns" },
    { name: "the lookup hangs", lookup: silent, result: "dns" },
  ];
  for (const row of rows) {
    const timeouts = { connect: 300, read: 300, total: 900 };
    const upstream = { ...upstreamAt(port, { timeouts }), host: "outpost" };
    const connected = await connect(upstream, row.lookup, new AbortController().signal);
    t.equal(connected.kind === "failure" ? connected.reason : connected.kind, row.result, row.name);
    if (connected.kind === "connected") connected.socket.destroy();
  }
});

t.test(
  "regression: a stall while connecting is no word on the upstream, dead addresses or not",
  async (t) => {
    const server = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => {
      server.once("listening", resolve);
    });
    t.teardown(() => server.close());
    const bound = server.address();
    const port = typeof bound === "object" && bound !== null ? bound.port : 0;
    const upstream = { ...upstreamAt(port), host: "outpost" };
    const connecting = connect(upstream, lookupTo("127.0.0.1", "127.0.0.2"), new AbortController().signal);
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    const end = performance.now() + 700;
    while (performance.now() < end);
    const connected = await connecting;
    t.equal(connected.kind, "connected");
    if (connected.kind === "connected") connected.socket.destroy();
  },
);
