/**
 * Measures how far from its value each deadline fires: connect, read before the head, read inside the body, total.
 * It prints the largest and the median distance in milliseconds per deadline and value. Times count from the start of
 * the exchange, so they include the connect. A run takes about 33 s.
 */
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { LinkedList } from "../src/core/linked-list.ts";
import type { Upstream } from "../src/core/snapshot.ts";
import type { Outcome } from "../src/core/types.ts";
import { createUpstreams } from "../src/upstream/upstreams.ts";
import { silentPort } from "../test/support/silent-port.ts";
import { portOf } from "./ports.ts";
import { percentile } from "./statistics.ts";

const VALUES = [100, 500, 1_000, 3_000, 5_000, 10_000, 30_000];
const REPEATS = 5;
const ALLOWED_MS = 50;
const FAR = 60_000;
const APART_MS = 20;
const REPEATS_APART_MS = 130;

interface Row {
  readonly deadline: string;
  readonly port: number;
  timeouts(value: number): Upstream["timeouts"];
  readonly expected: string;
}

const hang = await listen(() => {});
const stall = await listen((socket) => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"));
const drip = await listen((socket) => {
  const timer = setInterval(() => socket.write("H"), 20);
  socket.write("HTTP/1.1 200 OK\r\nX-Drip: ");
  socket.once("close", () => clearInterval(timer));
});
const silent = await silentPort();

const rows: readonly Row[] = [
  {
    deadline: "connect",
    port: silent.port,
    timeouts: (value) => ({ connect: value, read: FAR, total: FAR }),
    expected: "connect_timeout",
  },
  {
    deadline: "read, before the head",
    port: portOf(hang),
    timeouts: (value) => ({ connect: FAR, read: value, total: FAR }),
    expected: "read_timeout",
  },
  {
    deadline: "read, inside the body",
    port: portOf(stall),
    timeouts: (value) => ({ connect: FAR, read: value, total: FAR }),
    expected: "read_timeout",
  },
  {
    deadline: "total, bytes dripping",
    port: portOf(drip),
    timeouts: (value) => ({ connect: FAR, read: FAR, total: value }),
    expected: "total_timeout",
  },
];

const upstreams = createUpstreams({ now: () => performance.now(), asksInBytes: () => false });
let worst = 0;
console.log(`deadline                     value   median      max  (ms off, ${REPEATS} each)`);
// The first exchange of a process compiles code. Exchanges that start all at once would measure each other.
await Promise.all(rows.map((row) => distance(row, VALUES[0] ?? 0)));
const measured: Promise<{ row: Row; value: number; offs: number[] }>[] = [];
for (const row of rows) {
  for (const value of VALUES) {
    measured.push(measure(row, value));
    await sleep(APART_MS);
  }
}
const lines = await Promise.all(measured);
for (const { row, value, offs } of lines) {
  worst = Math.max(worst, ...offs.map(Math.abs));
  console.log(
    `${row.deadline.padEnd(24)} ${String(value).padStart(9)} ${percentile(offs, 0.5).toFixed(1).padStart(8)} ${percentile(offs, 1).toFixed(1).padStart(8)}`,
  );
}
console.log(`\nlargest distance: ${worst.toFixed(1)} ms (allowed: ${ALLOWED_MS})`);
silent.end();
process.exit(worst <= ALLOWED_MS ? 0 : 1);

async function measure(row: Row, value: number): Promise<{ row: Row; value: number; offs: number[] }> {
  const offs = await Promise.all(
    Array.from({ length: REPEATS }, async (_, index) => {
      await sleep(index * REPEATS_APART_MS);
      return distance(row, value);
    }),
  );
  return { row, value, offs };
}

/** Milliseconds; negative: the deadline fired early. */
async function distance(row: Row, value: number): Promise<number> {
  const upstream: Upstream = {
    protocol: "http:",
    servers: [{ host: "127.0.0.1", port: row.port }],
    tls: { ca: null, cert: null, key: null, serverName: null, verify: true },
    timeouts: row.timeouts(value),
    maxConnections: 256,
    probeConnections: 6,
    pipelining: 1,
    headBytes: 256 * 1024,
    answerBytes: 1024 * 1024,
  };
  const begin = performance.now();
  const request = {
    method: "GET",
    target: "/",
    headers: ["Host", "x"],
    body: null,
    repeatable: true,
    trying: { kind: "once" } as const,
  };
  const outcome: Outcome = await upstreams.ask(
    upstream,
    request,
    new AbortController().signal,
    new LinkedList(),
  );
  const off = performance.now() - begin - value;
  const seen = outcome.kind === "failure" ? outcome.reason : outcome.kind;
  if (seen !== row.expected)
    throw new Error(`${row.deadline} ${value}: ${seen} where ${row.expected} was due`);
  return off;
}

async function listen(answer: (socket: Socket) => void): Promise<Server> {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => answer(socket));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}
