/** An upstream that sends exactly the bytes of a test. */
import { createServer, type Socket } from "node:net";
import type { Test } from "tap";
import type { Upstream } from "../../src/core/snapshot.ts";

export interface RawUpstream {
  readonly port: number;
  /** Heads of checks, in order, as latin1 text up to and including the empty line. */
  readonly heads: readonly string[];
  /** Heads of sparekey's own probes. */
  readonly probes: readonly string[];
  /** Connections accepted so far, but those of probes. */
  connections(): number;
}

const PROBE = /\r\nUser-Agent: sparekey\//;

/** `answer` is called once per request head. The upstream closes with the test. */
export async function rawUpstream(
  t: Test,
  answer: (socket: Socket, head: string, count: number) => void,
): Promise<RawUpstream> {
  const heads: string[] = [];
  const probes: string[] = [];
  const sockets = new Set<Socket>();
  let accepted = 0;
  const server = createServer((socket) => {
    accepted += 1;
    sockets.add(socket);
    let received = "";
    let isFirst = true;
    socket.on("error", () => {});
    socket.once("close", () => sockets.delete(socket));
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1");
      for (let end = received.indexOf("\r\n\r\n"); end !== -1; end = received.indexOf("\r\n\r\n")) {
        const head = received.slice(0, end + 4);
        received = received.slice(end + 4);
        const isProbe = PROBE.test(head);
        (isProbe ? probes : heads).push(head);
        if (isProbe && isFirst) accepted -= 1;
        isFirst = false;
        answer(socket, head, heads.length);
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
  return { port, heads, probes, connections: () => accepted };
}

/** An upstream with the defaults of a config, and `changes`. */
export function upstreamAt(port: number, changes: Partial<Upstream> = {}): Upstream {
  return {
    protocol: "http:",
    servers: [{ host: "127.0.0.1", port }],
    tls: { ca: null, cert: null, key: null, serverName: null, verify: true },
    timeouts: { connect: 3_000, read: 5_000, total: 8_000 },
    maxConnections: 256,
    probeConnections: 6,
    pipelining: 1,
    headBytes: 256 * 1024,
    answerBytes: 1024 * 1024,
    ...changes,
  };
}
