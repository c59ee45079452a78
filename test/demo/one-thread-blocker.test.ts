import { once } from "node:events";
import { connect, type Socket } from "node:net";
import t, { type Test } from "tap";
import { type OneThreadBlocker, startOneThreadBlocker } from "../../src/demo/one-thread-blocker.ts";
import { eventually, exchangeBytes, openWire } from "./wire.ts";

async function blocker(test: Test, millisecondsPerAnswer = 0): Promise<OneThreadBlocker> {
  const started = await startOneThreadBlocker({ port: 0, millisecondsPerAnswer });
  test.teardown(() => started.close());
  return started;
}

const check = (agent: string) => `GET /auth HTTP/1.1\r\nHost: x\r\nUser-Agent: ${agent}\r\n\r\n`;

t.test("it answers what the other blocker answers", async (test) => {
  const { port, requests } = await blocker(test);
  const rows = [
    { name: "a person", request: check("Mozilla/5.0"), status: 200, body: "OK\n" },
    {
      name: "a bot",
      request: check("Mozilla/5.0 (compatible; GPTBot/1.2)"),
      status: 403,
      body: "Forbidden\n",
    },
    { name: "no user agent", request: "GET /auth HTTP/1.1\r\nHost: x\r\n\r\n", status: 200, body: "OK\n" },
    { name: "HEAD", request: "HEAD /auth HTTP/1.1\r\nHost: x\r\n\r\n", status: 501, body: "" },
    {
      name: "POST",
      request: "POST /auth HTTP/1.1\r\nHost: x\r\n\r\n",
      status: 501,
      body: "Unsupported method ('POST')\n",
    },
  ];
  for (const { name, request, status, body } of rows) {
    const { text } = await exchangeBytes(port, request);
    test.ok(text.startsWith(`HTTP/1.0 ${status} `), `${name}: ${text}`);
    test.notMatch(text, /content-length|keep-alive|chunked/i, name);
    test.equal(text.split("\r\n\r\n")[1], body, name);
  }
  test.equal(requests(), rows.length);
});

t.test("while it is busy six connections wait, and the system drops all others", async (test) => {
  const { port, requests } = await blocker(test, 1);
  const scraper = await openWire(port);
  scraper.send("GET /maze HTTP/1.1\r\nHost: x\r\n\r\n");
  await scraper.until("00000002 ");

  let connected = 0;
  const sockets: Socket[] = [];
  test.teardown(() => {
    for (const socket of sockets) socket.destroy();
  });
  for (let i = 0; i < 16; i++) {
    const socket = connect(port, "127.0.0.1", () => {
      connected += 1;
      socket.write(check("Mozilla/5.0"));
    });
    sockets.push(socket.on("error", () => {}));
  }
  // A handshake within one machine takes no time: whoever is let in is in at once.
  await eventually(() => connected >= 6);
  await scraper.until("00000020 ");
  test.equal(connected, 6);
  test.equal(requests(), 1, "nothing is read while it is busy");

  const ended = sockets
    .filter((socket) => !socket.connecting)
    .map((socket) => once(socket.resume(), "close"));
  scraper.close();
  await Promise.all(ended);
  test.ok(requests() >= 7, "they are served once it is free");
});

t.test("an idle connection holds up everybody", async (test) => {
  const { port, requests } = await blocker(test);
  const idle = await openWire(port);
  const waiting = await openWire(port);
  waiting.send(check("Mozilla/5.0"));
  test.equal(requests(), 0);
  idle.close();
  test.match((await waiting.end()).text, /^HTTP\/1\.0 200 /);
});

t.test("it goes on after clients that leave or send no end", async (test) => {
  const { port } = await blocker(test);
  const left = await openWire(port);
  left.send("GET /au");
  left.close();
  const endless = await openWire(port);
  endless.send(`GET /auth HTTP/1.1\r\nX: ${"x".repeat(200_000)}`);
  await endless.end();
  test.match((await exchangeBytes(port, check("a"))).text, /^HTTP\/1\.0 200 /);
});

t.test("closing ends it in the midst of a page", async (test) => {
  const { port, close } = await blocker(test);
  const scraper = await openWire(port);
  scraper.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  await scraper.until("00000002 ");
  await close();
  await scraper.end();
  await test.rejects(openWire(port), { code: "ECONNREFUSED" });
});

t.test("a taken port is an error", async (test) => {
  const { port } = await blocker(test);
  await test.rejects(startOneThreadBlocker({ port, millisecondsPerAnswer: 0 }), { code: "EADDRINUSE" });
});
