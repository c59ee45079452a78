import t from "tap";
import type { UpstreamRequest } from "../../src/core/types.ts";
import { ownCheck } from "../../src/wire/own-check.ts";

const REQUEST: UpstreamRequest = {
  method: "GET",
  target: "/auth?x=1",
  headers: ["Host", "app.example.com", "X-Forwarded-Uri", "/", "Authorization", "Bearer abc"],
  body: null,
  repeatable: true,
  trying: { kind: "once" } as const,
};

t.test("goes out as it stands", async (t) => {
  const check = ownCheck(REQUEST);
  t.equal(
    check?.requestBytes(() => false).toString("latin1"),
    "GET /auth?x=1 HTTP/1.1\r\nHost: app.example.com\r\nX-Forwarded-Uri: /\r\nAuthorization: Bearer abc\r\n\r\n",
  );
  t.equal(ownCheck({ ...REQUEST, method: "HEAD" })?.method, "HEAD");
});

t.test("what would not is for the slow path", async (t) => {
  const rows: readonly { readonly name: string; readonly request: Partial<UpstreamRequest> }[] = [
    { name: "another method", request: { method: "POST" } },
    { name: "a method that is none", request: { method: "GET / HTTP/1.1\r\nX: y\r\n\r\nGET" } },
    { name: "a body", request: { body: (async function* () {})() } },
    { name: "no Host", request: { headers: ["X-Forwarded-Uri", "/"] } },
    { name: "two Hosts", request: { headers: ["Host", "a", "Host", "b"] } },
    { name: "a header that does not pass", request: { headers: ["Host", "a", "X_Y", "1"] } },
    { name: "a name that is none", request: { headers: ["Host", "a", "X Y", "1"] } },
    { name: "an empty name", request: { headers: ["Host", "a", "", "1"] } },
    { name: "a value of two lines", request: { headers: ["Host", "a", "X", "1\r\nY: 2"] } },
    {
      name: "a value that ends the head",
      request: { headers: ["Host", "a", "X", "1\r\n\r\nGET / HTTP/1.1"] },
    },
    { name: "a value with a bare LF", request: { headers: ["Host", "a", "X", "1\nY: 2"] } },
    { name: "a value with NUL", request: { headers: ["Host", "a", "X", "\0"] } },
    { name: "a value beyond Latin-1", request: { headers: ["Host", "a", "X", "\u010d\u010a"] } },
    { name: "a target of two lines", request: { target: "/ HTTP/1.1\r\nX: y" } },
    { name: "a target with a space", request: { target: "/a b" } },
  ];
  for (const { name, request } of rows) t.equal(ownCheck({ ...REQUEST, ...request }), null, name);
});
