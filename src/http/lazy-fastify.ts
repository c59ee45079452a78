/**
 * Puts Fastify on a server that exists before it. Fastify is loaded with the first request that needs it, because it
 * takes 12 MB and most processes never get such a request (docs/decisions/0007-memory.md).
 */
import type { IncomingMessage, RequestListener, Server, ServerResponse } from "node:http";
import { createRequire } from "node:module";
import type { FastifyInstance, FastifyServerOptions, fastify as makeFastify } from "fastify";

// An import that failed once, such as without a file descriptor left, would fail for good.
const require = createRequire(import.meta.url);

/** Throws if it cannot be read now. The next call tries again. */
function loadFastify(): typeof makeFastify {
  return require("fastify");
}

/** Returns false if it cannot be read now, and tells `onFailure` why. */
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
  /** Never throws. A request that cannot be answered now is cut. */
  handle(request: IncomingMessage, response: ServerResponse): void;
  /** Ends what it began, and leaves the server open. */
  close(): Promise<void>;
}

/** `build` adds what is served. `onFailure` is called when loading fails, and then not again until it worked. */
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
      // The owner of the server decides about what is not a request.
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
          // The client may have left while Fastify was loaded. Nothing is done for it then.
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
