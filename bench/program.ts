/** Starts other programs on free ports, for the time of a bench. They end with this process at the latest. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const START_MS = 15_000;
const STOP_MS = 5_000;
const POLL_MS = 10;
const KEPT_ERRORS = 4_096;

export interface Program {
  readonly pid: number;
  /** Ends the program at once, in the middle of its work. */
  stop(): Promise<void>;
}

/** Resolves when the program listens on `port` of 127.0.0.1; otherwise rejects with its stderr. */
export async function startProgram(
  command: readonly string[],
  port: number,
  env: Readonly<Record<string, string>> = {},
): Promise<Program> {
  const [file = "", ...args] = command;
  // The process group of its own makes a killed master leave no worker behind.
  const child = spawn(file, args, {
    detached: true,
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, ...env },
  });
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors = (errors + text).slice(-KEPT_ERRORS);
  });
  const kill = (): void => killGroup(child);
  process.once("exit", kill);
  child.once("exit", () => process.removeListener("exit", kill));
  const isUp = await Promise.race([once(child, "exit").then(() => false), accepting(port)]).catch(
    () => false,
  );
  if (!isUp) {
    kill();
    throw new Error(`${command.join(" ")} does not start: ${errors.trim()}`);
  }
  return { pid: child.pid ?? 0, stop: () => stop(child) };
}

async function accepting(port: number): Promise<boolean> {
  const deadline = performance.now() + START_MS;
  while (performance.now() < deadline) {
    const socket = connect(port, "127.0.0.1");
    const isUp = await once(socket, "connect").then(
      () => true,
      () => false,
    );
    socket.on("error", () => {}).destroy();
    if (isUp) return true;
    await sleep(POLL_MS);
  }
  return false;
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  const late = setTimeout(() => killGroup(child), STOP_MS);
  await exited;
  clearTimeout(late);
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // The program has ended by itself.
  }
}
