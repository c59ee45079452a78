/**
 * Measures emergency logins while the upstream is gone and an attacker guesses. An admin sends checks with the password.
 * The attacker sends wrong passwords, each a new one from a new address. The hash is bcrypt with cost 12.
 */
import { readFile, rm } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { hash } from "bcrypt";
import { startUpstream } from "./cases.ts";
import type { Bench } from "./measure.ts";
import type { LoginFigures } from "./results.ts";
import { type Subject, type SubjectName, startSubject } from "./subjects.ts";
import { guessingScript, headersOf, type Load, PLAIN, runWrk } from "./wrk.ts";

const COST = 12;
const USER = "admin";
const PASSWORD = "correct horse battery";
const WRITTEN_MS = 5_000;
const POLL_MS = 20;
const ATTACKERS = 4;
const BETWEEN_GUESSES_MS = 10;

export const LOGIN_SUBJECTS: readonly SubjectName[] = ["nginx", "sparekey"];

const ADMIN: Load = { ...PLAIN, authorization: `Basic ${btoa(`${USER}:${PASSWORD}`)}` };
const ATTACK: Load = { ...PLAIN, connections: ATTACKERS };

export async function newHtpasswd(): Promise<string> {
  return `${USER}:${await hash(PASSWORD, COST)}\n`;
}

export async function measureLogins(name: SubjectName, seconds: number, bench: Bench): Promise<LoginFigures> {
  const { cores, htpasswd } = bench;
  const upstream = await startUpstream("gone", cores.load);
  const file = join(tmpdir(), "loop-delay.json");
  await rm(file, { force: true });
  const observer = `${new URL("./loop-delay.ts", import.meta.url).href}?file=${encodeURIComponent(file)}`;
  const nodeOptions = ["--import", observer];
  const around = { upstreamPort: upstream.port, htpasswd, prefix: cores.subject, nodeOptions };
  const subject = await startSubject(name, around);
  try {
    await logIn(subject);
    await runWrk(subject.url, { ...ADMIN, seconds: subject.warmSeconds }, cores.load);
    return await underAttack(subject, file, seconds, bench);
  } finally {
    await subject.stop();
    await upstream.stop();
  }
}

async function underAttack(
  subject: Subject,
  file: string,
  seconds: number,
  { cores }: Bench,
): Promise<LoginFigures> {
  const { name, pid, url, metrics } = subject;
  const isObserved = metrics !== null;
  if (isObserved) process.kill(pid, "SIGUSR2");
  const script = guessingScript(ATTACK, USER, BETWEEN_GUESSES_MS);
  const [admin, attack] = await Promise.all([
    runWrk(url, { ...ADMIN, seconds }, cores.load),
    runWrk(url, { ...ATTACK, seconds }, cores.load, script),
  ]);
  if (isObserved) process.kill(pid, "SIGUSR2");
  if (admin.refusals > 0) throw new Error(`${name} refused ${admin.refusals} good logins`);
  if (attack.refusals < attack.replies) throw new Error(`${name} let a wrong password in`);
  if (admin.failures > 0) throw new Error(`${name} failed ${admin.failures} connections of the admin`);
  return {
    subject: name,
    perSecond: admin.replies / admin.seconds,
    p50Ms: admin.p50Ms,
    p99Ms: admin.p99Ms,
    guessesPerSecond: attack.replies / attack.seconds,
    loopDelay: isObserved ? await written(file) : null,
  };
}

async function written(file: string): Promise<NonNullable<LoginFigures["loopDelay"]>> {
  const deadline = performance.now() + WRITTEN_MS;
  for (;;) {
    const text = await readFile(file, "utf8").catch(() => "");
    if (text !== "") return JSON.parse(text);
    if (performance.now() > deadline) throw new Error("sparekey does not tell the delays of its event loop");
    await sleep(POLL_MS);
  }
}

/** The first login, which needs the whole bcrypt. */
function logIn({ name, url }: Subject): Promise<void> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { headers: headersOf(ADMIN), agent: false }, ({ statusCode = 0 }) => {
      asked.destroy();
      if (statusCode < 300) resolve();
      else reject(new Error(`${name} answers a good login with ${statusCode}`));
    });
    asked.on("error", reject).end();
  });
}
