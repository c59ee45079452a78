/**
 * What workers have counted, as they reported last, with the counts of those that have ended, so that no counter ever
 * falls. A worker that does not report for some looks in a row is killed.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Report } from "../observe/event.ts";
import { endedReport, type ProcessReport, sumReports } from "../observe/report.ts";
import type { WorkerProcess } from "./worker-process.ts";

/** How long a scrape and a status page wait for workers. */
const REFRESH_MS = 1_000;
/** How long a report may take and still count, though nobody waits for it any more. */
const REPORT_MS = 10_000;

export interface ReportingWorker {
  readonly slot: number;
  readonly process: WorkerProcess;
  /** What it reported last; null: it has not reported yet. */
  report: ProcessReport | null;
  /** How often it was looked at since it reported last. */
  looks: number;
}

interface WorkerReports {
  /** The reports of all workers that serve, and of those that have ended. */
  all(): readonly ProcessReport[];
  /** How many of those that serve did not answer the last `refresh` in time. */
  silent(): number;
  /** Has all of them report anew. It settles soon, and a later report counts all the same. */
  refresh(): Promise<void>;
  /** Call it every few seconds with the workers that serve. */
  watch(workers: Iterable<ReportingWorker>): void;
  /** The worker has ended: what it counted stays. */
  ended(worker: ReportingWorker, routes: ReadonlySet<string>): void;
  /** Drops what ended workers counted of all other routes. */
  keep(routes: ReadonlySet<string>): void;
}

interface WorkerReportsDeps {
  serving(): readonly ReportingWorker[];
  /** Milliseconds between two looks at a worker. */
  readonly lookEvery: number;
  /** Looks in a row without an answer after which it is killed. */
  readonly looks: number;
  readonly report: Report;
}

export function createWorkerReports({ serving, lookEvery, looks, report }: WorkerReportsDeps): WorkerReports {
  let endedSum = sumReports([]);
  let silent: ReadonlySet<ReportingWorker> = new Set();
  let running = Promise.resolve();
  let next: Promise<void> | null = null;

  /** Resolves with whether it has reported. */
  const look = async (worker: ReportingWorker): Promise<boolean> => {
    const answer = await worker.process.ask({ kind: "report" }, REPORT_MS);
    if (answer?.kind !== "report") return false;
    worker.report = answer.report;
    worker.looks = 0;
    return true;
  };

  const refresh = async (): Promise<void> => {
    const asked = serving();
    const late = new Set(asked);
    const answers = asked.map(async (worker) => {
      if (await look(worker)) late.delete(worker);
    });
    await Promise.race([Promise.all(answers), sleep(REFRESH_MS, undefined, { ref: false })]);
    silent = new Set(late);
  };

  return {
    all: () => [...reportsOf(serving()), endedSum],
    silent: () => serving().filter((worker) => silent.has(worker)).length,
    refresh: () => {
      // All that ask while one is under way share the next one, which reports what they have seen happen.
      next ??= running.then(() => {
        next = null;
        running = refresh();
        return running;
      });
      return next;
    },
    watch: (workers) => {
      for (const worker of workers) {
        // Looks are counted and not time, because after a pause of the whole machine all would seem silent.
        if (worker.looks < looks) {
          worker.looks += 1;
          void look(worker);
          continue;
        }
        const seconds = (worker.looks * lookEvery) / 1000;
        report({ kind: "worker_hangs", number: worker.slot, seconds });
        worker.process.kill();
      }
    },
    ended: (worker, routes) => {
      endedSum = endedReport([endedSum, ...reportsOf([worker])], routes);
    },
    keep: (routes) => {
      endedSum = endedReport([endedSum], routes);
    },
  };
}

function reportsOf(workers: readonly ReportingWorker[]): readonly ProcessReport[] {
  return workers.flatMap((worker) => (worker.report === null ? [] : [worker.report]));
}
