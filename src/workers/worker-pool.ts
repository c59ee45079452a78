/**
 * The workers there are, as processes: started, looked at, replaced when they die, ended. What was counted by those
 * that died stays in the sums, so that no counter ever falls.
 */

import { setTimeout as sleep } from "node:timers/promises";
import type { ProbeResult } from "../core/probe.ts";
import type { Drain } from "../core/snapshot.ts";
import type { LoginResult } from "../core/types.ts";
import type { Report } from "../observe/event.ts";
import type { WorkersReport } from "../observe/report.ts";
import { endedReport, type ProcessReport, sumReports } from "../observe/report.ts";
import type { LoginRequest, ToWorker } from "./protocol.ts";
import { type WorkerEnd, WorkerProcess } from "./worker-process.ts";

export interface WorkerPoolTimes {
  /** Milliseconds between two looks at a worker: what it counts in between is lost when it dies. */
  readonly lookEvery: number;
  /** Looks in a row without an answer until it is killed. */
  readonly looks: number;
  /** One that lived shorter than this is replaced later each time. */
  readonly shortLife: number;
}

/** How long a scrape and a status page wait for workers. */
const REFRESH_MS = 1_000;
/** How long a report may take to count, though nobody waits for it any more. */
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
  /** As it reported last; null: it has not yet. */
  report: ProcessReport | null;
  /** Looks since it reported last. */
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
  /** The reports of all workers there are and were, as they reported last. */
  reports(): readonly ProcessReport[];
  status(): WorkersReport;
  /** Has them report anew. It settles soon; a later report counts all the same. */
  refresh(): Promise<void>;
  /** Each probes at once. */
  probe(route: string): Promise<readonly ProbeResult[]>;
  /** Resolves with the connections still open when the time was up. */
  drain(rules: Drain): Promise<number>;
  close(): Promise<void>;
}

export interface WorkerPoolDeps {
  readonly count: number;
  readonly times: WorkerPoolTimes;
  readonly report: Report;
  writeLine(line: string): void;
  onLogin(login: LoginRequest): Promise<LoginResult>;
  /** A successor has started, and serves nothing yet. */
  onSuccessor(worker: PoolWorker): void;
  /** None serves, and their successors end before they do, again and again. */
  onHopeless(): void;
  now(): number;
}

export function createWorkerPool(deps: WorkerPoolDeps): WorkerPool {
  const { count, times, report, now } = deps;
  const workers = new Set<PoolWorker>();
  /** By slot: lives in a row that were short. */
  const shortLives = new Map<number, number>();
  /** null: none is replaced yet. */
  let routes: ReadonlySet<string> | null = null;
  let isEnding = false;
  let failedStarts = 0;
  let ended = sumReports([]);
  /** Those that did not answer the last `refresh` in time. */
  let silent: ReadonlySet<PoolWorker> = new Set();
  let refreshing: Promise<void> | null = null;

  const isServing = (): boolean => [...workers].some(({ version }) => version > 0);

  const startOne = (slot: number): PoolWorker => {
    const process = new WorkerProcess(slot, {
      writeLine: deps.writeLine,
      onLogin: deps.onLogin,
      onEvent: (event) => report(event, slot),
      onEnd: (end) => lose(worker, end),
    });
    const worker: PoolWorker = {
      slot,
      process,
      since: now(),
      version: 0,
      report: null,
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
    const { slot, process, version } = worker;
    if (isEnding && (code === 0 || version === 0)) return;
    report({ kind: "worker_died", number: slot, pid: process.pid, code, signal });
    if (routes === null) return;
    ended = endedReport([ended, ...reportsOf([worker])], routes);
    failedStarts = version > 0 ? 0 : failedStarts + 1;
    if (failedStarts >= FAILED_STARTS * count && !isServing()) return deps.onHopeless();
    later(waitAfter(worker), () => replace(slot));
  };

  const waitAfter = ({ slot, since }: PoolWorker): number => {
    const before = now() - since < times.shortLife ? (shortLives.get(slot) ?? 0) : 0;
    shortLives.set(slot, before + 1);
    return before === 0 ? 0 : Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (before - 1));
  };

  /** Resolves with whether it has reported. */
  const look = async (worker: PoolWorker): Promise<boolean> => {
    const answer = await worker.process.ask({ kind: "report" }, REPORT_MS);
    if (answer?.kind !== "report") return false;
    worker.report = answer.report;
    worker.silent = 0;
    return true;
  };

  const serving = (): readonly PoolWorker[] => [...workers].filter(({ version }) => version > 0);

  const refresh = async (): Promise<void> => {
    const asked = serving();
    const late = new Set(asked);
    const looks = asked.map(async (worker) => {
      if (await look(worker)) late.delete(worker);
    });
    await Promise.race([Promise.all(looks), sleep(REFRESH_MS, undefined, { ref: false })]);
    silent = new Set(late);
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
    report({ kind: "worker_hangs", number: worker.slot, seconds });
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
      ended = endedReport([ended], names);
      if (!isFirst) return;
      const slots = new Set([...workers].map(({ slot }) => slot));
      for (let slot = 1; slot <= count; slot += 1) if (!slots.has(slot)) later(0, () => replace(slot));
    },
    isServing,
    isEnding: () => isEnding,
    say: (message) => {
      for (const { process } of workers) process.say(message);
    },
    reports: () => [...reportsOf(serving()), ended],
    status: () => {
      const alive = serving();
      const late = alive.filter((worker) => silent.has(worker)).length;
      return { wanted: count, serving: alive.length, silent: late };
    },
    probe: async (route) => {
      const asked = serving().map(({ process }) => process.ask({ kind: "probe", route }, PROBE_MS));
      const answers = await Promise.all(asked);
      return answers.flatMap((answer) => (answer?.kind === "probed" ? answer.results : []));
    },
    refresh: () => {
      // Any number of viewers ask once.
      refreshing ??= refresh().finally(() => {
        refreshing = null;
      });
      return refreshing;
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

function reportsOf(workers: readonly PoolWorker[]): readonly ProcessReport[] {
  return workers.flatMap(({ report }) => (report === null ? [] : [report]));
}

/** Does not keep the process alive. */
function later(milliseconds: number, run: () => void): void {
  setTimeout(run, milliseconds).unref();
}
