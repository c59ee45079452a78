/** The worker processes of a sparekey, from the system's table of processes. */
import { readFile } from "node:fs/promises";
import { eventually } from "./processes.ts";

/** The oldest first. A process that reads a config for the primary is its child too, but no worker. */
export async function workersOf(pid: number): Promise<readonly number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8");
  const children = text.split(" ").filter(Boolean).map(Number);
  const isWorker = await Promise.all(children.map(async (child) => PROGRAM.test(await commandOf(child))));
  return children.filter((_, index) => isWorker[index]);
}

const PROGRAM = /workers\/worker\./;

/** "": the process has ended. */
async function commandOf(pid: number): Promise<string> {
  return readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
}

export async function ended(pids: readonly number[]): Promise<void> {
  await eventually(
    () => `still there: ${pids.filter(isThere).join(", ")}`,
    () => (pids.some(isThere) ? null : true),
  );
}

/** A process that has ended still exists until its parent has asked for its exit code. */
function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
