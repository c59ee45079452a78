/**
 * Scenes without a fault: replicas come and go as a cluster makes them. No check may fail in them. `rolling`: three
 * replicas are replaced one after another. `dns`: a replica is added to a name and gets its share, and another one is
 * taken out of it and drains.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { killAddress } from "../faults/namespace.ts";
import { percentile } from "../statistics.ts";
import type { Reach, SubjectName } from "./cells.ts";
import { type Load, type Replied, startLoad } from "./load.ts";
import { allRequests, requestsTo } from "./replicas.ts";
import { type Setting, type Staged, stage } from "./run.ts";

export const PER_SECOND = 200;
const SETTLE_MS = 3_000;
/** Between the end of one replica and the start of the one in its place, and between two of these. */
const START_MS = 1_000;
const STEADY_MS = 3_000;
/** An added replica must have its share after this time, and one that was taken out must be left. */
const NOTICED_MS = 15_000;
const WATCHED_MS = 5_000;
/** Of a fair share: what is still chance. */
const LEAST_SHARE = 0.5;

export interface ChangeFigures {
  readonly scene: "rolling" | "dns";
  readonly reach: Reach;
  readonly subject: SubjectName;
  readonly checks: number;
  readonly missed: number;
  readonly p99: number;
  readonly max: number;
  readonly odd: readonly string[];
  /** What does not hold, apart from missed checks. */
  readonly problems: readonly string[];
}

export async function playRolling(
  reach: Reach,
  subjects: readonly SubjectName[],
  setting: Setting,
): Promise<readonly ChangeFigures[]> {
  const n = 3;
  const staged = await stage({ reach, n }, subjects, setting, n);
  try {
    const { place, replicas } = staged;
    const loads = startLoads(staged);
    await sleep(SETTLE_MS);
    let members = place.addresses.slice(0, n);
    for (const [index, old] of members.entries()) {
      const fresh = place.addresses[n + index] ?? "";
      members = members.filter((address) => address !== old);
      await place.setMembers(members);
      await end(staged, old);
      await sleep(START_MS);
      await replicas.listen(fresh);
      members = [...members, fresh];
      await place.setMembers(members);
      await sleep(STEADY_MS);
    }
    return await Promise.all(
      loads.map(async ({ name, load }) => ({
        scene: "rolling" as const,
        reach,
        ...changeFigures(name, await load.stop(), []),
      })),
    );
  } finally {
    await staged.close();
  }
}

export async function playDns(
  subjects: readonly SubjectName[],
  setting: Setting,
): Promise<readonly ChangeFigures[]> {
  const n = 2;
  const staged = await stage({ reach: "headless", n }, subjects, setting, 1);
  try {
    const { place, replicas } = staged;
    const [first = "", second = "", third = ""] = place.addresses;
    const loads = startLoads(staged);
    await sleep(SETTLE_MS);
    await replicas.listen(third);
    await place.setMembers([first, second, third]);
    await sleep(NOTICED_MS);
    const added = await sharesOf(staged, third);
    await place.setMembers([second, third]);
    await sleep(NOTICED_MS);
    const removed = await sharesOf(staged, first);
    await end(staged, first);
    await sleep(STEADY_MS);
    return await Promise.all(
      loads.map(async ({ name, load }) => {
        const problems = dnsProblems(added.get(name) ?? 0, removed.get(name) ?? 0);
        return {
          scene: "dns" as const,
          reach: "headless" as const,
          ...changeFigures(name, await load.stop(), problems),
        };
      }),
    );
  } finally {
    await staged.close();
  }
}

/** `added`, `removed`: the shares of the requests that went there, each after `NOTICED_MS`. */
export function dnsProblems(added: number, removed: number): readonly string[] {
  return [
    ...(added < LEAST_SHARE / 3
      ? [`an added replica had ${percent(added)} of the requests after ${NOTICED_MS / 1_000} s`]
      : []),
    ...(removed > 0
      ? [`one that had left DNS had ${percent(removed)} of the requests after ${NOTICED_MS / 1_000} s`]
      : []),
  ];
}

export function changeFigures(
  subject: SubjectName,
  replies: readonly Pick<Replied, "sent" | "done" | "came">[],
  problems: readonly string[],
): Omit<ChangeFigures, "scene" | "reach"> {
  const took = replies.map(({ sent, done }) => done - sent);
  const missed = replies.filter(({ came }) => came.kind !== "verdict");
  const odd = Map.groupBy(missed, ({ came }) => came.text);
  return {
    subject,
    checks: replies.length,
    missed: missed.length,
    p99: percentile(took, 0.99),
    max: percentile(took, 1),
    odd: Array.from(odd, ([text, some]) => `${text}: ${some.length}`),
    problems,
  };
}

/** Drains it. Then nobody answers at its address any more, as when a pod is gone. */
async function end({ replicas }: Staged, address: string): Promise<void> {
  await replicas.leave(address);
  await killAddress(address);
}

function startLoads({ subjects }: Staged): readonly { readonly name: SubjectName; readonly load: Load }[] {
  return subjects.map((subject) => ({ name: subject.name, load: startLoad(subject, PER_SECOND) }));
}

/** Which share of each subject's requests goes to the address in a while. */
async function sharesOf(
  { replicas, subjects }: Staged,
  address: string,
): Promise<ReadonlyMap<SubjectName, number>> {
  const before = await replicas.counts();
  await sleep(WATCHED_MS);
  const after = await replicas.counts();
  return new Map(
    subjects.map(({ name }) => [
      name,
      requestsTo(address, name, before, after) / allRequests(name, before, after),
    ]),
  );
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
