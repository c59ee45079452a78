/**
 * Checks answered by several processes. The primary decides what there is one of (config, admin listener, logins,
 * overrides, messages) and never sees a check. Workers share their ports: the system shares new connections out
 * among them.
 */

import { isDeepStrictEqual } from "node:util";
import { type EngineMaker, type EngineParts, WorkerError } from "../app/app.ts";
import type { Engine, Prepared } from "../app/engine.ts";
import { addressText } from "../core/address-text.ts";
import { type PackedSnapshot, pack } from "../core/packed-snapshot.ts";
import type { Address, Limits, Snapshot } from "../core/snapshot.ts";
import { ListenError, type ListenerChanges, naming } from "../gateway/listeners.ts";
import { openLogins } from "../login/logins.ts";
import { logOverride } from "../observe/log/events.ts";
import { createMetrics } from "../observe/metrics/metrics.ts";
import { sumText } from "../observe/metrics/metrics-sum.ts";
import { inTime } from "../process/file-patience.ts";
import { version } from "../process/version.ts";
import { htpasswdFiles } from "../route/generations.ts";
import { createOverrides } from "../route/overrides.ts";
import { tryAddress } from "./port-check.ts";
import type { Answer } from "./protocol.ts";
import { shareOf } from "./share.ts";
import { type CrewTimes, createMembers, type Member } from "./worker-pool.ts";

const TIMES: CrewTimes = { lookEvery: 5_000, looks: 2, shortLife: 10_000 };
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
  readonly parcel: PackedSnapshot;
  readonly listens: Listens;
  readonly htpasswds: readonly string[];
}

export interface CrewWorld {
  /** Takes the log lines of the workers. */
  writeLine(line: string): void;
  /** No worker serves, and none will. */
  onHopeless(error: WorkerError): void;
}

export function crewOf(count: number, world: CrewWorld, times = TIMES): EngineMaker {
  return (_first, parts) => createCrew(count, world, times, parts);
}

function createCrew(
  count: number,
  world: CrewWorld,
  times: CrewTimes,
  { logger, onFile, onActivity, onNews, now }: EngineParts,
): Engine {
  let served: Served | null = null;
  /** On their way to the config in use. */
  const coming = new WeakSet<Member>();
  const logins = openLogins({ onFile, inTime, now });
  const members = createMembers({
    count,
    times,
    logger,
    writeLine: world.writeLine,
    onActivity,
    onNews,
    onLogin: ({ route, policy, credentials, address }) => logins.attempt(route, policy, credentials, address),
    onSuccessor: (member) => void bringUp(member),
    onHopeless: () =>
      world.onHopeless(new WorkerError("no worker serves: each ends before it does; see the log")),
    now,
  });
  const own = metricsOfPrimary(now);
  const overrides = createOverrides(now, (event) => {
    logOverride(logger, event);
    onNews({ kind: "override", event });
    const { route, mode } = event;
    // Workers see by themselves that a time is over or a route gone.
    if (event.kind === "begins") {
      members.say({ kind: "override", route, mode, milliseconds: event.seconds * 1000 });
    } else if (event.by === "person") {
      members.say({ kind: "override", route, mode: null, milliseconds: 0 });
    }
  });
  const tick = setInterval(overrides.tick, TICK_MS).unref();

  const addresses = (): readonly Address[] => addressesOf(served?.listens ?? new Map());

  const begin = (member: Member, wanted: number): void => {
    member.process.say({ kind: "use" });
    member.version = wanted;
  };

  /** To the config in use, whatever number of reloads come meanwhile. */
  const bringUp = async (member: Member): Promise<void> => {
    coming.add(member);
    while (served !== null && !members.isEnding() && member.version !== served.version) {
      const { parcel, version: wanted } = served;
      const answer = await member.process.ask({ kind: "prepare", parcel }, PREPARE_MS);
      if (answer?.kind !== "prepared") {
        logger.error("worker cannot serve", { worker: member.slot, problem: problemOf(answer) });
        return member.process.kill();
      }
      begin(member, wanted);
    }
    coming.delete(member);
    if (served === null || members.isEnding()) return;
    for (const { name: route } of served.snapshot.routes) {
      const mode = overrides.of(route);
      if (mode) member.process.say({ kind: "override", route, mode, milliseconds: overrides.left(route) });
    }
    logger.info("worker serves", { worker: member.slot, pid: member.process.pid });
    onNews({ kind: "worker_serves", number: member.slot });
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
    if (members.all().length === 0 && before === null) members.start();
    const asked = members.all().filter((member) => member.version === (before?.version ?? 0));
    const parcel = pack(shareOf(next, count, boundBy(listens)));
    const answers = await Promise.all(
      asked.map(({ process }) => process.ask({ kind: "prepare", parcel }, PREPARE_MS)),
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
        served = { version: (before?.version ?? 0) + 1, snapshot: next, parcel, listens, htpasswds };
        members.keep(routes);
        for (const member of asked) begin(member, served.version);
        const late = members.all().filter((member) => !asked.includes(member) && !coming.has(member));
        for (const member of late) void bringUp(member);
        overrides.keep(routes);
        return changesOf(before?.listens ?? new Map(), listens, next.limits);
      },
      undo,
    };
  };

  return {
    metrics: {
      contentType: own.contentType,
      configRead: own.configRead,
      text: async () => sumText([await own.families(), ...(await members.families())]),
    },
    overrides,
    probe: members.probe,
    status: { facts: members.facts, workers: members.status, refresh: members.refresh },
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
    isServing: members.isServing,
    addresses,
    drain: members.drain,
    close: async () => {
      clearInterval(tick);
      await members.close();
      await logins.close();
    },
  };
}

/** What all processes are told of by one: the config, the program. No check is counted here. */
function metricsOfPrimary(now: () => number) {
  const none = (): number => 0;
  return createMetrics({
    version: version(),
    node: process.version,
    inFlight: none,
    connections: none,
    htpasswdUsers: none,
    now,
  });
}

function addressesOf(listens: Listens): readonly Address[] {
  return [...listens.values()].map(({ address }) => address);
}

function boundBy(listens: Listens): ReadonlyMap<string, Address> {
  return new Map([...listens].map(([key, { address }]) => [key, address]));
}

/** null: all who can answer are ready. At the start all must; later one that died is replaced. */
function problemAmong(
  answers: readonly (Answer | null)[],
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

function problemOf(answer: Answer | null): string {
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
