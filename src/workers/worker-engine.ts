/**
 * Checks answered by several processes. The primary decides what there is one of (config, admin listener, logins,
 * overrides, messages) and never sees a check. Workers share their ports: the system shares new connections out
 * among them.
 */

import { isDeepStrictEqual } from "node:util";
import { WorkerError } from "../app/app.ts";
import type { EngineMaker, EngineMakerDeps } from "../app/build.ts";
import type { Engine, Prepared } from "../app/engine.ts";
import { addressText } from "../core/address-text.ts";
import { type PackedSnapshot, pack } from "../core/packed-snapshot.ts";
import type { Address, Limits, Snapshot } from "../core/snapshot.ts";
import { ListenError, type ListenerChanges, naming } from "../gateway/listeners.ts";
import { openLogins } from "../login/logins.ts";
import { createProcessUsage } from "../observe/metrics/process-usage.ts";
import { sumReports } from "../observe/report.ts";
import { inTime } from "../process/file-patience.ts";
import { htpasswdFiles } from "../route/generations.ts";
import { createOverrides } from "../route/overrides.ts";
import { tryAddress } from "./port-check.ts";
import type { WorkerReply } from "./protocol.ts";
import { shareOf } from "./share.ts";
import { createWorkerPool, type PoolWorker, type WorkerPoolTimes } from "./worker-pool.ts";

const TIMES: WorkerPoolTimes = { lookEvery: 5_000, looks: 2, shortLife: 10_000 };
/** A worker that is not ready by then never will be: files are given up after 5 s. */
const PREPARE_MS = 30_000;
const TICK_MS = 1_000;
/** Another process may be faster at a port that the system chose. */
const PORT_TRIES = 3;

interface Listened {
  readonly address: Address;
  /** As they were when it was opened. */
  readonly limits: Limits;
}

/** By the `listen` of the config, as `addressText` has it. */
type Listens = ReadonlyMap<string, Listened>;

/** What all workers serve by. */
interface Served {
  /** Counts from 1. */
  readonly version: number;
  readonly snapshot: Snapshot;
  readonly packed: PackedSnapshot;
  readonly listens: Listens;
  readonly htpasswds: readonly string[];
}

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
  let served: Served | null = null;
  /** On their way to the config in use. */
  const coming = new WeakSet<PoolWorker>();
  const logins = openLogins({ report, inTime, now });
  const pool = createWorkerPool({
    count,
    times,
    report,
    writeLine: deps.writeLine,
    onLogin: ({ route, policy, credentials, address }) => logins.attempt(route, policy, credentials, address),
    onSuccessor: (worker) => void bringUp(worker),
    onHopeless: () =>
      deps.onHopeless(new WorkerError("no worker serves: each ends before it does; see the log")),
    now,
  });
  const usage = createProcessUsage();
  const overrides = createOverrides(now, (change) => {
    report({ kind: "override", change });
    const { route, mode } = change;
    // Workers see by themselves that a time is over or a route gone.
    if (change.kind === "begins") {
      pool.say({ kind: "override", route, mode, milliseconds: change.seconds * 1000 });
    } else if (change.by === "person") {
      pool.say({ kind: "override", route, mode: null, milliseconds: 0 });
    }
  });
  const tick = setInterval(overrides.tick, TICK_MS).unref();

  const addresses = (): readonly Address[] => addressesOf(served?.listens ?? new Map());

  const begin = (worker: PoolWorker, wanted: number): void => {
    worker.process.say({ kind: "use" });
    worker.version = wanted;
  };

  /** To the config in use, whatever number of reloads come meanwhile. */
  const bringUp = async (worker: PoolWorker): Promise<void> => {
    coming.add(worker);
    while (served !== null && !pool.isEnding() && worker.version !== served.version) {
      const { packed, version: wanted } = served;
      const answer = await worker.process.ask({ kind: "prepare", packed }, PREPARE_MS);
      if (answer?.kind !== "prepared") {
        report({ kind: "worker_failed", number: worker.slot, problem: problemOf(answer) });
        return worker.process.kill();
      }
      begin(worker, wanted);
    }
    coming.delete(worker);
    if (served === null || pool.isEnding()) return;
    for (const { name: route } of served.snapshot.routes) {
      const mode = overrides.of(route);
      if (mode) worker.process.say({ kind: "override", route, mode, milliseconds: overrides.left(route) });
    }
    report({ kind: "worker_serves", number: worker.slot, pid: worker.process.pid });
  };

  /** Where each `listen` will be: those in use stay, others are tried. */
  const listensOf = async ({ routes, limits }: Snapshot): Promise<Listens> => {
    const listens = new Map<string, Listened>();
    for (const { listen } of routes) {
      const key = addressText(listen);
      if (listens.has(key)) continue;
      const kept = served?.listens.get(key);
      listens.set(key, kept ?? { address: await naming(listen, tryAddress(listen), addresses()), limits });
    }
    return listens;
  };

  const prepare = async (next: Snapshot): Promise<Prepared> => {
    const before = served;
    const listens = await listensOf(next);
    const htpasswds = htpasswdFiles([{ snapshot: next }]);
    // Checks on their way keep the config they began with, and its files.
    const files = [...(before?.htpasswds ?? []), ...htpasswds];
    await logins.use(files);
    if (pool.all().length === 0 && before === null) pool.start();
    const asked = pool.all().filter((worker) => worker.version === (before?.version ?? 0));
    const packed = pack(shareOf(next, count, boundBy(listens)));
    const answers = await Promise.all(
      asked.map(({ process }) => process.ask({ kind: "prepare", packed }, PREPARE_MS)),
    );
    const undo = async (): Promise<void> => {
      for (const { process } of asked) process.say({ kind: "undo" });
    };
    const problem = problemAmong(answers, before === null, addresses());
    if (problem !== null) {
      await undo();
      throw problem;
    }
    // It hangs, or has died: its successor begins with what is in use then.
    for (const [index, { process }] of asked.entries()) if (answers[index] === null) process.kill();
    return {
      use: () => {
        const routes = new Set(next.routes.map(({ name }) => name));
        served = { version: (before?.version ?? 0) + 1, snapshot: next, packed, listens, htpasswds };
        pool.keep(routes);
        for (const worker of asked) begin(worker, served.version);
        const late = pool.all().filter((worker) => !asked.includes(worker) && !coming.has(worker));
        for (const worker of late) void bringUp(worker);
        overrides.keep(routes);
        return changesOf(before?.listens ?? new Map(), listens, next.limits);
      },
      undo,
    };
  };

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
    prepare: async (next) => {
      for (let tries = 1; ; tries += 1) {
        try {
          return await prepare(next);
        } catch (error) {
          const isByChance =
            error instanceof ListenError && next.routes.some(({ listen }) => listen.port === 0);
          if (!isByChance || tries === PORT_TRIES) throw error;
        }
      }
    },
    isServing: pool.isServing,
    addresses,
    drain: pool.drain,
    close: async () => {
      clearInterval(tick);
      await pool.close();
      await logins.close();
    },
  };
}

function addressesOf(listens: Listens): readonly Address[] {
  return [...listens.values()].map(({ address }) => address);
}

function boundBy(listens: Listens): ReadonlyMap<string, Address> {
  return new Map([...listens].map(([key, { address }]) => [key, address]));
}

/** null: all who can answer are ready. At the start all must; later one that died is replaced. */
function problemAmong(
  answers: readonly (WorkerReply | null)[],
  isStart: boolean,
  ours: readonly Address[],
): Error | null {
  for (const answer of answers) {
    if (answer?.kind === "refused") return new ListenError(answer.address, answer.code, ours);
    if (answer?.kind === "defect") return new Error("a worker met a defect");
    if (answer === null && isStart) {
      return new WorkerError(
        "a worker ended while it started; is there memory for all, or a limit of processes?",
      );
    }
  }
  return null;
}

function problemOf(answer: WorkerReply | null): string {
  if (answer?.kind === "refused") return new ListenError(answer.address, answer.code, []).message;
  return answer === null ? "it does not answer" : "a defect of sparekey";
}

function changesOf(before: Listens, next: Listens, limits: Limits): ListenerChanges {
  const without = (some: Listens, others: Listens): readonly Address[] =>
    [...some].filter(([key]) => !others.has(key)).map(([, { address }]) => address);
  return {
    opened: without(next, before),
    closed: without(before, next),
    keepsOldLimits: [...next.values()].some((one) => !isDeepStrictEqual(one.limits, limits)),
  };
}
