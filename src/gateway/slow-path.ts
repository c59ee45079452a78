/**
 * The path of the checks that are not carried as bytes: Fastify hands over their raw heads and takes raw replies,
 * because headers must pass in their order and spelling.
 */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { answerCheck } from "../core/answer-check.ts";
import { badCheck, healthy, internalError, noRoute, tooManyHeaders } from "../core/replies.ts";
import { destinationOf, HEALTH_PATH } from "../core/route-table.ts";
import type { Reply } from "../core/types.ts";
import { hasBody } from "../http/has-body.ts";
import { createLazyFastify, type LazyFastify } from "../http/lazy-fastify.ts";
import { MAX_HEADER_LINES, MAX_PIPELINED, type PathDeps } from "./listener-rules.ts";
import type { UseCount } from "./open-sockets.ts";
import { readCheck } from "./read-check.ts";
import { writeReply } from "./write-reply.ts";

export interface SlowPathDeps extends PathDeps {
  useOf(socket: Socket): UseCount;
  /** Fastify cannot be loaded for now; checks that need it are cut. */
  onUnloadable(error: unknown): void;
}

export function createSlowPath(server: Server, slowPath: SlowPathDeps): LazyFastify {
  const { answering, useOf, isDraining, onDefect } = slowPath;

  const serve = async (request: IncomingMessage, response: ServerResponse, target: string): Promise<void> => {
    const reply = await replyTo(request, response, target, slowPath);
    if (reply && !response.destroyed) await writeReply(reply, response, isDraining() || isLast(request));
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
      onDefect(error);
      if (response.headersSent) response.destroy();
      else await writeReply(internalError(), response, true);
    } finally {
      use.inFlight -= 1;
      use.since = answering.now();
    }
  };

  const fastify = createLazyFastify(
    server,
    // Routes change with the config and paths are matched undecoded: core/route-table.ts does both.
    { return503OnClosing: false, rewriteUrl: () => "/" },
    (app) =>
      app.addHook("onRequest", async (request, reply) => {
        reply.hijack();
        await answer(request.raw, reply.raw, request.originalUrl);
      }),
    slowPath.onUnloadable,
  );

  return {
    handle: (request, response) => {
      const use = useOf(request.socket);
      use.inFlight += 1;
      if (use.inFlight > MAX_PIPELINED) request.socket.destroy();
      if (request.socket.destroyed) return;
      // The kubelet asks often, and for this alone nothing else need be there.
      if (request.url === HEALTH_PATH) void answer(request, response, HEALTH_PATH);
      else fastify.handle(request, response);
    },
    close: fastify.close,
  };
}

/** Returns null if the gateway went away. */
async function replyTo(
  request: IncomingMessage,
  response: ServerResponse,
  target: string,
  { current, answering }: SlowPathDeps,
): Promise<Reply | null> {
  if (request.rawHeaders.length > 2 * MAX_HEADER_LINES) return tooManyHeaders();
  const check = readCheck(request, target);
  if (!check) return badCheck();
  const routing = current();
  const { table, trustedProxies } = routing;
  const route = destinationOf(table, check.path);
  if (route === "health") return healthy();
  if (route === "no route") return noRoute();
  if (route === "dot segment") return badCheck();
  const carried = route.fallback.mode === "none" ? check : { ...check, body: null };
  const context = { route, state: routing.stateOf(route), trustedProxies, gone: goneSignal(response) };
  routing.hold();
  try {
    const decision = await answerCheck(carried, context, answering);
    return decision?.reply ?? null;
  } finally {
    routing.release();
  }
}

/**
 * Whether nothing can follow on its connection. What is left of a body that stays behind must not be read without
 * end, and Node's parser stops for good behind an Upgrade, though it is a check like any other.
 */
function isLast(request: IncomingMessage): boolean {
  return (hasBody(request) && !request.complete) || request.headers.upgrade !== undefined;
}

/** Fires when the gateway's connection closes before its reply is out. */
function goneSignal(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  response.once("close", () => {
    if (!response.writableFinished) controller.abort();
  });
  return controller.signal;
}
