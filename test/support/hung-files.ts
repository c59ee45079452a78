/** Acts like a network file system that hangs: every thread that reads files waits for a file without an end. */
import { execFileSync } from "node:child_process";
import { closeSync, constants, open, openSync } from "node:fs";
import { join } from "node:path";
import type { Test } from "tap";

/** libuv's threads, unless UV_THREADPOOL_SIZE says otherwise. */
const THREADS = 4;

/** From now on this process can read no file, until the returned function is called. `dir`: for temporary files. */
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
