/**
 * A program that is started with few file descriptors. It reads the config FILE while some are left, while none is left,
 * and while some are left again. It prints a list: for each read whether the config was good, or its problems.
 */
import { closeSync, openSync } from "node:fs";
import { readConfig } from "../../src/config/read-in-child.ts";

const file = process.argv[2] ?? "";

async function read(): Promise<boolean | readonly string[]> {
  const read = await readConfig(file, process.env);
  return read.ok ? read.files.has(file) : read.problems.map(({ message }) => message);
}

function takeAll(): readonly number[] {
  const taken: number[] = [];
  try {
    for (;;) taken.push(openSync(file, "r"));
  } catch {
    return taken;
  }
}

const before = await read();
const taken = takeAll();
const without = await read();
for (const one of taken) closeSync(one);
const after = await read();
process.stdout.write(JSON.stringify([before, without, after]));
