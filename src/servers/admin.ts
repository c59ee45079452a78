/**
 * The admin listener: is the process there, may it get traffic, what has it done. It must answer in an outage
 * and under a flood, so it depends on no upstream and each of its connections is short and small.
 */
import { once } from "node:events";
import { type FastifyInstance, type FastifyReply, fastify } from "fastify";
import type { Address } from "../core/snapshot.ts";
import type { Metrics } from "../observe/metrics.ts";
import { type AdminActions, addAdminActions, showAdminActions } from "./admin-actions.ts";
import { refuseGarbled } from "./garbled.ts";

/** Starting and draining processes get no new traffic. */
export type Readiness = "starting" | "ready" | "draining";

export interface AdminOptions {
  readonly listen: Address;
  readonly metrics: Pick<Metrics, "text" | "contentType">;
  /** Must never depend on an upstream: pods have to stay in service in an outage. */
  readiness(): Readiness;
  readonly actions: AdminActions;
}

export interface AdminServer {
  /** The address bound, which tells the port where 0 was asked for. Rejects when it cannot be bound. */
  listen(): Promise<Address>;
  /** Takes no new request; resolves when those on their way are answered. */
  leave(): Promise<void>;
  /** Cuts everything. */
  close(): Promise<void>;
}

const MAX_HEAD_BYTES = 8 * 1024;
const MAX_CONNECTIONS = 1000;
const HEAD_TIMEOUT = 5_000;
const REQUEST_TIMEOUT = 10_000;
/** Longer than the usual minute between two scrapes. */
const KEEP_ALIVE_TIMEOUT = 75_000;
const SAFETY_HEADERS = { "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff" } as const;
const INDEX = `sparekey

/healthz  200 while the process serves
/readyz   200 when it wants traffic, else 503
/metrics  Prometheus metrics

/-/routes/NAME/override  what a person chose for a route

With the admin password:
POST /-/reload                read the config again
POST /-/routes/NAME/override  {"mode": "fallback" or "upstream", "ttl": "10m"}, or {"mode": "auto"}
`;

export function createAdminServer({ listen, metrics, readiness, actions }: AdminOptions): AdminServer {
  const app = fastify({
    logger: false,
    connectionTimeout: REQUEST_TIMEOUT,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT,
    requestTimeout: REQUEST_TIMEOUT,
    http: {
      maxHeaderSize: MAX_HEAD_BYTES,
      headersTimeout: HEAD_TIMEOUT,
      connectionsCheckingInterval: HEAD_TIMEOUT,
    },
    // Each connection is one client's own: a reply out of turn misleads nobody but its sender.
    clientErrorHandler: (error, socket) => refuseGarbled(error, socket, false),
    frameworkErrors: (_error, _request, reply) => notFound(reply),
  });
  const { server } = app;
  server.maxConnections = MAX_CONNECTIONS;
  // Else whoever keeps that many open keeps out the kubelet and the operator.
  server.on("drop", () => server.closeIdleConnections());
  refuseTheRest(app);

  app.get("/", (_request, reply) => text(reply, 200, INDEX));
  app.get("/healthz", (_request, reply) => text(reply, 200, "ok\n"));
  app.get("/readyz", (_request, reply) => {
    const word = readiness();
    return text(reply, word === "ready" ? 200 : 503, `${word}\n`);
  });
  app.get("/metrics", async (_request, reply) => {
    const body = await metrics.text();
    return reply.type(metrics.contentType).send(body);
  });
  showAdminActions(app, actions);
  app.register((scope) => addAdminActions(scope, actions));

  return {
    async listen() {
      await app.ready();
      // Fastify's own listen opens a second server for localhost, and none of the limits would be set on that.
      server.listen({ host: listen.host, port: listen.port });
      await once(server, "listening");
      const bound = server.address();
      // Only a socket file has no port, and none is ever asked for.
      return bound === null || typeof bound === "string" ? listen : { host: bound.address, port: bound.port };
    },
    async leave() {
      await app.close();
    },
    async close() {
      const closed = app.close();
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function refuseTheRest(app: FastifyInstance): void {
  app.addHook("onRequest", async (request, reply) => {
    reply.headers(SAFETY_HEADERS);
    // A body that nobody takes must not be sent on and on: closing the connection is what ends it.
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
