/**
 * The workers there are, as processes: started, looked at, replaced when they die, ended. What was counted by those
 * that died stays in the sums, so that no counter ever falls.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Finding } from "../core/probe.ts";
import type { Drain } from "../core/snapshot.ts";
import type { FallbackChange, LoginResult } from "../core/types.ts";
import type { Logger } from "../observe/log/logger.ts";
import type { Family } from "../observe/metrics/metrics.ts";
import { sumEnded, workerFamilies } from "../observe/metrics/metrics-sum.ts";
import { endedFacts, type RouteFacts, sumFacts } from "../observe/status/route-facts.ts";
import type { WorkersStatus } from "../observe/status/status.ts";
import type { News } from "../observe/timeline.ts";
import type { Login, ToWorker } from "./protocol.ts";
import { createSharedFallback } from "./shared-fallback.ts";
import { type WorkerEnd, WorkerProcess } from "./worker-process.ts";

export interface CrewTimes {
  /** Milliseconds between two looks at a worker: what it counts in between is lost when it dies. */
  readonly lookEvery: number;
  /** Looks in a row without an answer until it is killed. */
  readonly looks: number;
  /** One that lived shorter than this is replaced later each time. */
  readonly shortLife: number;
}

/** How long a scrape waits for workers. */
const SCRAPE_MS = 1_000;
/** Of a report that no scrape waits for any more: it still counts. */
const REPORT_MS = 10_000;
/** Above what the timeouts of a route may be made of: whoever asked has given up by then. */
const PROBE_MS = 60_000;
/** Beyond the time that the drain itself takes. */
const DRAINED_MS = 1_000;
const CLOSE_MS = 3_000;
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 30_000;
/** Of each worker, none of which serves. */
const FAILED_STARTS = 4;

export interface Member {
  readonly slot: number;
  readonly process: WorkerProcess;
  readonly since: number;
  /** Of the config it serves by; 0: none yet. */
  version: number;
  /** Its numbers when it last told them. */
  families: readonly Family[];
  facts: readonly RouteFacts[];
  /** Looks since it last told them. */
  silent: number;
}

export interface Members {
  all(): readonly Member[];
  /** One for each slot, for the first config. Until `keep`, none is replaced. */
  start(): void;
  /** From now on each that dies is replaced, and those that have. Only counters of these routes last. */
  keep(routes: ReadonlySet<string>): void;
  /** Whether any worker serves. */
  isServing(): boolean;
  isEnding(): boolean;
  say(message: ToWorker): void;
  /** Of all processes there are and were; a worker that does not answer soon counts with its last numbers. */
  families(): Promise<readonly (readonly Family[])[]>;
  /** For the status page: what all of them know, as they told last. */
  facts(): readonly RouteFacts[];
  status(): WorkersStatus;
  /** Each probes at once. */
  probe(route: string): Promise<readonly Finding[]>;
  /** Has them tell anew; settles soon. */
  refresh(): Promise<void>;
  /** Resolves with the connections still open when the time was up. */
  drain(rules: Drain): Promise<number>;
  close(): Promise<void>;
}

export interface MembersPorts {
  readonly count: number;
  readonly times: CrewTimes;
  readonly logger: Logger;
  writeLine(line: string): void;
  onActivity(change: FallbackChange): void;
  onNews(news: News, worker?: number): void;
  onLogin(login: Login): Promise<LoginResult>;
  /** A successor has started, and serves nothing yet. */
  onSuccessor(member: Member): void;
  /** None serves, and their successors end before they do, again and again. */
  onHopeless(): void;
  now(): number;
}

export function createMembers(ports: MembersPorts): Members {
  const { count, times, logger, now } = ports;
  const shared = createSharedFallback({ tell: ports.onActivity, now, later });
  const members = new Set<Member>();
  /** By slot: lives in a row that were short. */
  const shortLives = new Map<number, number>();
  /** null: none is replaced yet. */
  let routes: ReadonlySet<string> | null = null;
  let isEnding = false;
  let deaths = 0;
  let failedStarts = 0;
  let ended: readonly Family[] = [];
  let endedTold: readonly RouteFacts[] = [];
  /** Who did not answer the last `refresh`. */
  let silent: ReadonlySet<Member> = new Set();
  let refreshing: Promise<void> | null = null;

  const isServing = (): boolean => [...members].some(({ version }) => version > 0);

  const startOne = (slot: number): Member => {
    const process = new WorkerProcess(slot, {
      writeLine: ports.writeLine,
      onLogin: ports.onLogin,
      onActivity: (change) => shared.take(slot, change),
      onNews: (news) => ports.onNews(news, slot),
      onEnd: (end) => {
        shared.lost(slot);
        lose(member, end);
      },
    });
    const member: Member = { slot, process, since: now(), version: 0, families: [], facts: [], silent: 0 };
    members.add(member);
    return member;
  };

  const replace = (slot: number): void => {
    if (!isEnding) ports.onSuccessor(startOne(slot));
  };

  const lose = (member: Member, { code, signal }: WorkerEnd): void => {
    members.delete(member);
    const { slot, process, families, facts, version } = member;
    if (isEnding && (code === 0 || version === 0)) return;
    logger.error("worker died", { worker: slot, pid: process.pid, code, signal });
    ports.onNews({ kind: "worker_died", number: slot });
    deaths += 1;
    if (routes === null) return;
    ended = sumEnded([ended, families], routes);
    endedTold = endedFacts([endedTold, facts], routes);
    failedStarts = version > 0 ? 0 : failedStarts + 1;
    if (failedStarts >= FAILED_STARTS * count && !isServing()) return ports.onHopeless();
    later(waitAfter(member), () => replace(slot));
  };

  const waitAfter = ({ slot, since }: Member): number => {
    const before = now() - since < times.shortLife ? (shortLives.get(slot) ?? 0) : 0;
    shortLives.set(slot, before + 1);
    return before === 0 ? 0 : Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (before - 1));
  };

  /** Resolves with whether it has told its numbers. */
  const look = async (member: Member): Promise<boolean> => {
    const answer = await member.process.ask({ kind: "report" }, REPORT_MS);
    if (answer?.kind !== "report") return false;
    member.families = answer.families;
    member.facts = answer.facts;
    member.silent = 0;
    return true;
  };

  const serving = (): readonly Member[] => [...members].filter(({ version }) => version > 0);

  const refresh = async (): Promise<void> => {
    const asked = serving();
    const answers = await Promise.all(asked.map(({ process }) => process.ask({ kind: "facts" }, SCRAPE_MS)));
    const late = new Set<Member>();
    for (const [index, member] of asked.entries()) {
      const answer = answers[index];
      if (answer?.kind === "facts") member.facts = answer.facts;
      else late.add(member);
    }
    silent = late;
  };

  const watch = (member: Member): void => {
    if (member.version === 0) return;
    // Looks are counted, not time: after a pause of the whole machine all would seem silent.
    if (member.silent < times.looks) {
      member.silent += 1;
      void look(member);
      return;
    }
    const seconds = (member.silent * times.lookEvery) / 1000;
    logger.error("worker does not answer: it is killed", { worker: member.slot, seconds });
    member.process.kill();
  };
  const looking = setInterval(() => {
    for (const member of members) watch(member);
  }, times.lookEvery).unref();

  const finish = async ({ process, version }: Member): Promise<void> => {
    if (version === 0) process.kill();
    else process.say({ kind: "close" });
    const late = setTimeout(() => process.kill(), CLOSE_MS);
    await process.ended;
    clearTimeout(late);
  };

  return {
    all: () => [...members],
    start: () => {
      for (let slot = 1; slot <= count; slot += 1) startOne(slot);
    },
    keep: (names) => {
      const isFirst = routes === null;
      routes = names;
      ended = sumEnded([ended], names);
      endedTold = endedFacts([endedTold], names);
      if (!isFirst) return;
      const slots = new Set([...members].map(({ slot }) => slot));
      for (let slot = 1; slot <= count; slot += 1) if (!slots.has(slot)) later(0, () => replace(slot));
    },
    isServing,
    isEnding: () => isEnding,
    say: (message) => {
      for (const { process } of members) process.say(message);
    },
    facts: () => sumFacts([...serving().map(({ facts }) => facts), endedTold]),
    status: () => {
      const alive = serving();
      const late = alive.filter((member) => silent.has(member)).length;
      return { wanted: count, serving: alive.length, silent: late };
    },
    probe: async (route) => {
      const asked = serving().map(({ process }) => process.ask({ kind: "probe", route }, PROBE_MS));
      const answers = await Promise.all(asked);
      return answers.flatMap((answer) => (answer?.kind === "probed" ? answer.findings : []));
    },
    refresh: () => {
      // Any number of viewers ask once.
      refreshing ??= refresh().finally(() => {
        refreshing = null;
      });
      return refreshing;
    },
    families: async () => {
      const asked = serving();
      const told = new Set<Member>();
      const looks = asked.map(async (member) => {
        if (await look(member)) told.add(member);
      });
      await Promise.race([Promise.all(looks), sleep(SCRAPE_MS, undefined, { ref: false })]);
      const alive = asked.filter((member) => members.has(member));
      const silent = alive.filter((member) => !told.has(member)).length;
      const workers = { serving: alive.length - silent, silent, missing: count - alive.length };
      return [workerFamilies(workers, deaths), ended, ...alive.map(({ families }) => families)];
    },
    drain: async (rules) => {
      isEnding = true;
      const time = rules.delay + rules.timeout + DRAINED_MS;
      const answers = await Promise.all(
        [...members].map(({ process, version }) => {
          if (version === 0) process.kill();
          return process.ask({ kind: "drain", rules }, time);
        }),
      );
      return answers.reduce((left, answer) => left + (answer?.kind === "drained" ? answer.left : 0), 0);
    },
    close: async () => {
      isEnding = true;
      clearInterval(looking);
      await Promise.all([...members].map(finish));
    },
  };
}

/** Does not keep the process alive. */
function later(milliseconds: number, run: () => void): void {
  setTimeout(run, milliseconds).unref();
}
