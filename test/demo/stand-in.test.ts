/** The faults themselves are shown with the outpost, which knows all of them. */
import t, { type Test } from "tap";
import { type StandInAnswer, type StandInOptions, startStandIn } from "../../src/demo/stand-in.ts";
import { exchangeBytes, openWire } from "./wire.ts";

async function start(t: Test, answer: StandInAnswer, protocol: StandInOptions["protocol"] = "HTTP/1.1") {
  const standIn = await startStandIn({
    port: 0,
    faults: ["ok", "refuse", "status-503", "truncate"],
    protocol,
    dripMs: 1,
    answer: async () => answer,
  });
  t.teardown(standIn.close);
  return standIn;
}

t.test("an answer is written as its protocol wants it", async (t) => {
  const plain = { status: 200, headers: ["X-A", "1"], body: "hello" };
  const pieces = { ...plain, body: { pieces: ["one ", "two"], pieceMs: 1 } };
  const rows = [
    {
      name: "HTTP/1.0",
      protocol: "HTTP/1.0",
      answer: plain,
      wanted: "HTTP/1.0 200 OK\r\nX-A: 1\r\n\r\nhello",
    },
    {
      name: "pieces",
      protocol: "HTTP/1.1",
      answer: pieces,
      wanted: "HTTP/1.0 200 OK\r\nX-A: 1\r\n\r\none two",
    },
    { name: "204", protocol: "HTTP/1.0", answer: { ...plain, status: 204, body: "" }, wanted: /^[^L]*$/ },
    {
      name: "HTTP/1.1",
      protocol: "HTTP/1.1",
      answer: plain,
      wanted: /\r\nContent-Length: 5\r\n.*\r\n\r\nhello$/s,
    },
  ] as const;
  for (const { name, protocol, answer, wanted } of rows) {
    const { port } = await start(t, answer, protocol);
    const { text } = await exchangeBytes(port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    if (typeof wanted === "string") t.equal(text, wanted, name);
    else t.match(text, wanted, name);
  }
});

t.test("changes of the fault happen one after another, and the port stays the same", async (t) => {
  const standIn = await start(t, { status: 200, headers: [], body: "" });
  await Promise.all([standIn.setFault("refuse"), standIn.setFault("ok"), standIn.setFault("refuse")]);
  t.equal(standIn.fault(), "refuse");
  await t.rejects(openWire(standIn.port), { code: "ECONNREFUSED" });
  await standIn.setFault("status-503");
  const { text } = await exchangeBytes(
    standIn.port,
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
  );
  t.match(text, /^HTTP\/1\.1 503 /);
});
