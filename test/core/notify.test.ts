import t from "tap";
import { deliveryOf, messageRequest, notifyMessage, originText, waitAfter } from "../../src/core/notify.ts";
import type { NotifyTarget } from "../../src/core/snapshot.ts";
import type { Outcome } from "../../src/core/types.ts";
import { answer } from "../support/fixtures.ts";
import { upstreamAt } from "../support/raw-upstream.ts";

const BEGAN = {
  event: "fallback_began",
  route: "sso",
  mode: "basic-auth",
  reason: "connect_timeout",
} as const;

t.test("a message that a route is in fallback", async (t) => {
  t.equal(
    notifyMessage(BEGAN, Date.UTC(2026, 3, 18, 9, 5, 7, 42), "sparekey-0"),
    '{"event":"fallback_began","route":"sso","mode":"basic-auth","reason":"connect_timeout",' +
      '"time":"2026-04-18T09:05:07.042Z","instance":"sparekey-0",' +
      '"text":"sparekey on sparekey-0: route sso is in fallback (mode basic-auth, reason connect_timeout)."}',
  );
});

t.test("a message that it is out again", async (t) => {
  t.equal(
    notifyMessage({ ...BEGAN, event: "fallback_ended", seconds: 312 }, 0, "sparekey-0"),
    '{"event":"fallback_ended","route":"sso","mode":"basic-auth","reason":"connect_timeout",' +
      '"time":"1970-01-01T00:00:00.000Z","instance":"sparekey-0","seconds":312,' +
      '"text":"sparekey on sparekey-0: route sso is out of fallback again, after 312 s."}',
  );
});

function target(changes: Partial<NotifyTarget> = {}): NotifyTarget {
  return { upstream: upstreamAt(8080), target: "/hooks/a?b=c", headers: [], ...changes };
}

t.test("the request: a POST of JSON, as long in bytes as it says", async (t) => {
  const { body, ...head } = messageRequest(target(), '"\u00e9"', "sparekey/1.2.3");
  t.same(head, {
    method: "POST",
    target: "/hooks/a?b=c",
    headers: [
      ...["Host", "127.0.0.1:8080", "Content-Length", "4"],
      ...["User-Agent", "sparekey/1.2.3", "Content-Type", "application/json"],
    ],
    repeatable: true,
    trying: { kind: "once" },
  });
  for (const time of ["first", "second"]) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of body ?? []) chunks.push(chunk);
    t.equal(Buffer.concat(chunks).toString(), '"\u00e9"', `sent the ${time} time`);
  }
});

t.test("the config's headers stand in place of ours", async (t) => {
  const headers = ["user-agent", "me", "Authorization", "Bearer x"];
  t.same(messageRequest(target({ headers }), "{}", "sparekey/1").headers, [
    ...["Host", "127.0.0.1:8080", "Content-Length", "2", "Content-Type", "application/json"],
    ...headers,
  ]);
});

const origins = [
  { protocol: "http:", host: "chat", port: 80, text: "http://chat" },
  { protocol: "http:", host: "chat", port: 443, text: "http://chat:443" },
  { protocol: "https:", host: "chat", port: 443, text: "https://chat" },
  { protocol: "https:", host: "2001:db8::1", port: 8443, text: "https://[2001:db8::1]:8443" },
] as const;
for (const { text, protocol, host, port } of origins) {
  const upstream = upstreamAt(port, { protocol, servers: [{ host, port }] });
  t.test(`origin ${text}`, async (t) => t.equal(originText(upstream), text));
}

t.test("what an outcome means", async (t) => {
  const rows: readonly [Outcome | number, ReturnType<typeof deliveryOf>][] = [
    [200, { kind: "delivered" }],
    [204, { kind: "delivered" }],
    [299, { kind: "delivered" }],
    [301, { kind: "refused", reason: "status_301" }],
    [307, { kind: "refused", reason: "status_307" }],
    [400, { kind: "refused", reason: "status_400" }],
    [401, { kind: "refused", reason: "status_401" }],
    [404, { kind: "refused", reason: "status_404" }],
    [408, { kind: "failed", reason: "status_408" }],
    [425, { kind: "failed", reason: "status_425" }],
    [429, { kind: "failed", reason: "status_429" }],
    [500, { kind: "failed", reason: "status_500" }],
    [503, { kind: "failed", reason: "status_503" }],
    [
      { kind: "failure", reason: "refused" },
      { kind: "failed", reason: "refused" },
    ],
    [
      { kind: "failure", reason: "dns" },
      { kind: "failed", reason: "dns" },
    ],
    [{ kind: "overload" }, { kind: "failed", reason: "overload" }],
  ];
  for (const [given, delivery] of rows) {
    const outcome: Outcome = typeof given === "number" ? { kind: "answer", answer: answer(given) } : given;
    t.same(deliveryOf(outcome), delivery, JSON.stringify(given));
  }
});

t.test("waits grow to a minute, less a share drawn by chance", async (t) => {
  t.same(
    [1, 2, 3, 4, 5, 100].map((failures) => waitAfter(failures, 0)),
    [1_000, 5_000, 25_000, 60_000, 60_000, 60_000],
  );
  t.same(
    [1, 4].map((failures) => waitAfter(failures, 1)),
    [800, 48_000],
  );
});
