/** The worker processes of a sparekey, as the system has them. */
import { readFile } from "node:fs/promises";
import { eventually } from "./processes.ts";

/** By start, oldest first. */
export async function workersOf(pid: number): Promise<readonly number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8");
  return text.split(" ").filter(Boolean).map(Number);
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
