/** Starts the process of some replicas, and tells it what they are to do. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { SubjectName } from "./cells.ts";
import type { Deed } from "./replica.ts";
import type { Counts, Done, Order, Told } from "./replica-process.ts";

const PROCESS = join(import.meta.dirname, "replica-process.ts");

/** Each call resolves when it has taken effect. */
export interface Replicas {
  listen(address: string): Promise<void>;
  behave(address: string, deed: Deed): Promise<void>;
  /** Resolves when the last connection is closed. */
  leave(address: string): Promise<void>;
  counts(): Promise<Counts>;
  close(): Promise<void>;
}

/** None of them listens yet. They end with this process at the latest. */
export function startReplicas(port: number, addresses: readonly string[]): Replicas {
  const child = fork(PROCESS, [String(port), ...addresses], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const waiting = new Map<number, PromiseWithResolvers<Counts>>();
  let last = 0;
  child.on("message", (message) => {
    const { id, counts, error } = message as Done;
    const call = waiting.get(id);
    waiting.delete(id);
    if (error === null) call?.resolve(counts);
    else call?.reject(new Error(error));
  });
  child.once("exit", () => {
    for (const call of waiting.values()) call.reject(new Error("the process of the replicas has ended"));
  });
  const tell = (order: Order): Promise<Counts> => {
    last += 1;
    const told: Told = { id: last, order };
    const call = Promise.withResolvers<Counts>();
    waiting.set(last, call);
    child.send(told);
    return call.promise;
  };
  return {
    listen: async (address) => void (await tell({ to: "listen", address })),
    behave: async (address, deed) => void (await tell({ to: "behave", address, deed })),
    leave: async (address) => void (await tell({ to: "leave", address })),
    counts: () => tell({ to: "count" }),
    close: async () => {
      const exited = once(child, "exit");
      if (child.exitCode === null && child.connected) child.disconnect();
      if (child.exitCode === null) await exited;
    },
  };
}

/** How many requests of the subject came to the address between two counts. */
export function requestsTo(address: string, subject: SubjectName, before: Counts, after: Counts): number {
  return (after[address]?.[subject] ?? 0) - (before[address]?.[subject] ?? 0);
}

export function allRequests(subject: SubjectName, before: Counts, after: Counts): number {
  return Object.keys(after).reduce((sum, address) => sum + requestsTo(address, subject, before, after), 0);
}
