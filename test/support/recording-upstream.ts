/** An upstream that keeps every byte that it gets, sorted by check, and answers as a test says. */
import { createServer, type Socket } from "node:net";
import type { Test } from "tap";
import { undoChunks } from "./reply-parts.ts";

export interface Received {
  /** Latin1, up to and including the empty line. */
  readonly head: string;
  /** The body without its chunks. */
  readonly body: string;
  /** False: the connection ended too soon. */
  readonly isWhole: boolean;
}

export interface RecordingUpstream {
  readonly port: number;
  /** By the name after the first folder of the target, up to a dot: `/none/17.second` belongs to 17. */
  readonly received: ReadonlyMap<string, readonly Received[]>;
  /** Bytes that are no request with such a target, without probes. */
  readonly strays: readonly string[];
}

/** `answer` is called for each whole request; `id` is empty for a probe. The upstream closes with the test. */
export async function recordingUpstream(
  t: Test,
  answer: (socket: Socket, id: string, head: string) => void,
): Promise<RecordingUpstream> {
  const received = new Map<string, Received[]>();
  const strays: string[] = [];
  const sockets = new Set<Socket>();
  const remember = (id: string, request: Received): void => {
    const requests = received.get(id);
    if (requests) requests.push(request);
    else received.set(id, [request]);
  };
  const keep = (request: Received): string => {
    const id = /^[A-Z-]+ \/\w+\/([\w-]+)/.exec(request.head)?.[1] ?? "";
    const isProbe = /\r\nuser-agent: sparekey\//i.test(request.head);
    if (id !== "") remember(id, request);
    else if (!isProbe) strays.push(request.head);
    return id;
  };
  const server = createServer((socket) => {
    let text = "";
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on("error", () => {});
    socket.once("close", () => {
      sockets.delete(socket);
      if (text !== "") keep(firstOf(text));
    });
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      for (let first = firstOf(text); first.isWhole; first = firstOf(text)) {
        text = text.slice(first.length);
        answer(socket, keep(first), first.head);
      }
    });
  });
  const port = await new Promise<number>((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => {
      server.close(resolve);
    });
  });
  return { port, received, strays };
}

function firstOf(text: string): Received & { readonly length: number } {
  const end = text.indexOf("\r\n\r\n");
  if (end === -1) return { head: text, body: "", isWhole: false, length: 0 };
  const head = text.slice(0, end + 4);
  const rest = text.slice(head.length);
  if (/\r\ntransfer-encoding: chunked\r\n/i.test(head)) {
    const { body, length, isWhole } = undoChunks(rest);
    return { head, body, isWhole, length: head.length + length };
  }
  const length = Number(/\r\ncontent-length: (\d+)\r\n/i.exec(head)?.[1] ?? 0);
  const body = rest.slice(0, length);
  return { head, body, isWhole: body.length === length, length: head.length + length };
}
