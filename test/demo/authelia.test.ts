import t, { type Test } from "tap";
import { type Authelia, type AutheliaState, startAuthelia } from "../../src/demo/authelia.ts";
import type { FaultName } from "../../src/demo/stand-in.ts";
import { eventually, exchangeBytes, openWire } from "./wire.ts";

const host = "app.example.com";
const forwarded = {
  "X-Forwarded-Method": "GET",
  "X-Forwarded-Proto": "https",
  "X-Forwarded-Host": host,
  "X-Forwarded-Uri": "/page?x=1",
};
const browser = { ...forwarded, Accept: "text/html,application/xhtml+xml" };

async function authelia(test: Test): Promise<Authelia> {
  const standIn = await startAuthelia({ port: 0, forbidden: ["admin.example.com"], dripMs: 1 });
  test.teardown(() => standIn.close());
  return standIn;
}

function check(standIn: Authelia, headers: Record<string, string>): Promise<Response> {
  return fetch(`${standIn.url}/api/authz/forward-auth`, { redirect: "manual", headers });
}

t.test("who gets what, with a store that works and one that is dead", async (test) => {
  const standIn = await authelia(test);
  const member = { Cookie: `a=b; ${standIn.session}` };
  const rows: readonly {
    name: string;
    headers: Record<string, string>;
    ok: number;
    dead: number;
    /** A healthy challenge sets the cookie. */
    sets?: boolean;
  }[] = [
    { name: "a browser", headers: browser, ok: 302, dead: 302, sets: true },
    { name: "any Accept", headers: { ...forwarded, Accept: "*/*" }, ok: 302, dead: 302, sets: true },
    { name: "a form", headers: { ...browser, "X-Forwarded-Method": "POST" }, ok: 303, dead: 303, sets: true },
    {
      name: "a script",
      headers: { ...browser, "X-Requested-With": "XMLHttpRequest" },
      ok: 401,
      dead: 401,
      sets: true,
    },
    { name: "JSON", headers: { ...forwarded, Accept: "application/json" }, ok: 401, dead: 401, sets: true },
    { name: "a member", headers: { ...browser, ...member }, ok: 200, dead: 302 },
    {
      name: "a member where nobody may enter",
      headers: { ...browser, ...member, "X-Forwarded-Host": "admin.example.com" },
      ok: 403,
      dead: 302,
    },
    {
      name: "a cookie of nobody",
      headers: { ...browser, Cookie: "authelia_session=x" },
      ok: 302,
      dead: 302,
      sets: true,
    },
    ...(["Method", "Proto", "Host"] as const).map((missing) => ({
      name: `no X-Forwarded-${missing}`,
      headers: { ...browser, [`X-Forwarded-${missing}`]: "" },
      ok: 400,
      dead: 400,
    })),
  ];
  for (const state of ["ok", "store-dead"] as const) {
    await standIn.setFault(state);
    for (const { name, headers, ok, dead, sets = false } of rows) {
      const reply = await check(standIn, headers);
      test.equal(reply.status, state === "ok" ? ok : dead, `${state}: ${name}`);
      const cookies = reply.headers.getSetCookie();
      test.equal(cookies.length, state === "ok" && sets ? 1 : 0, `${state}: ${name}`);
      for (const cookie of cookies) test.match(cookie, /^authelia_session=[0-9a-f]{32};/);
    }
    const health = await fetch(`${standIn.url}/api/health`);
    test.equal(health.status, 200, `${state}: health sees nothing`);
    test.equal(await health.text(), '{"status":"OK"}');
  }
});

t.test("an allow names the user, a challenge leads to the login and back", async (test) => {
  const standIn = await authelia(test);
  const allowed = await check(standIn, { ...browser, Cookie: standIn.session });
  test.equal(allowed.headers.get("remote-user"), "demo");
  test.equal(allowed.headers.get("remote-groups"), "users,demo");
  test.equal(await allowed.text(), "");
  const location = new URL((await check(standIn, browser)).headers.get("location") ?? "");
  test.equal(location.origin, "https://auth.example.com");
  test.equal(location.searchParams.get("rd"), `https://${host}/page?x=1`);
  test.equal((await fetch(`${standIn.url}/other`)).status, 404);
});

t.test("a hung store answers no check, but its health page", async (test) => {
  const standIn = await authelia(test);
  await standIn.setFault("store-hung");
  const wire = await openWire(standIn.port);
  const lines = Object.entries(browser).map(([name, value]) => `${name}: ${value}\r\n`);
  wire.send(`GET /api/authz/forward-auth HTTP/1.1\r\nHost: x\r\n${lines.join("")}\r\n`);
  await eventually(() => standIn.received().length === 1);
  test.equal((await fetch(`${standIn.url}/api/health`)).status, 200);
  await standIn.close();
  test.equal((await wire.end()).text, "");
});

t.test("a head of more than 4 KiB is refused", async (test) => {
  const standIn = await authelia(test);
  const head = `GET /api/health HTTP/1.1\r\nHost: x\r\nCookie: ${"x".repeat(4096)}\r\n\r\n`;
  test.match((await exchangeBytes(standIn.port, head)).text, /^HTTP\/1\.1 431 /);
});

t.test("every fault is told in words", async (test) => {
  const standIn = await authelia(test);
  const own: readonly (FaultName | AutheliaState)[] = ["store-dead", "store-hung"];
  test.same(standIn.faults.slice(-2), own);
  test.notOk(standIn.faults.includes("bare-400"));
  for (const fault of standIn.faults) test.ok(standIn.meaning(fault), fault);
});
