import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import t, { type Test } from "tap";
import { type AdminServerDeps, createAdminServer } from "../../src/admin/server.ts";
import { CLOSED_ACTIONS } from "../support/admin-actions.ts";
import { outage } from "../support/status-scene.ts";

const METRICS = { contentType: "text/plain; version=0.0.4; charset=utf-8", text: async () => "up 1\n" };

async function startAdmin(t: Test, options: Partial<AdminServerDeps> = {}): Promise<number> {
  const listen = { host: "127.0.0.1", port: 0 };
  const server = createAdminServer({
    listen,
    metrics: METRICS,
    readiness: () => "ready",
    status: outage,
    actions: CLOSED_ACTIONS,
    ...options,
  });
  const { host, port } = await server.listen();
  t.teardown(() => server.close());
  t.equal(host, "127.0.0.1");
  t.not(port, 0);
  return port;
}

/** Everything the server says until it closes the connection. */
async function exchange(port: number, request: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  socket.setTimeout(20_000, () => socket.destroy(new Error("no end")));
  socket.write(request, "latin1");
  return await text(socket);
}

t.test("answers", async (t) => {
  const port = await startAdmin(t);
  const rows = [
    { method: "GET", path: "/healthz", status: 200, body: "ok\n" },
    { method: "HEAD", path: "/healthz", status: 200, body: "" },
    { method: "GET", path: "/readyz", status: 200, body: "ready\n" },
    { method: "HEAD", path: "/readyz", status: 200, body: "" },
    { method: "GET", path: "/metrics", status: 200, body: "up 1\n" },
    { method: "GET", path: "/healthz?probe=1", status: 200, body: "ok\n" },
    { method: "GET", path: "/nothing", status: 404, body: "not found\n" },
    { method: "GET", path: "/metrics/", status: 404, body: "not found\n" },
    { method: "GET", path: "/%zz", status: 404, body: "not found\n" },
    { method: "GET", path: "/__proto__", status: 404, body: "not found\n" },
    { method: "POST", path: "/healthz", status: 404, body: "not found\n" },
    { method: "PUT", path: "/-/reload", status: 404, body: "not found\n" },
    { method: "OPTIONS", path: "/metrics", status: 404, body: "not found\n" },
    { method: "DELETE", path: "/", status: 404, body: "not found\n" },
  ];
  for (const { method, path, status, body } of rows) {
    t.test(`${method} ${path}`, async (t) => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, { method });
      t.equal(response.status, status);
      t.match(await response.text(), body);
      t.match(response.headers.get("content-type"), /^text\/plain; .*charset=utf-8$/);
      t.equal(response.headers.get("cache-control"), "no-store");
      t.equal(response.headers.get("x-content-type-options"), "nosniff");
      t.equal(response.headers.get("server"), null);
      t.equal(response.headers.get("x-powered-by"), null);
    });
  }
});

t.test("readiness", async (t) => {
  for (const word of ["starting", "draining"] as const) {
    t.test(word, async (t) => {
      const port = await startAdmin(t, { readiness: () => word });
      const ready = await fetch(`http://127.0.0.1:${port}/readyz`);
      t.equal(ready.status, 503);
      t.equal(await ready.text(), `${word}\n`);
      const health = await fetch(`http://127.0.0.1:${port}/healthz`);
      t.equal(health.status, 200);
    });
  }
});

t.test("a failure inside says nothing of itself", async (t) => {
  const broken = { ...METRICS, text: () => Promise.reject(new Error("/etc/secret-path")) };
  const port = await startAdmin(t, { metrics: broken });
  const response = await fetch(`http://127.0.0.1:${port}/metrics`);
  t.equal(response.status, 500);
  t.equal(await response.text(), "internal error\n");
});

t.test("what is refused before it gets anywhere", async (t) => {
  const port = await startAdmin(t);
  const head = "GET /healthz HTTP/1.1\r\nHost: a\r\n";
  const rows = [
    { name: "no HTTP", request: "\x16\x03\x01\x02\x00\r\n\r\n", answer: /^HTTP\/1\.1 400 / },
    { name: "a huge head", request: `${head}A: ${"x".repeat(20_000)}\r\n\r\n`, answer: /^HTTP\/1\.1 431 / },
    { name: "no Host", request: "GET / HTTP/1.1\r\nConnection: close\r\n\r\n", answer: /^HTTP\/1\.1 400 / },
    {
      name: "an endless body for what is closed",
      request: `POST /-/reload HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999\r\n\r\n${"x".repeat(1000)}`,
      answer: /^HTTP\/1\.1 403 .*connection: close/is,
    },
    {
      name: "an endless body",
      request: `POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999\r\n\r\n${"x".repeat(1000)}`,
      answer: /^HTTP\/1\.1 404 .*connection: close/is,
    },
  ];
  for (const { name, request, answer } of rows) {
    t.test(name, async (t) => t.match(await exchange(port, request), answer));
  }
});

t.test("close ends idle connections and half requests", async (t) => {
  const listen = { host: "127.0.0.1", port: 0 };
  const server = createAdminServer({
    listen,
    metrics: METRICS,
    readiness: () => "ready",
    status: outage,
    actions: CLOSED_ACTIONS,
  });
  const { port } = await server.listen();
  const sockets = [connect(port, "127.0.0.1"), connect(port, "127.0.0.1")];
  for (const socket of sockets) {
    socket.write("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
    await once(socket, "data");
  }
  sockets[1]?.write("GET /healthz HTTP/1.1\r\n");
  const ended = sockets.map(
    (socket) => new Promise((resolve) => socket.on("error", () => {}).on("close", resolve)),
  );
  await server.close();
  await Promise.all(ended);
  t.pass("both were closed");
});

t.test("leave ends a connection with the request that was on its way", async (t) => {
  const listen = { host: "127.0.0.1", port: 0 };
  for (const request of ["GET /healthz", "HEAD /healthz", "GET /nothing"]) {
    const server = createAdminServer({
      listen,
      metrics: METRICS,
      readiness: () => "ready",
      actions: CLOSED_ACTIONS,
      status: outage,
    });
    t.teardown(() => server.close());
    const { port } = await server.listen();
    const socket = connect(port, "127.0.0.1");
    t.teardown(() => socket.destroy());
    socket.write(`GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n${request}`);
    await once(socket, "data");
    const left = server.leave();
    socket.write(" HTTP/1.1\r\nHost: a\r\n\r\n");
    const [reply] = await once(socket, "data");
    t.match(String(reply), /\r\nconnection: close\r\n/i, request);
    await left;
  }
});

t.test("localhost is one address, so that every limit holds on all of it", async (t) => {
  const server = createAdminServer({
    listen: { host: "localhost", port: 0 },
    metrics: METRICS,
    readiness: () => "ready",
    status: outage,
    actions: CLOSED_ACTIONS,
  });
  t.teardown(() => server.close());
  const { host, port } = await server.listen();
  const other = host === "127.0.0.1" ? "::1" : "127.0.0.1";
  const response = await fetch(`http://${host === "::1" ? "[::1]" : host}:${port}/healthz`);
  t.equal(response.status, 200);
  await t.rejects(once(connect(port, other), "connect"));
});

t.test("regression: idle connections make room, so that nobody keeps the kubelet out", async (t) => {
  const port = await startAdmin(t);
  const open = async (): Promise<Socket> => {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => {});
    socket.write("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
    await once(socket, "data");
    return socket;
  };
  const kept = await Promise.all(Array.from({ length: 1_000 }, open));
  t.teardown(() => {
    for (const socket of kept) socket.destroy();
  });
  let status = 0;
  const deadline = performance.now() + 10_000;
  while (status !== 200 && performance.now() < deadline) {
    status = await fetch(`http://127.0.0.1:${port}/healthz`).then(
      (response) => response.status,
      () => 0,
    );
  }
  t.equal(status, 200);
});

t.test("close without listen", async (t) => {
  const listen = { host: "127.0.0.1", port: 0 };
  await createAdminServer({
    listen,
    metrics: METRICS,
    readiness: () => "ready",
    status: outage,
    actions: CLOSED_ACTIONS,
  }).close();
  t.pass("closed");
});

t.test("a port that is taken is an error", async (t) => {
  const port = await startAdmin(t);
  const second = createAdminServer({
    listen: { host: "127.0.0.1", port },
    metrics: METRICS,
    readiness: () => "ready",
    status: outage,
    actions: CLOSED_ACTIONS,
  });
  t.teardown(() => second.close());
  await t.rejects(second.listen(), { code: "EADDRINUSE" });
});
