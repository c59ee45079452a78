/**
 * Sees that a config has changed: its own file, or one that was read with it. Polling, not fs.watch: only a look
 * at what a path resolves to sees Kubernetes' symlink swaps and renames on every file system.
 *
 * A change counts once nothing has changed for one more look: a file written in place must not be taken half
 * written, for half of a YAML file is often a good one. One that goes on changing is taken as it is in the end: the
 * next change follows it.
 */
import type { LoadedFiles } from "./load.ts";
import { type FileStamp, stampOf } from "./read-file.ts";

/** Looks at a change that goes on. */
const MOST_LOOKS = 10;

export interface ConfigWatchDeps<Loaded extends { readonly files: LoadedFiles }, Result> {
  /** Milliseconds between two looks. */
  readonly interval: number;
  /** The files as they were when the config in use was read. */
  readonly files: LoadedFiles;
  /** Never rejects. */
  readonly load: () => Promise<Loaded>;
  /** What a change, or `reload`, brought. One at a time; never rejects. */
  readonly onLoaded: (loaded: Loaded) => Promise<Result>;
}

export interface ConfigWatch<Result> {
  /**
   * Reads the config now, changed or not, or once more after a reading that goes on. Settles with what `onLoaded`
   * made of it; with null when the watch was closed before. Never rejects.
   */
  reload(): Promise<Result | null>;
  close(): void;
}

export function watchConfig<Loaded extends { readonly files: LoadedFiles }, Result>(
  options: ConfigWatchDeps<Loaded, Result>,
): ConfigWatch<Result> {
  const { interval, load, onLoaded } = options;
  let known = options.files;
  /** A change that may go on, and the looks it was seen in. */
  let changing: { readonly seen: LoadedFiles; readonly looks: number } | null = null;
  let isBusy = false;
  let asked: PromiseWithResolvers<Result | null> | null = null;
  let isClosed = false;

  async function reload(): Promise<Result | null> {
    const loaded = await load();
    known = loaded.files;
    changing = null;
    return isClosed ? null : onLoaded(loaded);
  }

  async function look(): Promise<void> {
    const seen = await stampsOf(known.keys());
    const looks = (changing?.looks ?? 0) + 1;
    if (isSame(seen, known)) changing = null;
    else if (looks > MOST_LOOKS || (changing !== null && isSame(seen, changing.seen))) await reload();
    else changing = { seen, looks };
  }

  /** One at a time: a file system that hangs must not pile up looks. */
  async function run(): Promise<void> {
    if (isBusy || isClosed) return;
    isBusy = true;
    if (asked === null) await look();
    while (asked !== null && !isClosed) {
      const { resolve } = asked;
      asked = null;
      resolve(await reload());
    }
    isBusy = false;
  }

  const timer = setInterval(() => void run(), interval);
  timer.unref();
  return {
    reload: () => {
      asked ??= Promise.withResolvers();
      const { promise } = asked;
      void run();
      return isClosed ? Promise.resolve(null) : promise;
    },
    close: () => {
      isClosed = true;
      clearInterval(timer);
      asked?.resolve(null);
    },
  };
}

async function stampsOf(files: Iterable<string>): Promise<LoadedFiles> {
  const stamps = new Map<string, FileStamp>();
  for (const file of files) stamps.set(file, await stampOf(file));
  return stamps;
}

function isSame(one: LoadedFiles, other: LoadedFiles): boolean {
  return [...one].every(([file, stamp]) => other.get(file) === stamp);
}
