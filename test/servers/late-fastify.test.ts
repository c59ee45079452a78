import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import t, { type Test } from "tap";
import { createLateFastify, type LateFastify } from "../../src/servers/late-fastify.ts";

interface Scene {
  readonly late: LateFastify;
  /** What a client who sends `GET PATH` reads until its connection ends. */
  ask(path: string): Promise<string>;
  /** Paths that Fastify was asked for. */
  readonly asked: readonly string[];
}

/** `onRequest`: sees a request before Fastify does. */
async function scene(t: Test, onRequest: (request: IncomingMessage) => void): Promise<Scene> {
  const asked: string[] = [];
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    late.handle(request, response);
    onRequest(request);
  });
  const late = createLateFastify(server, {}, (app) =>
    app.get("/*", async ({ url }) => {
      asked.push(url);
      return "here";
    }),
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => server.close());
  t.teardown(() => late.close());
  const address = server.address();
  const port = typeof address === "object" ? (address?.port ?? 0) : 0;
  const ask = async (path: string): Promise<string> => {
    const socket = connect(port, "127.0.0.1");
    socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    return text(socket);
  };
  return { late, ask, asked };
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
