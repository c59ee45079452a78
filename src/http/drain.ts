/** Ends a process without loss: it goes on serving while load balancers notice, then lets connections run out. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Drain } from "../core/snapshot.ts";

export interface Drainable {
  connections(): number;
  /** Takes nothing new; resolves when the last connection is closed. */
  drain(): Promise<void>;
}

/** Resolves with how many connections are open when the time is up, or 0 once all have closed. Closes none itself. */
export async function drain(servers: readonly Drainable[], { delay, timeout }: Drain): Promise<number> {
  await sleep(delay);
  const timer = new AbortController();
  const timeUp = sleep(timeout, "time is up", { signal: timer.signal }).catch(() => "drained");
  const drained = Promise.all(servers.map((server) => server.drain())).then(() => "drained");
  const ended = await Promise.race([drained, timeUp]);
  timer.abort();
  return ended === "drained" ? 0 : servers.reduce((open, server) => open + server.connections(), 0);
}
