/** The programs that tests start: where they are, and why a test whose program is not here is skipped. */
import { spawnSync } from "node:child_process";
import { accessSync, constants, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import type { TAP } from "tap";

/** Servers lie in folders that the PATH of a user may lack. */
export const PATH = [process.env.PATH ?? "", "/usr/local/sbin", "/usr/sbin", "/sbin"].join(delimiter);

/** Tests may need this as they need a program. Root has it, but not in every container. */
export const RIGHT_TO_MOUNT = "the right to mount";

const list = readFileSync(join(import.meta.dirname, "../../scripts/programs.txt"), "utf8");
const known = new Set(list.match(/^[\w-]+/gm));

/** null: it is not here. Throws for a program that `npm run setup` does not know. */
export function pathOf(program: string): string | null {
  if (!known.has(program)) throw new Error(`scripts/programs.txt has no ${program}`);
  const places = PATH.split(delimiter).map((folder) => join(folder, program));
  return places.find(isExecutable) ?? null;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function isMet(need: string): boolean {
  if (need !== RIGHT_TO_MOUNT) return pathOf(need) !== null;
  return spawnSync("unshare", ["--mount", "true"]).status === 0;
}

/** For `skip` of a test that needs all of these: why it is skipped, or false. */
export function missing(...needs: readonly string[]): string | false {
  const unmet = needs.filter((need) => !isMet(need));
  return unmet.length > 0 && `not on this machine: ${unmet.join(", ")}`;
}

/** Skips the whole file, for one that starts these before its first test. */
export function skipFileWithout(t: TAP, ...needs: readonly string[]): void {
  const reason = missing(...needs);
  if (reason === false) return;
  t.plan(0, reason);
  process.exit(0);
}
