/**
 * Watches the file of a config, and the files that were read with it. The files are polled, because fs.watch does not
 * see Kubernetes' symlink swaps and renames on every file system.
 *
 * A change counts when the next look finds nothing new. A file that is written in place must not be read too early,
 * because half of a YAML file is often a good one. Files that go on changing are read after `MOST_LOOKS` looks.
 */
import type { LoadedFiles } from "./load.ts";
import { type FileStamp, stampOf } from "./read-file.ts";

const MOST_LOOKS = 10;

interface ConfigWatchDeps<Loaded extends { readonly files: LoadedFiles }, Result> {
  /** Milliseconds between two looks. */
  readonly interval: number;
  /** The files as they were when the config in use was read. */
  readonly files: LoadedFiles;
  /** Never rejects. */
  readonly load: () => Promise<Loaded>;
  /** Called after a change or a `reload`, one call at a time. Never rejects. */
  readonly onLoaded: (loaded: Loaded) => Promise<Result>;
}

interface ConfigWatch<Result> {
  /**
   * Reads the config now, even if it did not change. If it is being read already, it is read once more afterwards.
   * Resolves with the result of `onLoaded`, or with null when the watch is closed before. Never rejects.
   */
  reload(): Promise<Result | null>;
  close(): void;
}

export function watchConfig<Loaded extends { readonly files: LoadedFiles }, Result>(
  options: ConfigWatchDeps<Loaded, Result>,
): ConfigWatch<Result> {
  const { interval, load, onLoaded } = options;
  let known = options.files;
  /** A change that may go on, and the number of looks that saw it. */
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

  /** Runs one look at a time, so that a file system that hangs does not pile up looks. */
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
