/** `@fastify/http-proxy` with its defaults: PORT and UPSTREAM_PORT of 127.0.0.1 as arguments. */
import fastify from "fastify";

const [port, upstreamPort] = process.argv.slice(2).map(Number);
const app = fastify();
// Its name as a value: sparekey itself does without this package, and so does its type check.
const name: string = "@fastify/http-proxy";
const { default: httpProxy } = await import(name);
await app.register(httpProxy, { upstream: `http://127.0.0.1:${upstreamPort}` });
await app.listen({ host: "127.0.0.1", port: port ?? 0 });
