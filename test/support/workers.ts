/** The worker processes of a sparekey, as the system has them. */
import { readFile } from "node:fs/promises";
import { eventually } from "./processes.ts";

/** By start, oldest first. Whoever reads a config for the primary is its child too, for a moment. */
export async function workersOf(pid: number): Promise<readonly number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8");
  const children = text.split(" ").filter(Boolean).map(Number);
  const isWorker = await Promise.all(children.map(async (child) => PROGRAM.test(await commandOf(child))));
  return children.filter((_, index) => isWorker[index]);
}

const PROGRAM = /workers\/worker\./;

/** "": it has ended. */
async function commandOf(pid: number): Promise<string> {
  return readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
}

export async function ended(pids: readonly number[]): Promise<void> {
  await eventually(
    () => `still there: ${pids.filter(isThere).join(", ")}`,
    () => (pids.some(isThere) ? null : true),
  );
}

/** A process that has ended is there until its parent has asked for its exit code. */
function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
