/** The workers there are, as processes: started, replaced when they die, ended. */
import type { ProbeResult } from "../core/probe.ts";
import type { Drain } from "../core/snapshot.ts";
import type { LoginResult } from "../core/types.ts";
import type { Report } from "../observe/event.ts";
import type { ProcessReport, WorkersReport } from "../observe/report.ts";
import type { LoginRequest, ToWorker } from "./protocol.ts";
import { type WorkerEnd, WorkerProcess } from "./worker-process.ts";
import { createWorkerReports, type ReportingWorker } from "./worker-reports.ts";

export interface WorkerPoolTimes {
  /** Milliseconds between two looks at a worker: what it counts in between is lost when it dies. */
  readonly lookEvery: number;
  /** Looks in a row without an answer after which a worker is killed. */
  readonly looks: number;
  /** A worker that lived shorter than this is replaced later each time. */
  readonly shortLife: number;
}

/** It is above what the timeouts of a route may add up to: a person has given up by then. */
const PROBE_MS = 60_000;
/** How much longer than its own time a drain may take to be answered. */
const DRAINED_MS = 1_000;
const CLOSE_MS = 3_000;
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 30_000;
/** After so many failed starts of each worker, with none that serves, there is no hope. */
const FAILED_STARTS = 4;

export interface PoolWorker extends ReportingWorker {
  readonly since: number;
  /** The version of the config that it serves by; 0: none yet. */
  version: number;
}

export interface WorkerPool {
  all(): readonly PoolWorker[];
  /** Starts one worker for each slot, for the first config. None is replaced before `keep`. */
  start(): void;
  /** From now on each worker that dies is replaced, and so are those that have died. Only counts of `routes` last. */
  keep(routes: ReadonlySet<string>): void;
  /** Whether any worker serves. */
  isServing(): boolean;
  isEnding(): boolean;
  say(message: ToWorker): void;
  /** The reports of all workers there are and were, as they reported last. */
  reports(): readonly ProcessReport[];
  status(): WorkersReport;
  /** Has them report anew. It settles soon. */
  refresh(): Promise<void>;
  /** Each probes at once. */
  probe(route: string): Promise<readonly ProbeResult[]>;
  /** Resolves with the connections still open when the time was up. */
  drain(rules: Drain): Promise<number>;
  close(): Promise<void>;
}

interface WorkerPoolDeps {
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

export function createWorkerPool({ count, times, report, now, ...deps }: WorkerPoolDeps): WorkerPool {
  const workers = new Set<PoolWorker>();
  /** Short lives in a row, by slot. */
  const shortLives = new Map<number, number>();
  /** null: no worker is replaced yet. */
  let routes: ReadonlySet<string> | null = null;
  let isEnding = false;
  let failedStarts = 0;

  const serving = (): readonly PoolWorker[] => [...workers].filter(({ version }) => version > 0);
  const reports = createWorkerReports({ ...times, serving, report });
  const looking = setInterval(() => reports.watch(serving()), times.lookEvery).unref();

  const startOne = (slot: number): PoolWorker => {
    const process = new WorkerProcess(slot, {
      writeLine: deps.writeLine,
      onLogin: deps.onLogin,
      onEvent: (event) => report(event, slot),
      onEnd: (end) => lose(worker, end),
    });
    const worker: PoolWorker = { slot, process, since: now(), version: 0, report: null, looks: 0 };
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
    reports.ended(worker, routes);
    failedStarts = version > 0 ? 0 : failedStarts + 1;
    if (failedStarts >= FAILED_STARTS * count && serving().length === 0) return deps.onHopeless();
    later(waitAfter(worker), () => replace(slot));
  };

  const waitAfter = ({ slot, since }: PoolWorker): number => {
    const before = now() - since < times.shortLife ? (shortLives.get(slot) ?? 0) : 0;
    shortLives.set(slot, before + 1);
    return before === 0 ? 0 : Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (before - 1));
  };

  return {
    all: () => [...workers],
    start: () => {
      for (let slot = 1; slot <= count; slot += 1) startOne(slot);
    },
    keep: (names) => {
      const isFirst = routes === null;
      routes = names;
      reports.keep(names);
      if (!isFirst) return;
      const slots = new Set([...workers].map(({ slot }) => slot));
      for (let slot = 1; slot <= count; slot += 1) if (!slots.has(slot)) later(0, () => replace(slot));
    },
    isServing: () => serving().length > 0,
    isEnding: () => isEnding,
    say: (message) => {
      for (const { process } of workers) process.say(message);
    },
    reports: reports.all,
    status: () => ({ wanted: count, serving: serving().length, silent: reports.silent() }),
    refresh: reports.refresh,
    probe: async (route) => {
      const asked = serving().map(({ process }) => process.ask({ kind: "probe", route }, PROBE_MS));
      const answers = await Promise.all(asked);
      return answers.flatMap((answer) => (answer?.kind === "probed" ? answer.results : []));
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

async function finish({ process, version }: PoolWorker): Promise<void> {
  if (version === 0) process.kill();
  else process.say({ kind: "close" });
  const late = setTimeout(() => process.kill(), CLOSE_MS);
  await process.ended;
  clearTimeout(late);
}

/** Does not keep the process alive. */
function later(milliseconds: number, run: () => void): void {
  setTimeout(run, milliseconds).unref();
}
