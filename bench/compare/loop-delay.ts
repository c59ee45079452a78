/**
 * Measures the delay of sparekey's event loop. It is loaded into sparekey before anything else (`node --import`). A
 * SIGUSR2 begins the measurement. The next one writes the figures, in milliseconds, into the file that this module's
 * `?file=` names. The delays include the 1 ms of the timers.
 */
import { writeFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";

const NANOS_PER_MS = 1e6;
const file = new URL(import.meta.url).searchParams.get("file") ?? "";
const delay = monitorEventLoopDelay({ resolution: 1 });
let isMeasuring = false;

process.on("SIGUSR2", () => {
  isMeasuring = !isMeasuring;
  if (isMeasuring) {
    delay.enable();
    return;
  }
  delay.disable();
  const figures = { p99Ms: delay.percentile(99) / NANOS_PER_MS, maxMs: delay.max / NANOS_PER_MS };
  writeFileSync(file, JSON.stringify(figures));
});
