import t from "tap";
import { graceFallback, loginFallback, opensLoginBox, plainFallback } from "../../src/core/fallback.ts";
import { firstHeader } from "../../src/core/headers.ts";
import type { FaultReason, LoginResult, RawHeaders } from "../../src/core/types.ts";
import { basicAuth, DENY } from "../support/fixtures.ts";

const REASONS: readonly { reason: FaultReason; none: 502 | 504 }[] = [
  { reason: "refused", none: 502 },
  { reason: "unreachable", none: 502 },
  { reason: "connect_timeout", none: 504 },
  { reason: "dns", none: 502 },
  { reason: "tls", none: 502 },
  { reason: "read_timeout", none: 504 },
  { reason: "total_timeout", none: 504 },
  { reason: "reset", none: 502 },
  { reason: "malformed", none: 502 },
  { reason: "too_large", none: 502 },
  { reason: "status_503", none: 502 },
  { reason: "status_504", none: 502 },
];

t.test("the modes that need nothing from the client, for every reason", async (t) => {
  for (const { reason, none } of REASONS) {
    const rows = [
      {
        policy: { mode: "allow", onOverload: "shed" },
        status: 200,
        verdict: "allow",
        result: "allowed",
        header: "allow",
      },
      { policy: DENY, status: 503, verdict: "deny", result: "denied", header: "deny" },
      { policy: { mode: "none" }, status: none, verdict: "error", result: "denied", header: null },
    ] as const;
    for (const { policy, status, verdict, result, header } of rows) {
      const { mode } = policy;
      const { reply, ...rest } = plainFallback(policy, reason);
      const fallback = { mode, reason, result, login: null };
      t.same(rest, { source: "fallback", verdict, fallback }, `${mode}, ${reason}`);
      t.equal(reply.status, status, `${mode}, ${reason}`);
      t.equal(firstHeader(reply.headers, "x-auth-fallback"), header, `${mode}, ${reason}`);
      t.equal(firstHeader(reply.headers, "cache-control"), "no-store", `${mode}, ${reason}`);
    }
  }
});

t.test("every end of a login", async (t) => {
  const rows: readonly {
    login: LoginResult;
    status: number;
    verdict: string;
    result: string;
    box: boolean;
  }[] = [
    { login: { kind: "ok", user: "eve" }, status: 200, verdict: "allow", result: "allowed", box: false },
    { login: { kind: "missing" }, status: 401, verdict: "challenge", result: "challenged", box: true },
    { login: { kind: "bad" }, status: 401, verdict: "challenge", result: "rejected", box: true },
    {
      login: { kind: "limited", retryAfterSeconds: 7 },
      status: 429,
      verdict: "deny",
      result: "limited",
      box: false,
    },
    {
      login: { kind: "forbidden", why: "no_users" },
      status: 503,
      verdict: "deny",
      result: "denied",
      box: false,
    },
  ];
  for (const { login, status, verdict, result, box } of rows) {
    for (const withBox of [true, false]) {
      const name = `${login.kind}, ${withBox ? "with" : "without"} a box`;
      const { reply, ...rest } = loginFallback(basicAuth(), "reset", login, withBox);
      const fallback = { mode: "basic-auth", reason: "reset", result, login };
      t.same(rest, { source: "fallback", verdict, fallback }, name);
      t.equal(reply.status, status, name);
      t.equal(firstHeader(reply.headers, "www-authenticate") !== null, box && withBox, `${name}: login box`);
      t.equal(firstHeader(reply.headers, "x-auth-fallback"), "basic-auth", name);
      t.equal(firstHeader(reply.headers, "cache-control"), "no-store", name);
      t.equal(
        firstHeader(reply.headers, "x-authentik-username"),
        login.kind === "ok" ? "eve" : null,
        `${name}: the name`,
      );
    }
  }
});

t.test("a fallback that a person chose is an override's", async (t) => {
  const rows = [
    plainFallback({ mode: "allow", onOverload: "shed" }, "override"),
    plainFallback(DENY, "override"),
    loginFallback(basicAuth(), "override", { kind: "missing" }, true),
  ];
  for (const { source, fallback } of rows)
    t.match({ source, fallback }, { source: "override", fallback: { reason: "override" } });
});

t.test("grace: the identity of an earlier 200, marked and not to be stored", async (t) => {
  const identity = ["X-authentik-username", "eve", "X-authentik-groups", "a|b"];
  const { reply, ...rest } = graceFallback("deny", "read_timeout", identity);
  const fallback = { mode: "deny", reason: "read_timeout", result: "allowed", login: null };
  t.same(rest, { source: "grace", verdict: "allow", fallback });
  t.equal(reply.status, 200);
  t.same(reply.headers, ["X-Auth-Fallback", "grace", "Cache-Control", "no-store", ...identity]);
});

t.test("a login box opens for", async (t) => {
  const rows: readonly { name: string; headers: RawHeaders; opens: boolean }[] = [
    { name: "no word on it (curl, an old browser)", headers: [], opens: true },
    { name: "a navigation", headers: ["Sec-Fetch-Mode", "navigate"], opens: true },
    { name: "a navigation, in any case", headers: ["sec-fetch-MODE", "Navigate"], opens: true },
    { name: "a navigation named twice", headers: twice("navigate", "NAVIGATE"), opens: true },
    { name: "other Sec-Fetch headers", headers: ["Sec-Fetch-Dest", "empty"], opens: true },
    { name: "not cors", headers: ["Sec-Fetch-Mode", "cors"], opens: false },
    { name: "not no-cors", headers: ["Sec-Fetch-Mode", "no-cors"], opens: false },
    { name: "not same-origin", headers: ["Sec-Fetch-Mode", "same-origin"], opens: false },
    { name: "not a websocket", headers: ["SEC-FETCH-MODE", "WebSocket"], opens: false },
    { name: "not an unknown mode", headers: ["Sec-Fetch-Mode", "navigate-not"], opens: false },
    { name: "not an empty mode", headers: ["Sec-Fetch-Mode", ""], opens: false },
    { name: "not two modes, cors last", headers: twice("navigate", "cors"), opens: false },
    { name: "not two modes, cors first", headers: twice("cors", "navigate"), opens: false },
    { name: "not a list of modes", headers: ["Sec-Fetch-Mode", "navigate, cors"], opens: false },
    { name: "not X-Requested-With", headers: ["X-Requested-With", "XMLHttpRequest"], opens: false },
    { name: "not an empty X-Requested-With", headers: ["x-requested-with", ""], opens: false },
    {
      name: "not X-Requested-With in a navigation",
      headers: ["Sec-Fetch-Mode", "navigate", "X-REQUESTED-WITH", "fetch"],
      opens: false,
    },
  ];
  for (const { name, headers, opens } of rows) t.equal(opensLoginBox(headers), opens, name);
});

function twice(first: string, second: string): RawHeaders {
  return ["Sec-Fetch-Mode", first, "Sec-Fetch-Mode", second];
}

t.test("the operator's page takes the place of ours, for people and nobody else", async (t) => {
  const page = Buffer.from("<h1>Call Ann, 555 0100</h1>");
  const login = basicAuth({ page });
  const refused: LoginResult = { kind: "forbidden", why: "no_users" };
  const rows = [
    { name: "401", decision: loginFallback(login, "reset", { kind: "missing" }, true), own: true },
    {
      name: "401 behind a wrong one",
      decision: loginFallback(login, "reset", { kind: "bad" }, true),
      own: true,
    },
    {
      name: "503 of a login that is closed",
      decision: loginFallback(login, "reset", refused, true),
      own: true,
    },
    { name: "503 of deny", decision: plainFallback({ ...DENY, page }, "reset"), own: true },
    {
      name: "429 says when to come again",
      decision: loginFallback(login, "reset", { kind: "limited", retryAfterSeconds: 7 }, true),
      own: false,
    },
    { name: "200", decision: loginFallback(login, "reset", { kind: "ok", user: "eve" }, true), own: false },
  ];
  for (const { name, decision, own } of rows) {
    const { body, headers } = decision.reply;
    t.equal(body.kind === "whole" && Buffer.from(body.bytes).equals(page), own, name);
    if (own) t.equal(firstHeader(headers, "content-type"), "text/html; charset=utf-8", name);
  }
});
