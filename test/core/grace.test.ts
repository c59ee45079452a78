import t from "tap";
import { clientOf, identityOf } from "../../src/core/grace.ts";
import type { RawHeaders } from "../../src/core/types.ts";
import { answer, check } from "../support/fixtures.ts";

const RULES = {
  milliseconds: 60_000,
  usernameHeader: "x-user",
  identityHeaders: new Set(["x-user", "x-groups"]),
};
const EVE = ["X-User", "eve", "X-Groups", "a|b"];

t.test("what is kept of an answer", async (t) => {
  const rows: readonly { name: string; status?: number; headers: RawHeaders; kept: RawHeaders | null }[] = [
    { name: "the identity", headers: EVE, kept: EVE },
    { name: "oauth2-proxy's 202", status: 202, headers: EVE, kept: EVE },
    {
      name: "and nothing else",
      headers: ["Set-Cookie", "s=1", ...EVE, "Authorization", "Basic x", "X-Other", "1"],
      kept: EVE,
    },
    { name: "in any case", headers: ["x-uSER", "eve"], kept: ["x-uSER", "eve"] },
    { name: "nothing of a 204", status: 204, headers: EVE, kept: null },
    { name: "nothing without a user: an open path", headers: ["X-Groups", "a"], kept: null },
    { name: "nothing with an empty user", headers: ["X-User", "", "X-Groups", "a"], kept: null },
    { name: "nothing hop-by-hop", headers: ["Connection", "x-user", ...EVE], kept: null },
  ];
  for (const { name, status = 200, headers, kept } of rows) {
    t.same(identityOf(answer(status, headers), RULES), kept, name);
  }
});

const COOKIE = ["Cookie", "s=1"];
const HOST = ["X-Forwarded-Host", "a.example"];

t.test("nobody's own", async (t) => {
  const rows: readonly { name: string; headers: RawHeaders }[] = [
    { name: "neither cookie nor credential", headers: HOST },
    { name: "no host of the gateway's", headers: ["Host", "sparekey", ...COOKIE] },
  ];
  for (const { name, headers } of rows) t.equal(clientOf(check({ headers })), null, name);
});

t.test("no two of these are one client of one host", async (t) => {
  const rows: readonly RawHeaders[] = [
    [...HOST, ...COOKIE],
    ["X-Forwarded-Host", "b.example", ...COOKIE],
    ["X-Forwarded-Host", "a.example:8443", ...COOKIE],
    [...HOST, "Host", "b.example", ...COOKIE],
    [...HOST, "X-Original-Host", "b.example", ...COOKIE],
    [...HOST, ...HOST, ...COOKIE],
    [...HOST, "Cookie", "s=2"],
    [...HOST, "Cookie", "s=1; t=1"],
    [...HOST, ...COOKIE, "Cookie", "t=1"],
    [...HOST, ...COOKIE, ...COOKIE],
    [...HOST, ...COOKIE, "Authorization", "s=1"],
    [...HOST, "Authorization", "s=1"],
    [...HOST, "Cookie", "s=", "Cookie", "1"],
    ["X-Original-URL", "https://a.example/x", ...COOKIE],
    ["X-Original-URL", "http://a.example/x", ...COOKIE],
    ["X-Original-URL", "https://b.example/x", ...COOKIE],
    ["X-Original-URL", "/x", ...COOKIE],
  ];
  const checks = rows.map((headers) => check({ headers }));
  const asked = check({ target: "/auth?allowed_groups=admins", headers: [...HOST, ...COOKIE] });
  const keys = [...checks, asked].map((each) => JSON.stringify(clientOf(each)));
  t.notOk(keys.includes("null"));
  t.equal(new Set(keys).size, rows.length + 1);
});

t.test("these are", async (t) => {
  const rows: readonly { name: string; a: RawHeaders; b: RawHeaders }[] = [
    { name: "another path", a: [...HOST, ...COOKIE, "X-Forwarded-Uri", "/a"], b: [...HOST, ...COOKIE] },
    {
      name: "another path of the whole URL",
      a: ["X-Original-URL", "https://a.example/x?q", ...COOKIE],
      b: ["X-Original-URL", "https://a.example", ...COOKIE],
    },
    {
      name: "another spelling of the names",
      a: ["x-forwarded-host", "a.example", "cookie", "s=1"],
      b: [...HOST, ...COOKIE],
    },
  ];
  for (const { name, a, b } of rows)
    t.same(clientOf(check({ headers: a })), clientOf(check({ headers: b })), name);
});
