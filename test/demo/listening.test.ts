import { createServer } from "node:http";
import t from "tap";
import { listen } from "../../src/demo/listening.ts";
import { openWire } from "./wire.ts";

t.test("it listens where its URL says", async (t) => {
  const listening = await listen(
    createServer((_request, response) => response.end("here")),
    0,
  );
  t.teardown(listening.close);
  t.equal(listening.url, `http://127.0.0.1:${listening.port}`);
  t.equal(await (await fetch(listening.url)).text(), "here");
  await t.rejects(listen(createServer(), listening.port), { code: "EADDRINUSE" });
});

t.test("closing cuts open connections, and may be repeated", async (t) => {
  const listening = await listen(createServer(), 0);
  const wire = await openWire(listening.port);
  wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await Promise.all([listening.close(), wire.end()]);
  await listening.close();
  await t.rejects(openWire(listening.port), { code: "ECONNREFUSED" });
});
