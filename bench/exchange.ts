/**
 * Measures what an exchange costs this process besides the work of the kernel: the socket is real, but what is written
 * to it is answered at once and in memory. With `--beside FOLDER` it measures another checkout too, in processes that
 * take turns, and prints the difference of the medians. A run takes about 2 s, and 20 s with another checkout.
 */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { createServer, Socket } from "node:net";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { tryingOf } from "../test/support/fixtures.ts";
import { upstreamAt } from "../test/support/raw-upstream.ts";
import { portOf } from "./ports.ts";
import { percentile } from "./statistics.ts";

const ROUNDS = 7;
const WARM_UP = 100_000;
const EXCHANGES = 400_000;
const ANSWER = Buffer.from("HTTP/1.1 200 OK\r\nX-authentik-username: demo\r\nContent-Length: 0\r\n\r\n");
const CHECK = Buffer.from(
  "GET /outpost.goauthentik.io/auth/traefik HTTP/1.1\r\nHost: app.example\r\nCookie: session=1\r\n" +
    "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Host: app.example\r\nX-Forwarded-Proto: https\r\n\r\n",
);

const { values } = parseArgs({ options: { beside: { type: "string" }, of: { type: "string" } } });

if (values.of !== undefined) console.log(await nanoseconds(values.of));
else await compare(values.beside ?? null);

async function compare(other: string | null): Promise<void> {
  const here = resolve(import.meta.dirname, "..");
  const taken = { here: [] as number[], other: [] as number[] };
  for (let round = 0; round < ROUNDS; round += 1) {
    taken.here.push(measured(here));
    if (other !== null) taken.other.push(measured(resolve(other)));
  }
  const cost = percentile(taken.here, 0.5);
  console.log(`${cost.toFixed(0)} ns an exchange (${spread(taken.here)})`);
  if (other === null) return;
  const besides = percentile(taken.other, 0.5);
  console.log(`${besides.toFixed(0)} ns in the other checkout (${spread(taken.other)})`);
  console.log(`${(cost - besides).toFixed(0)} ns more`);
}

function spread(all: readonly number[]): string {
  return `${Math.min(...all).toFixed(0)} to ${Math.max(...all).toFixed(0)} in ${all.length} runs`;
}

function measured(root: string): number {
  const command = [import.meta.filename, "--of", root];
  return Number(
    execFileSync(process.execPath, command, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }),
  );
}

/** Each checkout brings its own modules, which have the same names. */
async function nanoseconds(root: string): Promise<number> {
  const load = (file: string) => import(pathToFileURL(resolve(root, "src", file)).href);
  const [{ createUpstreams }, { READ_BUFFER }, { WireCheck }, heads, { LinkedList }] = await Promise.all([
    load("upstream/upstreams.ts"),
    load("http/bytes-socket.ts"),
    load("wire/wire-check.ts"),
    load("wire/request-head.ts"),
    load("core/linked-list.ts"),
  ]);
  const server = createServer((socket) => socket.on("data", () => socket.write(ANSWER)));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const upstream = upstreamAt(portOf(server));
  const upstreams = createUpstreams({ now: () => performance.now(), asksInBytes: () => true });
  const gone = { aborted: false, addEventListener: () => {}, removeEventListener: () => {} };
  const waiting = new LinkedList();
  const head = heads.newRequestHead();
  heads.readRequestHead(CHECK, 0, CHECK.length, 1_000, head);
  const exchange = (): Promise<{ readonly kind: string }> => {
    const forwarded = {
      check: new WireCheck(CHECK, head),
      staysHere: () => false,
      repeatable: true,
      begin: performance.now(),
      trying: tryingOf(),
    };
    return upstreams.exchange(upstream, forwarded, gone, waiting);
  };
  await exchange();
  const write = Socket.prototype.write;
  Socket.prototype.write = function (this: Socket): boolean {
    queueMicrotask(() => {
      ANSWER.copy(READ_BUFFER);
      this.emit("bytes", ANSWER.length);
    });
    return true;
  };
  const many = async (count: number): Promise<void> => {
    for (let index = 0; index < count; index += 1) {
      if ((await exchange()).kind !== "answer") throw new Error("an exchange failed");
      // The timers have their turn, as between real reads.
      if (index % 1_000 === 0) await new Promise(setImmediate);
    }
  };
  await many(WARM_UP);
  const before = process.cpuUsage();
  await many(EXCHANGES);
  const { user, system } = process.cpuUsage(before);
  Socket.prototype.write = write;
  upstreams.close();
  server.close();
  setImmediate(() => process.exit());
  return ((user + system) * 1_000) / EXCHANGES;
}
