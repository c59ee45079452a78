/**
 * The listener gateways ask on. It accepts connections, keeps the limits and drains. A connection begins on the fast
 * path, which hands it over to the slow path at the first thing that is not for it.
 */
import { once } from "node:events";
import type { Server } from "node:http";
import { Server as NetServer, type Socket } from "node:net";
import type { Address, Limits } from "../core/snapshot.ts";
import { refuseMalformed } from "../http/refuse-malformed.ts";
import { ByteConnection, type ByteConnectionDeps } from "./byte-connection.ts";
import { CHECKING_MS, HEAD_MS, KEEP_ALIVE_MS, MAX_HEADER_LINES, type PathDeps } from "./listener-rules.ts";
import { OpenSockets, type SocketUse } from "./open-sockets.ts";
import { createSlowPath, type SlowPathDeps } from "./slow-path.ts";

/** In a drain, a kept connection may stay unused so long before it is closed. */
const LINGER_MS = 1_000;

export interface CheckServerDeps extends Omit<PathDeps, "isDraining">, Pick<SlowPathDeps, "onUnloadable"> {
  readonly listen: Address;
  /** Other processes listen on the same port, and the system shares connections out among all of them. */
  readonly sharesPort: boolean;
  readonly limits: Limits;
  /** Otherwise all connections begin on the slow path. */
  usesFastPath(): boolean;
  /** A connection beyond `limits.connections` was closed. */
  onDrop(): void;
}

export interface CheckServer {
  /** Resolves with the port; rejects when the address cannot be had. */
  listen(): Promise<number>;
  connections(): number;
  /** Takes no new connection. Resolves when the last one has closed, each after its check. */
  drain(): Promise<void>;
  /** Cuts what is left. */
  close(): Promise<void>;
}

export function createCheckServer(deps: CheckServerDeps): CheckServer {
  const { listen, limits, answering, current, onDefect, onUnloadable } = deps;
  const { now } = answering;
  const sockets = new OpenSockets();
  const { useOf } = sockets;
  let draining = false;
  const paths: PathDeps = { answering, current, isDraining: () => draining, onDefect };
  const server = newServer(limits);
  const slowPath = createSlowPath(server, { ...paths, useOf, onUnloadable });
  server.on("request", slowPath.handle);
  const refuse = (error: Error, socket: Socket): void =>
    refuseMalformed(error, socket, useOf(socket).inFlight > 0);
  server.on("clientError", refuse);
  server.on("connect", (_request, socket: Socket) => refuse(new Error("CONNECT"), socket));
  server.on("drop", deps.onDrop);

  const toFastify = server.listeners("connection");
  const giveToFastify = (use: SocketUse): void => {
    sockets.giveToFastify(use);
    use.socket.setNoDelay(true);
    for (const listener of toFastify) listener.call(server, use.socket);
  };
  const fastPath: ByteConnectionDeps = {
    ...paths,
    headBytes: limits.headBytes,
    handOver: (use, bytes) => {
      giveToFastify(use);
      use.socket.unshift(bytes);
      use.socket.resume();
    },
  };
  server.removeAllListeners("connection");
  server.on("connection", (socket: Socket) => {
    const use = sockets.add(socket, now());
    if (deps.usesFastPath()) use.fast = new ByteConnection(use, fastPath);
    else giveToFastify(use);
  });

  const lateness = setInterval(() => {
    const time = now();
    sockets.each(({ fast }) => fast?.closeIfLate(time));
  }, CHECKING_MS).unref();
  const closeUnused = (): void => {
    const before = now() - LINGER_MS;
    sockets.each(({ socket, inFlight, since }) => {
      if (inFlight === 0 && since < before) socket.destroy();
    });
  };

  return {
    listen: async () => {
      // Not Fastify's own: for localhost it opens a second server, past the limits and the drain of this one.
      server.listen({ host: listen.host, port: listen.port, reusePort: deps.sharesPort });
      await once(server, "listening");
      return portOf(server);
    },
    connections: () => sockets.count,
    drain: async () => {
      draining = true;
      const sweep = setInterval(closeUnused, LINGER_MS / 4);
      // http.Server's own close cuts kept connections at once, in the face of checks already on their way.
      await new Promise<void>((resolve) => {
        NetServer.prototype.close.call(server, () => resolve());
      });
      clearInterval(sweep);
    },
    close: async () => {
      clearInterval(lateness);
      sockets.each(({ socket }) => socket.destroy());
      server.closeAllConnections();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      await Promise.all([slowPath.close(), closed]);
    },
  };
}

/** Node's server with our limits. */
function newServer(limits: Limits): Server {
  // Not an import: that would run what node:http has for fetch, which takes 7 MB.
  const { createServer } = process.getBuiltinModule("node:http");
  const server = createServer({
    maxHeaderSize: limits.headBytes,
    // Set once there is a use for it: many a connection gets one reply in one piece.
    noDelay: false,
    headersTimeout: HEAD_MS,
    connectionsCheckingInterval: CHECKING_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    requestTimeout: 0,
  });
  server.maxConnections = limits.connections;
  // Node silently leaves out lines beyond this, so one more than the limit tells that there are too many.
  server.maxHeadersCount = MAX_HEADER_LINES + 1;
  return server;
}

function portOf(server: NetServer): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}
