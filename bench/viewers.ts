/**
 * Measures what open status pages cost while checks come in: 600 checks/s over three routes, in turns without a
 * viewer, with one viewer, and with the highest number allowed. The figure is the CPU time of the process as the
 * kernel counts it. It needs a build (`npm run build`) and takes 90 s.
 */
import { once } from "node:events";
import { Agent, createServer, request } from "node:http";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { usedBy } from "./compare/cpu.ts";
import { portOf } from "./ports.ts";
import { startServing } from "./serving.ts";
import { spreadOf } from "./statistics.ts";

const PER_SECOND = 600;
const ROUTES = 3;
const VIEWERS = [0, 1, 32] as const;
const TURNS = 5;
const TURN_MS = 6_000;
const ALLOWED_PERCENT = 1;

const upstream = createServer((_request, response) => response.writeHead(200).end()).listen(0, "127.0.0.1");
await once(upstream, "listening");
const routes = Array.from(
  { length: ROUTES },
  (_, index) =>
    `\n  - { name: route-${index}, path: /${index}, upstream: "http://127.0.0.1:${portOf(upstream)}", fallback: { mode: allow } }`,
);
const sparekey = await startServing(
  `admin: { listen: "127.0.0.1:0" }\nlisten: "127.0.0.1:0"\nroutes:${routes.join("")}\n`,
  {},
  [process.execPath, join(import.meta.dirname, "../dist/main.js")],
);
const [origin = ""] = sparekey.origins;
const admin = new URL(sparekey.admin);

const agent = new Agent({ keepAlive: true, maxSockets: 32 });
let sent = 0;
const load = setInterval(() => {
  for (let count = 0; count < PER_SECOND / 100; count += 1) {
    sent += 1;
    request(`${origin}/${sent % ROUTES}`, { agent }, (response) => response.resume())
      .on("error", () => {})
      .end();
  }
}, 10);

let bytes = 0;
function watch(): Socket {
  const socket = connect(Number(admin.port), admin.hostname);
  socket.on("data", (part) => {
    bytes += part.length;
  });
  socket.write("GET /status/live HTTP/1.1\r\nHost: bench\r\n\r\n");
  return socket;
}

/** Share of one core. */
async function percentWith(viewers: number): Promise<number> {
  const sockets = Array.from({ length: viewers }, watch);
  await sleep(500);
  const [before, begin] = [usedBy(sparekey.pid).cpuSeconds, performance.now()];
  await sleep(TURN_MS);
  const [after, end] = [usedBy(sparekey.pid).cpuSeconds, performance.now()];
  for (const socket of sockets) socket.destroy();
  return ((after - before) / ((end - begin) / 1_000)) * 100;
}

await sleep(2_000);
const percents = new Map<number, number[]>(VIEWERS.map((viewers) => [viewers, []]));
for (let turn = 0; turn < TURNS; turn += 1) {
  for (const viewers of VIEWERS) percents.get(viewers)?.push(await percentWith(viewers));
}
clearInterval(load);
agent.destroy();
await sparekey.stop();
upstream.close();

const medianOf = (viewers: number): number => spreadOf(percents.get(viewers) ?? []).median;
let failed = false;
for (const viewers of VIEWERS) {
  const percent = medianOf(viewers);
  const each = viewers === 0 ? 0 : (percent - medianOf(0)) / viewers;
  const text = viewers === 0 ? "" : `, ${each.toFixed(2)} % for each`;
  console.log(`${viewers} viewers: ${percent.toFixed(1)} % of a core${text}`);
  failed ||= each >= ALLOWED_PERCENT;
}
console.log(`${sent} checks, ${(bytes / 1_000_000).toFixed(1)} MB to viewers`);
process.exitCode = failed ? 1 : 0;
