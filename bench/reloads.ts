/**
 * Shows whether clients notice reloads: the config is reloaded 100 times and the two upstreams are restarted 20 times,
 * one at a time, while 400 checks a second come over kept and over new connections. Real nginx answers. It prints the
 * replies, and fails when a check got anything but the upstream's 200. A run takes about a minute.
 */
import { rename, writeFile } from "node:fs/promises";
import { Agent, request } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Nginx, startNginx } from "./nginx.ts";
import { type Serving, startServing } from "./serving.ts";

const RELOADS = 100;
const RESTARTS = 20;
const PER_SECOND = 400;
const BETWEEN_RESTARTS_MS = 700;
const DOWN_MS = 500;

const upstreams: [Nginx, Nginx] = [await startNginx(), await startNginx()];
const ports = upstreams.map(({ port }) => port);
const sparekey = await startServing(configFor(0));
const kept = new Agent({ keepAlive: true, maxSockets: 64 });
const replies = new Map<string, number>();
const load = setInterval(() => {
  for (const agent of [kept, new Agent({ keepAlive: false })]) send(agent);
}, 2_000 / PER_SECOND);

await Promise.all([reload(), restart()]);
clearInterval(load);
await sleep(1_000);
const metrics = await sparekey.metrics();
const reloads = sparekey.count("config reloaded");
await sparekey.stop();
for (const upstream of upstreams) await upstream.stop();
kept.destroy();

const fallbacks = sum(metrics, "sparekey_fallback_total");
const faults = sum(metrics, "sparekey_faults_total");
console.log(`reloads   ${reloads}
restarts  ${RESTARTS}
replies   ${[...replies].map(([kind, count]) => `${kind}: ${count}`).join(", ")}
fallbacks ${fallbacks}, faults ${faults}`);
process.exit(replies.size === 1 && replies.has("200") && fallbacks === 0 && reloads >= RELOADS ? 0 : 1);

/** `turn` makes each config differ from the one before. */
function configFor(turn: number): string {
  return `
admin: { listen: "127.0.0.9:0" }
routes:
  - name: sso
    path: /auth
    listen: "127.0.0.1:0"
    upstream: [${ports.map((port) => `"http://127.0.0.1:${port}"`).join(", ")}]
    maxInFlight: ${1_000 + turn}
    fallback: { mode: deny }
`;
}

/** The next reload begins when the last config is in use. */
async function reload(): Promise<void> {
  for (let turn = 1; turn <= RELOADS; turn += 1) {
    const aside = join(sparekey.folder, "aside");
    await writeFile(aside, configFor(turn));
    await rename(aside, sparekey.config);
    process.kill(sparekey.pid, "SIGHUP");
    await reloaded(sparekey, turn);
  }
}

async function reloaded({ count }: Serving, turn: number): Promise<void> {
  while (count("config reloaded") < turn) await sleep(10);
}

async function restart(): Promise<void> {
  for (let turn = 0; turn < RESTARTS; turn += 1) {
    const index = turn % 2 === 0 ? 0 : 1;
    const { port } = upstreams[index];
    await upstreams[index].stop();
    await sleep(DOWN_MS);
    upstreams[index] = await startNginx({ port });
    await sleep(BETWEEN_RESTARTS_MS);
  }
}

function send(agent: Agent): void {
  const done = (kind: string): void => {
    replies.set(kind, (replies.get(kind) ?? 0) + 1);
  };
  request(`${sparekey.origins[0]}/auth`, { agent }, (response) => {
    const fallback = response.headers["x-auth-fallback"];
    const kind = fallback === undefined ? String(response.statusCode) : `${response.statusCode} ${fallback}`;
    response.resume().on("end", () => done(kind));
  })
    .on("error", (error) => done(error.message))
    .end();
}

function sum(text: string, family: string): number {
  const lines = text.split("\n").filter((line) => line.startsWith(`${family}{`));
  return lines.reduce((total, line) => total + Number(line.split(" ").at(-1)), 0);
}
