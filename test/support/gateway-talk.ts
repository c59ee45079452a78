/** A gateway that writes exactly the bytes of a test, in given pieces, and keeps all bytes that come back. */
import { connect, type Socket } from "node:net";
import { readReplies } from "./reply-parts.ts";

/** Everything takes far less, unless something is broken. */
const DEADLINE_MS = 15_000;

export interface Step {
  /** Latin1. Each piece is written when the one before has left. */
  readonly pieces: readonly string[];
  /** The methods of the checks that must be replied to before the next step; null: the connection must end. */
  readonly methods: readonly string[] | null;
  /** The gateway closes its side after the pieces. */
  readonly ends?: true;
}

export interface Talked {
  /** Latin1. */
  readonly received: string;
  /** "open": all replies have come, and none announced the end of the connection. */
  readonly end: "closed" | "reset" | "open" | "late";
}

/**
 * Runs the steps in order, each after the replies to the one before, until the connection ends. `onBytes` is called
 * with each part of a reply that comes.
 */
export async function talk(
  port: number,
  steps: readonly Step[],
  onBytes: () => void = () => {},
): Promise<Talked> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
  socket.on("data", onBytes);
  const heard = listen(socket);
  const late = setTimeout(() => heard.finish("late"), DEADLINE_MS);
  const methods: string[] = [];
  for (const { pieces, methods: more, ends } of steps) {
    if (heard.isOver()) break;
    for (const piece of pieces) await write(socket, piece);
    if (ends) socket.end();
    methods.push(...(more ?? []));
    await heard.until((received) => more !== null && areAllIn(received, methods));
  }
  clearTimeout(late);
  socket.destroy();
  return { received: heard.received(), end: heard.end() ?? "open" };
}

/** Whether all replies are there, and none announces the end of the connection. */
function areAllIn(received: string, methods: readonly string[]): boolean {
  const { parts } = readReplies(received, methods, false);
  const final = parts.filter(({ status, isWhole }) => status >= 200 && isWhole);
  return final.length === methods.length && !final.some(({ closes }) => closes);
}

interface Heard {
  received(): string;
  end(): Exclude<Talked["end"], "open"> | null;
  isOver(): boolean;
  finish(end: Exclude<Talked["end"], "open">): void;
  /** Settles when `isEnough`, or when the connection is over. */
  until(isEnough: (received: string) => boolean): Promise<void>;
}

function listen(socket: Socket): Heard {
  const chunks: string[] = [];
  let end: Exclude<Talked["end"], "open"> | null = null;
  let look = (): void => {};
  const finish = (how: Exclude<Talked["end"], "open">): void => {
    end ??= how;
    look();
  };
  socket.on("data", (chunk) => {
    chunks.push(chunk.toString("latin1"));
    look();
  });
  socket.on("end", () => finish("closed"));
  socket.on("error", () => finish("reset"));
  socket.on("close", () => finish("closed"));
  const received = (): string => {
    if (chunks.length > 1) chunks.splice(0, chunks.length, chunks.join(""));
    return chunks[0] ?? "";
  };
  return {
    received,
    end: () => end,
    isOver: () => end !== null,
    finish,
    until: (isEnough) =>
      new Promise((resolve) => {
        look = () => {
          if (end !== null || isEnough(received())) resolve();
        };
        look();
      }),
  };
}

/** Settles when the piece has left, and readers in this process have had a turn. */
async function write(socket: Socket, piece: string): Promise<void> {
  await new Promise<void>((resolve) => {
    socket.write(piece, "latin1", () => resolve());
  });
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
}
