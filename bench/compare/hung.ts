/**
 * Measures how long a few clients wait for the login page when the upstream accepts checks and never answers, and
 * sparekey's breaker has opened. It takes the times of single replies. The percentiles of wrk assume that a client goes
 * on asking at the same rate, so they would count one check that tries the upstream as thousands.
 */
import { Agent, get } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { percentile } from "../statistics.ts";
import { startUpstream } from "./cases.ts";
import type { Bench } from "./measure.ts";
import type { HungFigures } from "./results.ts";
import { type Subject, type SubjectName, startSubject } from "./subjects.ts";
import { headersOf, PLAIN } from "./wrk.ts";

const CLIENTS = 8;
const BETWEEN_CHECKS_MS = 10;
/** This leaves 5 s for the answer, 5 s for the probe, and some more. */
const OPEN_MS = 20_000;
const POLL_MS = 50;
const DUE = 401;

export const HUNG_SUBJECTS: readonly SubjectName[] = ["nginx", "sparekey"];

/** The subjects run at the same time, because they hardly use the CPU. */
export async function measureHung(
  names: readonly SubjectName[],
  seconds: number,
  bench: Bench,
): Promise<readonly HungFigures[]> {
  const upstream = await startUpstream("hung", []);
  try {
    return await Promise.all(names.map((name) => measureOne(name, upstream.port, seconds, bench)));
  } finally {
    await upstream.stop();
  }
}

async function measureOne(
  name: SubjectName,
  upstreamPort: number,
  seconds: number,
  bench: Bench,
): Promise<HungFigures> {
  const subject = await startSubject(name, {
    upstreamPort,
    htpasswd: bench.htpasswd,
    prefix: bench.cores.subject,
  });
  const agent = new Agent({ keepAlive: true });
  const stop = new AbortController();
  const waits: number[] = [];
  const clients = Array.from({ length: CLIENTS }, () => askOn(subject, agent, waits, stop.signal));
  try {
    await Promise.race([opened(subject), Promise.all(clients)]);
    waits.length = 0;
    await Promise.race([sleep(seconds * 1_000), Promise.all(clients)]);
    stop.abort();
    await Promise.all(clients);
    return {
      subject: name,
      replies: waits.length,
      p50Ms: percentile(waits, 0.5),
      p99Ms: percentile(waits, 0.99),
      maxMs: percentile(waits, 1),
    };
  } finally {
    stop.abort();
    agent.destroy();
    await subject.stop();
  }
}

/** nginx has no breaker to wait for. */
async function opened({ metrics }: Subject): Promise<void> {
  if (metrics === null) return;
  const deadline = performance.now() + OPEN_MS;
  for (;;) {
    const isOpen = /^sparekey_breaker_state\{.*state="open".*\} 1$/m.test(await metrics());
    if (isOpen) return;
    if (performance.now() > deadline) throw new Error("the breaker has not opened");
    await sleep(POLL_MS);
  }
}

/** Sends one check after the other, and adds the milliseconds of each to `waits`. */
async function askOn(
  { name, url }: Subject,
  agent: Agent,
  waits: number[],
  stop: AbortSignal,
): Promise<void> {
  while (!stop.aborted) {
    const begin = performance.now();
    const status = await statusOf(url, agent);
    waits.push(performance.now() - begin);
    if (status !== DUE) throw new Error(`${name} answers ${status} where ${DUE} is due`);
    await sleep(BETWEEN_CHECKS_MS);
  }
}

function statusOf(url: string, agent: Agent): Promise<number> {
  return new Promise((resolve, reject) => {
    get(url, { headers: headersOf(PLAIN), agent }, (response) => {
      response.resume().once("end", () => resolve(response.statusCode ?? 0));
    }).once("error", reject);
  });
}
