/** How long a file is waited for. A network file system may hang for ever, and must not take sparekey with it. */
import { dirname } from "node:path";

/** Far above what any file takes, unless its file system hangs. */
const PATIENCE_MS = 5_000;
/** Of libuv's four threads so many may hang; names are looked up by the others. */
const MOST_HANGING = 2;

let last: Promise<unknown> = Promise.resolve();
/** Folders, each as often as work on its files hangs. */
const hanging: string[] = [];

/**
 * Work on `file`, which it must not do in here itself. A network file system may hang for ever, and what does holds a
 * thread: so such work is done one at a time, none is begun in a folder where some hangs, and none at all once it
 * hangs in two. Rejects with a `code`.
 */
export function inTime<T>(file: string, work: () => Promise<T>, milliseconds = PATIENCE_MS): Promise<T> {
  const turn = last.then(() => attempt(dirname(file), work, milliseconds));
  last = turn.catch(() => {});
  return turn;
}

async function attempt<T>(folder: string, work: () => Promise<T>, milliseconds: number): Promise<T> {
  if (hanging.includes(folder)) throw refusal(NO_ANSWER);
  if (hanging.length >= MOST_HANGING) throw refusal("file systems do not answer, so no more is read");
  const working = work();
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    hanging.push(folder);
    const back = (): void => {
      hanging.splice(hanging.indexOf(folder), 1);
    };
    working.then(back, back);
    late.reject(refusal(NO_ANSWER));
  }, milliseconds);
  return Promise.race([working, late.promise]).finally(() => clearTimeout(timer));
}

const NO_ANSWER = "its file system does not answer";

/** An error as those of the system are: with its reason as `code`. */
export function refusal(code: string): Error {
  return Object.assign(new Error(code), { code });
}
