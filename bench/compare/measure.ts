/** Measures one case. All its subjects run, but only one at a time has load: the reference and another one in turns. */
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { type Case, startUpstream, whyNotReady } from "./cases.ts";
import type { Cores } from "./cores.ts";
import { usedBy } from "./cpu.ts";
import { type CaseFigures, figuresOf, type Pair, type Run, referenceFigures } from "./results.ts";
import { type Subject, type SubjectName, startSubject } from "./subjects.ts";
import { headersOf, type Load, runWrk } from "./wrk.ts";

export interface Bench {
  readonly cores: Cores;
  readonly htpasswd: string;
  readonly rounds: number;
  /** Adds a remark for readers of the figures. */
  remark(text: string): void;
}

export const SECONDS_PER_RUN = 1;
const TRIES = 2;
const BYTES_PER_MB = 1024 * 1024;

/** Rejects when a subject repeatedly gives wrong replies or fails connections. */
export async function measureCase(
  one: Case,
  names: readonly SubjectName[],
  bench: Bench,
): Promise<CaseFigures> {
  const upstream = await startUpstream(one.upstream, bench.cores.load);
  const subjects: Subject[] = [];
  try {
    for (const name of names) {
      const around = { upstreamPort: upstream.port, htpasswd: bench.htpasswd, prefix: bench.cores.subject };
      subjects.push(await startSubject(name, around));
    }
    const idle = new Map(subjects.map((subject) => [subject, residentMb(subject)]));
    await warmUp(one, subjects, bench);
    return await interleave(one, subjects, idle, bench);
  } finally {
    await Promise.all(subjects.map((subject) => subject.stop()));
    await upstream.stop();
  }
}

function residentMb({ pid }: Subject): number {
  return usedBy(pid).residentBytes / BYTES_PER_MB;
}

async function warmUp(one: Case, subjects: readonly Subject[], bench: Bench): Promise<void> {
  for (const subject of subjects) {
    await runWrk(subject.url, { ...one.load, seconds: subject.warmSeconds }, bench.cores.load);
    const obstacle = await whyNotReady(one, subject);
    if (obstacle !== null) throw new Error(`${one.name}: ${subject.name}: ${obstacle}`);
    await expectReply(subject, one);
  }
}

/** wrk only distinguishes replies below 400 from others. So one reply is checked as a whole. */
async function expectReply({ name, url }: Subject, { status, load, upstream }: Case): Promise<void> {
  const { statusCode, headers } = await ask(url, load);
  if (statusCode !== status) throw new Error(`${name} answers ${statusCode} where ${status} is due`);
  const missing = upstream === "identity" && headers["x-authentik-username"] !== "demo";
  if (missing) throw new Error(`${name} leaves out the identity headers`);
}

async function ask(url: string, load: Load): Promise<IncomingMessage> {
  const asked = request(url, { headers: headersOf(load), agent: false }).end();
  const [response]: IncomingMessage[] = await once(asked, "response");
  if (response === undefined) throw new Error(`${url} does not answer`);
  response.resume();
  return response;
}

async function interleave(
  one: Case,
  subjects: readonly Subject[],
  idle: ReadonlyMap<Subject, number>,
  bench: Bench,
): Promise<CaseFigures> {
  const [reference, ...others] = subjects;
  if (reference === undefined) throw new Error(`${one.name} has no subject`);
  const pairs = new Map<Subject, Pair[]>(others.map((subject) => [subject, []]));
  const alone: Run[] = [];
  for (let round = 0; round < bench.rounds; round += 1) {
    for (const [subject, ofSubject] of pairs) {
      const before = await measure(one, reference, bench);
      alone.push(before);
      ofSubject.push({ reference: before, subject: await measure(one, subject, bench) });
    }
    if (others.length === 0) alone.push(await measure(one, reference, bench));
  }
  const idleMb = (subject: Subject): number => idle.get(subject) ?? Number.NaN;
  const measured = others.map((subject) =>
    figuresOf(subject.name, idleMb(subject), pairs.get(subject) ?? []),
  );
  return {
    name: one.name,
    title: one.title,
    subjects: [referenceFigures(reference.name, idleMb(reference), alone), ...measured],
  };
}

/** A run that went wrong is remarked on and repeated once. */
async function measure(one: Case, subject: Subject, bench: Bench): Promise<Run> {
  let problem = "";
  for (let tries = 0; tries < TRIES; tries += 1) {
    const run = await runOnce(one, subject, bench);
    if (typeof run !== "string") return run;
    problem = `${one.name}: ${subject.name}: ${run}`;
    bench.remark(`run not counted: ${problem}`);
  }
  throw new Error(problem);
}

/** A text: why the run does not count. */
async function runOnce(one: Case, { pid, url }: Subject, bench: Bench): Promise<Run | string> {
  const before = usedBy(pid);
  const load = { ...one.load, seconds: SECONDS_PER_RUN };
  const { replies, seconds, p50Ms, p99Ms, refusals, failures } = await runWrk(url, load, bench.cores.load);
  const after = usedBy(pid);
  const due = one.status < 400 ? 0 : replies;
  if (failures > 0) return `${failures} connections failed`;
  if (refusals !== due) return `${refusals} of ${replies} replies were 400 or more, where ${due} were due`;
  if (replies === 0) return "no reply came";
  return {
    cpuMicros: ((after.cpuSeconds - before.cpuSeconds) * 1e6) / replies,
    perSecond: replies / seconds,
    p50Ms,
    p99Ms,
    residentMb: after.residentBytes / BYTES_PER_MB,
  };
}
