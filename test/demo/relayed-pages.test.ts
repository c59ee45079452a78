import { createServer } from "node:http";
import t from "tap";
import { listen } from "../../src/demo/listening.ts";
import { isRelayed, relayPage, STATUS_FRAME } from "../../src/demo/relayed-pages.ts";
import { reservePort } from "../../src/demo/reserved-port.ts";

t.test("only the status page and what belongs to it is relayed", async (t) => {
  const rows = [
    { path: STATUS_FRAME, wanted: true },
    { path: "/status/page.css", wanted: true },
    { path: "/status/live", wanted: true },
    { path: "/status.json", wanted: true },
    { path: "/events", wanted: true },
    { path: "/", wanted: false },
    { path: "/operator", wanted: false },
    { path: "/-/reload", wanted: false },
    { path: "/status/../operator", wanted: false },
    { path: "/status/", wanted: false },
    { path: "/metrics?all", wanted: false },
  ];
  for (const { path, wanted } of rows) t.equal(isRelayed(path), wanted, path);
});

t.test("a relayed page keeps three headers, and the switchboard may frame it", async (t) => {
  const asked: (string | undefined)[] = [];
  const admin = await listen(
    createServer((request, response) => {
      asked.push(request.url, request.headers.cookie);
      response.setHeader("Content-Security-Policy", "frame-ancestors 'none'");
      response.writeHead(503, { "Retry-After": "30", "X-Frame-Options": "DENY" }).end("busy");
    }),
    0,
  );
  t.teardown(admin.close);
  const board = await listen(
    createServer((request, response) => relayPage(request.url ?? "", admin.url, response)),
    0,
  );
  t.teardown(board.close);
  const reply = await fetch(board.url + STATUS_FRAME, { headers: { Cookie: "secret" } });
  t.same(asked, ["/", undefined], "nothing of the client goes along");
  t.equal(reply.status, 503);
  t.equal(await reply.text(), "busy");
  t.equal(reply.headers.get("retry-after"), "30");
  t.equal(reply.headers.get("x-frame-options"), null);
  t.match(reply.headers.get("content-security-policy"), /; frame-ancestors 'self'$/);
});

t.test("an admin listener that is gone is a 502", async (t) => {
  const { url: gone, release } = await reservePort(0);
  await release();
  const board = await listen(
    createServer((request, response) => relayPage(request.url ?? "", gone, response)),
    0,
  );
  t.teardown(board.close);
  t.equal((await fetch(`${board.url}/metrics`)).status, 502);
});
