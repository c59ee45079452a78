import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type Server, Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from "node:tls";
import t, { type Test } from "tap";
import { addressText } from "../../src/core/address-text.ts";
import type { EjectedFrom, EjectionReason } from "../../src/core/endpoint.ts";
import type { Address, Upstream } from "../../src/core/snapshot.ts";
import { type Connected, Dial, type SocketMode } from "../../src/upstream/connect.ts";
import type { Endpoint } from "../../src/upstream/endpoint.ts";
import { Endpoints } from "../../src/upstream/endpoints.ts";
import { eventually } from "../support/processes.ts";
import { missing } from "../support/programs.ts";
import { upstreamAt } from "../support/raw-upstream.ts";
import { silentPort } from "../support/silent-port.ts";
import { unstalled } from "../support/unstalled.ts";

/** What a name leads to: addresses, an error, or null for a name server that stays silent. */
type Names = Record<string, readonly string[] | Error | null>;

const NAMES: Names = {
  up: ["127.0.0.1"],
  half: ["127.0.0.2", "127.0.0.1"],
  dead: ["127.0.0.2", "127.0.0.3"],
  none: [],
  unknown: new Error("ENOTFOUND"),
  unanswered: null,
  limited: Object.assign(new Error("EMFILE"), { code: "EMFILE" }),
};

/** Endpoints that say which of them were told to have failed. */
class Told extends Endpoints {
  readonly failures: string[] = [];

  override failed(endpoint: Endpoint, reason: EjectionReason, from: EjectedFrom): void {
    this.failures.push(`${nameOf(endpoint)} ${reason}`);
    super.failed(endpoint, reason, from);
  }
}

/** The name of its server where it has one. */
function nameOf({ server, address }: Endpoint): string {
  return server.host === address ? addressText(server) : `${server.host} ${address}`;
}

function endpointsOf({ servers }: Upstream, names: Names = NAMES): Told {
  return new Told(servers, {
    resolve: (name) => {
      const found = names[name] ?? null;
      if (found === null) return new Promise(() => {});
      if (found instanceof Error) return Promise.reject(found);
      return found.length === 0 ? Promise.reject(new Error("no address")) : Promise.resolve(found);
    },
    now: () => performance.now(),
    // The order is that of the list.
    random: () => 0,
    onChange: () => {},
  });
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

/** A server that accepts and says nothing, which hangs whoever wants TLS. */
async function mute(t: Test) {
  const sockets = new Set<Socket>();
  let accepted = 0;
  const server = createServer((socket) => {
    accepted += 1;
    sockets.add(socket);
    socket.on("error", () => {});
    socket.resume();
    socket.once("close", () => sockets.delete(socket));
  });
  const port = await listening(t, server);
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
  });
  return { server, port, accepted: () => accepted, open: () => sockets.size };
}

const at = (host: string, port: number): Address => ({ host, port });

const TIMEOUTS = { connect: 900, read: 900, total: 900 };

function upstreamOf(servers: readonly Address[], changes: Partial<Upstream> = {}): Upstream {
  const [first = at("up", 9), ...more] = servers;
  return upstreamAt(0, { servers: [first, ...more], timeouts: TIMEOUTS, ...changes });
}

interface Dialled {
  /** The endpoint that it led to, or why it led to none. */
  readonly result: string;
  /** The endpoints that were told to have failed, and why. */
  readonly told: readonly string[];
}

function dial(
  upstream: Upstream,
  endpoints: Told,
  first: Endpoint | null = null,
  reading: SocketMode = "stream",
): Promise<Connected> {
  return new Promise((done) => {
    new Dial({ upstream, endpoints, first, hasCookie: true, reading, done });
  });
}

/** A stall of this process is no result here. */
async function dialled(upstream: Upstream, names: Names = NAMES): Promise<Dialled> {
  const { connected, endpoints } = await unstalled(
    async () => {
      const endpoints = endpointsOf(upstream, names);
      return { endpoints, connected: await dial(upstream, endpoints) };
    },
    ({ connected }) => connected.kind === "overload",
  );
  return { result: resultOf(connected), told: endpoints.failures };
}

function resultOf(connected: Connected): string {
  if (connected.kind === "failure") return connected.reason;
  if (connected.kind !== "connected") return connected.kind;
  connected.socket.destroy();
  return nameOf(connected.endpoint);
}

t.test("every address of a name is tried, by our own deadlines and not by Node's race", async (t) => {
  const port = await listening(t, createServer());
  const rows = [
    { name: "the only one", addresses: ["127.0.0.1"], result: "outpost 127.0.0.1", told: [] },
    {
      name: "the first is dead",
      addresses: ["127.0.0.2", "127.0.0.1"],
      result: "outpost 127.0.0.1",
      told: ["outpost 127.0.0.2 refused"],
    },
    {
      name: "a later one is dead",
      addresses: ["127.0.0.1", "127.0.0.2"],
      result: "outpost 127.0.0.1",
      told: [],
    },
    {
      name: "all are dead",
      addresses: ["127.0.0.2", "127.0.0.3"],
      result: "refused",
      told: ["outpost 127.0.0.2 refused", "outpost 127.0.0.3 refused"],
    },
    {
      name: "no way leads to the first",
      addresses: ["255.255.255.255", "127.0.0.1"],
      result: "outpost 127.0.0.1",
      told: ["outpost 255.255.255.255 unreachable"],
    },
    { name: "no way leads there", addresses: ["255.255.255.255"], result: "unreachable" },
    { name: "there is none", addresses: [], result: "dns", told: [] },
    { name: "the lookup fails", addresses: new Error("ENOTFOUND"), result: "dns", told: [] },
    { name: "the lookup hangs", addresses: null, result: "dns", told: [] },
  ];
  for (const { name, addresses, result, told } of rows) {
    const found = await dialled(upstreamOf([at("outpost", port)]), { outpost: addresses });
    t.equal(found.result, result, name);
    if (told) t.same(found.told, told, `${name}: told`);
  }
});

t.test("every server of a list is tried, and none that hangs leaves later ones without time", async (t) => {
  const silent = await silentPort();
  t.teardown(() => silent.end());
  const port = await listening(t, createServer());
  const closed = await closedPort(t);
  const up = at("up", port);
  const dead = at("127.0.0.1", closed);
  const hole = at("127.0.0.1", silent.port);
  const [deadText, holeText] = [`127.0.0.1:${closed}`, `127.0.0.1:${silent.port}`];
  const rows = [
    {
      name: "the first is up",
      servers: [at("127.0.0.1", port), dead],
      result: `127.0.0.1:${port}`,
      told: [],
    },
    {
      name: "the first refuses",
      servers: [dead, at("127.0.0.1", port)],
      result: `127.0.0.1:${port}`,
      told: [`${deadText} refused`],
    },
    {
      name: "the first is a black hole",
      servers: [hole, at("127.0.0.1", port)],
      result: `127.0.0.1:${port}`,
      told: [`${holeText} connect_timeout`],
    },
    {
      name: "black holes all but the last",
      servers: [hole, { ...hole }, at("127.0.0.1", port)],
      result: `127.0.0.1:${port}`,
      told: [`${holeText} connect_timeout`, `${holeText} connect_timeout`],
    },
    {
      name: "a black hole, then one that refuses",
      servers: [hole, dead, at("127.0.0.1", port)],
      result: `127.0.0.1:${port}`,
      told: [`${deadText} refused`, `${holeText} connect_timeout`],
    },
    { name: "the first has no address", servers: [at("unknown", port), up], result: "up 127.0.0.1" },
    { name: "the lookup of the first hangs", servers: [at("unanswered", port), up], result: "up 127.0.0.1" },
    { name: "one address of the first is up", servers: [at("half", port), dead], result: "half 127.0.0.1" },
    {
      name: "a black hole alone",
      servers: [hole],
      result: "connect_timeout",
      told: [`${holeText} connect_timeout`],
    },
    { name: "all fail: as the first did", servers: [dead, hole], result: "refused" },
    {
      name: "all fail: as the first that failed",
      servers: [hole, dead],
      result: "refused",
      told: [`${deadText} refused`, `${holeText} connect_timeout`],
    },
    { name: "one refuses, and one has no address", servers: [at("unknown", port), dead], result: "refused" },
    { name: "none has an address", servers: [at("unknown", port), at("none", port)], result: "dns" },
    { name: "no lookup ends", servers: [at("unanswered", port), at("unknown", port)], result: "dns" },
  ];
  for (const { name, servers, result, told } of rows) {
    const found = await dialled(upstreamOf(servers));
    t.equal(found.result, result, name);
    if (told) t.same(found.told, told, `${name}: told`);
  }

  await t.test("one that refuses costs no time", async (t) => {
    const upstream = upstreamOf([dead, { ...dead }, at("127.0.0.1", port)]);
    let took = 0;
    await unstalled(
      async () => {
        const begin = performance.now();
        t.equal(resultOf(await dial(upstream, endpointsOf(upstream))), `127.0.0.1:${port}`);
        took = performance.now() - begin;
      },
      () => took > 200,
    );
    t.ok(took < 200, `${took} ms`);
  });

  await t.test("the chosen endpoint comes first", async (t) => {
    const other = await listening(t, createServer());
    const upstream = upstreamOf([at("127.0.0.1", port), at("127.0.0.1", other)]);
    for (const [index, is] of [port, other].entries()) {
      const endpoints = endpointsOf(upstream);
      const connected = await dial(upstream, endpoints, endpoints.all[index] ?? null);
      t.equal(resultOf(connected), `127.0.0.1:${is}`);
    }
  });
});

t.test("a socket is opened as it will be read", async (t) => {
  const port = await listening(
    t,
    createServer((socket) => socket.end("hello")),
  );
  for (const reading of ["stream", "bytes"] as const) {
    const upstream = upstreamOf([at("127.0.0.1", port)]);
    const connected = await dial(upstream, endpointsOf(upstream), null, reading);
    if (connected.kind !== "connected") throw new Error(connected.kind);
    const seen: string[] = [];
    connected.socket.on("bytes", (length: number) => seen.push(`${length} bytes`));
    connected.socket.on("data", (chunk) => seen.push(`${chunk}`));
    await once(connected.socket, "close");
    t.same(seen, reading === "bytes" ? ["5 bytes"] : ["hello"], reading);
  }
});

t.test(
  "after 250 ms of silence there is a second socket to the same address, and then a third",
  async (t) => {
    const upstreamOfMute = (port: number): Upstream =>
      upstreamOf([at("127.0.0.1", port)], { protocol: "https:" });
    const result = await unstalled(
      async () => {
        const hung = await mute(t);
        const upstream = upstreamOfMute(hung.port);
        const endpoints = endpointsOf(upstream);
        const dialling = dial(upstream, endpoints);
        await sleep(200);
        const early = hung.accepted();
        const result = resultOf(await dialling);
        const sockets = hung.accepted();
        await eventually(
          () => "sockets are left",
          () => (hung.open() === 0 ? true : null),
        );
        return { result, early, sockets, told: endpoints.failures };
      },
      ({ result, early, sockets }) => result === "overload" || early !== 1 || sockets !== 3,
    );
    t.equal(result.result, "connect_timeout");
    t.equal(result.early, 1, "not before");
    t.equal(result.sockets, 3);
    t.equal(result.told.length, 1, "it is told once, not for each socket");
  },
);

t.test("an interrupt ends it, closes all sockets, and says nothing of whom it met", async (t) => {
  const hung = await mute(t);
  const rows = [
    { name: "while a name is looked up", servers: [at("unanswered", 9)], after: 0 },
    { name: "while one socket is silent", servers: [at("127.0.0.1", hung.port)], after: 100 },
    { name: "while several are", servers: [at("127.0.0.1", hung.port)], after: 400 },
  ];
  for (const { name, servers, after } of rows) {
    const upstream = upstreamOf(servers, { protocol: "https:" });
    const endpoints = endpointsOf(upstream);
    const begun = new Dial({
      ...{ upstream, endpoints, first: null, hasCookie: true, reading: "stream" },
      done: ({ kind }) => t.fail(`${name}: ${kind}`),
    });
    await sleep(after);
    const before = hung.accepted();
    begun.cancel();
    begun.cancel();
    await eventually(
      () => "sockets are left",
      () => (hung.open() === 0 ? true : null),
    );
    await sleep(300);
    t.equal(hung.accepted(), before, `${name}: none is opened any more`);
    t.same(endpoints.failures, [], name);
  }
  await sleep(TIMEOUTS.connect);
});

t.test("an interrupt before the addresses come", async (t) => {
  const port = await listening(
    t,
    createServer().once("connection", () => t.fail("it connected")),
  );
  const upstream = upstreamOf([at("up", port)]);
  const begun = new Dial({
    ...{ upstream, endpoints: endpointsOf(upstream), first: null, hasCookie: true, reading: "stream" },
    done: ({ kind }) => t.fail(kind),
  });
  begun.cancel();
  await sleep(50);
});

t.test("our own limits end it", async (t) => {
  const port = await closedPort(t);
  const upstream = upstreamOf([at("limited", port), at("unknown", port)]);
  const endpoints = endpointsOf(upstream);
  t.same(await dial(upstream, endpoints), { kind: "overload" });
  t.same(endpoints.failures, []);
});

t.test("our own limits while a socket is opened", async (t) => {
  const port = await listening(t, createServer());
  const { connect } = Socket.prototype;
  t.intercept(Socket.prototype, "connect", {
    value: function (this: Socket, ...given: [never]) {
      const code = CODES[JSON.stringify(given).match(/"host":"(.*?)"/)?.[1] ?? ""];
      if (code === undefined) return connect.apply(this, given);
      process.nextTick(() => this.destroy(Object.assign(new Error(code), { code })));
      return this;
    },
  });
  const rows = [
    { name: "no file is left", addresses: ["192.0.2.1", "127.0.0.1"], result: "overload", told: [] },
    {
      name: "regression: IPv6 is switched off here, and the upstream has both",
      addresses: ["::1", "127.0.0.1"],
      result: "outpost 127.0.0.1",
      told: ["outpost ::1 unreachable"],
    },
    {
      name: "no port is left",
      addresses: ["::1"],
      result: "overload",
      told: ["outpost ::1 unreachable"],
    },
    {
      name: "no port is left for one, and another refuses",
      addresses: ["::1", "127.0.0.2"],
      result: "refused",
      told: ["outpost ::1 unreachable", "outpost 127.0.0.2 refused"],
    },
  ];
  for (const { name, addresses, result, told } of rows) {
    const upstream = upstreamOf([at("outpost", port)]);
    const endpoints = endpointsOf(upstream, { outpost: addresses });
    t.equal(resultOf(await dial(upstream, endpoints)), result, name);
    t.same(endpoints.failures, told, name);
  }
});

/** What is wrong with sockets to some addresses. */
const CODES: Record<string, string> = { "192.0.2.1": "EMFILE", "::1": "EADDRNOTAVAIL" };

/** A TLS server for b.example, and the names that it was asked by. */
function securedServer(t: Test): { server: TlsServer; cert: Buffer; servernames: string[] } {
  const dir = t.testdir({});
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  const names = ["-subj", "/CN=b.example", "-addext", "subjectAltName=DNS:b.example"];
  execFileSync("openssl", ["req", "-x509", ...key, ...names, "-keyout", "key.pem", "-out", "cert.pem"], {
    cwd: dir,
    stdio: "ignore",
  });
  const cert = readFileSync(join(dir, "cert.pem"));
  const servernames: string[] = [];
  const server = createTlsServer({
    cert,
    key: readFileSync(join(dir, "key.pem")),
    SNICallback: (name, done) => {
      servernames.push(name);
      done(null);
    },
  });
  server.on("tlsClientError", () => {});
  server.on("secureConnection", (socket: TLSSocket) => socket.on("error", () => {}));
  return { server, cert, servernames };
}

const skip = missing("openssl");
t.test("each server is asked by its own name; a bad certificate leads to the next", { skip }, async (t) => {
  const { server, cert, servernames } = securedServer(t);
  const port = await listening(t, server);
  const names = { "a.example": ["127.0.0.1"], "b.example": ["127.0.0.1"] };
  const servers = [at("a.example", port), at("b.example", port)];
  const rows = [
    {
      serverName: null,
      result: "b.example 127.0.0.1",
      asked: ["a.example", "b.example"],
      told: ["a.example 127.0.0.1 tls"],
    },
    { serverName: "b.example", result: "a.example 127.0.0.1", asked: ["b.example"], told: [] },
    {
      serverName: "c.example",
      result: "tls",
      asked: ["c.example", "c.example"],
      told: ["a.example 127.0.0.1 tls", "b.example 127.0.0.1 tls"],
    },
  ];
  for (const { serverName, result, asked, told } of rows) {
    const tls = { ...upstreamAt(0).tls, ca: cert, serverName };
    const upstream = upstreamOf(servers, {
      protocol: "https:",
      tls,
      timeouts: { ...TIMEOUTS, connect: 5_000 },
    });
    const endpoints = endpointsOf(upstream, names);
    // The second name is known as well before the first connection.
    await endpoints.ready();
    await sleep(0);
    t.equal(resultOf(await dial(upstream, endpoints)), result, `${serverName}`);
    t.same(servernames.splice(0), asked);
    t.same(endpoints.failures, told);
  }
});

t.test("the second socket wins where the first hangs, and the first is closed", { skip }, async (t) => {
  const { server, cert } = securedServer(t);
  const hung = await mute(t);
  let connections = 0;
  const half = createServer((socket) => {
    connections += 1;
    if (connections === 1) hung.server.emit("connection", socket);
    else server.emit("connection", socket);
  });
  const port = await listening(t, half);
  const tls = { ...upstreamAt(0).tls, ca: cert, serverName: "b.example" };
  const timeouts = { ...TIMEOUTS, connect: 5_000 };
  const upstream = upstreamOf([at("127.0.0.1", port)], { protocol: "https:", tls, timeouts });
  const endpoints = endpointsOf(upstream);
  t.equal(resultOf(await dial(upstream, endpoints)), `127.0.0.1:${port}`);
  t.ok(connections >= 2);
  await eventually(
    () => "the first is left",
    () => (hung.open() === 0 ? true : null),
  );
  t.same(endpoints.failures, [], "where both led to one endpoint, that is up");
});

t.test(
  "regression: a handshake that takes 350 ms is no failure of the endpoint that was tried beside it",
  { skip },
  async (t) => {
    const { server, cert } = securedServer(t);
    const hung = await mute(t);
    const slow = createServer((socket) => setTimeout(() => server.emit("connection", socket), 350));
    const port = await listening(t, slow);
    const tls = { ...upstreamAt(0).tls, ca: cert, serverName: "b.example" };
    const timeouts = { ...TIMEOUTS, connect: 5_000 };
    const servers = [at("127.0.0.1", port), at("127.0.0.1", hung.port)];
    const upstream = upstreamOf(servers, { protocol: "https:", tls, timeouts });
    const endpoints = endpointsOf(upstream);
    t.equal(resultOf(await dial(upstream, endpoints)), `127.0.0.1:${port}`);
    await eventually(
      () => "the other is not tried",
      () => (hung.accepted() > 0 ? true : null),
    );
    t.same(endpoints.failures, []);
  },
);

t.test(
  "regression: a stall while connecting is no word on the upstream, dead addresses or not",
  async (t) => {
    const port = await listening(t, createServer());
    for (const addresses of [
      ["127.0.0.1", "127.0.0.2"],
      ["127.0.0.2", "127.0.0.1"],
    ]) {
      const upstream = upstreamAt(port, { servers: [at("outpost", port)] });
      const endpoints = endpointsOf(upstream, { outpost: addresses });
      const connecting = dial(upstream, endpoints);
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
      const end = performance.now() + 700;
      while (performance.now() < end);
      t.equal(resultOf(await connecting), "outpost 127.0.0.1");
      t.notMatch(endpoints.failures.join(), /127\.0\.0\.1/);
    }
  },
);
