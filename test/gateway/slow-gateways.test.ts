/** Gateways that do not take what they asked for: they hold up nobody else, and for no longer than they may. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import t, { type Test } from "tap";
import { type Served, sample, serve } from "../support/app.ts";
import { eventually } from "../support/processes.ts";
import { rawUpstream } from "../support/raw-upstream.ts";
import { checksAmong } from "../support/warm.ts";

const PATHS = ["auto", "fastify"] as const;
const CHECK = "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n";
const DEADLINE_MS = 1_000;

function yamlFor(port: number): string {
  return `
listen: 127.0.0.1:0
admin: { listen: "127.0.0.1:0" }
routes:
  - name: slow
    path: /slow
    upstream: http://127.0.0.1:${port}
    timeouts: { total: ${DEADLINE_MS}ms, read: ${DEADLINE_MS}ms }
    fallback: { mode: none }
`;
}

/** Never reads. */
function gateway(t: Test, { urls }: Served): Socket {
  const socket = connect(Number(new URL(urls[0] ?? "").port), "127.0.0.1").pause();
  socket.on("error", () => {});
  t.teardown(() => socket.destroy());
  return socket;
}

t.test("one check after each reply that is never read: the replies do not pile up", async (t) => {
  const body = "x".repeat(60_000);
  const most = 600;
  for (const path of PATHS) {
    const upstream = await rawUpstream(t, (socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    });
    const served = await serve(t, yamlFor(upstream.port), path);
    const socket = gateway(t, served);
    let sent = 0;
    let isHeldBack = false;
    while (sent < most && !isHeldBack) {
      socket.write(CHECK);
      sent += 1;
      const before = performance.now();
      await eventually(
        () => `${path}: check ${sent} is neither asked nor held back`,
        () => {
          isHeldBack = performance.now() - before > 500;
          return isHeldBack || checksAmong(upstream.heads).length >= sent ? true : null;
        },
      );
    }
    t.ok(isHeldBack, `${path}: after ${sent} replies of 60 kB the next check waits`);
  }
});

t.test("a stream that is not read ends at its total deadline", async (t) => {
  const body = "x".repeat(1_000_000);
  for (const path of PATHS) {
    const upstream = await rawUpstream(t, (socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${40 * body.length}\r\n\r\n`);
      for (let sent = 0; sent < 40; sent += 1) socket.write(body);
    });
    const served = await serve(t, yamlFor(upstream.port), path);
    gateway(t, served).write(CHECK);
    await eventually(
      () => `${path}: the check is not asked`,
      () => (checksAmong(upstream.heads).length === 1 ? true : null),
    );
    await eventually(
      () => `${path}: its connection stays`,
      async () => (sample(await served.metrics(), "sparekey_connections") === 0 ? true : null),
    );
    t.pass(path);
  }
});

t.test("thousands of chunks go on in few pieces", async (t) => {
  const count = 20_000;
  const upstream = await rawUpstream(t, (socket) => {
    socket.write(
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${"10\r\n0123456789abcdef\r\n".repeat(count)}0\r\n\r\n`,
    );
  });
  const served = await serve(t, yamlFor(upstream.port), "auto");
  const socket = gateway(t, served).resume();
  let reply = "";
  socket.on("data", (chunk) => {
    reply += chunk;
  });
  socket.write(CHECK);
  await eventually(
    () => `no end after ${reply.length} bytes`,
    () => (reply.endsWith("\r\n0\r\n\r\n") ? true : null),
  );
  const pieces = reply.split("\r\n").filter((line) => /^[0-9a-f]{1,8}$/.test(line) && line !== "0");
  t.equal(reply.replace(/\r\n[0-9a-f]+\r\n/g, "").split("0123456789abcdef").length - 1, count);
  t.ok(pieces.length < count / 20, `${pieces.length} pieces of ${count} chunks`);
});

t.test("who is refused and keeps its own side open is cut off", async (t) => {
  for (const path of PATHS) {
    const served = await serve(t, yamlFor(1), path);
    const port = Number(new URL(served.urls[0] ?? "").port);
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true }).resume();
    socket.on("error", () => {});
    t.teardown(() => socket.destroy());
    socket.write("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n");
    await once(socket, "end");
    await eventually(
      () => `${path}: its connection stays`,
      async () => (sample(await served.metrics(), "sparekey_connections") === 0 ? true : null),
    );
    t.pass(path);
  }
});
