import t, { type Test } from "tap";
import { createUpstreams } from "../../../src/upstream/upstreams.ts";
import { rawUpstream, upstreamAt } from "../../support/raw-upstream.ts";
import { type Asked, ask, exchangeSuite, OK } from "../exchange-suite.ts";

function exchanger(t: Test): Asked {
  const made = createUpstreams({ now: () => performance.now(), asksInBytes: () => false });
  t.teardown(() => made.close());
  return { exchange: made.ask, use: made.use };
}

exchangeSuite(t, exchanger);

t.test(
  "the request line and every header line go out in order and spelling, undici's own two first",
  async (t) => {
    const upstream = await rawUpstream(t, (socket) => socket.write(OK));
    await ask(exchanger(t), upstreamAt(upstream.port));
    t.equal(
      upstream.heads[0],
      "GET /auth?x=1 HTTP/1.1\r\nhost: app.example\r\nconnection: keep-alive\r\n" +
        "X-Forwarded-Uri: /a\r\nx-forwarded-uri: /b\r\n\r\n",
    );
  },
);

t.test("what undici will not write is unsendable, never a fault", async (t) => {
  const upstream = await rawUpstream(t, (socket) => socket.write(OK));
  const made = exchanger(t);
  for (const headers of [
    ["Host", "a", "Host", "b"],
    ["Expect", "100-continue"],
    ["X", "a\nb"],
    ["a b", "c"],
  ]) {
    const outcome = await ask(made, upstreamAt(upstream.port), { headers });
    t.same(outcome, { kind: "unsendable" }, JSON.stringify(headers));
  }
  t.same(upstream.heads, []);
});
