/**
 * The workers there are, as processes: started, looked at, replaced when they die, ended. What was counted by those
 * that died stays in the sums, so that no counter ever falls.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { ProbeResult } from "../core/probe.ts";
import type { Drain } from "../core/snapshot.ts";
import type { FallbackChange, LoginResult } from "../core/types.ts";
import type { Logger } from "../observe/log/logger.ts";
import type { Family } from "../observe/metrics/metrics.ts";
import { sumEnded, workerFamilies } from "../observe/metrics/metrics-sum.ts";
import { endedFacts, type RouteFacts, sumFacts } from "../observe/status/route-facts.ts";
import type { WorkersStatus } from "../observe/status/status.ts";
import type { News } from "../observe/timeline.ts";
import type { LoginRequest, ToWorker } from "./protocol.ts";
import { createSharedFallback } from "./shared-fallback.ts";
import { type WorkerEnd, WorkerProcess } from "./worker-process.ts";

export interface WorkerPoolTimes {
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

export interface PoolWorker {
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

export interface WorkerPool {
  all(): readonly PoolWorker[];
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
  probe(route: string): Promise<readonly ProbeResult[]>;
  /** Has them tell anew; settles soon. */
  refresh(): Promise<void>;
  /** Resolves with the connections still open when the time was up. */
  drain(rules: Drain): Promise<number>;
  close(): Promise<void>;
}

export interface WorkerPoolDeps {
  readonly count: number;
  readonly times: WorkerPoolTimes;
  readonly logger: Logger;
  writeLine(line: string): void;
  onActivity(change: FallbackChange): void;
  onNews(news: News, worker?: number): void;
  onLogin(login: LoginRequest): Promise<LoginResult>;
  /** A successor has started, and serves nothing yet. */
  onSuccessor(worker: PoolWorker): void;
  /** None serves, and their successors end before they do, again and again. */
  onHopeless(): void;
  now(): number;
}

export function createWorkerPool(deps: WorkerPoolDeps): WorkerPool {
  const { count, times, logger, now } = deps;
  const shared = createSharedFallback({ tell: deps.onActivity, now, later });
  const workers = new Set<PoolWorker>();
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
  let silent: ReadonlySet<PoolWorker> = new Set();
  let refreshing: Promise<void> | null = null;

  const isServing = (): boolean => [...workers].some(({ version }) => version > 0);

  const startOne = (slot: number): PoolWorker => {
    const process = new WorkerProcess(slot, {
      writeLine: deps.writeLine,
      onLogin: deps.onLogin,
      onActivity: (change) => shared.take(slot, change),
      onNews: (news) => deps.onNews(news, slot),
      onEnd: (end) => {
        shared.lost(slot);
        lose(worker, end);
      },
    });
    const worker: PoolWorker = {
      slot,
      process,
      since: now(),
      version: 0,
      families: [],
      facts: [],
      silent: 0,
    };
    workers.add(worker);
    return worker;
  };

  const replace = (slot: number): void => {
    if (!isEnding) deps.onSuccessor(startOne(slot));
  };

  const lose = (worker: PoolWorker, { code, signal }: WorkerEnd): void => {
    workers.delete(worker);
    const { slot, process, families, facts, version } = worker;
    if (isEnding && (code === 0 || version === 0)) return;
    logger.error("worker died", { worker: slot, pid: process.pid, code, signal });
    deps.onNews({ kind: "worker_died", number: slot });
    deaths += 1;
    if (routes === null) return;
    ended = sumEnded([ended, families], routes);
    endedTold = endedFacts([endedTold, facts], routes);
    failedStarts = version > 0 ? 0 : failedStarts + 1;
    if (failedStarts >= FAILED_STARTS * count && !isServing()) return deps.onHopeless();
    later(waitAfter(worker), () => replace(slot));
  };

  const waitAfter = ({ slot, since }: PoolWorker): number => {
    const before = now() - since < times.shortLife ? (shortLives.get(slot) ?? 0) : 0;
    shortLives.set(slot, before + 1);
    return before === 0 ? 0 : Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (before - 1));
  };

  /** Resolves with whether it has told its numbers. */
  const look = async (worker: PoolWorker): Promise<boolean> => {
    const answer = await worker.process.ask({ kind: "report" }, REPORT_MS);
    if (answer?.kind !== "report") return false;
    worker.families = answer.families;
    worker.facts = answer.facts;
    worker.silent = 0;
    return true;
  };

  const serving = (): readonly PoolWorker[] => [...workers].filter(({ version }) => version > 0);

  const refresh = async (): Promise<void> => {
    const asked = serving();
    const answers = await Promise.all(asked.map(({ process }) => process.ask({ kind: "facts" }, SCRAPE_MS)));
    const late = new Set<PoolWorker>();
    for (const [index, worker] of asked.entries()) {
      const answer = answers[index];
      if (answer?.kind === "facts") worker.facts = answer.facts;
      else late.add(worker);
    }
    silent = late;
  };

  const watch = (worker: PoolWorker): void => {
    if (worker.version === 0) return;
    // Looks are counted, not time: after a pause of the whole machine all would seem silent.
    if (worker.silent < times.looks) {
      worker.silent += 1;
      void look(worker);
      return;
    }
    const seconds = (worker.silent * times.lookEvery) / 1000;
    logger.error("worker does not answer: it is killed", { worker: worker.slot, seconds });
    worker.process.kill();
  };
  const looking = setInterval(() => {
    for (const worker of workers) watch(worker);
  }, times.lookEvery).unref();

  const finish = async ({ process, version }: PoolWorker): Promise<void> => {
    if (version === 0) process.kill();
    else process.say({ kind: "close" });
    const late = setTimeout(() => process.kill(), CLOSE_MS);
    await process.ended;
    clearTimeout(late);
  };

  return {
    all: () => [...workers],
    start: () => {
      for (let slot = 1; slot <= count; slot += 1) startOne(slot);
    },
    keep: (names) => {
      const isFirst = routes === null;
      routes = names;
      ended = sumEnded([ended], names);
      endedTold = endedFacts([endedTold], names);
      if (!isFirst) return;
      const slots = new Set([...workers].map(({ slot }) => slot));
      for (let slot = 1; slot <= count; slot += 1) if (!slots.has(slot)) later(0, () => replace(slot));
    },
    isServing,
    isEnding: () => isEnding,
    say: (message) => {
      for (const { process } of workers) process.say(message);
    },
    facts: () => sumFacts([...serving().map(({ facts }) => facts), endedTold]),
    status: () => {
      const alive = serving();
      const late = alive.filter((worker) => silent.has(worker)).length;
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
      const told = new Set<PoolWorker>();
      const looks = asked.map(async (worker) => {
        if (await look(worker)) told.add(worker);
      });
      await Promise.race([Promise.all(looks), sleep(SCRAPE_MS, undefined, { ref: false })]);
      const alive = asked.filter((worker) => workers.has(worker));
      const silent = alive.filter((worker) => !told.has(worker)).length;
      const states = { serving: alive.length - silent, silent, missing: count - alive.length };
      return [workerFamilies(states, deaths), ended, ...alive.map(({ families }) => families)];
    },
    drain: async (rules) => {
      isEnding = true;
      const time = rules.delay + rules.timeout + DRAINED_MS;
      const answers = await Promise.all(
        [...workers].map(({ process, version }) => {
          if (version === 0) process.kill();
          return process.ask({ kind: "drain", rules }, time);
        }),
      );
      return answers.reduce((left, answer) => left + (answer?.kind === "drained" ? answer.left : 0), 0);
    },
    close: async () => {
      isEnding = true;
      clearInterval(looking);
      await Promise.all([...workers].map(finish));
    },
  };
}

/** Does not keep the process alive. */
function later(milliseconds: number, run: () => void): void {
  setTimeout(run, milliseconds).unref();
}
