import { type App, ENDING, startApp, WorkerError } from "../app/app.ts";
import type { EngineMaker } from "../app/build.ts";
import { formatProblem } from "../config/problem.ts";
import { readConfig } from "../config/read-in-child.ts";
import { watchConfig } from "../config/watch.ts";
import type { Snapshot } from "../core/snapshot.ts";
import type { ReloadResult } from "../core/types.ts";
import { ListenError } from "../gateway/listeners.ts";
import { openLineWriter } from "../observe/log/line-writer.ts";
import type { WorkerEngineDeps } from "../workers/worker-engine.ts";
import type { CommandIo } from "./command-io.ts";

const STDOUT = 1;
/** How long a shutdown waits for a stdout that takes nothing more. */
const FLUSH_MS = 1_000;
/** How long a shutdown waits for hung files and name servers. The system's resolver gives up after 10 s by itself. */
const END_MS = 12_000;
/** A change takes effect within two looks. */
const WATCH_MS = 500;

const STARTING: ReloadResult = { ok: false, problems: ["sparekey is starting"] };

interface RunSignals {
  readonly stop: Promise<void>;
  /** `listener` is called whenever the config must be read again. */
  onReload(listener: () => void): void;
}

/**
 * Serves until `stop` settles, then drains. Reloads when the config changes, and on request. Exit code 0: it has
 * drained; 1: a bad config, a port that is taken, or no working worker. A hung file makes it end by SIGKILL.
 */
export async function runCommand(configFile: string, signals: RunSignals, io: CommandIo): Promise<number> {
  const loaded = await readConfig(configFile, io.env);
  if (!loaded.ok) {
    for (const problem of loaded.problems) io.err(`${formatProblem(problem)}\n`);
    return 1;
  }
  const lines = openLineWriter(STDOUT);
  let reload = async (): Promise<ReloadResult> => STARTING;
  const hopeless = Promise.withResolvers<WorkerError>();
  let app: App;
  try {
    const appDeps = { writeLine: lines.write, reload: () => reload() };
    const workerDeps = { writeLine: lines.write, onHopeless: hopeless.resolve };
    app = await startApp(loaded.snapshot, appDeps, await engineMaker(loaded.snapshot, workerDeps));
  } catch (error) {
    if (!(error instanceof ListenError || error instanceof WorkerError)) throw error;
    io.err(`sparekey: ${error.message}\n`);
    return 1;
  }
  const watch = watchConfig({
    interval: WATCH_MS,
    files: loaded.files,
    // A drain does not wait for the child that reads the config.
    load: () => readConfig(configFile, io.env, { holds: false }),
    onLoaded: (read) => (read.ok ? app.reload(read.snapshot) : app.refuse(read.problems.map(formatProblem))),
  });
  reload = async () => (await watch.reload()) ?? ENDING;
  signals.onReload(() => void watch.reload());
  const failure = await Promise.race([signals.stop, hopeless.promise]);
  watch.close();
  await app.drain();
  await lines.flush(FLUSH_MS);
  endSoon(io);
  if (failure) io.err(`sparekey: ${failure.message}\n`);
  return failure ? 1 : 0;
}

/** undefined: this process answers the checks itself, and the code for workers is not even loaded. */
async function engineMaker({ workers }: Snapshot, deps: WorkerEngineDeps): Promise<EngineMaker | undefined> {
  if (workers === 1) return undefined;
  const { workerEngine } = await import("../workers/worker-engine.ts");
  return workerEngine(workers, deps);
}

/**
 * Nothing is left to do now. Only a thread that waits for a file or a name can keep the process. process.exit would
 * not help, because Node waits for its threads.
 */
function endSoon(io: CommandIo): void {
  const kill = (): void => {
    io.err(
      "sparekey: drained, but a file system or name server that does not answer keeps the process; it is killed\n",
    );
    process.kill(process.pid, "SIGKILL");
  };
  setTimeout(kill, END_MS).unref();
}
