/**
 * Worker threads that verify passwords, behind a bounded queue. Not libuv's own pool: a burst of logins there
 * would hold up DNS and files for every check.
 */
import { availableParallelism } from "node:os";
import { extname } from "node:path";
import { Worker } from "node:worker_threads";

/** Waiting verifications. More are refused: whoever asked would have gone away before their turn. */
const MAX_WAITING = 64;
/** A verification needs little; from source, Node's type stripping needs the most. */
const RESOURCES = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4, stackSizeMb: 1 };
/** The worker's file has this file's ending: .ts from source, .js compiled. */
const WORKER = new URL(`./password-worker${extname(import.meta.url)}`, import.meta.url);

/** `busy`: the queue was full, nothing was verified. `failed`: the worker died over it. */
export type Verification = "good" | "bad" | "busy" | "failed";

export interface PasswordPool {
  /** Always settles, never rejects. */
  verify(password: string, hash: string): Promise<Verification>;
  /** Ends the workers; what was running or waiting has `failed`. */
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

/** One thread less than there are cores, so that checks keep one; at most 2, which is plenty for emergencies. */
export function defaultPoolSize(): number {
  return Math.min(2, Math.max(1, availableParallelism() - 1));
}

/** Threads start at the first verification, never keep the process alive, and are replaced when they die. */
export function createPasswordPool(options: PasswordPoolOptions): PasswordPool {
  const { size, maxWaiting = MAX_WAITING, worker: entry = WORKER } = options;
  const threads = new Set<Thread>();
  const waiting: Job[] = [];
  let closed = false;

  /** null: the system has no thread left, as under a container's pid limit. */
  function startWorker(): Worker | null {
    try {
      // An empty env: the worker gets none of the process's secrets, and no NODE_OPTIONS.
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
    // Without a listener an error in the worker would end the process. "exit" always follows.
    worker.on("error", () => {});
    worker.on("exit", () => {
      threads.delete(thread);
      settle(thread, "failed");
    });
    // Last: listening for messages takes an earlier unref back.
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
