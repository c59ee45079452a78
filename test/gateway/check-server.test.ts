import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import {
  createServer as createHttpServer,
  request as httpRequest,
  type IncomingMessage,
  type RequestListener,
} from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { connect, type Server } from "node:net";
import { join } from "node:path";
import t, { type Test } from "tap";
import { ask, sample, serve } from "../support/app.ts";
import { talk } from "../support/gateway-talk.ts";
import { missing } from "../support/programs.ts";
import { rawUpstream } from "../support/raw-upstream.ts";
import { checksAmong } from "../support/warm.ts";

async function listening(t: Test, server: Server): Promise<number> {
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  t.teardown(() => server.close());
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

function upstream(t: Test, listener: RequestListener): Promise<number> {
  return listening(t, createHttpServer({ maxHeaderSize: 512 * 1024 }, listener));
}

function oneRoute(port: number, more = "", top = ""): string {
  return `
listen: 127.0.0.1:0
admin: { listen: "127.0.0.9:0" }
${top}
routes:
  - name: only
    path: /*
    upstream: http://127.0.0.1:${port}
${more}`;
}

const NONE = "    fallback: { mode: none }\n";
const ALLOW = "    fallback: { mode: allow }\n";

t.test("bodies on a plain proxy route", async (t) => {
  const size = 20 * 1024 * 1024;
  const chunk = Buffer.alloc(64 * 1024, "s");

  await t.test("go up as they come, by length and in chunks", async (t) => {
    const port = await upstream(t, async (request, response) => {
      const hash = createHash("sha256");
      for await (const part of request) hash.update(part as Buffer);
      response.end(JSON.stringify([hash.digest("hex"), request.headers["content-length"] ?? null]));
    });
    const { urls } = await serve(t, oneRoute(port, NONE));
    const digest = createHash("sha256").update(Buffer.alloc(size, "s")).digest("hex");
    for (const headers of [{ "Content-Length": String(size) }, { "Transfer-Encoding": "chunked" }]) {
      const request = httpRequest(`${urls[0]}/upload`, { method: "POST", headers, agent: false });
      for (let sent = 0; sent < size; sent += chunk.length) {
        if (!request.write(chunk)) await once(request, "drain");
      }
      request.end();
      const [response] = (await once(request, "response")) as [IncomingMessage];
      let text = "";
      for await (const part of response) text += part;
      t.same(JSON.parse(text), [digest, headers["Content-Length"] ?? null], Object.keys(headers)[0] ?? "");
    }
  });

  await t.test("come down as they come, without being held in memory", async (t) => {
    let sent = 0;
    const port = await upstream(t, (request, response) => {
      if (request.url !== "/download") return void response.end();
      const pump = (): void => {
        while (sent < size) {
          sent += chunk.length;
          if (!response.write(chunk)) return void response.once("drain", pump);
        }
        response.end();
      };
      pump();
    });
    const { urls } = await serve(t, oneRoute(port, NONE));
    const request = httpRequest(`${urls[0]}/download`, { agent: false }).end();
    const [response] = (await once(request, "response")) as [IncomingMessage];
    // Nobody reads: what lies between must fill up and hold the upstream back.
    let before = -1;
    while (before !== sent) {
      before = sent;
      await new Promise((resolve) => {
        setTimeout(resolve, 100);
      });
    }
    t.ok(sent < size, `the upstream was held back at ${sent} of ${size} bytes`);
    let received = 0;
    for await (const part of response) received += (part as Buffer).length;
    t.equal(received, sent);
  });

  await t.test("an upload that the gateway breaks off is no fault of the upstream", async (t) => {
    const port = await upstream(t, () => {});
    const { urls, metrics } = await serve(t, oneRoute(port, NONE));
    const request = httpRequest(`${urls[0]}/upload`, {
      method: "POST",
      headers: { "Content-Length": "100" },
    });
    request.on("error", () => {});
    request.write("half");
    await until(async () => sample(await metrics(), "sparekey_in_flight") === 1);
    request.destroy();
    await until(async () => sample(await metrics(), "sparekey_in_flight") === 0);
    t.equal(sample(await metrics(), 'sparekey_faults_total{route="only",reason="reset"}'), 0);
  });

  await t.test("of a check stay behind", async (t) => {
    const raw = await rawUpstream(t, (socket) =>
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    );
    const { urls } = await serve(t, oneRoute(raw.port, ALLOW));
    const { status } = await ask(`${urls[0]}/auth`, { method: "POST", body: "secret" });
    t.equal(status, 200);
    t.match(raw.heads[0], /^POST \/auth HTTP\/1\.1\r\n/);
    t.notMatch(raw.heads[0], /content-length: [1-9]/i);
  });
});

t.test("a stream that breaks off cuts the gateway's connection", async (t) => {
  const raw = await rawUpstream(t, (socket) => {
    socket.end(`HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n${"x".repeat(100_000)}`);
  });
  const { urls } = await serve(t, oneRoute(raw.port, ALLOW));
  await t.rejects(ask(`${urls[0]}/auth`), "the half answer does not look whole");
});

t.test(
  "to an HTTP/1.0 gateway a stream breaks off with a reset: a close would be a whole answer's end",
  async (t) => {
    const raw = await rawUpstream(t, (socket) => {
      const chunk = `10000\r\n${"x".repeat(0x10000)}\r\n`;
      socket.end(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}${chunk}`);
    });
    const { app } = await serve(t, oneRoute(raw.port, ALLOW));
    const socket = connect(app.listeners[0]?.port ?? 0, "127.0.0.1");
    socket.write("GET /auth HTTP/1.0\r\nHost: x\r\n\r\n");
    socket.resume();
    await t.rejects(once(socket, "end"), { code: "ECONNRESET" });
  },
);

t.test("heads", async (t) => {
  await t.test("a Cookie of 200 KiB passes", async (t) => {
    const port = await upstream(t, (request, response) => {
      response.end(JSON.stringify([request.headers.cookie?.length, request.headers["x-last"] ?? null]));
    });
    const { urls } = await serve(t, oneRoute(port, ALLOW));
    const cookie = await ask(`${urls[0]}/auth`, { headers: { Cookie: "c".repeat(200 * 1024) } });
    t.same(JSON.parse(cookie.text), [200 * 1024, null]);
  });
  await t.test(
    "the last of 1,000 header lines, which is the gateway's, passes; one more is 431",
    async (t) => {
      const raw = await rawUpstream(t, (socket) =>
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
      );
      const { urls } = await serve(t, oneRoute(raw.port, ALLOW));
      // Node's client adds Host and Connection.
      const many = Object.fromEntries(Array.from({ length: 997 }, (_, i) => [`X-Pad-${i}`, "p"]));
      const headers = { ...many, "X-Forwarded-Host": "app.example" };
      t.equal((await ask(`${urls[0]}/auth`, { headers })).status, 200);
      t.equal((await ask(`${urls[0]}/auth`, { headers: { "X-More": "1", ...headers } })).status, 431);
      t.equal(checksAmong(raw.heads).length, 1);
      t.match(raw.heads[0], /\r\nX-Forwarded-Host: app\.example\r\n(?:Host: .*\r\n)?\r\n$/);
    },
  );
  await t.test("beyond headBytes: 431", async (t) => {
    const raw = await rawUpstream(t, () => {});
    const { urls } = await serve(t, oneRoute(raw.port, ALLOW, "limits: { headBytes: 16KiB }"));
    const { status } = await ask(`${urls[0]}/auth`, { headers: { Cookie: "c".repeat(20 * 1024) } });
    t.equal(status, 431);
    t.same(raw.heads, []);
  });
});

t.test("paths", async (t) => {
  const rows = [
    { target: "/healthz", status: 200, asks: false },
    { target: "/in/side", status: 200, asks: true },
    { target: "/in/side?x=/../y", status: 200, asks: true },
    { target: "/in", status: 404, asks: false },
    { target: "/other", status: 404, asks: false },
    { target: "/in/../auth", status: 400, asks: false },
    { target: "/in/%2e%2E/auth", status: 400, asks: false },
    { target: "/in/..;/auth", status: 400, asks: false },
    { target: "http://elsewhere/in/side", status: 400, asks: false },
  ];
  const raw = await rawUpstream(t, (socket) => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
  const { app } = await serve(t, oneRoute(raw.port, NONE).replace("/*", "/in/*"));
  const port = app.listeners[0]?.port ?? 0;
  for (const row of rows) {
    const before = checksAmong(raw.heads).length;
    const socket = connect(port, "127.0.0.1");
    socket.write(`GET ${row.target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    let text = "";
    for await (const part of socket) text += part;
    t.match(text, new RegExp(`^HTTP/1.1 ${row.status} `), row.target);
    t.equal(checksAmong(raw.heads).length - before, row.asks ? 1 : 0, `${row.target}: asked`);
  }
});

t.test("limits of our own never fall back", async (t) => {
  await t.test("maxInFlight: shed with 503, even on an allow route", async (t) => {
    const raw = await rawUpstream(t, () => {});
    const { urls, metrics } = await serve(t, oneRoute(raw.port, `    maxInFlight: 1\n${ALLOW}`));
    const first = httpRequest(`${urls[0]}/auth`).on("error", () => {});
    first.end();
    await until(() => raw.heads.length === 1);
    const second = await ask(`${urls[0]}/auth`);
    t.equal(second.status, 503);
    t.notOk(second.headers["x-auth-fallback"]);
    t.equal(second.headers["retry-after"], "1");
    t.equal(sample(await metrics(), 'sparekey_checks_total{route="only",source="shed",verdict="deny"}'), 1);
    first.destroy();
  });
  await t.test("connections: more are closed, those that are open go on", async (t) => {
    const raw = await rawUpstream(t, (socket) =>
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    );
    const { app, metrics } = await serve(t, oneRoute(raw.port, ALLOW, "limits: { connections: 1 }"));
    const port = app.listeners[0]?.port ?? 0;
    const kept = connect(port, "127.0.0.1");
    await once(kept, "connect");
    await until(async () => sample(await metrics(), "sparekey_connections") === 1);
    const refused = connect(port, "127.0.0.1").on("error", () => {});
    await once(refused, "close");
    kept.write("GET /auth HTTP/1.1\r\nHost: x\r\n\r\n");
    const [answer] = await once(kept, "data");
    t.match(String(answer), /^HTTP\/1\.1 200 OK/);
    kept.destroy();
  });
});

t.test("a connection with too many unanswered checks is closed: no gateway pipelines so", async (t) => {
  const raw = await rawUpstream(t, () => {});
  const { app, metrics } = await serve(t, oneRoute(raw.port, ALLOW));
  const socket = connect(app.listeners[0]?.port ?? 0, "127.0.0.1");
  socket.on("error", () => {}).resume();
  socket.write("GET /auth HTTP/1.1\r\nHost: x\r\n\r\n".repeat(500));
  await once(socket, "close");
  await until(async () => sample(await metrics(), "sparekey_in_flight") === 0);
  t.ok(raw.heads.length <= 16, `${raw.heads.length} went on`);
});

t.test(
  "regression: the refusal of a CONNECT is not taken for the reply to the check before it",
  async (t) => {
    const waiting = await rawUpstream(t, () => {});
    const { app } = await serve(t, oneRoute(waiting.port, NONE), "fastify");
    const check = "GET /check HTTP/1.1\r\nHost: a\r\n\r\n";
    const pieces = [`${check}CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n`];
    const talked = await talk(app.listeners[0]?.port ?? 0, [{ pieces, methods: null }]);
    t.equal(talked.received, "");
    t.not(talked.end, "late");
  },
);

t.test("a body that stays behind ends its connection, read or not", async (t) => {
  const raw = await rawUpstream(t, (socket) => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
  const { app } = await serve(t, oneRoute(raw.port, ALLOW));
  const socket = connect(app.listeners[0]?.port ?? 0, "127.0.0.1");
  socket.write("POST /auth HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nthe first bytes");
  const [answer] = await once(socket, "data");
  t.match(String(answer), /^HTTP\/1\.1 200 OK\r\n[\s\S]*Connection: close/);
  await once(socket, "close");
});

t.test(
  "a check about an upgrade is a check, and the last of its connection: Node reads none behind it",
  async (t) => {
    const raw = await rawUpstream(t, (socket) =>
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    );
    const { app } = await serve(t, oneRoute(raw.port, ALLOW));
    const socket = connect(app.listeners[0]?.port ?? 0, "127.0.0.1");
    const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    socket.write(`GET /a HTTP/1.1\r\nHost: x\r\n${upgrade}\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n`);
    let text = "";
    for await (const part of socket) text += part;
    t.match(text, /^HTTP\/1\.1 200 OK\r\n[\s\S]*Connection: close/);
    t.equal(checksAmong(raw.heads).length, 1);
    t.notMatch(raw.heads[0], /upgrade/i);
  },
);

t.test("requireHeaders: a 2xx that says yes without saying to whom is refused", async (t) => {
  const rows = [
    { name: "with it", head: "200 OK\r\nX-USER: eve", status: 200 },
    { name: "without it", head: "200 OK\r\nX-Other: eve", status: 403 },
    { name: "empty", head: "200 OK\r\nX-User:", status: 403 },
    { name: "no pass needs none", head: "302 Found\r\nLocation: /", status: 302 },
  ];
  for (const row of rows) {
    const raw = await rawUpstream(t, (socket) => {
      socket.write(`HTTP/1.1 ${row.head}\r\nContent-Length: 0\r\n\r\n`);
    });
    const { urls } = await serve(t, oneRoute(raw.port, `    requireHeaders: [X-User]\n${ALLOW}`));
    t.equal((await ask(`${urls[0]}/auth`)).status, row.status, row.name);
  }
});

t.test("a kept connection outlives Traefik's 90 s", async (t) => {
  const raw = await rawUpstream(t, (socket) => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
  const { app } = await serve(t, oneRoute(raw.port, ALLOW));
  const socket = connect(app.listeners[0]?.port ?? 0, "127.0.0.1");
  socket.write("GET /auth HTTP/1.1\r\nHost: x\r\n\r\n");
  const [answer] = await once(socket, "data");
  const seconds = Number(/Keep-Alive: timeout=(\d+)/.exec(String(answer))?.[1]);
  t.ok(seconds > 90, `kept for ${seconds} s`);
  socket.destroy();
});

t.test("TLS to the upstream", { skip: missing("openssl") }, async (t) => {
  const dir = t.testdir({});
  const pem = certificates(dir);
  const server = createHttpsServer(
    {
      cert: pem("server.crt"),
      key: pem("server.key"),
      ca: pem("ca.crt"),
      requestCert: true,
      rejectUnauthorized: false,
    },
    (request, response) => {
      const peer = "getPeerCertificate" in request.socket ? request.socket.getPeerCertificate : null;
      const subject = (peer as (() => { subject?: { CN?: string } }) | null)?.call(request.socket).subject;
      response.end(subject?.CN ?? "nobody");
    },
  );
  const port = await listening(t, server);
  const rows = [
    { name: "an unknown CA", tls: "{}", reason: "tls" },
    {
      name: "our CA, but another name",
      tls: `{ ca: ${dir}/ca.crt, serverName: other.example }`,
      reason: "tls",
    },
    {
      name: "our CA and the name",
      tls: `{ ca: ${dir}/ca.crt, serverName: outpost.example }`,
      text: "nobody",
    },
    {
      name: "our CA and a client certificate",
      tls: `{ ca: ${dir}/ca.crt, serverName: outpost.example, cert: ${dir}/client.crt, key: ${dir}/client.key }`,
      text: "sparekey-client",
    },
    { name: "verify: false", tls: "{ verify: false }", text: "nobody" },
  ];
  for (const row of rows) {
    await t.test(row.name, async (t) => {
      const yaml = oneRoute(port, `    tls: ${row.tls}\n    fallback: { mode: deny }\n`);
      const { urls, metrics } = await serve(t, yaml.replace("upstream: http:", "upstream: https:"));
      // Different Host headers must not make a kept TLS connection be opened anew.
      for (const host of ["a.example", "b.example"]) {
        const { status, text } = await ask(`${urls[0]}/auth`, { headers: { Host: host } });
        t.equal(status, row.reason ? 503 : 200);
        if (row.text) t.equal(text, row.text);
      }
      if (row.reason)
        t.equal(sample(await metrics(), `sparekey_faults_total{route="only",reason="${row.reason}"}`), 2);
    });
  }
});

/** A CA, a server certificate for outpost.example and a client certificate, by openssl. */
function certificates(dir: string): (name: string) => Buffer {
  const openssl = (...args: string[]): void => {
    execFileSync("openssl", args, { cwd: dir, stdio: "ignore" });
  };
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  openssl("req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=test CA");
  for (const [name, subject] of [
    ["server", "outpost.example"],
    ["client", "sparekey-client"],
  ]) {
    openssl(
      ...["req", "-x509", ...key, "-CA", "ca.crt", "-CAkey", "ca.key"],
      ...["-keyout", `${name}.key`, "-out", `${name}.crt`, "-subj", `/CN=${subject}`],
      ...["-addext", `subjectAltName=DNS:${subject}`, "-addext", "basicConstraints=critical,CA:FALSE"],
    );
  }
  return (name) => readFileSync(join(dir, name));
}

/** Polls, with a deadline far beyond what a slow machine needs. */
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 10_000;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error("the condition was not met within 10 s");
    await new Promise((resolve) => {
      setTimeout(resolve, 10);
    });
  }
}
