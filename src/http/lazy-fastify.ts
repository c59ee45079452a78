/**
 * Fastify over a server that is there before it: it comes with the first request that is its to answer, for it
 * takes 12 MB and most processes never get one (docs/decisions/0007-memory.md).
 */
import type { IncomingMessage, RequestListener, Server, ServerResponse } from "node:http";
import { createRequire } from "node:module";
import type { FastifyInstance, FastifyServerOptions, fastify as makeFastify } from "fastify";

// Not import: one that failed, as without a file descriptor left, would fail for good.
const require = createRequire(import.meta.url);

/** Throws when it cannot be read now; the next call tries again. */
function loadFastify(): typeof makeFastify {
  return require("fastify");
}

/** False: it cannot be read now, and `onFailure` was told why. */
export function hasFastify(onFailure: (error: unknown) => void = () => {}): boolean {
  try {
    loadFastify();
    return true;
  } catch (error) {
    onFailure(error);
    return false;
  }
}

export interface LazyFastify {
  /** Never throws; a request that cannot be answered now is cut. */
  handle(request: IncomingMessage, response: ServerResponse): void;
  /** Ends what it began. The server is not its to close. */
  close(): Promise<void>;
}

/** `build`: adds what is served. `onFailure`: it cannot be had; told once, until it could be. */
export function createLazyFastify(
  server: Server,
  options: FastifyServerOptions,
  build: (app: FastifyInstance) => void,
  onFailure: (error: unknown) => void = () => {},
): LazyFastify {
  let isFailing = false;
  let made: { readonly app: FastifyInstance; readonly handler: Promise<RequestListener> } | null = null;

  const make = (): NonNullable<typeof made> => {
    const handler = Promise.withResolvers<RequestListener>();
    const app = loadFastify()({
      ...options,
      // The server's owner says what becomes of what is no request.
      clientErrorHandler: () => {},
      serverFactory: (listener) => {
        handler.resolve(listener);
        return server;
      },
    });
    build(app);
    return { app, handler: Promise.resolve(app.ready()).then(() => handler.promise) };
  };

  const fail = (error: unknown): void => {
    // The next request tries again.
    made = null;
    if (!isFailing) onFailure(error);
    isFailing = true;
  };

  return {
    handle: (request, response) => {
      try {
        made ??= make();
      } catch (error) {
        fail(error);
        response.destroy();
        return;
      }
      const { handler } = made;
      handler.then(
        (listener) => {
          isFailing = false;
          // Who waited for Fastify may have left; nobody is asked for that one.
          if (!request.socket.destroyed) listener(request, response);
        },
        (error) => {
          fail(error);
          response.destroy();
        },
      );
    },
    close: async () => {
      await made?.app.close();
    },
  };
}
