/** The end of a process that loses nothing: keep serving while load balancers notice, then let connections run out. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Drain } from "../core/snapshot.ts";

export interface Drainable {
  connections(): number;
  /** Takes nothing new; resolves when the last connection is closed. */
  drain(): Promise<void>;
}

/** Resolves with the connections still open when the time was up: 0 after a complete drain. Closes none of them. */
export async function drain(servers: readonly Drainable[], { delay, timeout }: Drain): Promise<number> {
  await sleep(delay);
  const timer = new AbortController();
  const timeUp = sleep(timeout, "time is up", { signal: timer.signal }).catch(() => "drained");
  const drained = Promise.all(servers.map((server) => server.drain())).then(() => "drained");
  const ended = await Promise.race([drained, timeUp]);
  timer.abort();
  return ended === "drained" ? 0 : servers.reduce((open, server) => open + server.connections(), 0);
}
