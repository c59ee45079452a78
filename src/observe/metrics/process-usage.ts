/** What a process takes of its machine, measured when it is asked for: nothing runs in between. */
import { setImmediate } from "node:timers/promises";
import type { ProcessReport } from "../report.ts";

interface ProcessUsage {
  /** Measures what is left of this turn of the event loop. */
  refresh(): Promise<void>;
  read(): Pick<ProcessReport, "cpuSeconds" | "residentBytes" | "lagSeconds">;
}

export function createProcessUsage(): ProcessUsage {
  let lagSeconds = 0;
  return {
    refresh: async () => {
      const begin = performance.now();
      await setImmediate();
      lagSeconds = (performance.now() - begin) / 1000;
    },
    read: () => {
      const { user, system } = process.cpuUsage();
      return { cpuSeconds: (user + system) / 1e6, residentBytes: process.memoryUsage.rss(), lagSeconds };
    },
  };
}
