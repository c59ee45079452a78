/**
 * Measures what an outage costs: real sparekey with the default deadlines gets 200 checks/s, and its upstream hangs and
 * then works again. Each mode has a route of its own. It prints when the breaker opened, what waited, how fast replies
 * were from then on, when the first verdict came, and how many lines were logged. A run takes about 70 s.
 */
import { once } from "node:events";
import { Agent, createServer, request, type ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { portOf } from "./ports.ts";
import { startServing } from "./serving.ts";
import { percentile } from "./statistics.ts";

const PER_SECOND = 200;
const MODES = ["allow", "basic-auth", "deny"] as const;
const HEALTHY_MS = 3_000;
const OUTAGE_MS = 30_000;
const RECOVERY_MS = 35_000;
const READ_MS = 5_000;
/** Beyond `read`: an early probe is over by then. */
const PROBE_MS = 1_500;
const MAX_INTERVAL_MS = 15_000;
const ALLOWED_P99_MS = 5;

type Mode = (typeof MODES)[number];
interface Reply {
  readonly sent: number;
  readonly took: number;
  /** `200` for a verdict, `200 allow` for a fallback. */
  readonly kind: string;
}

let hanging = false;
const held: ServerResponse[] = [];
const upstream = createServer((_request, response) => {
  if (hanging) held.push(response);
  else response.writeHead(200, { "X-authentik-username": "demo" }).end();
}).listen(0, "127.0.0.1");
await once(upstream, "listening");

const port = portOf(upstream);
const routes = MODES.map((mode, index) => {
  const file = mode === "basic-auth" ? ", htpasswd: htpasswd" : "";
  return `
  - { name: ${mode}, path: /auth, listen: "127.0.0.${index + 1}:0", upstream: "http://127.0.0.1:${port}", maxInFlight: 4096, fallback: { mode: ${mode}${file} } }`;
});
const sparekey = await startServing(`admin: { listen: "127.0.0.9:0" }\nroutes:${routes.join("")}\n`, {
  htpasswd: "admin:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n",
});

const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });
const replies = new Map<Mode, Reply[]>(MODES.map((mode) => [mode, []]));
const start = performance.now();
const load = setInterval(() => {
  for (const [index, mode] of MODES.entries()) send(mode, sparekey.origins[index] ?? "");
}, 1_000 / PER_SECOND);

await sleep(HEALTHY_MS);
hanging = true;
const outage = performance.now();
const opened = new Map<Mode, number>();
while (performance.now() - outage < OUTAGE_MS) {
  const metrics = await sparekey.metrics();
  for (const mode of MODES) {
    const isClosed = metrics.includes(`sparekey_breaker_state{route="${mode}",state="closed"} 1`);
    if (!isClosed && !opened.has(mode)) opened.set(mode, performance.now());
  }
  await sleep(opened.size === MODES.length ? 1_000 : 20);
}
hanging = false;
for (const response of held) response.socket?.destroy();
const back = performance.now();
await sleep(RECOVERY_MS);
clearInterval(load);
await sleep(500);
const lines = sparekey.lines();
await sparekey.stop();

let failed = false;
for (const mode of MODES) report(mode);
const minutes = (performance.now() - start) / 60_000;
console.log(
  `\nlog: ${lines} lines in ${minutes.toFixed(1)} min at ${PER_SECOND * MODES.length} checks/s over ${MODES.length} routes`,
);
process.exit(failed ? 1 : 0);

function report(mode: Mode): void {
  const all = replies.get(mode) ?? [];
  const at = opened.get(mode);
  if (at === undefined) throw new Error(`${mode}: the breaker never opened`);
  // The gauge is polled, so a check of its last 50 ms may be from before or after the opening.
  const fast = all.filter(({ sent }) => sent > at && sent < back).map(({ took }) => took);
  const waited = all.filter(({ sent }) => sent > outage && sent < at - 50);
  const released = Math.max(...waited.map(({ sent, took }) => sent + took)) - at;
  const first = all.find(({ sent, kind }) => sent > back && kind === "200");
  const recovery = (first?.sent ?? Number.POSITIVE_INFINITY) - back;
  const kinds = Object.entries(Object.groupBy(all, ({ kind }) => kind)).map(
    ([kind, some]) => `${kind}: ${some?.length}`,
  );
  const p99 = percentile(fast, 0.99);
  failed ||= p99 > ALLOWED_P99_MS || at - outage > READ_MS + PROBE_MS || recovery > 2 * MAX_INTERVAL_MS;
  console.log(`${mode}
  breaker opened            ${((at - outage) / 1_000).toFixed(2)} s after the hang began (allowed: ${(READ_MS + PROBE_MS) / 1_000} s)
  last waiting one replied  ${released.toFixed(0)} ms after that
  replies from then on      p50 ${percentile(fast, 0.5).toFixed(2)} ms, p99 ${p99.toFixed(2)} ms (${fast.length})
  first verdict             ${(recovery / 1_000).toFixed(2)} s after the upstream was back (2 x maxInterval: ${(2 * MAX_INTERVAL_MS) / 1_000} s)
  replies                   ${kinds.join(", ")}`);
}

function send(mode: Mode, origin: string): void {
  const sent = performance.now();
  request(`${origin}/auth`, { agent, headers: { "X-Forwarded-Host": "app.example.com" } }, (response) => {
    response.resume().on("end", () => {
      const fallback = response.headers["x-auth-fallback"];
      const kind =
        fallback === undefined ? String(response.statusCode) : `${response.statusCode} ${fallback}`;
      replies.get(mode)?.push({ sent, took: performance.now() - sent, kind });
    });
  })
    .on("error", (error) => {
      replies.get(mode)?.push({ sent, took: performance.now() - sent, kind: error.message });
    })
    .end();
}
