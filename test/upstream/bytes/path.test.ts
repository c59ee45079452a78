import type { Socket } from "node:net";
import t, { type Test } from "tap";
import type { Upstream } from "../../../src/core/snapshot.ts";
import { createUpstreams } from "../../../src/upstream/upstreams.ts";
import { rawUpstream, upstreamAt } from "../../support/raw-upstream.ts";
import { type Asked, answerOf, ask, exchangeSuite, OK } from "../exchange-suite.ts";

/** Both, with their connections in the same pools. */
function exchangers(t: Test): { readonly undici: Asked; readonly wire: Asked } {
  let asksInBytes = true;
  const made = createUpstreams({ now: () => performance.now(), asksInBytes: () => asksInBytes });
  t.teardown(() => made.close());
  const asking = (inBytes: boolean): Asked => ({
    use: made.use,
    exchange: (...args) => {
      asksInBytes = inBytes;
      return made.ask(...args);
    },
  });
  return { undici: asking(false), wire: asking(true) };
}

/** The same upstream is one pool. */
function pipelined(made: Asked): Asked {
  const upstreams = new Map<Upstream, Upstream>();
  const changed = (upstream: Upstream): Upstream => {
    const known = upstreams.get(upstream) ?? { ...upstream, pipelining: 4 };
    upstreams.set(upstream, known);
    return known;
  };
  return {
    use: (all) => made.use([...all].map(changed)),
    exchange: (upstream, ...others) => made.exchange(changed(upstream), ...others),
  };
}

exchangeSuite(t, (t) => exchangers(t).wire);

t.test("with pipelining, what is asked alone is asked the same way", async (t) => {
  exchangeSuite(t, (t) => pipelined(exchangers(t).wire));
});

t.test("the request goes out as it came", async (t) => {
  const upstream = await rawUpstream(t, (socket) => socket.write(OK));
  await ask(exchangers(t).wire, upstreamAt(upstream.port));
  t.equal(
    upstream.heads[0],
    "GET /auth?x=1 HTTP/1.1\r\nHost: app.example\r\nX-Forwarded-Uri: /a\r\nx-forwarded-uri: /b\r\n\r\n",
  );
});

t.test("both kinds of connections share maxConnections", async (t) => {
  const held: Socket[] = [];
  let most = 0;
  const answer = (): void => {
    for (const socket of held.splice(0)) socket.write(OK);
  };
  const upstream = await rawUpstream(t, (socket) => {
    most = Math.max(most, held.push(socket));
    // A third would have its turn to come before.
    if (held.length === 2) setImmediate(() => setImmediate(answer));
  });
  const { undici, wire } = exchangers(t);
  const target = upstreamAt(upstream.port, { maxConnections: 2 });
  const outcomes = await Promise.all(
    Array.from({ length: 40 }, (_, at) => ask(at % 2 === 0 ? wire : undici, target)),
  );
  t.same(new Set(outcomes.map(({ kind }) => kind)), new Set(["answer"]), "everybody gets a turn");
  t.equal(most, 2);
});

t.test("an idle connection of the other kind makes room", async (t) => {
  const upstream = await rawUpstream(t, (socket) => socket.write(OK));
  const { undici, wire } = exchangers(t);
  const target = upstreamAt(upstream.port, { maxConnections: 1 });
  for (const made of [wire, undici, wire, undici]) t.equal(answerOf(await ask(made, target)).status, 200);
  t.equal(upstream.connections(), 4, "each in place of the one before");
});
