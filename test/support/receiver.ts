/** A receiver of webhooks that answers as a test says. */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { Test } from "tap";
import { eventually } from "./processes.ts";

export interface Received {
  readonly method: string;
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Receiver {
  readonly port: number;
  readonly url: string;
  /** Whole requests, in order. */
  readonly received: readonly Received[];
  /** Resolves with the first `count` requests. */
  first(count: number): Promise<readonly Received[]>;
  /** Connections that are open now. */
  connections(): Promise<number>;
}

/** `answer` is called once per request, and sends the answer, if any. The receiver closes with the test. */
export async function startReceiver(
  t: Test,
  answer: (response: ServerResponse, request: Received, count: number) => void = (response) => {
    response.writeHead(204).end();
  },
): Promise<Receiver> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (text: string) => {
      body += text;
    });
    request.on("end", () => {
      const { method = "", url: target = "", headers } = request;
      const whole = { method, target, headers, body };
      received.push(whole);
      answer(response, whole, received.length);
    });
    request.on("error", () => {});
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  t.teardown(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => {
      server.close(resolve);
    });
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    received,
    first: (count) =>
      eventually(
        () => `${received.length} of ${count} messages came`,
        () => (received.length >= count ? received.slice(0, count) : null),
      ),
    connections: () =>
      new Promise((resolve, reject) => {
        server.getConnections((error, count) => (error ? reject(error) : resolve(count)));
      }),
  };
}
