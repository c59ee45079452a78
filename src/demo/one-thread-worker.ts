/**
 * The thread of the one-thread blocker. All its work on a connection is synchronous and happens within "connection", so
 * that the next connection waits with the system. Sockets are read and written by their descriptors, since Node's
 * streams would need the event loop.
 */
import { readSync, writeSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { parentPort, workerData } from "node:worker_threads";
import { blockerAnswer, endlessPage, headOf } from "./bot-blocker-answers.ts";
import type { OneThreadSettings } from "./one-thread-blocker.ts";

const { port, millisecondsPerAnswer, requests } = workerData as OneThreadSettings;
const backlog = 5;
const pollMs = 1;
const headBytes = 64 * 1024;
const counted = new Int32Array(requests);
const never = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

/** Nothing reads the sockets but the code below. */
const server = createServer({ pauseOnConnect: true }, (socket) => {
  try {
    serve(descriptorOf(socket));
  } catch {
    // The client left.
  }
  socket.destroy();
});
server.listen({ port, host: "127.0.0.1", backlog }, () => {
  parentPort?.postMessage((server.address() as AddressInfo).port);
});

function serve(descriptor: number): void {
  const head = readHead(descriptor);
  if (head === null) return;
  Atomics.add(counted, 0, 1);
  const answer = blockerAnswer(askedOf(head));
  if (answer.body !== null) {
    sleep(millisecondsPerAnswer);
    write(descriptor, headOf(answer) + answer.body);
    return;
  }
  write(descriptor, headOf(answer));
  for (const piece of endlessPage()) {
    write(descriptor, piece);
    sleep(millisecondsPerAnswer);
  }
}

/** Waits for as long as the client likes, as Python does. null: the client closed, or its head is too long. */
function readHead(descriptor: number): string | null {
  const chunk = Buffer.alloc(8 * 1024);
  let head = "";
  while (head.length < headBytes) {
    const length = patiently(() => readSync(descriptor, chunk));
    if (length === 0) return null;
    head += chunk.toString("latin1", 0, length);
    if (head.includes("\r\n\r\n")) return head;
  }
  return null;
}

function askedOf(head: string): Parameters<typeof blockerAnswer>[0] {
  const [method = "", target = ""] = head.split(" ", 2);
  return { method, target, userAgent: /^user-agent:(.*)$/im.exec(head)?.[1]?.trim() ?? "" };
}

function write(descriptor: number, text: string): void {
  let rest = Buffer.from(text);
  while (rest.length > 0) rest = rest.subarray(patiently(() => writeSync(descriptor, rest)));
}

/** The sockets do not block, so that a socket that is not ready is asked again. */
function patiently(step: () => number): number {
  for (;;) {
    try {
      return step();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      sleep(pollMs);
    }
  }
}

function sleep(milliseconds: number): void {
  if (milliseconds > 0) Atomics.wait(never, 0, 0, milliseconds);
}

/** Node has no public name for it. */
function descriptorOf(socket: Socket): number {
  const { _handle: handle } = socket as unknown as { readonly _handle: { readonly fd: number } };
  return handle.fd;
}
