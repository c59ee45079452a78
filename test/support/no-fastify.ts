/** Preloaded into a program, this makes Fastify unavailable, as in a broken installation. */
import { registerHooks } from "node:module";

registerHooks({
  resolve: (name, context, nextResolve) => {
    if (name === "fastify") throw new Error("Cannot find module 'fastify'\nRequire stack: ...");
    return nextResolve(name, context);
  },
});
