import t from "tap";
import { firstHeader, headerValues } from "../../src/core/headers.ts";
import {
  allowed,
  badCheck,
  challenged,
  denied,
  healthy,
  internalError,
  limited,
  loggedIn,
  loginUnavailable,
  noRoute,
  proxyError,
  relayed,
  shedReply,
} from "../../src/core/replies.ts";
import type { Reply } from "../../src/core/types.ts";
import { answer, basicAuth, DENY, streamedBody, textOf } from "../support/fixtures.ts";

interface Row {
  readonly name: string;
  readonly reply: Reply;
  readonly status: string;
  readonly fallback: string | null;
  readonly retryAfter?: string;
  readonly type?: string;
  readonly text?: string;
}

const HTML = "text/html; charset=utf-8";
const PLAIN = "text/plain; charset=utf-8";

const OURS: readonly Row[] = [
  { name: "allowed", reply: allowed(), status: "200 OK", fallback: "allow", text: "" },
  {
    name: "logged in",
    reply: loggedIn("eve", basicAuth()),
    status: "200 OK",
    fallback: "basic-auth",
    text: "",
  },
  {
    name: "challenged, with a box",
    reply: challenged(basicAuth(), true),
    status: "401 Unauthorized",
    fallback: "basic-auth",
    type: HTML,
  },
  {
    name: "challenged, without a box",
    reply: challenged(basicAuth(), false),
    status: "401 Unauthorized",
    fallback: "basic-auth",
    type: HTML,
  },
  {
    name: "limited",
    reply: limited(42),
    status: "429 Too Many Requests",
    fallback: "basic-auth",
    retryAfter: "42",
    type: HTML,
  },
  {
    name: "login unavailable",
    reply: loginUnavailable(basicAuth()),
    status: "503 Service Unavailable",
    fallback: "basic-auth",
    retryAfter: "10",
    type: HTML,
  },
  {
    name: "denied",
    reply: denied(DENY),
    status: "503 Service Unavailable",
    fallback: "deny",
    retryAfter: "10",
    type: HTML,
  },
  {
    name: "a proxy error",
    reply: proxyError(502),
    status: "502 Bad Gateway",
    fallback: null,
    type: PLAIN,
    text: "Bad Gateway\n",
  },
  {
    name: "a proxy timeout",
    reply: proxyError(504),
    status: "504 Gateway Timeout",
    fallback: null,
    type: PLAIN,
    text: "Gateway Timeout\n",
  },
  {
    name: "shed",
    reply: shedReply(),
    status: "503 Service Unavailable",
    fallback: null,
    retryAfter: "1",
    type: PLAIN,
  },
  { name: "a bad check", reply: badCheck(), status: "400 Bad Request", fallback: null, type: PLAIN },
  { name: "no route", reply: noRoute(), status: "404 Not Found", fallback: null, type: PLAIN },
  { name: "healthy", reply: healthy(), status: "200 OK", fallback: null, type: PLAIN, text: "ok\n" },
  {
    name: "a defect of ours",
    reply: internalError(),
    status: "500 Internal Server Error",
    fallback: null,
    type: PLAIN,
  },
];

t.test("every reply of ours: status, whose it is, and not to be stored", async (t) => {
  for (const { name, reply, status, fallback, retryAfter = null, type = null, text } of OURS) {
    await t.test(name, async (t) => {
      t.equal(`${reply.status} ${reply.statusText}`, status);
      t.same(headerValues(reply.headers, "x-auth-fallback"), fallback === null ? [] : [fallback]);
      t.same(headerValues(reply.headers, "cache-control"), ["no-store"]);
      t.equal(firstHeader(reply.headers, "retry-after"), retryAfter);
      t.equal(firstHeader(reply.headers, "content-type"), type);
      if (text === undefined) t.not(textOf(reply), "", "some words for whoever reads it");
      else t.equal(textOf(reply), text);
    });
  }
});

t.test("only a login that held names a user, and only a challenge asks for a password", async (t) => {
  for (const { name, reply } of OURS) {
    t.equal(
      firstHeader(reply.headers, "x-authentik-username") !== null,
      name === "logged in",
      `${name}: user`,
    );
    t.equal(
      firstHeader(reply.headers, "www-authenticate") !== null,
      name === "challenged, with a box",
      `${name}: password`,
    );
  }
});

t.test("pages for people load nothing from anywhere and run nothing", async (t) => {
  for (const { name, reply, type } of OURS) {
    if (type !== HTML) continue;
    t.match(textOf(reply), /^<!doctype html>\n<html lang="en">/, name);
    t.notMatch(textOf(reply), /<script|src=|href="(?!data:,"|")|url\(|https?:/i, name);
  }
});

t.test("a login that held", async (t) => {
  await t.test("the name, then every other identity header with an empty value", async (t) => {
    const fallback = basicAuth({ usernameHeader: "Remote-User", clearHeaders: ["Remote-Groups", "x-MAIL"] });
    t.same(loggedIn("eve", fallback).headers, [
      ...["X-Auth-Fallback", "basic-auth", "Cache-Control", "no-store"],
      ...["Remote-User", "eve", "Remote-Groups", "", "x-MAIL", ""],
    ]);
  });
  await t.test("nothing to clear", async (t) => {
    t.same(loggedIn("eve", basicAuth({ clearHeaders: [] })).headers.slice(-2), [
      "X-authentik-username",
      "eve",
    ]);
  });
  await t.test("a name beyond ASCII travels as its UTF-8 bytes", async (t) => {
    const { headers } = loggedIn("jürgen €", basicAuth());
    t.equal(firstHeader(headers, "x-authentik-username"), "j\xc3\xbcrgen \xe2\x82\xac");
  });
});

t.test("the realm", async (t) => {
  const rows = [
    { name: "plain", realm: "Emergency Access", value: 'Basic realm="Emergency Access", charset="UTF-8"' },
    { name: "quotes", realm: 'a "b"', value: 'Basic realm="a \\"b\\"", charset="UTF-8"' },
    { name: "a backslash at the end", realm: "a\\", value: 'Basic realm="a\\\\", charset="UTF-8"' },
    { name: "a backslash and a quote", realm: '\\"', value: 'Basic realm="\\\\\\"", charset="UTF-8"' },
    {
      name: "beyond ASCII",
      realm: "Zugang für €",
      value: 'Basic realm="Zugang f\xc3\xbcr \xe2\x82\xac", charset="UTF-8"',
    },
    {
      name: "text that looks like a replacement",
      realm: "$& $1",
      value: 'Basic realm="$& $1", charset="UTF-8"',
    },
  ];
  for (const { name, realm, value } of rows) {
    const { headers } = challenged(basicAuth({ realm }), true);
    t.same(headerValues(headers, "www-authenticate"), [value], name);
    t.equal(
      firstHeader(challenged(basicAuth({ realm }), false).headers, "www-authenticate"),
      null,
      `${name}, without a box`,
    );
  }
});

t.test("an upstream's own answer is relayed as it came, less hop-by-hop headers and our own", async (t) => {
  const { body } = streamedBody("long");
  const given = answer(
    302,
    [
      "Set-Cookie",
      "a=1",
      "Location",
      "/x",
      "Connection",
      "X-Gone",
      "X-gone",
      "1",
      "x-auth-FALLBACK",
      "allow",
    ],
    body,
  );
  const reply = relayed(given);
  t.equal(`${reply.status} ${reply.statusText}`, "302 As It Came");
  t.same(reply.headers, ["Set-Cookie", "a=1", "Location", "/x"], "nothing added either");
  t.equal(reply.body, body);
});
