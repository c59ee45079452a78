import { request } from "node:http";
import t, { type Test } from "tap";
import { type Outpost, startOutpost } from "../../src/demo/outpost.ts";
import { outpostUser } from "../../src/demo/outpost-identity.ts";
import { type FaultName, faults } from "../../src/demo/stand-in.ts";
import { eventually, exchangeBytes, openWire } from "./wire.ts";

const host = "app.example.com";
const checkPath = "/outpost.goauthentik.io/auth/traefik";

async function outpost(test: Test): Promise<Outpost> {
  const standIn = await startOutpost({ port: 0, hosts: [host, "127.0.0.1:8000"], dripMs: 1 });
  test.teardown(() => standIn.close());
  return standIn;
}

interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

async function get(standIn: Outpost, path: string, headers: Record<string, string> = {}): Promise<Reply> {
  return fetchPage(standIn, path, {
    headers: { "X-Forwarded-Proto": "http", "X-Forwarded-Host": host, ...headers },
  });
}

async function fetchPage(standIn: Outpost, path: string, init: RequestInit): Promise<Reply> {
  const answer = await fetch(standIn.url + path, { redirect: "manual", ...init });
  return { status: answer.status, headers: answer.headers, body: await answer.text() };
}

function cookieFrom(reply: Reply): string {
  return reply.headers.getSetCookie()[0]?.split(";")[0] ?? "";
}

function pathFrom(reply: Reply): string {
  const { pathname, search } = new URL(reply.headers.get("location") ?? "");
  return pathname + search;
}

/** Goes through the login as a browser does. */
async function logIn(standIn: Outpost, uri = "/"): Promise<{ cookie: string; landed: string | null }> {
  const begun = await get(standIn, checkPath, { "X-Forwarded-Uri": uri });
  const granted = await postLogin(standIn, pathFrom(begun), outpostUser.password);
  const done = await get(standIn, pathFrom(granted), { Cookie: cookieFrom(begun) });
  return { cookie: cookieFrom(done), landed: done.headers.get("location") };
}

function postLogin(standIn: Outpost, path: string, password: string): Promise<Reply> {
  const body = new URLSearchParams({ user: outpostUser.name, password });
  return fetchPage(standIn, path, { method: "POST", headers: { "X-Forwarded-Host": host }, body });
}

t.test("a check without a session is sent to the login", async (test) => {
  const standIn = await outpost(test);
  const reply = await get(standIn, checkPath, { "X-Forwarded-Proto": "https", "X-Forwarded-Uri": "/a?b=c" });
  test.equal(reply.status, 302);
  test.match(
    reply.headers.get("location"),
    /^https:\/\/app\.example\.com\/outpost\.goauthentik\.io\/application\/o\/authorize\/\?client_id=demo&/,
  );
  test.match(
    reply.headers.getSetCookie()[0],
    /^authentik_proxy_[0-9a-f]{8}=[0-9a-f]{32}; Path=\/; .*HttpOnly/,
  );
  test.notMatch(reply.headers.getSetCookie()[0], /Secure/, "it works without TLS");
});

t.test("a login leads back to where it began, and its session is let through", async (test) => {
  const standIn = await outpost(test);
  const { cookie, landed } = await logIn(standIn, "/wiki?page=1");
  test.equal(landed, `http://${host}/wiki?page=1`);
  const reply = await get(standIn, checkPath, { Cookie: `a=b; ${cookie}` });
  test.equal(reply.status, 200);
  test.equal(reply.body, "");
  test.equal(reply.headers.get("x-authentik-username"), "demo");
  test.equal(reply.headers.get("x-authentik-groups"), "users|demo");
  for (const name of ["entitlements", "email", "name", "uid", "jwt", "meta-app", "meta-version"]) {
    test.ok(reply.headers.get(`x-authentik-${name}`), name);
  }
  await get(standIn, "/outpost.goauthentik.io/sign_out", { Cookie: cookie });
  test.equal((await get(standIn, checkPath, { Cookie: cookie })).status, 302, "logged out");
});

t.test("a login that is not whole gets no session", async (test) => {
  const standIn = await outpost(test);
  const begun = await get(standIn, checkPath);
  const form = await get(standIn, pathFrom(begun));
  test.equal(form.status, 200);
  test.match(form.body, /<form method="post"/);
  test.equal((await postLogin(standIn, pathFrom(begun), "wrong")).status, 403);
  const granted = await postLogin(standIn, pathFrom(begun), outpostUser.password);
  const stranger = await get(standIn, pathFrom(granted));
  test.equal(stranger.status, 400, "the code without the cookie that began it");
  test.equal((await get(standIn, "/outpost.goauthentik.io/callback?state=x&code=y")).status, 400);
  test.equal((await get(standIn, "/outpost.goauthentik.io/application/o/authorize/?state=x")).status, 400);
  test.equal((await get(standIn, checkPath, { Cookie: cookieFrom(begun) })).status, 302);
  const done = await get(standIn, pathFrom(granted), { Cookie: cookieFrom(begun) });
  test.not(cookieFrom(done), cookieFrom(begun), "a planted session is worth nothing");
  const again = await get(standIn, pathFrom(granted), { Cookie: cookieFrom(begun) });
  test.equal(again.status, 400, "a code works once");
});

t.test("a form without an end is refused", async (test) => {
  const standIn = await outpost(test);
  const begun = await get(standIn, checkPath);
  test.equal((await postLogin(standIn, pathFrom(begun), "x".repeat(20_000))).status, 413);
});

t.test("what a check can be about", async (test) => {
  const standIn = await outpost(test);
  const rows = [
    { name: "a port of its own", headers: { "X-Forwarded-Host": "127.0.0.1:8000" }, status: 302 },
    { name: "upper case", headers: { "X-Forwarded-Host": "APP.example.com" }, status: 302 },
    { name: "an unknown host", headers: { "X-Forwarded-Host": "evil.example" }, status: 400 },
    {
      name: "a known host in an unknown one",
      headers: { "X-Forwarded-Host": `${host}.evil.example` },
      status: 400,
    },
    { name: "a bad escape", headers: { "X-Forwarded-Uri": "/%zz" }, status: 500 },
    { name: "a bad escape in the query", headers: { "X-Forwarded-Uri": "/?q=%zz" }, status: 302 },
    { name: "a host hidden in the path", headers: { "X-Forwarded-Uri": "@evil.example/" }, status: 500 },
    { name: "a strange scheme", headers: { "X-Forwarded-Proto": "javascript" }, status: 500 },
  ];
  for (const { name, headers, status } of rows) {
    const reply = await get(standIn, checkPath, headers);
    test.equal(reply.status, status, name);
    if (status === 400) test.same(Object.keys(JSON.parse(reply.body)), ["Message", "Host", "Detail"], name);
    if (status === 500) test.match(reply.body, "configuration error", name);
  }
});

t.test("no redirect leaves the host", async (test) => {
  const standIn = await outpost(test);
  const rows = [
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example",
    "javascript:alert(1)",
    `http://${host}@evil.example/`,
  ];
  for (const rd of rows) {
    const begun = await get(standIn, `/outpost.goauthentik.io/start?${new URLSearchParams({ rd })}`);
    const granted = await postLogin(standIn, pathFrom(begun), outpostUser.password);
    const done = await get(standIn, pathFrom(granted), { Cookie: cookieFrom(begun) });
    test.equal(done.headers.get("location"), `http://${host}/`, rd);
  }
  const uri = await logIn(standIn, "//evil.example/x");
  test.equal(new URL(uri.landed ?? "").host, host);
});

t.test("ping is shallow, other pages are missing", async (test) => {
  const standIn = await outpost(test);
  const ping = await get(standIn, "/outpost.goauthentik.io/ping", { "X-Forwarded-Host": "unknown.example" });
  test.equal(ping.status, 204);
  test.equal((await get(standIn, "/outpost.goauthentik.io/other")).status, 404);
});

t.test("it keeps what it received, the last 1000", async (test) => {
  const standIn = await outpost(test);
  const wire = await openWire(standIn.port);
  wire.send(`GET ${checkPath}?q HTTP/1.1\r\nHost: x\r\nX-ODD:  two \r\n\r\n`);
  await wire.until("no app for hostname");
  test.same(standIn.received(), [
    { method: "GET", target: `${checkPath}?q`, headers: ["Host", "x", "X-ODD", "two"] },
  ]);
  wire.send("GET /outpost.goauthentik.io/ping HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1000));
  await eventually(() => standIn.received().every(({ target }) => target.endsWith("ping")));
  test.equal(standIn.received().length, 1000);
  wire.close();
});

const plainCheck = `GET ${checkPath} HTTP/1.1\r\nHost: x\r\nX-Forwarded-Host: ${host}\r\nX-Forwarded-Proto: http\r\n\r\n`;

t.test("faults that end the connection", async (test) => {
  const standIn = await outpost(test);
  const rows: readonly { fault: FaultName; error: string | null; text: RegExp }[] = [
    { fault: "reset", error: "ECONNRESET", text: /^$/ },
    { fault: "drip", error: null, text: /^HTTP\/1\.1 302 Found\r\n.*Content-Length: 0\r\n\r\n$/s },
    { fault: "truncate", error: null, text: /^HTTP\/1\.1 302 .*Content-Length: 1000\r\n\r\ncut off he$/s },
    { fault: "garbage", error: null, text: /^SSH-2\.0/ },
    { fault: "oversize-head", error: null, text: /^HTTP\/1\.1 302 .*X-Padding-63: x{8192}\r\n\r\n$/s },
    { fault: "close-delimited", error: null, text: /^HTTP\/1\.0 302 Found\r\nLocation: .*\r\n\r\n$/s },
  ];
  for (const { fault, error, text } of rows) {
    await standIn.setFault(fault);
    test.equal(standIn.fault(), fault);
    const got = await exchangeBytes(standIn.port, plainCheck);
    test.equal(got.error, error, fault);
    test.ok(text.test(got.text), `${fault}: ${got.text.slice(0, 200)}`);
  }
});

t.test("interim answers come before the real one, and the connection stays", async (test) => {
  const standIn = await outpost(test);
  await standIn.setFault("interim");
  const wire = await openWire(standIn.port);
  wire.send(plainCheck);
  const text = await wire.until("HTTP/1.1 302");
  test.match(text, /^HTTP\/1\.1 100 .*HTTP\/1\.1 102 .*HTTP\/1\.1 103 .*HTTP\/1\.1 302 /s);
  wire.send("GET /outpost.goauthentik.io/ping HTTP/1.1\r\nHost: x\r\n\r\n");
  await wire.until("HTTP/1.1 204");
  wire.close();
});

t.test("status faults answer everything", async (test) => {
  const standIn = await outpost(test);
  const { cookie } = await logIn(standIn);
  for (const [fault, status] of [
    ["status-503", 503],
    ["status-500", 500],
  ] as const) {
    await standIn.setFault(fault);
    for (const path of [checkPath, "/outpost.goauthentik.io/ping"]) {
      test.equal((await get(standIn, path, { Cookie: cookie })).status, status, `${fault} ${path}`);
    }
  }
});

t.test("bare-400 hits only those without a session", async (test) => {
  const standIn = await outpost(test);
  const { cookie } = await logIn(standIn);
  const begun = await get(standIn, checkPath);
  await standIn.setFault("bare-400");
  const bare = await get(standIn, checkPath);
  test.equal(bare.status, 400);
  test.equal(bare.body, "");
  test.same(bare.headers.getSetCookie(), []);
  test.equal(
    (await get(standIn, checkPath, { Cookie: cookieFrom(begun) })).status,
    400,
    "an unfinished login",
  );
  test.equal((await get(standIn, "/outpost.goauthentik.io/start")).status, 400);
  test.equal((await get(standIn, "/outpost.goauthentik.io/callback")).status, 400);
  test.equal((await get(standIn, checkPath, { Cookie: cookie })).status, 200);
  test.equal((await get(standIn, checkPath, { "X-Forwarded-Host": "evil.example" })).status, 400);
  await standIn.setFault("ok");
  test.equal((await get(standIn, checkPath)).status, 302);
});

t.test("hang takes the request and never answers", async (test) => {
  const standIn = await outpost(test);
  await standIn.setFault("hang");
  const wire = await openWire(standIn.port);
  wire.send(plainCheck);
  await eventually(() => standIn.received().length === 1);
  await standIn.close();
  const { text } = await wire.end();
  test.equal(text, "", "closing cuts it");
});

t.test(
  "refuse cuts what is open, listens no more, and comes back on the same port with its sessions",
  async (test) => {
    const standIn = await outpost(test);
    const { cookie } = await logIn(standIn);
    const kept = await openWire(standIn.port);
    kept.send(plainCheck);
    await kept.until("302");
    await standIn.setFault("refuse");
    await kept.end();
    await test.rejects(openWire(standIn.port), { code: "ECONNREFUSED" });
    await standIn.setFault("refuse");
    await standIn.setFault("ok");
    test.equal((await get(standIn, checkPath, { Cookie: cookie })).status, 200);
  },
);

t.test("an answer waits for those before it on the same connection", async (test) => {
  const standIn = await outpost(test);
  await standIn.setFault("close-delimited");
  const got = await exchangeBytes(standIn.port, plainCheck + plainCheck);
  test.equal(got.text.split("HTTP/1.0 302").length, 2, "one answer, then the end");
});

t.test("HEAD has no body", async (test) => {
  const standIn = await outpost(test);
  const status = await new Promise((resolve, reject) => {
    const head = request(`${standIn.url}/outpost.goauthentik.io/other`, {
      method: "HEAD",
      headers: { host },
    });
    head
      .once("response", (answer) => resolve(answer.resume().statusCode))
      .once("error", reject)
      .end();
  });
  test.equal(status, 404);
  test.same(standIn.faults.slice(0, Object.keys(faults).length), Object.keys(faults));
});

t.test("a taken port is an error", async (test) => {
  const standIn = await outpost(test);
  await test.rejects(startOutpost({ port: standIn.port, hosts: [] }), { code: "EADDRINUSE" });
});
