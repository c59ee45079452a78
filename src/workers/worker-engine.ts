/**
 * Checks answered by several processes. The primary decides what there is one of (config, admin listener, logins,
 * overrides, webhooks) and never sees a check. Workers listen on the same ports, and the system shares out new
 * connections among them.
 */
import { WorkerError } from "../app/app.ts";
import type { EngineMaker, EngineMakerDeps } from "../app/build.ts";
import type { Engine } from "../app/engine.ts";
import { openLogins } from "../login/logins.ts";
import { createProcessUsage } from "../observe/metrics/process-usage.ts";
import { sumReports } from "../observe/report.ts";
import { inTime } from "../process/file-patience.ts";
import { createOverrides } from "../route/overrides.ts";
import { createRollout } from "./rollout.ts";
import { createWorkerPool, type WorkerPoolTimes } from "./worker-pool.ts";

const TIMES: WorkerPoolTimes = { lookEvery: 5_000, looks: 2, shortLife: 10_000 };
const TICK_MS = 1_000;

export interface WorkerEngineDeps {
  /** Takes the log lines of the workers. */
  writeLine(line: string): void;
  /** No worker serves, and none will. */
  onHopeless(error: WorkerError): void;
}

export function workerEngine(count: number, deps: WorkerEngineDeps, times = TIMES): EngineMaker {
  return (_first, made) => createWorkerEngine(count, deps, times, made);
}

function createWorkerEngine(
  count: number,
  deps: WorkerEngineDeps,
  times: WorkerPoolTimes,
  { report, now }: EngineMakerDeps,
): Engine {
  const logins = openLogins({ report, inTime, now });
  const pool = createWorkerPool({
    count,
    times,
    report,
    writeLine: deps.writeLine,
    onLogin: ({ route, policy, credentials, address }) => logins.attempt(route, policy, credentials, address),
    onSuccessor: (worker) => void rollout.bringUp(worker),
    onHopeless: () =>
      deps.onHopeless(new WorkerError("no worker serves: each ends before it does; see the log")),
    now,
  });
  const usage = createProcessUsage();
  const overrides = createOverrides(now, (change) => {
    report({ kind: "override", change });
    const { route, mode } = change;
    // Workers see by themselves when a time is over or a route is gone.
    if (change.kind === "begins") {
      pool.say({ kind: "override", route, mode, milliseconds: change.seconds * 1000 });
    } else if (change.by === "person") {
      pool.say({ kind: "override", route, mode: null, milliseconds: 0 });
    }
  });
  const rollout = createRollout({ count, pool, logins, overrides, report });
  const tick = setInterval(overrides.tick, TICK_MS).unref();

  return {
    overrides,
    probe: pool.probe,
    reports: {
      all: () => [{ ...sumReports([]), ...usage.read() }, ...pool.reports()],
      refresh: async () => {
        await Promise.all([usage.refresh(), pool.refresh()]);
      },
      workers: pool.status,
    },
    prepare: rollout.prepare,
    isServing: pool.isServing,
    addresses: rollout.addresses,
    drain: pool.drain,
    close: async () => {
      clearInterval(tick);
      await pool.close();
      await logins.close();
    },
  };
}
