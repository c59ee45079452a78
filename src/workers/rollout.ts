/** How a config reaches all workers: those that are there, at once, and those that come later. */
import { WorkerError } from "../app/app.ts";
import type { Prepared } from "../app/engine.ts";
import { type PackedSnapshot, pack } from "../core/packed-snapshot.ts";
import type { Address, Snapshot } from "../core/snapshot.ts";
import { ListenError } from "../gateway/listeners.ts";
import type { OpenLogins } from "../login/logins.ts";
import type { Report } from "../observe/event.ts";
import { htpasswdFiles } from "../route/generations.ts";
import type { Overrides } from "../route/overrides.ts";
import type { WorkerReply } from "./protocol.ts";
import { shareOf } from "./share.ts";
import {
  addressesOf,
  boundBy,
  changesOf,
  listensFor,
  NO_LISTENS,
  type SharedListens,
} from "./shared-listens.ts";
import type { PoolWorker, WorkerPool } from "./worker-pool.ts";

/** A worker that is not ready by then never will be, because files are given up after 5 s. */
const PREPARE_MS = 30_000;
/** Another process may take a port that the system chose before the workers do. */
const PORT_TRIES = 3;

/** What all workers serve by. */
interface Served {
  /** Counts from 1. */
  readonly version: number;
  readonly snapshot: Snapshot;
  readonly packed: PackedSnapshot;
  readonly listens: SharedListens;
  readonly htpasswds: readonly string[];
}

interface Rollout {
  /** As `Engine.prepare`. */
  prepare(next: Snapshot): Promise<Prepared>;
  /** Brings a worker to the config in use, whatever number of reloads come meanwhile. */
  bringUp(worker: PoolWorker): Promise<void>;
  /** Where the config in use is served. */
  addresses(): readonly Address[];
}

interface RolloutDeps {
  /** How many workers there are. */
  readonly count: number;
  readonly pool: Pick<WorkerPool, "all" | "start" | "keep" | "isEnding">;
  readonly logins: Pick<OpenLogins, "use">;
  readonly overrides: Pick<Overrides, "of" | "left" | "keep">;
  readonly report: Report;
}

export function createRollout({ count, pool, logins, overrides, report }: RolloutDeps): Rollout {
  let served: Served | null = null;
  /** Workers on their way to the config in use. */
  const coming = new WeakSet<PoolWorker>();

  const addresses = (): readonly Address[] => addressesOf(served?.listens ?? NO_LISTENS);

  const begin = (worker: PoolWorker, wanted: number): void => {
    worker.process.say({ kind: "use" });
    worker.version = wanted;
  };

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

  const prepareOnce = async (next: Snapshot): Promise<Prepared> => {
    const before = served;
    const used = before?.listens ?? NO_LISTENS;
    const listens = await listensFor(next, used);
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
    // A worker that hangs or has died is replaced, and its successor begins with what is in use then.
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
        return changesOf(used, listens, next.limits);
      },
      undo,
    };
  };

  return {
    prepare: async (next) => {
      for (let tries = 1; ; tries += 1) {
        try {
          return await prepareOnce(next);
        } catch (error) {
          const isByChance =
            error instanceof ListenError && next.routes.some(({ listen }) => listen.port === 0);
          if (!isByChance || tries === PORT_TRIES) throw error;
        }
      }
    },
    bringUp,
    addresses,
  };
}

/** null: all that can answer are ready. At the start all must answer; later a worker that died is replaced. */
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
