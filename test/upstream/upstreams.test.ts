import t from "tap";
import { LinkedList } from "../../src/core/linked-list.ts";
import type { Check, Forwarded } from "../../src/core/types.ts";
import { createUpstreams } from "../../src/upstream/upstreams.ts";
import { ownCheck } from "../../src/wire/own-check.ts";
import { check } from "../support/fixtures.ts";
import { rawUpstream, upstreamAt } from "../support/raw-upstream.ts";

const NEVER = new AbortController().signal;
const REQUEST = {
  method: "GET",
  target: "/auth",
  headers: ["HOST", "a"],
  body: null,
  repeatable: true,
  trying: { kind: "once" } as const,
};
const forwarded = (check: Check): Forwarded => ({
  check,
  staysHere: () => false,
  repeatable: true,
  trying: { kind: "once" },
  begin: 0,
});

t.test("bytes go as they came, and the rest as undici writes it", async (t) => {
  const upstream = await rawUpstream(t, (socket) => socket.write("HTTP/1.1 204 No Content\r\n\r\n"));
  const target = upstreamAt(upstream.port);
  let asksInBytes = true;
  const upstreams = createUpstreams({ now: () => performance.now(), asksInBytes: () => asksInBytes });
  t.teardown(() => upstreams.close());
  const own = ownCheck(REQUEST) ?? check();
  const rows = [
    {
      name: "a check in bytes",
      ask: () => upstreams.exchange(target, forwarded(own), NEVER, new LinkedList()),
      inBytes: true,
    },
    {
      name: "a parsed check",
      ask: () => upstreams.exchange(target, forwarded(check()), NEVER, new LinkedList()),
      inBytes: false,
    },
    {
      name: "a request of our own",
      ask: () => upstreams.ask(target, REQUEST, NEVER, new LinkedList()),
      inBytes: true,
    },
    {
      name: "one that is not plain",
      ask: () => upstreams.ask(target, { ...REQUEST, method: "OPTIONS" }, NEVER, new LinkedList()),
      inBytes: false,
    },
  ];
  for (const { name, ask, inBytes } of rows) {
    t.match(await ask(), { kind: "answer", answer: { status: 204 } }, name);
    t.equal(/\r\nHOST: a\r\n/.test(upstream.heads.at(-1) ?? ""), inBytes, name);
  }
  asksInBytes = false;
  await upstreams.ask(target, REQUEST, NEVER, new LinkedList());
  t.match(upstream.heads.at(-1), /\r\nhost: a\r\n/);
});
