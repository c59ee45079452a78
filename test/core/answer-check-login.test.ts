import t from "tap";
import { type AnswerCheckDeps, answerCheck } from "../../src/core/answer-check.ts";
import { headerValues } from "../../src/core/headers.ts";
import type { Route } from "../../src/core/snapshot.ts";
import type { LoginResult, RawHeaders } from "../../src/core/types.ts";
import {
  type Attempt,
  answering,
  decisionOf,
  FALLBACKS,
  failing,
  run,
  world,
} from "../support/check-world.ts";
import { answer, basic, basicAuth, check, networks, streamedBody } from "../support/fixtures.ts";

t.test(
  "only an allow fallback and a login that held give a 200 when the upstream cannot decide",
  async (t) => {
    const logins: readonly { login: LoginResult; status: number }[] = [
      { login: { kind: "ok", user: "eve" }, status: 200 },
      { login: { kind: "missing" }, status: 401 },
      { login: { kind: "bad" }, status: 401 },
      { login: { kind: "limited", retryAfterSeconds: 30 }, status: 429 },
      { login: { kind: "forbidden", why: "no_users" }, status: 503 },
    ];
    for (const { login, status } of logins) {
      const { reply } = await decisionOf(world(failing("reset"), { login }));
      t.equal(reply.status, status, login.kind);
      t.same(headerValues(reply.headers, "x-authentik-username"), status === 200 ? ["eve"] : [], login.kind);
      t.same(headerValues(reply.headers, "x-authentik-uid"), status === 200 ? [""] : [], login.kind);
      t.same(headerValues(reply.headers, "retry-after").length, status > 401 ? 1 : 0, login.kind);
    }
  },
);

t.test("the stream of a fault is cancelled before a password is looked at", async (t) => {
  const { body, cancelled } = streamedBody("a long error page");
  const made = world(answering(answer(503, [], body)));
  let before = -1;
  const logins: AnswerCheckDeps["logins"] = {
    ...made.deps.logins,
    attempt: async () => {
      before = cancelled();
      return { kind: "bad" };
    },
  };
  await answerCheck(check(), made.context, { ...made.deps, logins });
  t.equal(before, 1);
});

t.test("emergency credentials stay here", async (t) => {
  const eve = basic("eve", "spare");
  const rows: readonly { name: string; value: string; route?: Partial<Route>; sent: boolean }[] = [
    { name: "a name of the htpasswd file", value: eve, sent: false },
    { name: "with a wrong password too", value: basic("eve", "wrong"), sent: false },
    { name: "the scheme in any case, more space", value: eve.replace("Basic ", "bAsIc   "), sent: false },
    { name: "without padding", value: eve.replaceAll("=", ""), sent: false },
    { name: "another name", value: basic("mallory", "spare"), sent: true },
    { name: "the name in another case", value: basic("Eve", "spare"), sent: true },
    { name: "another scheme", value: "Bearer ZXZlOnNwYXJl", sent: true },
    { name: "no base64", value: "Basic !", sent: true },
    { name: "stripping switched off", value: eve, route: { stripEmergencyCredentials: false }, sent: true },
    {
      name: "a route with another file: a browser sends them to all routes of a site",
      value: eve,
      route: { fallback: basicAuth({ htpasswd: "/x" }) },
      sent: false,
    },
    ...(["allow", "deny", "none"] as const).map((mode) => ({
      name: `a route without a login: ${mode}`,
      value: eve,
      route: { fallback: FALLBACKS[mode] },
      sent: false,
    })),
  ];
  for (const row of rows) {
    const made = world(answering(answer(200)), row.route ? { route: row.route } : {});
    await run(made, check({ headers: ["Host", "a", "AUTHORIZATION", row.value, "Cookie", "c"] }));
    const expected = ["Host", "a", ...(row.sent ? ["AUTHORIZATION", row.value] : []), "Cookie", "c"];
    t.same(made.requests[0]?.headers, expected, row.name);
  }
  const made = world(answering(answer(200)));
  const two = ["Authorization", basic("mallory", "x"), "authorization", eve];
  await run(made, check({ headers: two }));
  t.same(made.requests[0]?.headers, two.slice(0, 2), "in a second line as well");
});

t.test("an emergency login is tried with", async (t) => {
  const rows: readonly { name: string; headers: RawHeaders; credentials: Attempt[2]; key: string }[] = [
    { name: "nothing", headers: [], credentials: null, key: "unknown" },
    {
      name: "the name, the password, and the client's address",
      headers: ["Authorization", basic("eve", "sp:are"), "X-Forwarded-For", "10.0.0.1, 203.0.113.7"],
      credentials: { user: "eve", password: "sp:are" },
      key: "203.0.113.7",
    },
    {
      name: "the client behind a trusted proxy",
      headers: ["X-Forwarded-For", "10.0.0.1, 203.0.113.7, 198.51.100.1"],
      credentials: null,
      key: "203.0.113.7",
    },
    {
      name: "the /64 of an IPv6 client",
      headers: ["X-Forwarded-For", "2001:db8:1:2:3:4:5:6"],
      credentials: null,
      key: "2001:db8:1:2::/64",
    },
    {
      name: "one key for all bad addresses",
      headers: ["X-Forwarded-For", "junk"],
      credentials: null,
      key: "unknown",
    },
    {
      name: "no credentials where two lines disagree",
      headers: ["Authorization", basic("eve", "a"), "Authorization", basic("eve", "b")],
      credentials: null,
      key: "unknown",
    },
  ];
  for (const { name, headers, credentials, key } of rows) {
    const made = world(failing("refused"), { trustedProxies: networks("198.51.100.0/24") });
    await run(made, check({ headers }));
    t.same(made.attempts, [["sso", basicAuth(), credentials, key]], name);
  }
});

t.test("allowFrom", async (t) => {
  const allowFrom = networks("203.0.113.0/24", "2001:db8::/32");
  const rows = [
    { name: "inside", forwardedFor: "10.0.0.1, 203.0.113.7", why: null },
    { name: "inside, mapped", forwardedFor: "::ffff:203.0.113.7", why: null },
    { name: "inside, IPv6", forwardedFor: "[2001:db8::1]:443", why: null },
    { name: "outside", forwardedFor: "198.51.100.7", why: "outside_allow_from" },
    {
      name: "outside, with an inside address a client wrote",
      forwardedFor: "203.0.113.7, 198.51.100.7",
      why: "outside_allow_from",
    },
    { name: "outside, IPv6", forwardedFor: "2001:db9::1", why: "outside_allow_from" },
    { name: "no address", forwardedFor: "203.0.113.7, unknown", why: "no_address" },
  ];
  for (const { name, forwardedFor, why } of rows) {
    const made = world(failing("refused"), {
      route: { fallback: basicAuth({ allowFrom }) },
      login: { kind: "ok", user: "eve" },
    });
    const headers = ["Authorization", basic("eve", "spare"), "X-Forwarded-For", forwardedFor];
    const decision = await decisionOf(made, check({ headers }));
    t.equal(decision.reply.status, why === null ? 200 : 503, name);
    const login = why === null ? { kind: "ok" } : { kind: "forbidden", why };
    t.match(decision.fallback, { login }, `${name}: for the log`);
    t.equal(made.attempts.length, why === null ? 1 : 0, `${name}: password work`);
  }
});

t.test("a login box opens for people only", async (t) => {
  const rows = [
    { name: "a navigation", headers: ["Sec-Fetch-Mode", "navigate"], box: true },
    { name: "curl", headers: [], box: true },
    { name: "a page's own request", headers: ["Sec-Fetch-Mode", "cors"], box: false },
    { name: "an old page's own request", headers: ["X-Requested-With", "XMLHttpRequest"], box: false },
  ];
  for (const { name, headers, box } of rows) {
    const { reply } = await decisionOf(world(failing("refused")), check({ headers }));
    t.equal(reply.status, 401, name);
    t.equal(headerValues(reply.headers, "www-authenticate").length, box ? 1 : 0, name);
  }
});
