/**
 * Measures what a flood costs a bystander and whether it opens the door: real sparekey with the shipped settings of a bot
 * blocker, which has one thread and a queue of five, as Python's http.server. Bots of one address send checks without a
 * pause, and a bystander sends one now and then, first in quiet and then beside them. In the end the blocker dies in the
 * midst of the flood. A run of all scenes takes about 2 min.
 *
 * npm run bench:flood [-- --bots 16,64 --answer 10,2 --seconds 15 --death hung|refused]
 */
import { Agent, request } from "node:http";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type OneThreadBlocker, startOneThreadBlocker } from "../src/demo/one-thread-blocker.ts";
import { type Serving, startServing } from "./serving.ts";
import { percentile } from "./statistics.ts";

const { values: options } = parseArgs({
  options: {
    bots: { type: "string", default: "16,64" },
    answer: { type: "string", default: "10,2" },
    seconds: { type: "string", default: "15" },
    death: { type: "string", default: "hung" },
  },
});
const SECONDS = Number(options.seconds);
const BETWEEN_MS = 100;
const READ_MS = 5_000;
const ALLOWED_FACTOR = 5;
const ALLOWED_FALLBACK_MS = READ_MS + 1_500;

interface Reply {
  readonly sent: number;
  readonly took: number;
  /** `200` for a verdict, `200 allow` for a fallback, or why there is no reply. */
  readonly kind: string;
}

interface Client {
  readonly address: string;
  readonly userAgent: string;
}

const BOT: Client = { address: "192.0.2.66", userAgent: "GPTBot/1.0" };
const BYSTANDER: Client = { address: "198.51.100.7", userAgent: "Mozilla/5.0" };

let failed = false;
for (const bots of options.bots.split(",").map(Number)) {
  for (const answer of options.answer.split(",").map(Number)) await scene(bots, answer);
}
process.exit(failed ? 1 : 0);

async function scene(bots: number, millisecondsPerAnswer: number): Promise<void> {
  const blocker = await startOneThreadBlocker({ port: 0, millisecondsPerAnswer });
  const sparekey = await startServing(`admin: { listen: "127.0.0.9:0" }
listen: 127.0.0.1:0
routes:
  - { preset: bot-block, upstream: "${blocker.url}" }
`);
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });
  const visit = visits(sparekey, agent);
  await visit(1);
  const quiet = await visit(SECONDS);
  const flood = startFlood(sparekey, bots, agent);
  await sleep(1_000);
  const beside = await visit(SECONDS);
  const opened = openings(sparekey);
  const toBots = flood.replies.slice();
  const dead = await deadInTheMidst(blocker, visit);
  await flood.stop();
  await sparekey.stop();
  agent.destroy();
  report({ bots, millisecondsPerAnswer, quiet, beside, opened, toBots, dead });
}

/** A bystander's checks, one after the other, for so many seconds. */
function visits({ origins }: Serving, agent: Agent): (seconds: number) => Promise<readonly Reply[]> {
  return async (seconds) => {
    const all: Promise<Reply>[] = [];
    const end = performance.now() + seconds * 1_000;
    while (performance.now() < end) {
      all.push(ask(origins[0] ?? "", BYSTANDER, agent));
      await sleep(BETWEEN_MS);
    }
    return Promise.all(all);
  };
}

function startFlood({ origins }: Serving, bots: number, agent: Agent) {
  const replies: Reply[] = [];
  let isOver = false;
  const bot = async (): Promise<void> => {
    while (!isOver) replies.push(await ask(origins[0] ?? "", BOT, agent));
  };
  const all = Array.from({ length: bots }, bot);
  return {
    replies,
    stop: async () => {
      isOver = true;
      await Promise.all(all);
    },
  };
}

/**
 * Milliseconds from the blocker's death to the bystander's first fallback. A hung one has its only thread taken by an
 * endless page.
 */
async function deadInTheMidst(
  blocker: OneThreadBlocker,
  visit: (seconds: number) => Promise<readonly Reply[]>,
): Promise<number> {
  if (options.death === "refused") await blocker.close();
  else hang(blocker);
  const at = performance.now();
  const replies = await visit(ALLOWED_FALLBACK_MS / 1_000 + 1);
  const first = replies.find(({ kind }) => kind === "200 allow");
  return first ? first.sent + first.took - at : Number.POSITIVE_INFINITY;
}

function hang({ port }: OneThreadBlocker): void {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {}).resume();
  socket.write("GET /endless HTTP/1.0\r\n\r\n");
}

function openings(sparekey: Serving): number {
  return sparekey.count("breaker opened");
}

function ask(origin: string, { address, userAgent }: Client, agent: Agent): Promise<Reply> {
  const sent = performance.now();
  const headers = {
    ...{ "User-Agent": userAgent, "X-Forwarded-For": address, "X-Forwarded-Host": "app.example.com" },
    ...{ "X-Forwarded-Proto": "https", "X-Forwarded-Method": "GET", "X-Forwarded-Uri": "/" },
  };
  return new Promise((resolve) => {
    const done = (kind: string): void => resolve({ sent, took: performance.now() - sent, kind });
    request(`${origin}/auth`, { agent, headers }, (response) => {
      response.resume().on("end", () => {
        const fallback = response.headers["x-auth-fallback"];
        done(fallback === undefined ? String(response.statusCode) : `${response.statusCode} ${fallback}`);
      });
    })
      .on("error", (error) => done(error.message))
      .end();
  });
}

interface Seen {
  readonly bots: number;
  readonly millisecondsPerAnswer: number;
  readonly quiet: readonly Reply[];
  readonly beside: readonly Reply[];
  readonly opened: number;
  readonly toBots: readonly Reply[];
  readonly dead: number;
}

function report({ bots, millisecondsPerAnswer, quiet, beside, opened, toBots, dead }: Seen): void {
  const p99 = (replies: readonly Reply[]): number =>
    percentile(
      replies.map(({ took }) => took),
      0.99,
    );
  const factor = p99(beside) / p99(quiet);
  const letIn = toBots.filter(({ kind }) => kind.startsWith("200")).length;
  const fallbacks = beside.filter(({ kind }) => kind !== "200").length;
  const isGood =
    letIn === 0 && fallbacks === 0 && opened === 0 && factor <= ALLOWED_FACTOR && dead <= ALLOWED_FALLBACK_MS;
  failed ||= !isGood;
  console.log(`${bots} bots, ${millisecondsPerAnswer} ms an answer: ${isGood ? "good" : "FALLS SHORT"}
  bots                  ${kindsOf(toBots)}; let in: ${letIn}
  bystander in quiet    ${kindsOf(quiet)}; p99 ${p99(quiet).toFixed(1)} ms
  bystander beside them ${kindsOf(beside)}; p99 ${p99(beside).toFixed(1)} ms, ${factor.toFixed(1)} times as long
  breaker opened        ${opened} times
  dead in the midst     first fallback of the bystander after ${(dead / 1_000).toFixed(2)} s`);
}

function kindsOf(replies: readonly Reply[]): string {
  const groups = Object.groupBy(replies, ({ kind }) => kind);
  return Object.entries(groups)
    .map(([kind, some]) => `${kind}: ${some?.length}`)
    .join(", ");
}
