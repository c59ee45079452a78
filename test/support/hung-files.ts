/** As a network file system that no longer answers: every thread that reads files waits for one that does not come. */
import { execFileSync } from "node:child_process";
import { closeSync, constants, open, openSync } from "node:fs";
import { join } from "node:path";
import type { Test } from "tap";

/** Of libuv, unless UV_THREADPOOL_SIZE says otherwise. */
const THREADS = 4;

/** From now on no file can be read in this process, until the function returned is called. `dir`: for what it needs. */
export function hangFiles(t: Test, dir: string): () => void {
  const pipes = Array.from({ length: THREADS }, (_, index) => join(dir, `hung${index}`));
  execFileSync("mkfifo", pipes);
  for (const pipe of pipes) {
    open(pipe, constants.O_RDONLY, (error, fd) => {
      if (error === null) closeSync(fd);
    });
  }
  let isOver = false;
  const answer = (): void => {
    if (isOver) return;
    isOver = true;
    for (const pipe of pipes) closeSync(openSync(pipe, constants.O_WRONLY));
  };
  t.teardown(answer);
  return answer;
}
