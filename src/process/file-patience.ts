/**
 * How long work on a file may take. A network file system may hang for ever, and each call that hangs holds one of
 * libuv's four threads, which checks need for looking up names.
 */
import { dirname } from "node:path";

/** Work on a file takes far less, unless its file system hangs. */
const PATIENCE_MS = 5_000;
/** So many threads may hang; the others look up names. */
const MOST_HANGING = 2;

let last: Promise<unknown> = Promise.resolve();
/** The folder of each work that hangs. */
const hanging: string[] = [];

/**
 * Does `work` on `file`, one work at a time. No work begins in a folder where work hangs, and none at all while two
 * works hang. `work` must not call `inTime` itself. Rejects with a `code`.
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

/** An error with its reason as `code`, like the errors of the system. */
export function refusal(code: string): Error {
  return Object.assign(new Error(code), { code });
}
