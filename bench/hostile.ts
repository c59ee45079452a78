/**
 * Measures what hostile clients cost the others: the latency of 200 honest checks a second beside 200 more of the same
 * kind, and beside 200 hostile ones (errors, resets, garbage, hangs), in turns. sparekey is real. The upstream is
 * healthy and errs for odd input only. It prints p50 and p99 of the honest checks as medians of the rounds, and their
 * ratios. `--wire fastify` measures the slow path.
 */
import { once } from "node:events";
import { Agent, createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type Asked, ask, generate, oddUpstream, random } from "../test/support/hostile.ts";
import { portOf } from "./ports.ts";
import { startServing } from "./serving.ts";
import { percentile } from "./statistics.ts";
import { WIRE_OPTION, wireOf } from "./wire.ts";

const ROUNDS = 7;
const ROUND_MS = 4_000;
const BETWEEN_MS = 1_500;
const PER_SECOND = 200;
const SEED = 20_260_418;

const wire = wireOf(parseArgs({ options: { wire: WIRE_OPTION } }).values.wire);
const upstream = createServer({ maxHeaderSize: 64 * 1024 }, oddUpstream).listen(0, "127.0.0.1");
await once(upstream, "listening");
const sparekey = await startServing(`
wire: ${wire}
admin: { listen: "127.0.0.9:0" }
routes:
  - name: bots
    path: /auth
    listen: "127.0.0.1:0"
    upstream: http://127.0.0.1:${portOf(upstream)}
    timeouts: { connect: 2s, read: 1s, total: 4s }
    fallback: { mode: allow }
`);
const url = `${sparekey.origins[0]}/auth`;
const draw = random(SEED);
const checks = Array.from({ length: 20_000 }, () => generate(draw));
const honest = checks.filter(({ expected }) => expected !== null);
const hostile = checks.filter(({ expected }) => expected === null);

type Beside = "honest" | "hostile";
const rounds: Record<Beside, { p50: number; p99: number }[]> = { honest: [], hostile: [] };
let wrong = 0;
for (let round = 0; round < ROUNDS; round += 1) {
  for (const beside of ["honest", "hostile"] as const) {
    const took = await load(beside === "honest" ? honest : hostile);
    rounds[beside].push({ p50: percentile(took, 0.5), p99: percentile(took, 0.99) });
    // After this time nothing hangs any more, and no probe result of one round holds in the next.
    await sleep(BETWEEN_MS);
  }
}
const breaker = (await sparekey.metrics()).includes('sparekey_breaker_state{route="bots",state="closed"} 1');
await sparekey.stop();
upstream.closeAllConnections();
upstream.close();

for (const figure of ["p50", "p99"] as const) {
  const [alone, attacked] = [medianOf("honest", figure), medianOf("hostile", figure)];
  const ratio = (attacked / alone).toFixed(2);
  console.log(
    `${figure}  beside honest ${alone.toFixed(2)} ms, beside hostile ${attacked.toFixed(2)} ms, ratio ${ratio}`,
  );
}
console.log(
  `wire: ${wire}; honest checks with a wrong reply: ${wrong}; breaker ${breaker ? "closed" : "NOT CLOSED"}`,
);
process.exit(wrong === 0 && breaker ? 0 : 1);

/** The milliseconds that each honest check took. `others` are sent at the same rate. */
async function load(others: readonly Asked[]): Promise<readonly number[]> {
  const agents = [new Agent({ keepAlive: true }), new Agent({ keepAlive: true })] as const;
  const took: number[] = [];
  const sent: Promise<unknown>[] = [];
  const timer = setInterval(() => {
    sent.push(timed(pick(honest), agents[0], took), ask(url, pick(others), agents[1]));
  }, 1_000 / PER_SECOND);
  await sleep(ROUND_MS);
  clearInterval(timer);
  await Promise.all(sent);
  for (const agent of agents) agent.destroy();
  return took;
}

async function timed(asked: Asked, agent: Agent, took: number[]): Promise<void> {
  const begin = performance.now();
  const { status } = await ask(url, asked, agent);
  took.push(performance.now() - begin);
  if (status !== asked.expected) wrong += 1;
}

function pick(from: readonly Asked[]): Asked {
  const [first] = from;
  const picked = from[Math.floor(draw() * from.length)] ?? first;
  if (!picked) throw new Error("there is nothing to pick from");
  return picked;
}

function medianOf(beside: Beside, figure: "p50" | "p99"): number {
  return percentile(
    rounds[beside].map((round) => round[figure]),
    0.5,
  );
}
