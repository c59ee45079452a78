/**
 * Writes lines to a file descriptor that may be slow, full or gone. Writing never waits and never fails: at most one
 * chunk is on its way, a bounded queue stands behind it, and what does not fit is dropped and counted. console.log
 * and process.stdout would wait on files and terminals, and would pile up without bound on a full pipe.
 */
import { constants, fstatSync, openSync, write as writeTo } from "node:fs";
import { Socket } from "node:net";
import { isatty } from "node:tty";

interface LineWriter {
  /** `line`: one JSON object without its line end. After a loss the next line that fits gets `"dropped": N`. */
  write(line: string): void;
  /** Resolves once everything is written, and gives up the rest after `milliseconds`. It is for the shutdown. */
  flush(milliseconds: number): Promise<void>;
}

const MAX_QUEUED_LINES = 1000;
/** Characters. A pipe of Linux holds another 64 KiB. */
const MAX_QUEUED_LENGTH = 64 * 1024;
const RETRY_AFTER = 100;

type Written = (error: NodeJS.ErrnoException | null) => void;

interface Output {
  write(text: string, written: Written): void;
  /** Lets go of a chunk that does not get through, so that it cannot keep the process alive. */
  abandon(): void;
  /** Whether no later write can succeed after this error. */
  isFinal(error: NodeJS.ErrnoException): boolean;
}

export function openLineWriter(fd: number): LineWriter {
  const output = openOutput(fd);
  let queue: string[] = [];
  let queuedLength = 0;
  let dropped = 0;
  let busy = false;
  let closed = false;
  let whenIdle: (() => void)[] = [];

  const settle = (): void => {
    const waiting = whenIdle;
    whenIdle = [];
    for (const resolve of waiting) resolve();
  };
  const close = (): void => {
    closed = true;
    queue = [];
    settle();
  };
  const send = (): void => {
    const lines = queue;
    queue = [];
    queuedLength = 0;
    busy = true;
    output.write(`${lines.join("\n")}\n`, (error) => {
      busy = false;
      if (closed) return;
      if (error !== null) dropped += lines.length;
      if (error !== null && output.isFinal(error)) close();
      else if (queue.length > 0) send();
      else settle();
    });
  };

  return {
    write(line) {
      if (closed) return;
      if (queue.length >= MAX_QUEUED_LINES || queuedLength + line.length > MAX_QUEUED_LENGTH) {
        dropped += 1;
        return;
      }
      queue.push(dropped === 0 ? line : withDropped(line, dropped));
      queuedLength += line.length;
      dropped = 0;
      if (!busy) send();
    },
    async flush(milliseconds) {
      if (closed || !busy) return;
      const { promise: idle, resolve } = Promise.withResolvers<void>();
      whenIdle.push(resolve);
      const deadline = setTimeout(() => {
        output.abandon();
        close();
      }, milliseconds);
      await idle;
      clearTimeout(deadline);
    },
  };
}

function withDropped(line: string, dropped: number): string {
  return `${line.slice(0, -1)},"dropped":${dropped}}`;
}

function openOutput(fd: number): Output {
  const kind = fstatSync(fd);
  return kind.isFIFO() || kind.isSocket() ? streamOutput(fd) : fileOutput(fd);
}

/**
 * For pipes and sockets, of which the kernel tells when they can be written to. The thread of an fs.write would hang
 * in a full pipe and hold up even process.exit, which waits for it.
 */
function streamOutput(fd: number): Output {
  const socket = new Socket({ fd, readable: false, writable: true });
  socket.unref();
  // The callback of the write is told the same error. Without a listener the process would end.
  socket.on("error", () => {});
  return {
    write: (text, written) => {
      socket.write(text, (error) => written(error ?? null));
    },
    abandon: () => socket.destroy(),
    isFinal: () => true,
  };
}

/** For files, terminals and /dev/null. A full disk may have space again later. */
function fileOutput(stdio: number): Output {
  const fd = isatty(stdio) ? unblockedTerminal(stdio) : stdio;
  let abandoned = false;

  const write = (bytes: Uint8Array, written: Written): void => {
    if (abandoned) return;
    writeTo(fd, bytes, (error, count) => {
      if (error?.code === "EAGAIN") setTimeout(write, RETRY_AFTER, bytes, written).unref();
      else if (error === null && count < bytes.length) write(bytes.subarray(count), written);
      else written(error);
    });
  };
  return {
    write: (text, written) => write(Buffer.from(text), written),
    abandon: () => {
      abandoned = true;
    },
    isFinal: (error) => error.code === "EBADF" || error.code === "EPIPE",
  };
}

/** A terminal stopped with Ctrl-S would hold a thread. An opening of our own can be non-blocking; the shell's must not. */
function unblockedTerminal(fd: number): number {
  try {
    return openSync(`/dev/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    // After su and in some containers the terminal is not ours to open; then it is used as it is.
    return fd;
  }
}
