/**
 * The admin listener tells whether the process is alive, whether it may get traffic, and what it has done. It must
 * answer in an outage and under a flood, so it depends on no upstream, and its connections are short and small.
 */
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { FastifyInstance, FastifyReply } from "fastify";
import type { Address } from "../core/snapshot.ts";
import { hasBody } from "../http/has-body.ts";
import { createLazyFastify } from "../http/lazy-fastify.ts";
import { refuseMalformed } from "../http/refuse-malformed.ts";
import type { Metrics } from "../observe/metrics/metrics.ts";
import type { Readiness, Status } from "../observe/status/status.ts";
import { addAdminActions, addAdminReads } from "./action-routes.ts";
import type { AdminActions } from "./actions.ts";
import { createStatusRoutes, type MakePage, type Page } from "./status-routes.ts";

export interface AdminServerDeps {
  readonly listen: Address;
  readonly metrics: Pick<Metrics, "text" | "contentType">;
  /** Must not depend on an upstream, because pods have to stay in service in an outage. */
  readiness(): Readiness;
  status(): Promise<Status>;
  readonly actions: AdminActions;
}

export interface AdminServer {
  /** Resolves to the bound address, with the port that the system chose for port 0. Rejects when it cannot bind. */
  listen(): Promise<Address>;
  /** Takes no new request, and resolves when all others are answered. */
  leave(): Promise<void>;
  /** Cuts all connections. */
  close(): Promise<void>;
}

const MAX_HEAD_BYTES = 8 * 1024;
const MAX_CONNECTIONS = 1000;
const HEAD_TIMEOUT = 5_000;
const REQUEST_TIMEOUT = 10_000;
/** Longer than the usual minute between two scrapes. */
const KEEP_ALIVE_TIMEOUT = 75_000;
const SAFETY_HEADERS = { "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff" } as const;

export function createAdminServer(options: AdminServerDeps): AdminServer {
  const { listen, metrics, readiness, status, actions } = options;
  const statusRoutes = createStatusRoutes({ status, isOpen: actions.isOpen });
  const pages: ReadonlyMap<string, MakePage> = new Map<string, MakePage>([
    ...statusRoutes.pages,
    ["/healthz", () => plainText(200, "ok\n")],
    ["/readyz", () => plainText(readiness() === "ready" ? 200 : 503, `${readiness()}\n`)],
    ["/metrics", async () => ({ status: 200, type: metrics.contentType, body: await metrics.text() })],
  ]);
  let isLeaving = false;

  // An import would also load what node:http has for fetch, which takes 7 MB.
  const { createServer } = process.getBuiltinModule("node:http");
  const server = createServer(
    {
      maxHeaderSize: MAX_HEAD_BYTES,
      headersTimeout: HEAD_TIMEOUT,
      connectionsCheckingInterval: HEAD_TIMEOUT,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT,
      requestTimeout: REQUEST_TIMEOUT,
    },
    (request, response) => {
      if (isLeaving) response.shouldKeepAlive = false;
      const path = isPlain(request) ? pathOf(request) : "";
      const page = pages.get(path);
      if (page) void showPage(page, response);
      else if (!statusRoutes.watch(path, response)) fastify.handle(request, response);
    },
  );
  server.setTimeout(REQUEST_TIMEOUT);
  server.maxConnections = MAX_CONNECTIONS;
  // Otherwise a client with that many open connections keeps out the kubelet and the operator.
  server.on("drop", () => server.closeIdleConnections());
  // Each connection belongs to one client, so a reply out of turn can mislead only its sender.
  server.on("clientError", (error, socket: Socket) => refuseMalformed(error, socket, false));

  const fastify = createLazyFastify(
    server,
    { logger: false, frameworkErrors: (_error, _request, reply) => notFound(reply) },
    (app) => {
      refuseTheRest(app);
      for (const [path, page] of pages) {
        app.get(path, async (_request, reply) => {
          const { status, type, body, headers = {} } = await page();
          return reply.code(status).headers(headers).type(type).send(body);
        });
      }
      app.register((scope) => addAdminReads(scope, actions));
      app.register((scope) => addAdminActions(scope, actions));
      app.register(async (scope) => {
        const { addOperatorPage } = await import("./operator-routes.ts");
        await addOperatorPage(scope, { actions, status });
      });
    },
  );

  /** Replies without Fastify: the kubelet and Prometheus ask every few seconds. */
  const showPage = async (page: MakePage, response: ServerResponse): Promise<void> => {
    const { status, type, body, headers } = await settled(page);
    if (isLeaving) response.shouldKeepAlive = false;
    const length = Buffer.byteLength(body);
    response
      .writeHead(status, { ...SAFETY_HEADERS, ...headers, "Content-Type": type, "Content-Length": length })
      .end(body);
  };

  const closed = (): Promise<void> => new Promise((resolve) => server.close(() => resolve()));

  return {
    async listen() {
      server.listen({ host: listen.host, port: listen.port });
      await once(server, "listening");
      const bound = server.address();
      // Only a socket file has no port, and this listener never has one.
      return bound === null || typeof bound === "string" ? listen : { host: bound.address, port: bound.port };
    },
    async leave() {
      isLeaving = true;
      statusRoutes.end();
      await Promise.all([fastify.close(), closed()]);
    },
    async close() {
      statusRoutes.end();
      const ended = Promise.all([fastify.close(), closed()]);
      server.closeAllConnections();
      await ended;
    },
  };
}

/** The kubelet, Prometheus and browsers ask like this. All other requests go to Fastify. */
function isPlain(request: IncomingMessage): boolean {
  return request.method === "GET" && !hasBody(request);
}

function pathOf({ url = "" }: IncomingMessage): string {
  return url.split("?", 1)[0] ?? "";
}

async function settled(page: MakePage): Promise<Page> {
  try {
    return await page();
  } catch {
    return plainText(500, "internal error\n");
  }
}

function plainText(status: number, body: string): Page {
  return { status, type: "text/plain; charset=utf-8", body };
}

function refuseTheRest(app: FastifyInstance): void {
  app.addHook("onRequest", async (request, reply) => {
    reply.headers(SAFETY_HEADERS);
    // Closing the connection stops the client from sending a body that nobody reads.
    if (request.is404 && request.method !== "GET" && request.method !== "HEAD")
      return notFound(reply.header("Connection", "close"));
  });
  app.setNotFoundHandler((_request, reply) => notFound(reply));
  app.setErrorHandler((_error, _request, reply) => text(reply, 500, "internal error\n"));
}

function notFound(reply: FastifyReply): FastifyReply {
  return text(reply, 404, "not found\n");
}

function text(reply: FastifyReply, status: number, body: string): FastifyReply {
  return reply.code(status).headers(SAFETY_HEADERS).type("text/plain; charset=utf-8").send(body);
}
