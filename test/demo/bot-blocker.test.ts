import t, { type Test } from "tap";
import { type BotBlockerState, startBotBlocker } from "../../src/demo/bot-blocker.ts";
import { botNames } from "../../src/demo/bot-blocker-answers.ts";
import type { StandIn } from "../../src/demo/stand-in.ts";
import { eventually, exchangeBytes, openWire } from "./wire.ts";

async function botBlocker(test: Test): Promise<StandIn<BotBlockerState>> {
  const standIn = await startBotBlocker({ port: 0, pieceMs: 1 });
  test.teardown(() => standIn.close());
  return standIn;
}

t.test("checks by user agent", async (test) => {
  const standIn = await botBlocker(test);
  const rows = [
    { agent: "Mozilla/5.0 (X11; Linux x86_64)", status: 200 },
    { agent: "", status: 200 },
    { agent: "Mozilla/5.0 (compatible; GPTBot/1.2; +https://openai.com/gptbot)", status: 403 },
    { agent: "claudebot", status: 403 },
    { agent: "CCBOT/2.0", status: 403 },
    { agent: "Bytespider; x", status: 403 },
  ];
  for (const { agent, status } of rows) {
    const { text } = await exchangeBytes(
      standIn.port,
      `GET /auth HTTP/1.1\r\nHost: x\r\nUser-Agent: ${agent}\r\n\r\n`,
    );
    test.ok(text.startsWith(`HTTP/1.0 ${status} `), `${agent}: ${text}`);
    test.match(text, "\r\nServer: BaseHTTP/0.6 Python/3.11\r\n", agent);
    test.notMatch(text, /content-length|keep-alive|chunked/i, agent);
  }
  test.equal(botNames.length, 34);
  test.same(
    botNames,
    botNames.map((name) => name.toLowerCase()),
  );
});

t.test("a check without a user agent passes", async (test) => {
  const standIn = await botBlocker(test);
  const { text } = await exchangeBytes(standIn.port, "GET /auth HTTP/1.1\r\nHost: x\r\n\r\n");
  test.ok(text.startsWith("HTTP/1.0 200 OK\r\n"));
});

t.test("other methods are 501", async (test) => {
  const standIn = await botBlocker(test);
  for (const method of ["HEAD", "POST", "PUT", "OPTIONS"]) {
    const { text } = await exchangeBytes(standIn.port, `${method} /auth HTTP/1.1\r\nHost: x\r\n\r\n`);
    test.ok(text.startsWith("HTTP/1.0 501 "), method);
    test.equal(text.endsWith("\r\n\r\n"), method === "HEAD", `${method}: HEAD has no body`);
  }
});

t.test("any other page never ends, until the client or the blocker goes", async (test) => {
  const standIn = await botBlocker(test);
  const wires = [];
  for (const target of ["/auth?x", "/", "/auth/"]) {
    const wire = await openWire(standIn.port);
    wire.send(`GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`);
    const text = await wire.until("00000003 ");
    test.ok(text.startsWith("HTTP/1.0 200 "), target);
    const [, body = ""] = text.split("\r\n\r\n");
    test.equal(body.split("\n")[0]?.length, 49, "pieces of 50 bytes");
    wires.push(wire);
  }
  wires[0]?.close();
  await standIn.close();
  await wires[1]?.end();
});

t.test("its faults", async (test) => {
  const standIn = await botBlocker(test);
  const check = "GET /auth HTTP/1.1\r\nHost: x\r\n\r\n";
  await standIn.setFault("status-503");
  test.match((await exchangeBytes(standIn.port, check)).text, /^HTTP\/1\.0 503 /);
  await standIn.setFault("reset");
  test.equal((await exchangeBytes(standIn.port, check)).error, "ECONNRESET");
  await standIn.setFault("refuse");
  await test.rejects(openWire(standIn.port), { code: "ECONNREFUSED" });
  await standIn.setFault("hang");
  const wire = await openWire(standIn.port);
  wire.send(check);
  await eventually(() => standIn.received().length === 3);
  wire.close();
  test.same(standIn.faults, ["ok", "refuse", "hang", "reset", "status-503", "bouncer-error"]);
  await standIn.setFault("bouncer-error");
  const { text } = await exchangeBytes(standIn.port, check);
  test.match(
    text,
    /^HTTP\/1\.0 403 Forbidden\r\nX-Bouncer-Error: .+\r\n/,
    "an outage in the form of a refusal",
  );
});
