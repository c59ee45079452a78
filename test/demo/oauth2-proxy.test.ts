import t, { type Test } from "tap";
import { type OAuth2Proxy, startOAuth2Proxy } from "../../src/demo/oauth2-proxy.ts";

async function proxy(test: Test): Promise<OAuth2Proxy> {
  const standIn = await startOAuth2Proxy({ port: 0, dripMs: 1 });
  test.teardown(() => standIn.close());
  return standIn;
}

t.test("who gets what in each state", async (test) => {
  const standIn = await proxy(test);
  const allowed = { status: 202, body: "" };
  const unknown = { status: 401, body: "Unauthorized\n" };
  const forbidden = { status: 403, body: "Forbidden\n" };
  const login = { status: 302, body: "" };
  const inside = { status: 200, body: "Authenticated" };
  const fine = { status: 200, body: "OK" };
  const notReady = { status: 500, body: "error: connection refused" };
  const rows = [
    { path: "/oauth2/auth", who: "member", ok: allowed, redis: unknown },
    { path: "/oauth2/auth?allowed_groups=a,users", who: "member", ok: allowed, redis: unknown },
    { path: "/oauth2/auth?allowed_groups=a", who: "member", ok: forbidden, redis: unknown },
    { path: "/oauth2/auth", who: "nobody", ok: unknown, redis: unknown },
    { path: "/", who: "member", ok: inside, redis: login },
    { path: "/", who: "nobody", ok: login, redis: login },
    { path: "/oauth2/start", who: "nobody", ok: login, redis: login },
    { path: "/ready", who: "nobody", ok: fine, redis: notReady },
    { path: "/ping", who: "nobody", ok: fine, redis: fine },
  ] as const;
  for (const state of ["ok", "redis-refused", "provider-dead"] as const) {
    await standIn.setFault(state);
    for (const { path, who, ok, redis } of rows) {
      const headers = { Cookie: who === "member" ? `a=b; ${standIn.session}` : "_oauth2_proxy=x" };
      const reply = await fetch(standIn.url + path, { redirect: "manual", headers });
      const name = `${state}: ${who} at ${path}`;
      const got = { status: reply.status, body: await reply.text() };
      test.same(got, state === "redis-refused" ? redis : ok, name);
      test.equal(reply.headers.has("set-cookie"), got.status === 302, name);
      test.equal(reply.headers.has("x-auth-request-user"), got.status === 202, name);
    }
  }
});

t.test("every fault is told in words", async (test) => {
  const standIn = await proxy(test);
  test.same(standIn.faults.slice(-2), ["redis-refused", "provider-dead"]);
  for (const fault of standIn.faults) test.ok(standIn.meaning(fault), fault);
});
