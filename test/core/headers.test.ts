import t from "tap";
import { firstHeader, headersForGateway, headersForUpstream, headerValues } from "../../src/core/headers.ts";
import type { RawHeaders } from "../../src/core/types.ts";

const never = (): boolean => false;

function sent(headers: RawHeaders, carriesBody = false): RawHeaders {
  return headersForUpstream(headers, carriesBody, never);
}

const HOP_BY_HOP = [
  "Connection",
  "Keep-Alive",
  "Proxy-Authenticate",
  "Proxy-Authorization",
  "Proxy-Connection",
  "TE",
  "Trailer",
  "Transfer-Encoding",
  "Upgrade",
];

t.test("to the upstream", async (t) => {
  const rows: readonly { name: string; headers: RawHeaders; kept: RawHeaders }[] = [
    { name: "nothing", headers: [], kept: [] },
    {
      name: "order, spelling, doubles and bytes stay",
      headers: ["b", "1", "HOST", "app", "B", "2", "Cookie", "a=\xe9", "cookie", "", "a", "  x  "],
      kept: ["b", "1", "HOST", "app", "B", "2", "Cookie", "a=\xe9", "cookie", "", "a", "  x  "],
    },
    {
      name: "the gateway's words stay, several lines of them too",
      headers: ["X-Forwarded-For", "1.2.3.4", "x-forwarded-for", "5.6.7.8", "X-Real-Ip", "1.2.3.4"],
      kept: ["X-Forwarded-For", "1.2.3.4", "x-forwarded-for", "5.6.7.8", "X-Real-Ip", "1.2.3.4"],
    },
    {
      name: "names listed in Connection go, in any case and with any space",
      headers: ["Connection", "close, X-Gone ,\tx-too", "x-GONE", "1", "X-Too", "2", "X-Three", "3"],
      kept: ["X-Three", "3"],
    },
    {
      name: "several Connection lines count together, wherever they stand",
      headers: ["X-A", "1", "Connection", "x-a", "X-B", "2", "connection", "x-b", "X-C", "3"],
      kept: ["X-C", "3"],
    },
    {
      name: "empty Connection entries take nothing out",
      headers: ["Connection", ",, ,", "X-A", "1"],
      kept: ["X-A", "1"],
    },
    {
      name: "a listed name takes out no longer one",
      headers: ["Connection", "x-a", "X-A-B", "1", "X", "2"],
      kept: ["X-A-B", "1", "X", "2"],
    },
    {
      name: "the gateway's words cannot be listed away (CVE-2024-45410)",
      headers: [
        ...[
          "Connection",
          "Host, X-Forwarded-For, x-forwarded-host, X-FORWARDED-ANYTHING, x-real-ip, X-Original-URL, X-Other",
        ],
        ...["Host", "a", "X-Forwarded-For", "1", "X-Forwarded-Host", "b", "X-Forwarded-Anything", "c"],
        ...["X-Real-IP", "d", "X-Original-URL", "/u", "X-Other", "e"],
      ],
      kept: [
        ...["Host", "a", "X-Forwarded-For", "1", "X-Forwarded-Host", "b", "X-Forwarded-Anything", "c"],
        ...["X-Real-IP", "d", "X-Original-URL", "/u"],
      ],
    },
    {
      name: "aliases go: any character but letters, digits and -",
      headers: [
        ...["X_Forwarded_Host", "evil", "X-Forwarded_Host", "evil", "X.Forwarded.Host", "evil"],
        ...["X-Forwarded-Host!", "evil", "X~A", "evil", "", "evil", "X-A ", "evil", "X-\xe9", "evil"],
        ...["X-Forwarded-Host", "app.example", "X-9", "good"],
      ],
      kept: ["X-Forwarded-Host", "app.example", "X-9", "good"],
    },
    {
      name: "an alias cannot list names away",
      headers: ["Connection_", "x-a", "X-A", "1"],
      kept: ["X-A", "1"],
    },
    {
      name: "Expect, which waits with a body, goes",
      headers: ["Expect", "100-continue", "X-A", "1"],
      kept: ["X-A", "1"],
    },
  ];
  for (const row of rows) {
    t.same(sent(row.headers), row.kept, row.name);
  }
  for (const name of HOP_BY_HOP) {
    const headers = [name, "x", name.toUpperCase(), "x", name.toLowerCase(), "x", "X-A", "1"];
    t.same(sent(headers, true), ["X-A", "1"], `${name} goes, in any case`);
  }
  t.same(sent(["Content-Length", "5"]), [], "the length of a body that stays behind goes");
  t.same(sent(["content-LENGTH", "5"], true), ["content-LENGTH", "5"], "a body takes its length along");
});

t.test("emergency credentials", async (t) => {
  const asked: string[] = [];
  const isEmergency = (value: string): boolean => {
    asked.push(value);
    return value === "spare";
  };
  const headers = [
    "AUTHORIZATION",
    "spare",
    "authorization",
    "own",
    "X-Authorization",
    "spare",
    "Cookie",
    "c",
  ];
  t.same(
    headersForUpstream(headers, false, isEmergency),
    ["authorization", "own", "X-Authorization", "spare", "Cookie", "c"],
    "each Authorization line is judged alone, whatever its case",
  );
  t.same(asked, ["spare", "own"], "nothing else is asked about");
});

t.test("to the gateway", async (t) => {
  const rows: readonly { name: string; headers: RawHeaders; kept: RawHeaders }[] = [
    {
      name: "order, spelling, doubles and bytes stay",
      headers: [
        "set-COOKIE",
        "a=1",
        "X-a",
        "\xe9",
        "Set-Cookie",
        "b=2",
        "X_odd.name",
        "",
        "Content-Length",
        "0",
      ],
      kept: [
        "set-COOKIE",
        "a=1",
        "X-a",
        "\xe9",
        "Set-Cookie",
        "b=2",
        "X_odd.name",
        "",
        "Content-Length",
        "0",
      ],
    },
    {
      name: "X-Auth-Fallback is ours alone, in any case and however often",
      headers: ["X-Auth-Fallback", "allow", "x-auth-fallback", "grace", "X-AUTH-FALLBACK", "", "X-A", "1"],
      kept: ["X-A", "1"],
    },
    {
      name: "names listed in Connection go",
      headers: ["Connection", "close, X-Gone", "X-gone", "1", "X-A", "2"],
      kept: ["X-A", "2"],
    },
  ];
  for (const row of rows) {
    t.same(headersForGateway(row.headers, 200), row.kept, row.name);
  }
  const lengthOf204 = ["X-A", "1", "content-LENGTH", "5"];
  t.same(headersForGateway(lengthOf204, 204), ["X-A", "1"], "a 204 has no length");
  for (const name of HOP_BY_HOP) {
    t.same(
      headersForGateway([name.toLowerCase(), "x", name, "x", "X-A", "1"], 200),
      ["X-A", "1"],
      `${name} goes`,
    );
  }
});

t.test("reading a header", async (t) => {
  const headers = ["Accept", "a", "X", "accept", "ACCEPT", "", "Odd"];
  t.same(headerValues(headers, "accept"), ["a", ""], "every value, in order; a value is no name");
  t.same(headerValues(headers, "odd"), [], "a name without a value is no header");
  t.equal(firstHeader(headers, "accept"), "a");
  t.equal(firstHeader(["X", "", "x", "1"], "x"), "", "an empty value is a value");
  t.equal(firstHeader(headers, "missing"), null);
});
