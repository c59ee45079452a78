/** One run of a cell: all replicas healthy, then one turns bad, while each subject has its own load. */
import { setTimeout as sleep } from "node:timers/promises";
import type { DnsServer } from "../faults/dns-server.ts";
import { killAddress, reviveAddress } from "../faults/namespace.ts";
import type { Bad, Cell, SubjectName } from "./cells.ts";
import { figuresOf, type RunFigures } from "./figures.ts";
import { startLoad } from "./load.ts";
import { openPlace, type Place, PORT } from "./place.ts";
import { allRequests, type Replicas, requestsTo, startReplicas } from "./replicas.ts";
import { type Subject, startSubject } from "./subjects.ts";

/** Not counted: code is compiled and connections are made. */
const SETTLE_MS = 2_000;
const QUIET_MS = 5_000;
/** The end of the quiet time, which shows where requests go. */
const WATCHED_MS = 500;

export interface Settings {
  readonly perSecond: number;
  /** How long a replica is bad. */
  readonly lastsMs: number;
  /** The replica that answers the first subject most turns bad, and not one by turns. */
  readonly aimed: boolean;
}

export interface Staged {
  readonly place: Place;
  readonly replicas: Replicas;
  readonly subjects: readonly Subject[];
  close(): Promise<void>;
}

export interface Setting {
  readonly dns: DnsServer;
  /** New for each scene. */
  readonly number: number;
  /** One of the scenes that run at the same time. */
  readonly slot: number;
}

/** `spare`: so many more replicas, which nobody is sent to and which do not listen yet. */
export async function stage(
  { reach, n }: Pick<Cell, "reach" | "n">,
  names: readonly SubjectName[],
  { dns, number, slot }: Setting,
  spare = 0,
): Promise<Staged> {
  const place = await openPlace(reach, number, n + spare, dns);
  const replicas = startReplicas(PORT, place.addresses);
  const subjects: Subject[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(subjects.map((subject) => subject.stop()));
    await replicas.close();
    await place.close();
  };
  try {
    const members = place.addresses.slice(0, n);
    await place.setMembers(members);
    for (const address of members) await replicas.listen(address);
    for (const name of names) subjects.push(await startSubject(name, slot, place));
    return { place, replicas, subjects, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** `turn`: which of the replicas turns bad, because the first of a list is a case of its own. */
export async function play(
  staged: Staged,
  bad: Bad,
  { perSecond, lastsMs, aimed }: Settings,
  turn: number,
): Promise<ReadonlyMap<SubjectName, RunFigures>> {
  const { place, replicas, subjects } = staged;
  const loads = subjects.map((subject) => ({ name: subject.name, load: startLoad(subject, perSecond) }));
  await sleep(SETTLE_MS + QUIET_MS - WATCHED_MS);
  const watched = await replicas.counts();
  await sleep(WATCHED_MS);
  const before = await replicas.counts();
  const requests = (name: SubjectName, address: string): number => requestsTo(address, name, watched, before);
  const first = subjects[0]?.name ?? "sparekey";
  const address = aimed
    ? (place.addresses.toSorted((a, b) => requests(first, b) - requests(first, a))[0] ?? "")
    : (place.addresses[turn % place.addresses.length] ?? "");
  const onset = performance.now();
  const heal = await turnBad(staged, bad, address);
  await sleep(lastsMs);
  const after = await replicas.counts();
  const replies = await Promise.all(
    loads.map(async ({ name, load }) => ({ name, replies: await load.stop() })),
  );
  await heal();
  return new Map(
    replies.map(({ name, replies: all }) => {
      const seen = all.map(({ sent, done, came }) => ({ sent: sent - onset, took: done - sent, came }));
      const extent = { quietMs: QUIET_MS, lastsMs, requests: allRequests(name, before, after) };
      return [name, figuresOf(seen, { ...extent, met: requests(name, address) > 0 })];
    }),
  );
}

/** Resolves with what heals it, as far as the closing of the scene needs it. */
async function turnBad(
  { place: { addresses }, replicas }: Staged,
  bad: Bad,
  address: string,
): Promise<() => Promise<void>> {
  switch (bad) {
    case "none":
      break;
    case "all":
      await Promise.all(addresses.map((one) => replicas.behave(one, "hung")));
      break;
    case "dropped":
      await killAddress(address);
      return () => reviveAddress(address);
    default:
      await replicas.behave(address, bad);
  }
  return async () => {};
}
