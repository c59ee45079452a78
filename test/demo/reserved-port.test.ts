import { createServer } from "node:http";
import t from "tap";
import { listen } from "../../src/demo/listening.ts";
import { reservePort } from "../../src/demo/reserved-port.ts";

t.test("a reserved port is nobody else's until it is released", async (t) => {
  const reserved = await reservePort(0);
  t.teardown(reserved.release);
  t.equal(reserved.url, `http://127.0.0.1:${reserved.port}`);
  await t.rejects(listen(createServer(), reserved.port), { code: "EADDRINUSE" });
  const other = await reservePort(reserved.port);
  t.teardown(other.release);
  t.not(other.port, reserved.port, "a taken port gives way to another");
  await reserved.release();
  await reserved.release();
  const listening = await listen(createServer(), reserved.port);
  await listening.close();
});
