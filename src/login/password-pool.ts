/**
 * Worker threads that verify passwords, with a bounded queue. They are not libuv's threads, where a burst of logins
 * would hold up DNS and files for every check.
 */
import { availableParallelism } from "node:os";
import { extname } from "node:path";
import { Worker } from "node:worker_threads";

/** How many verifications may wait. More are refused, because their clients would go away before their turn. */
const MAX_WAITING = 64;
/** A verification needs little memory. When run from source, Node's type stripping needs most of it. */
const RESOURCES = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4, stackSizeMb: 1 };
/** The worker's file has this file's ending: .ts from source, .js compiled. */
const WORKER = new URL(`./password-worker${extname(import.meta.url)}`, import.meta.url);

/** `busy`: the queue was full, and nothing was verified. `failed`: the worker died. */
export type Verification = "good" | "bad" | "busy" | "failed";

export interface PasswordPool {
  /** Always settles, never rejects. */
  verify(password: string, hash: string): Promise<Verification>;
  /** Ends the workers. All running and waiting verifications have `failed`. */
  close(): Promise<void>;
}

export interface PasswordPoolOptions {
  readonly size: number;
  readonly maxWaiting?: number;
  readonly worker?: URL;
}

interface Job {
  readonly password: string;
  readonly hash: string;
  readonly settle: (verification: Verification) => void;
}

interface Thread {
  readonly worker: Worker;
  job: Job | null;
}

/** One thread fewer than there are cores, so that checks keep one. Two threads are plenty for emergencies. */
export function defaultPoolSize(): number {
  return Math.min(2, Math.max(1, availableParallelism() - 1));
}

/** The threads start with the first verification, never keep the process alive, and are replaced when they die. */
export function createPasswordPool(options: PasswordPoolOptions): PasswordPool {
  const { size, maxWaiting = MAX_WAITING, worker: entry = WORKER } = options;
  const threads = new Set<Thread>();
  const waiting: Job[] = [];
  let closed = false;

  /** null: the system has no thread left, for example because of a container's pid limit. */
  function startWorker(): Worker | null {
    try {
      // The empty env keeps the secrets of the process and NODE_OPTIONS from the worker.
      return new Worker(entry, { execArgv: [], env: {}, resourceLimits: RESOURCES });
    } catch {
      return null;
    }
  }

  function start(): Thread | null {
    const worker = startWorker();
    if (worker === null) return null;
    const thread: Thread = { worker, job: null };
    threads.add(thread);
    worker.on("message", (good: unknown) => settle(thread, good === true ? "good" : "bad"));
    // Without this listener an error in the worker would end the process. "exit" always follows.
    worker.on("error", () => {});
    worker.on("exit", () => {
      threads.delete(thread);
      settle(thread, "failed");
    });
    // This must come last, because listening for messages undoes an earlier unref.
    worker.unref();
    return thread;
  }

  function settle(thread: Thread, verification: Verification): void {
    const job = thread.job;
    thread.job = null;
    job?.settle(verification);
    runWaiting();
  }

  function freeThread(): Thread | null {
    for (const thread of threads) if (thread.job === null) return thread;
    return threads.size < size ? start() : null;
  }

  function run(thread: Thread, job: Job): void {
    thread.job = job;
    thread.worker.postMessage({ password: job.password, hash: job.hash });
  }

  function runWaiting(): void {
    if (closed || waiting.length === 0) return;
    const thread = freeThread();
    const job = thread && waiting.shift();
    if (job) run(thread, job);
    else if (threads.size === 0) failWaiting();
  }

  function failWaiting(): void {
    for (const job of waiting.splice(0)) job.settle("failed");
  }

  function verify(password: string, hash: string): Promise<Verification> {
    if (closed) return Promise.resolve("failed");
    const thread = freeThread();
    if (threads.size === 0) return Promise.resolve("failed");
    if (thread === null && waiting.length >= maxWaiting) return Promise.resolve("busy");
    return new Promise((settle) => {
      const job: Job = { password, hash, settle };
      if (thread) run(thread, job);
      else waiting.push(job);
    });
  }

  return {
    verify,
    close: async () => {
      closed = true;
      failWaiting();
      await Promise.all([...threads].map((thread) => thread.worker.terminate()));
    },
  };
}
