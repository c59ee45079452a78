/** Preloaded into a program: Fastify cannot be had, as where an installation is broken. */
import { registerHooks } from "node:module";

registerHooks({
  resolve: (name, context, nextResolve) => {
    if (name === "fastify") throw new Error("Cannot find module 'fastify'\nRequire stack: ...");
    return nextResolve(name, context);
  },
});
