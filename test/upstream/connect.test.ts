import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type LookupFunction, type Server } from "node:net";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";
import t, { type Test } from "tap";
import type { Address, Upstream } from "../../src/core/snapshot.ts";
import { type Connector, createConnector } from "../../src/upstream/connect.ts";
import { missing } from "../support/programs.ts";
import { upstreamAt } from "../support/raw-upstream.ts";
import { silentPort } from "../support/silent-port.ts";
import { unstalled } from "../support/unstalled.ts";

/** What a name leads to: addresses, an error, or null for a name server that stays silent. */
type Names = Record<string, readonly string[] | Error | null>;

interface Lookup {
  readonly lookup: LookupFunction;
  /** Names asked for since the last look: who was tried, in order. */
  asked(): string;
}

function lookupIn(names: Names): Lookup {
  const asked: string[] = [];
  const lookup: LookupFunction = (name, _options, done) => {
    asked.push(name);
    const found = names[name];
    if (found === undefined) return done(new Error("ENOTFOUND"), []);
    if (found instanceof Error) return done(found, []);
    if (found === null) return;
    done(
      null,
      found.map((address) => ({ address, family: 4 })),
    );
  };
  return { lookup, asked: () => asked.splice(0).join(" ") };
}

async function listening(t: Test, server: Server, port = 0, host = "127.0.0.1"): Promise<number> {
  await once(server.listen(port, host), "listening");
  t.teardown(() => server.close());
  const bound = server.address();
  return typeof bound === "object" && bound !== null ? bound.port : 0;
}

/** A port nobody listens on, lately. */
async function closedPort(t: Test): Promise<number> {
  const server = createServer();
  const port = await listening(t, server);
  await once(server.close(), "close");
  return port;
}

const server = (host: string, port: number): Address => ({ host, port });

function upstreamOf(first: Address, ...more: Address[]): Upstream {
  const timeouts = { connect: 600, read: 600, total: 900 };
  return upstreamAt(0, { servers: [first, ...more], timeouts });
}

const never = new AbortController().signal;

/** What became of it. A stall of this process is no result here: `begin` is called with each try. */
async function outcomeOf(
  connect: Connector,
  died: Parameters<Connector>[0] = null,
  begin: () => void = () => {},
): Promise<string> {
  const connected = await unstalled(
    () => {
      begin();
      return connect(died, never);
    },
    ({ kind }) => kind === "overload",
  );
  if (connected.kind === "failure") return connected.reason;
  if (connected.kind !== "connected") return connected.kind;
  connected.socket.destroy();
  return `${connected.peer.server.host} ${connected.peer.address}`;
}

const clock = (): number => performance.now();

t.test("every address of a name is tried, by our own deadlines and not by Node's race", async (t) => {
  const port = await listening(t, createServer());
  const rows = [
    { name: "the only one", addresses: ["127.0.0.1"], result: "outpost 127.0.0.1" },
    { name: "the first is dead", addresses: ["127.0.0.2", "127.0.0.1"], result: "outpost 127.0.0.1" },
    { name: "a later one is dead", addresses: ["127.0.0.1", "127.0.0.2"], result: "outpost 127.0.0.1" },
    { name: "all are dead", addresses: ["127.0.0.2", "127.0.0.3"], result: "refused" },
    { name: "there is none", addresses: [], result: "dns" },
    { name: "the lookup fails", addresses: new Error("ENOTFOUND"), result: "dns" },
    { name: "the lookup hangs", addresses: null, result: "dns" },
  ];
  for (const { name, addresses, result } of rows) {
    const { lookup } = lookupIn({ outpost: addresses });
    const connect = createConnector(upstreamOf(server("outpost", port)), lookup, clock);
    t.equal(await outcomeOf(connect), result, name);
  }
});

t.test(
  "every server of a list is tried, and none that hangs leaves the later ones without time",
  async (t) => {
    const silent = await silentPort();
    t.teardown(() => silent.end());
    const port = await listening(t, createServer());
    const up = server("up", port);
    const alsoUp = server("also-up", port);
    const dead = server("dead", await closedPort(t));
    const hole = server("hole", silent.port);
    const nameless = server("nameless", port);
    const unanswered = server("unanswered", port);
    const half = server("half", port);
    const names = {
      up: ["127.0.0.1"],
      "also-up": ["127.0.0.1"],
      dead: ["127.0.0.1"],
      hole: ["127.0.0.1"],
      unanswered: null,
      half: ["127.0.0.2", "127.0.0.1"],
    };
    const rows = [
      { name: "the first is up", servers: [up, alsoUp], result: "up 127.0.0.1", asked: "up" },
      { name: "the first refuses", servers: [dead, up], result: "up 127.0.0.1", asked: "dead up" },
      { name: "the first is a black hole", servers: [hole, up], result: "up 127.0.0.1", asked: "hole up" },
      { name: "black holes all but the last", servers: [hole, hole, up], result: "up 127.0.0.1" },
      { name: "the first has no address", servers: [nameless, up], result: "up 127.0.0.1" },
      { name: "the lookup of the first hangs", servers: [unanswered, up], result: "up 127.0.0.1" },
      { name: "one address of the first is up", servers: [half, up], result: "half 127.0.0.1" },
      { name: "all fail: as the first did", servers: [dead, nameless], result: "refused" },
      { name: "all fail: as the first did, by name", servers: [nameless, dead], result: "dns" },
      { name: "all fail: as the first did, late", servers: [hole, dead], result: "connect_timeout" },
    ];
    for (const { name, servers, result, asked } of rows) {
      const { lookup, asked: seen } = lookupIn(names);
      const [first = up, ...more] = servers;
      const connect = createConnector(upstreamOf(first, ...more), lookup, clock);
      t.equal(await outcomeOf(connect, null, seen), result, name);
      if (asked !== undefined) t.equal(seen(), asked, name);
    }

    await t.test("a total shorter than connect is what is shared out", async (t) => {
      const timeouts = { connect: 60_000, read: 600, total: 600 };
      const { lookup } = lookupIn(names);
      const connect = createConnector({ ...upstreamOf(hole, up), timeouts }, lookup, clock);
      t.equal(await outcomeOf(connect), "up 127.0.0.1");
    });

    await t.test("an interrupt ends the walk, and says nothing of whom it met", async (t) => {
      const { lookup, asked } = lookupIn(names);
      const connect = createConnector(upstreamOf(hole, up), lookup, clock);
      const interrupt = new AbortController();
      const connecting = connect(null, interrupt.signal);
      interrupt.abort();
      t.equal((await connecting).kind, "interrupted");
      t.equal(asked(), "hole");
      await outcomeOf(connect, null, asked);
      t.equal(asked(), "hole up");
    });

    await t.test("our own limits end the walk", async (t) => {
      const error = Object.assign(new Error("EMFILE"), { code: "EMFILE" });
      const { lookup, asked } = lookupIn({ ...names, nameless: error });
      const connected = await createConnector(upstreamOf(nameless, up), lookup, clock)(null, never);
      t.equal(connected.kind, "overload");
      t.equal(asked(), "nameless");
    });
  },
);

const skip = missing("openssl");
t.test("each server is asked by its own name; a bad certificate leads to the next", { skip }, async (t) => {
  const dir = t.testdir({});
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  const names = ["-subj", "/CN=b.example", "-addext", "subjectAltName=DNS:b.example"];
  execFileSync("openssl", ["req", "-x509", ...key, ...names, "-keyout", "key.pem", "-out", "cert.pem"], {
    cwd: dir,
    stdio: "ignore",
  });
  const cert = readFileSync(join(dir, "cert.pem"));
  const servernames: string[] = [];
  const tlsServer = createTlsServer({
    cert,
    key: readFileSync(join(dir, "key.pem")),
    SNICallback: (name, done) => {
      servernames.push(name);
      done(null);
    },
  });
  const port = await listening(t, tlsServer);
  const { lookup } = lookupIn({ "a.example": ["127.0.0.1"], "b.example": ["127.0.0.1"] });
  const upstream = upstreamOf(server("a.example", port), server("b.example", port));
  const tls = { ...upstream.tls, ca: cert };
  const rows = [
    { serverName: null, result: "b.example 127.0.0.1", asked: ["a.example", "b.example"] },
    { serverName: "b.example", result: "a.example 127.0.0.1", asked: ["b.example"] },
    { serverName: "c.example", result: "tls", asked: ["c.example", "c.example"] },
  ];
  for (const { serverName, result, asked } of rows) {
    const secured: Upstream = { ...upstream, protocol: "https:", tls: { ...tls, serverName } };
    t.equal(await outcomeOf(createConnector(secured, lookup, clock)), result, `${serverName}`);
    t.same(servernames.splice(0), asked);
  }
});

/** A clock that a test can put forward. */
function settableClock(): { now(): number; forward(milliseconds: number): void } {
  let ahead = 0;
  return {
    now: () => performance.now() + ahead,
    forward: (milliseconds) => {
      ahead += milliseconds;
    },
  };
}

t.test("what failed lately comes last, and after a while it is tried again", async (t) => {
  const port = await listening(t, createServer());
  const names: Names = { a: new Error("ENOTFOUND"), b: ["127.0.0.1"] };
  const { lookup, asked } = lookupIn(names);
  const { now, forward } = settableClock();
  const connect = createConnector(upstreamOf(server("a", port), server("b", port)), lookup, now);
  const tried = async (): Promise<string> => {
    await outcomeOf(connect);
    return asked();
  };
  t.equal(await tried(), "a b");
  t.equal(await tried(), "b", "doubtful");
  forward(10_000);
  t.equal(await tried(), "a b", "due, and still down");
  t.equal(await tried(), "b");
  names.b = new Error("ENOTFOUND");
  t.equal(await tried(), "b a", "nothing is left out");
  t.equal(await tried(), "a b", "both doubtful: in their order");
  names.a = ["127.0.0.1"];
  t.equal(await tried(), "a");
  names.b = ["127.0.0.1"];
  t.equal(await tried(), "a", "the preferred one again");
});

t.test("while one tries the preferred server again, the others do not wait for it", async (t) => {
  const port = await listening(t, createServer());
  const names: Names = { a: new Error("ENOTFOUND"), b: ["127.0.0.1"] };
  const { lookup, asked } = lookupIn(names);
  const { now, forward } = settableClock();
  const connect = createConnector(upstreamOf(server("a", port), server("b", port)), lookup, now);
  await outcomeOf(connect);
  forward(10_000);
  names.a = null;
  asked();
  const first = outcomeOf(connect);
  t.equal(asked(), "a");
  t.equal(await outcomeOf(connect), "b 127.0.0.1");
  t.equal(asked(), "b");
  t.equal(await first, "b 127.0.0.1");
});

t.test("an address that failed lately comes last among those of its name", async (t) => {
  const port = await listening(t, createServer(), 0, "127.0.0.2");
  const { lookup } = lookupIn({ outpost: ["127.0.0.1", "127.0.0.2"] });
  const { now, forward } = settableClock();
  const connect = createConnector(upstreamOf(server("outpost", port)), lookup, now);
  t.equal(await outcomeOf(connect), "outpost 127.0.0.2", "the first is down");
  await listening(t, createServer(), port, "127.0.0.1");
  t.equal(await outcomeOf(connect), "outpost 127.0.0.2", "doubtful");
  forward(10_000);
  t.equal(await outcomeOf(connect), "outpost 127.0.0.1", "due");
  t.equal(await outcomeOf(connect), "outpost 127.0.0.1");
});

t.test("after a connection died: whom it led to comes last", async (t) => {
  const port = await listening(t, createServer());
  await listening(t, createServer(), port, "127.0.0.2");
  const names: Names = { a: ["127.0.0.1", "127.0.0.2"], b: ["127.0.0.1"] };
  const { lookup } = lookupIn(names);
  const [a, b] = [server("a", port), server("b", port)];
  const diedAtA = { server: a, address: "127.0.0.1" };
  const diedAtB = { server: b, address: "127.0.0.1" };
  const alone = createConnector(upstreamOf(a), lookup, clock);
  t.equal(await outcomeOf(alone, diedAtA), "a 127.0.0.2", "another address");
  const connect = createConnector(upstreamOf(b, a), lookup, clock);
  t.equal(await outcomeOf(connect, diedAtB), "a 127.0.0.1", "another server");
  t.equal(await outcomeOf(connect), "b 127.0.0.1", "which holds for this one only");
  names.b = new Error("ENOTFOUND");
  t.equal(await outcomeOf(connect), "a 127.0.0.1");
  names.b = ["127.0.0.1"];
  t.equal(await outcomeOf(connect, diedAtA), "b 127.0.0.1", "who is in doubt comes before it");
  names.b = new Error("ENOTFOUND");
  t.equal(await outcomeOf(connect, diedAtA), "a 127.0.0.2", "and it is not left out");
});

t.test(
  "regression: a stall while connecting is no word on the upstream, dead addresses or not",
  async (t) => {
    const port = await listening(t, createServer());
    const { lookup } = lookupIn({ outpost: ["127.0.0.1", "127.0.0.2"] });
    const upstream = { ...upstreamAt(port), servers: [server("outpost", port)] } as const;
    const connecting = createConnector(upstream, lookup, clock)(null, never);
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
