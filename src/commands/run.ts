import { type App, StartError, startApp } from "../app.ts";
import { loadConfig } from "../config/load.ts";
import { formatProblem } from "../config/problem.ts";
import { openLineWriter } from "../observe/line-writer.ts";
import type { CommandIo } from "./command-io.ts";

const STDOUT = 1;
/** What a stdout that takes nothing more may cost a shutdown. */
const FLUSH_MS = 1_000;

/** Serves until `stop` settles, then drains. Exit code 0: after a drain; 1: bad config, or a port that cannot be had. */
export async function runCommand(configFile: string, stop: Promise<void>, io: CommandIo): Promise<number> {
  const loaded = await loadConfig(configFile, io.env);
  if (!loaded.ok) {
    for (const problem of loaded.problems) io.err(`${formatProblem(problem)}\n`);
    return 1;
  }
  const lines = openLineWriter(STDOUT);
  let app: App;
  try {
    app = await startApp(loaded.snapshot, { writeLine: lines.write });
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    io.err(`sparekey: ${error.message}\n`);
    return 1;
  }
  await stop;
  await app.drain();
  await lines.flush(FLUSH_MS);
  return 0;
}
