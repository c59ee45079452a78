import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import type { FastifyInstance } from "fastify";
import t, { type Test } from "tap";
import { createLazyFastify, type LazyFastify } from "../../src/http/lazy-fastify.ts";

interface Scene {
  readonly lazy: LazyFastify;
  /** What a client who sends `GET PATH` reads until its connection ends. */
  ask(path: string): Promise<string>;
  /** Paths that Fastify was asked for. */
  readonly asked: readonly string[];
  /** What went wrong, as it was told. */
  readonly failures: readonly unknown[];
}

/** `onRequest`: sees a request before Fastify does. `onBuild`: may throw. */
async function scene(
  t: Test,
  onRequest: (request: IncomingMessage) => void,
  onBuild: (app: FastifyInstance) => void = () => {},
): Promise<Scene> {
  const asked: string[] = [];
  const failures: unknown[] = [];
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    lazy.handle(request, response);
    onRequest(request);
  });
  const build = (app: FastifyInstance): void => {
    onBuild(app);
    app.get("/*", async ({ url }) => {
      asked.push(url);
      return "here";
    });
  };
  const lazy = createLazyFastify(server, {}, build, (error) => failures.push(error));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => server.close());
  t.teardown(() => lazy.close());
  const address = server.address();
  const port = typeof address === "object" ? (address?.port ?? 0) : 0;
  const ask = async (path: string): Promise<string> => {
    const socket = connect(port, "127.0.0.1");
    socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    return text(socket);
  };
  return { lazy, ask, asked, failures };
}

t.test("two first ones at once are both answered", async (t) => {
  const { ask, asked } = await scene(t, () => {});
  const replies = await Promise.all([ask("/one"), ask("/two")]);
  for (const reply of replies) t.match(reply, /^HTTP\/1\.1 200 OK\r\n.*\r\n\r\nhere$/s);
  t.strictSame(asked.toSorted(), ["/one", "/two"]);
});

t.test("nothing is done for one who left while Fastify was loaded", async (t) => {
  const { ask, asked } = await scene(t, ({ url, socket }) => {
    if (url === "/gone") socket.destroy();
  });
  const [gone] = await Promise.all([ask("/gone").catch(() => ""), ask("/there")]);
  t.equal(gone, "");
  t.strictSame(asked, ["/there"]);
});

t.test("what cannot be had is told once, and had by the next request that can", async (t) => {
  const full = new Error("too many open files");
  const rows: readonly { readonly name: string; readonly fail: (app: FastifyInstance) => void }[] = [
    {
      name: "at once",
      fail: () => {
        throw full;
      },
    },
    { name: "while it starts", fail: (app) => void app.register(() => Promise.reject(full)) },
  ];
  for (const { name, fail } of rows) {
    let isFull = true;
    const onBuild = (app: FastifyInstance): void => (isFull ? fail(app) : undefined);
    const { ask, asked, failures } = await scene(t, () => {}, onBuild);
    for (const path of ["/one", "/two"]) t.equal(await ask(path).catch(() => ""), "", `${name}: ${path}`);
    t.strictSame(failures, [full], `${name}: told once`);
    isFull = false;
    t.match(await ask("/three"), "200 OK", `${name}: the next`);
    t.strictSame(asked, ["/three"], name);
    isFull = true;
  }
});
