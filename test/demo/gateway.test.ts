import { createServer, type IncomingMessage, type RequestListener } from "node:http";
import { createServer as createTcpServer } from "node:net";
import t, { type Test } from "tap";
import { type GatewayOptions, startGateway } from "../../src/demo/gateway.ts";
import { type Listening, listen } from "../../src/demo/listening.ts";
import { exchangeBytes, openWire } from "./wire.ts";

interface Seen {
  readonly method: string;
  readonly target: string;
  readonly headers: IncomingMessage["headers"];
  body: string;
}

interface Server extends Listening {
  readonly seen: Seen[];
}

/** Remembers what it was asked, once the body is in. */
async function server(test: Test, answer: RequestListener): Promise<Server> {
  const seen: Seen[] = [];
  const http = createServer(async (request, response) => {
    const { method = "", url: target = "", headers } = request;
    const one: Seen = { method, target, headers, body: "" };
    seen.push(one);
    for await (const chunk of request) one.body += chunk;
    answer(request, response);
  });
  const listening = await listen(http, 0);
  test.teardown(() => listening.close());
  return { ...listening, seen };
}

const pass: RequestListener = (_, response) => {
  response.writeHead(200, ["X-User", "demo", "X-Other", "kept back"]).end("ignored");
};

async function gateway(test: Test, options: Partial<GatewayOptions>): Promise<Listening> {
  const started = await startGateway({
    port: 0,
    app: "http://127.0.0.1:9",
    forwardAuth: [],
    unguarded: { prefix: "/login/", url: "http://127.0.0.1:9" },
    ...options,
  });
  test.teardown(() => started.close());
  return started;
}

t.test("a check says what the client asked, in the gateway's words", async (test) => {
  const auth = await server(test, pass);
  const app = await server(test, (_, response) => response.end("app"));
  const { url, port } = await gateway(test, {
    app: app.url,
    forwardAuth: [{ address: `${auth.url}/auth?fixed`, authResponseHeaders: ["X-User"] }],
  });
  const answer = await fetch(`${url}/a%20b?c=d`, {
    method: "POST",
    body: "payload",
    headers: {
      "X-Forwarded-For": "6.6.6.6",
      "X-Forwarded-Host": "evil.example",
      "X-Forwarded-Uri": "/public",
      "X-Forwarded-Port": "1",
      "X-Real-Ip": "6.6.6.6",
      "X-User": "root",
      Cookie: "a=b",
      Authorization: "Basic x",
    },
  });
  test.equal(await answer.text(), "app");
  const [check] = auth.seen;
  test.match(check, { method: "GET", target: "/auth?fixed", body: "" });
  test.match(check?.headers, {
    host: `127.0.0.1:${auth.port}`,
    "x-forwarded-method": "POST",
    "x-forwarded-proto": "http",
    "x-forwarded-host": `127.0.0.1:${port}`,
    "x-forwarded-uri": "/a%20b?c=d",
    "x-forwarded-for": "127.0.0.1",
    "x-real-ip": "127.0.0.1",
    cookie: "a=b",
    authorization: "Basic x",
  });
  for (const name of ["content-length", "transfer-encoding", "x-forwarded-port"]) {
    test.equal(check?.headers[name], undefined, name);
  }
});

t.test("the app gets the request with the identity of the answer", async (test) => {
  const auth = await server(test, pass);
  const app = await server(test, (_, response) => response.end("app"));
  const { url, port } = await gateway(test, {
    app: app.url,
    forwardAuth: [{ address: `${auth.url}/auth`, authResponseHeaders: ["X-User", "x-groups"] }],
  });
  await fetch(`${url}/x?y`, {
    method: "POST",
    body: "payload",
    headers: { "X-USER": "root", "X-Groups": "admins", "X-Other": "client's", Authorization: "Basic x" },
  });
  const [request] = app.seen;
  test.match(request, { method: "POST", target: "/x?y", body: "payload" });
  test.match(request?.headers, {
    host: `127.0.0.1:${port}`,
    "x-user": "demo",
    "x-other": "client's",
    authorization: "Basic x",
    "x-forwarded-host": `127.0.0.1:${port}`,
  });
  test.equal(request?.headers["x-groups"], undefined, "deleted, not set");
});

t.test("Authorization stays behind when it is listed; an empty value is set", async (test) => {
  const auth = await server(test, (_, response) => response.writeHead(204, ["X-User", ""]).end());
  const app = await server(test, (_, response) => response.end());
  const { url } = await gateway(test, {
    app: app.url,
    forwardAuth: [{ address: auth.url, authResponseHeaders: ["Authorization", "X-User"] }],
  });
  await fetch(url, { headers: { Authorization: "Basic x", "X-User": "root" } });
  test.equal(app.seen[0]?.headers.authorization, undefined);
  test.equal(app.seen[0]?.headers["x-user"], "");
});

t.test("whatever is not 2xx goes to the client whole", async (test) => {
  const app = await server(test, (_, response) => response.end());
  const rows = [
    { status: 401, headers: ["WWW-Authenticate", 'Basic realm="Emergency Access"'], body: "log in" },
    { status: 302, headers: ["Location", "http://x/y", "Set-Cookie", "a=b", "Set-Cookie", "c=d"], body: "" },
    { status: 400, headers: ["Content-Type", "application/json"], body: "{}" },
    { status: 503, headers: ["Retry-After", "5", "Connection", "close"], body: "down" },
    { status: 304, headers: ["ETag", '"x"'], body: "" },
  ];
  for (const { status, headers, body } of rows) {
    const auth = await server(test, (_, response) => response.writeHead(status, headers).end(body));
    const next = await server(test, pass);
    const { url } = await gateway(test, {
      app: app.url,
      forwardAuth: [auth, next].map((one) => ({ address: one.url, authResponseHeaders: [] })),
    });
    const answer = await fetch(url, { redirect: "manual" });
    test.equal(answer.status, status);
    test.equal(await answer.text(), body);
    if (status === 401) test.match(answer.headers.get("www-authenticate"), "Emergency Access");
    if (status === 302) test.same(answer.headers.getSetCookie(), ["a=b", "c=d"]);
    test.equal(next.seen.length, 0, "the next one is not asked");
  }
  test.equal(app.seen.length, 0);
});

t.test("the next check sees the headers the one before has set", async (test) => {
  const first = await server(test, pass);
  const second = await server(test, pass);
  const app = await server(test, (_, response) => response.end());
  const { url } = await gateway(test, {
    app: app.url,
    forwardAuth: [
      { address: first.url, authResponseHeaders: ["X-User"] },
      { address: second.url, authResponseHeaders: [] },
    ],
  });
  await fetch(url, { headers: { "X-User": "root" } });
  test.equal(second.seen[0]?.headers["x-user"], "demo");
  test.equal(app.seen.length, 1);
});

t.test("no whole answer to a check is a 500", async (test) => {
  const silent = await server(test, () => undefined);
  const broken = await server(test, (_, response) => {
    response.writeHead(200, { "Content-Length": 10 });
    response.write("half");
    response.socket?.end();
  });
  const garbage = createTcpServer((socket) => socket.end("SSH-2.0\r\n\r\n"));
  await new Promise<void>((resolve) => garbage.listen(0, "127.0.0.1", resolve));
  test.teardown(() => garbage.close());
  const bound = garbage.address();
  const garbagePort = typeof bound === "object" ? bound?.port : 0;
  const rows = [
    { name: "refused", address: "http://127.0.0.1:9/" },
    { name: "not HTTP", address: `http://127.0.0.1:${garbagePort}/` },
    { name: "too late", address: silent.url },
    { name: "half a body", address: broken.url },
  ];
  for (const { name, address } of rows) {
    const { url } = await gateway(test, {
      forwardAuth: [{ address, authResponseHeaders: [] }],
      authTimeoutMs: name === "too late" ? 20 : 30_000,
    });
    const answer = await fetch(url);
    test.equal(answer.status, 500, name);
    await answer.text();
  }
});

t.test("the pages of the login go past the checks, bodies included", async (test) => {
  const login = await server(test, (_, response) => response.writeHead(303, { Location: "/" }).end());
  const { url, port } = await gateway(test, {
    forwardAuth: [{ address: "http://127.0.0.1:9/", authResponseHeaders: [] }],
    unguarded: { prefix: "/login/", url: login.url },
  });
  const chunks = new Blob(["user=", "demo"]).stream();
  const init = { method: "POST", body: chunks, duplex: "half", redirect: "manual" } as const;
  const answer = await fetch(`${url}/login/form?x`, init);
  test.equal(answer.status, 303);
  test.match(login.seen[0], { method: "POST", target: "/login/form?x", body: "user=demo" });
  test.match(login.seen[0]?.headers, {
    "x-forwarded-host": `127.0.0.1:${port}`,
    "x-forwarded-proto": "http",
  });
  test.equal((await fetch(`${url}/login`)).status, 500, "the prefix has a slash");
});

t.test("an app that is gone is a 502, one that breaks off is cut", async (test) => {
  const gone = await gateway(test, {});
  test.equal((await fetch(gone.url)).status, 502);
  const app = await server(test, (_, response) => {
    response.writeHead(200, { "Content-Length": 10 });
    response.write("half");
    response.socket?.end();
  });
  const { port } = await gateway(test, { app: app.url });
  const { text } = await exchangeBytes(port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  test.match(text, /half$/);
});

t.test("a body keeps its length, whatever Connection names", async (test) => {
  const app = await server(test, (_, response) => response.end("done"));
  const { port } = await gateway(test, { app: app.url });
  const inner = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
  const wire = await openWire(port);
  wire.send(
    `GET /outer HTTP/1.1\r\nHost: x\r\nX-Gone: 1\r\nConnection: content-length, host, x-gone\r\nContent-Length: ${inner.length}\r\n\r\n${inner}`,
  );
  await wire.until("done");
  wire.close();
  test.same(
    app.seen.map(({ target, body }) => ({ target, body })),
    [{ target: "/outer", body: inner }],
  );
  test.equal(app.seen[0]?.headers["x-gone"], undefined);
});

t.test("a target that is no path is refused", async (test) => {
  const { port } = await gateway(test, {});
  for (const target of ["http://evil.example/", "*"]) {
    const { text } = await exchangeBytes(
      port,
      `OPTIONS ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
    );
    test.match(text, /^HTTP\/1\.1 400 /, target);
  }
});

t.test("a kept connection that died is replaced", async (test) => {
  const auth = await server(test, (request, response) => {
    pass(request, response);
    response.once("finish", () => request.socket.destroySoon());
  });
  const app = await server(test, (_, response) => response.end());
  const { url } = await gateway(test, {
    app: app.url,
    forwardAuth: [{ address: auth.url, authResponseHeaders: [] }],
  });
  for (let i = 0; i < 20; i++) test.equal((await fetch(url)).status, 200);
});
