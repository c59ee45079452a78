/**
 * Shows whether memory stays flat under 10 minutes of full load over 256 kept connections. Beside it there is a little
 * of everything: new connections, a route with an upstream that is down, emergency logins, grace, and a reload every
 * half minute. Real nginx answers, and wrk asks. It prints resident memory by the minute and, from the third minute on,
 * its slope and the means of the first and the last quarter. It fails when the last quarter is above the first by more
 * than a tenth, or when a check at full load failed. `--minutes N`: another time.
 * `--wire fastify`: the slow path.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, utimes } from "node:fs/promises";
import { Agent, request } from "node:http";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { parseResident } from "./compare/cpu.ts";
import { startNginx } from "./nginx.ts";
import { type Serving, startServing } from "./serving.ts";
import { mean, percentile, slope } from "./statistics.ts";
import { WIRE_OPTION, wireOf } from "./wire.ts";

const MINUTE_MS = 60_000;
const SAMPLE_MS = 1_000;
const RELOAD_MS = 30_000;
const BESIDE_MS = 5;
const BYTES_PER_MB = 1024 * 1024;
const CONNECTIONS = 256;
const SETTLED_MINUTES = 2;
const ALLOWED_GROWTH = 0.1;
const HTPASSWD = "admin:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n";
const LOGIN = `Basic ${btoa("admin:password")}`;

const { values } = parseArgs({
  options: { minutes: { type: "string", default: "10" }, wire: WIRE_OPTION },
});
const wire = wireOf(values.wire);
const minutes = Number(values.minutes);
if (!Number.isInteger(minutes) || minutes <= SETTLED_MINUTES) throw new Error("--minutes takes 3 or more");

const nginx = await startNginx();
const sparekey = await startServing(configFor(nginx.port), { htpasswd: HTPASSWD });
const end = performance.now() + minutes * MINUTE_MS;
const wrk = spawn(
  "wrk",
  ["-t1", `-c${CONNECTIONS}`, `-d${minutes * 60}s`, "--latency", `${sparekey.origins[0]}/auth`],
  { stdio: ["ignore", "pipe", "inherit"] },
);
const report = text(wrk.stdout);
const ended = once(wrk, "exit");
const [samples] = await Promise.all([
  sampleMemory(sparekey),
  askBeside(sparekey),
  reloadNowAndThen(sparekey),
]);
await ended;
const output = await report;
const reloads = sparekey.count("config reloaded");
await sparekey.stop();
await nginx.stop();

const byMinute = Array.from(Map.groupBy(samples, ({ minute }) => Math.floor(minute)).values(), (some) =>
  percentile(some.map(megabytesOf), 0.5),
);
const settled = samples.filter(({ minute }) => minute >= SETTLED_MINUTES);
const quarter = Math.floor(settled.length / 4);
const first = mean(settled.slice(0, quarter).map(megabytesOf));
const last = mean(settled.slice(-quarter).map(megabytesOf));
const growth = slope(settled.map(({ minute, megabytes }) => ({ x: minute, y: megabytes })));
const failures = /Non-2xx|Socket errors/.test(output);
console.log(output.trim());
console.log(`
wire: ${wire}, ${CONNECTIONS} kept connections, ${minutes} minutes, ${reloads} reloads
resident memory, median of each minute, MB: ${byMinute.map((mb) => mb.toFixed(0)).join(" ")}
from minute ${SETTLED_MINUTES} on: slope ${growth.toFixed(2)} MB/min; mean of the first quarter ${first.toFixed(1)} MB, of the last ${last.toFixed(1)} MB, ratio ${(last / first).toFixed(3)} (allowed ${1 + ALLOWED_GROWTH})`);
process.exit(failures || !(last <= first * (1 + ALLOWED_GROWTH)) ? 1 : 0);

function configFor(port: number): string {
  return `
wire: ${wire}
admin: { listen: "127.0.0.9:0" }
log: { access: sampled }
routes:
  - name: busy
    path: /auth
    listen: "127.0.0.1:0"
    upstream: http://127.0.0.1:${port}
    fallback: { mode: basic-auth, htpasswd: htpasswd, grace: 1m }
  - name: down
    path: /auth
    listen: "127.0.0.2:0"
    upstream: http://127.0.0.1:1
    fallback: { mode: basic-auth, htpasswd: htpasswd, rateLimit: { failures: 1000000, global: 1000000 } }
`;
}

interface Sample {
  /** Minutes since the load began, with a fraction. */
  readonly minute: number;
  readonly megabytes: number;
}

async function sampleMemory({ pid }: Serving): Promise<readonly Sample[]> {
  const samples: Sample[] = [];
  const begin = performance.now();
  while (performance.now() < end) {
    const minute = (performance.now() - begin) / MINUTE_MS;
    const status = await readFile(`/proc/${pid}/status`, "utf8");
    samples.push({ minute, megabytes: parseResident(status) / BYTES_PER_MB });
    await sleep(SAMPLE_MS);
  }
  return samples;
}

function megabytesOf({ megabytes }: Sample): number {
  return megabytes;
}

/** On new connections: clients with sessions of their own, and good and bad logins on a route that is down. */
async function askBeside({ origins: [busy = "", down = ""] }: Serving): Promise<void> {
  const agent = new Agent({ keepAlive: false });
  for (let turn = 0; performance.now() < end; turn += 1) {
    const headers = { "X-Forwarded-Host": "app.example.com", "X-Forwarded-For": `198.51.100.${turn % 250}` };
    const guess = `Basic ${btoa(`admin:guess ${turn}`)}`;
    await Promise.all([
      ask(busy, { ...headers, Cookie: `session=${turn}` }, agent),
      ask(down, { ...headers, Authorization: LOGIN }, agent),
      ask(down, { ...headers, Authorization: guess }, agent),
      ask(down, headers, agent),
    ]);
    await sleep(BESIDE_MS);
  }
}

function ask(origin: string, headers: Readonly<Record<string, string>>, agent: Agent): Promise<void> {
  return new Promise((resolve, reject) => {
    request(`${origin}/auth`, { headers, agent }, (response) => response.resume().on("end", resolve))
      .on("error", reject)
      .end();
  });
}

/** Touching the file counts as a change, although the config stays the same. */
async function reloadNowAndThen({ config }: Serving): Promise<void> {
  while (performance.now() + RELOAD_MS < end) {
    await sleep(RELOAD_MS);
    await utimes(config, new Date(), new Date());
  }
}
