/** Runs `@fastify/http-proxy` with its defaults. The arguments are PORT and UPSTREAM_PORT of 127.0.0.1. */
import httpProxy from "@fastify/http-proxy";
import fastify from "fastify";

const [port, upstreamPort] = process.argv.slice(2).map(Number);
const app = fastify();
await app.register(httpProxy, { upstream: `http://127.0.0.1:${upstreamPort}` });
await app.listen({ host: "127.0.0.1", port: port ?? 0 });
