/**
 * The listener gateways ask on. Fastify accepts and parses; from its raw head to its raw reply a check is then
 * ours, because headers must pass in their order and spelling.
 */

import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Server as NetServer, type Socket } from "node:net";
import { type AnswerCheckDeps, answerCheck, type Routing } from "../core/answer-check.ts";
import { badCheck, healthy, internalError, noRoute, tooManyHeaders } from "../core/replies.ts";
import { destinationOf, HEALTH_PATH } from "../core/route-table.ts";
import type { Address, Limits } from "../core/snapshot.ts";
import type { Reply } from "../core/types.ts";
import { hasBody } from "../http/has-body.ts";
import { createLazyFastify } from "../http/lazy-fastify.ts";
import { refuseMalformed } from "../http/refuse-malformed.ts";
import { type FastConnection, OpenSockets, type SocketUse } from "./open-sockets.ts";
import { readCheck } from "./read-check.ts";
import { writeReply } from "./write-reply.ts";

/** Traefik keeps idle connections for 90 s; the gateway must be the one that closes. */
export const KEEP_ALIVE_MS = 120_000;
/** No gateway sends a head more slowly. */
const HEAD_MS = 15_000;
/** How often it is looked for what is too late. */
const CHECKING_MS = 5_000;
/** Each line costs time and memory of its own: 250 KiB of short ones would stall every other check. */
const MAX_HEADER_LINES = 1_000;
/** Unanswered checks of one connection. Gateways do not pipeline; a sender who does could fill the memory. */
const MAX_PIPELINED = 16;
const WHY = {
  "cut short": new Error("the head was cut short"),
  "too slow": Object.assign(new Error("the head was too slow"), { code: "ERR_HTTP_REQUEST_TIMEOUT" }),
} as const;
/** In a drain, how long a kept connection may stay unused before it is closed. */
const LINGER_MS = 1_000;

export interface CheckServerDeps {
  readonly listen: Address;
  /** Whether other processes listen on the same port: the system shares connections out among them. */
  readonly sharesPort: boolean;
  readonly limits: Limits;
  readonly deps: AnswerCheckDeps;
  /** Takes connections first and hands over what is not for it; null: there is only Fastify. */
  fastPath(): FastPath | null;
  current(): Routing;
  /** A connection beyond `limits.connections` was closed. */
  onDrop(): void;
  /** A defect of ours; the check got a 500. */
  onDefect(error: unknown): void;
  /** Fastify cannot be loaded for now; checks that are its to answer are cut. */
  onUnloadable(error: unknown): void;
}

export interface CheckServer {
  /** Resolves with the port; rejects when the address cannot be had. */
  listen(): Promise<number>;
  connections(): number;
  /** Takes no new connection; resolves when the last one is closed, each after its check. */
  drain(): Promise<void>;
  /** Cuts what is left. */
  close(): Promise<void>;
}

/** A carrier that has connections first. */
export interface FastPath {
  accept(use: SocketUse, options: FastPathDeps): FastConnection;
}

/** The rules of a listener, the same for both carriers. */
export interface FastPathDeps {
  readonly deps: AnswerCheckDeps;
  readonly headBytes: number;
  readonly maxHeaderLines: number;
  /** Unanswered checks of one connection. */
  readonly maxPipelined: number;
  readonly headMs: number;
  current(): Routing;
  isDraining(): boolean;
  /** Fastify has it from here: `bytes` were read and belong to it. */
  handOver(use: SocketUse, bytes: Buffer): void;
  /** Its head is no good and never will be. */
  refuse(socket: Socket, why: "cut short" | "too slow"): void;
  onDefect(error: unknown): void;
}

export function createCheckServer(options: CheckServerDeps): CheckServer {
  const { listen, limits, deps } = options;
  const sockets = new OpenSockets();
  let draining = false;
  const useOf = (socket: Socket): Pick<SocketUse, "inFlight" | "since"> =>
    sockets.useOf(socket) ?? { inFlight: 0, since: 0 };
  const isAnswering = (socket: Socket): boolean => useOf(socket).inFlight > 0;

  // Not an import: that would run what node:http has for fetch, which takes 7 MB.
  const { createServer } = process.getBuiltinModule("node:http");
  const server = createServer(
    {
      maxHeaderSize: limits.headBytes,
      // Set once there is a use for it: many a connection gets one reply in one piece.
      noDelay: false,
      headersTimeout: HEAD_MS,
      connectionsCheckingInterval: CHECKING_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      requestTimeout: 0,
    },
    (request, response) => {
      const use = useOf(request.socket);
      use.inFlight += 1;
      if (use.inFlight > MAX_PIPELINED) request.socket.destroy();
      if (request.socket.destroyed) return;
      // The kubelet asks often, and for this alone nothing else need be there.
      if (request.url === HEALTH_PATH) void answer(request, response, HEALTH_PATH);
      else slowPath.handle(request, response);
    },
  );
  server.on("clientError", (error, socket: Socket) => refuseMalformed(error, socket, isAnswering(socket)));
  server.maxConnections = limits.connections;
  // Node silently leaves out lines beyond this, so one more than the limit tells that there are too many.
  server.maxHeadersCount = MAX_HEADER_LINES + 1;
  server.on("drop", options.onDrop);
  server.on("connect", (_request, socket: Socket) =>
    refuseMalformed(new Error("CONNECT"), socket, isAnswering(socket)),
  );
  const toFastify = server.listeners("connection");
  const giveToFastify = (use: SocketUse): void => {
    sockets.giveToFastify(use);
    use.socket.setNoDelay(true);
    for (const listener of toFastify) listener.call(server, use.socket);
  };
  const handOver = (use: SocketUse, bytes: Buffer): void => {
    giveToFastify(use);
    use.socket.unshift(bytes);
    use.socket.resume();
  };
  const fastPathDeps: FastPathDeps = {
    deps,
    headBytes: limits.headBytes,
    maxHeaderLines: MAX_HEADER_LINES,
    maxPipelined: MAX_PIPELINED,
    headMs: HEAD_MS,
    current: options.current,
    isDraining: () => draining,
    handOver,
    refuse: (socket, why) => refuseMalformed(WHY[why], socket, false),
    onDefect: options.onDefect,
  };
  server.removeAllListeners("connection");
  server.on("connection", (socket: Socket) => {
    const use = sockets.add(socket, deps.now());
    const fastPath = options.fastPath();
    if (fastPath) use.fast = fastPath.accept(use, fastPathDeps);
    else giveToFastify(use);
  });
  const lateness = setInterval(() => {
    const now = deps.now();
    sockets.each(({ fast }) => fast?.closeIfLate(now));
  }, CHECKING_MS).unref();

  const serve = async (request: IncomingMessage, response: ServerResponse, target: string): Promise<void> => {
    const reply = await replyTo(request, response, target, options);
    if (reply && !response.destroyed) await writeReply(reply, response, draining || isLast(request));
    else if (reply?.body.kind === "stream") reply.body.cancel();
  };

  const answer = async (
    request: IncomingMessage,
    response: ServerResponse,
    target: string,
  ): Promise<void> => {
    const use = useOf(request.socket);
    try {
      await serve(request, response, target);
    } catch (error) {
      options.onDefect(error);
      if (response.headersSent) response.destroy();
      else await writeReply(internalError(), response, true);
    } finally {
      use.inFlight -= 1;
      use.since = deps.now();
    }
  };

  const slowPath = createLazyFastify(
    server,
    // Routes change with the config and paths are matched undecoded: core/route-table.ts does both.
    { return503OnClosing: false, rewriteUrl: () => "/" },
    (app) =>
      app.addHook("onRequest", async (request, reply) => {
        reply.hijack();
        await answer(request.raw, reply.raw, request.originalUrl);
      }),
    options.onUnloadable,
  );

  const closeUnused = (): void => {
    const before = deps.now() - LINGER_MS;
    sockets.each(({ socket, inFlight, since }) => {
      if (inFlight === 0 && since < before) socket.destroy();
    });
  };

  return {
    listen: async () => {
      // Not Fastify's own: for localhost it opens a second server, past the limits and the drain of this one.
      server.listen({ host: listen.host, port: listen.port, reusePort: options.sharesPort });
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

/**
 * Whether nothing can follow on its connection: what is left of a body that stays behind must not be read without
 * end, and Node's parser stops for good behind an Upgrade, though it is a check like any other.
 */
function isLast(request: IncomingMessage): boolean {
  return (hasBody(request) && !request.complete) || request.headers.upgrade !== undefined;
}

function portOf(server: NetServer): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** null: the gateway went away. */
async function replyTo(
  request: IncomingMessage,
  response: ServerResponse,
  target: string,
  options: CheckServerDeps,
): Promise<Reply | null> {
  if (request.rawHeaders.length > 2 * MAX_HEADER_LINES) return tooManyHeaders();
  const check = readCheck(request, target);
  if (!check) return badCheck();
  const current = options.current();
  const { table, trustedProxies } = current;
  const route = destinationOf(table, check.path);
  if (route === "health") return healthy();
  if (route === "no route") return noRoute();
  if (route === "dot segment") return badCheck();
  const carried = route.fallback.mode === "none" ? check : { ...check, body: null };
  const context = { route, state: current.stateOf(route), trustedProxies, gone: goneSignal(response) };
  current.hold();
  try {
    const decision = await answerCheck(carried, context, options.deps);
    return decision?.reply ?? null;
  } finally {
    current.release();
  }
}

/** Fires when the gateway's connection closes before its reply is out. */
function goneSignal(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  response.once("close", () => {
    if (!response.writableFinished) controller.abort();
  });
  return controller.signal;
}
