/**
 * A bot blocker that does one thing at a time, as Python's http.server does: it takes a connection, reads its request,
 * answers and closes, and only then takes the next. Up to 6 connections (a backlog of 5) wait meanwhile; the system
 * drops the SYN of any other, so that its client hears nothing and tries again after a second. It runs in a thread of
 * its own, because Node takes connections as soon as its thread is free.
 */
import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import type { Listening } from "./listening.ts";

interface OneThreadOptions {
  readonly port: number;
  /** How long it works on a check, and how long between two pieces of the endless page. */
  readonly millisecondsPerAnswer: number;
}

export interface OneThreadBlocker extends Listening {
  /** How many requests it has read, whatever it answered. */
  requests(): number;
}

/** What the thread is told. */
export interface OneThreadSettings extends OneThreadOptions {
  /** One Int32: the count of requests. */
  readonly requests: SharedArrayBuffer;
}

/** The worker's file has this file's ending: .ts from source, .js compiled. */
const worker = new URL(`./one-thread-worker${extname(import.meta.url)}`, import.meta.url);

/** It answers on 127.0.0.1 until it is closed. Rejects when the port is taken. */
export async function startOneThreadBlocker(options: OneThreadOptions): Promise<OneThreadBlocker> {
  const requests = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  const settings: OneThreadSettings = { ...options, requests };
  const thread = new Worker(worker, { execArgv: [], env: {}, workerData: settings });
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  thread.once("message", resolve);
  thread.once("error", reject);
  const port = await promise;
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    requests: () => Atomics.load(new Int32Array(requests), 0),
    close: async () => {
      await thread.terminate();
    },
  };
}
