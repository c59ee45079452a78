/** Each version of the outpost in each of its states, as real outposts were measured: status, cookie and bytes. */
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { gunzipSync, inflateRawSync } from "node:zlib";
import t, { type Test } from "tap";
import { type Outpost, startOutpost } from "../../src/demo/outpost.ts";
import { outpostToken, outpostUser } from "../../src/demo/outpost-identity.ts";
import {
  type OutpostState,
  type OutpostVersion,
  outpostStates,
  outpostVersions,
} from "../../src/demo/outpost-versions.ts";
import { sessionCookie } from "../../src/demo/outpost-visit.ts";
import type { FaultName } from "../../src/demo/stand-in.ts";
import { openWire } from "./wire.ts";

const host = "app.example.com";
const prefix = "/outpost.goauthentik.io";
const basic = `Basic ${Buffer.from(`${outpostUser.name}:${outpostUser.password}`).toString("base64")}`;
const garbage = `${sessionCookie}=garbage`;

interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

type Headers = Readonly<Record<string, string>>;

/** Sends no header of its own but Host. */
function sent(outpost: Outpost, path: string, headers: Headers, method = "GET", body = ""): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const asked = httpRequest(outpost.url + path, { method, headers, agent: false }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk) => chunks.push(chunk));
      answer.on("end", () => {
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks) });
      });
    });
    asked.on("error", reject);
    asked.end(body);
  });
}

/** Resolves to null when no answer comes, though later requests get theirs. */
async function ask(...request: Parameters<typeof sent>): Promise<Reply | null> {
  const [outpost] = request;
  const reply = sent(...request);
  // The outpost cuts the connections that it never answered when it is closed.
  reply.catch(() => undefined);
  const later = async () => {
    for (let ping = 0; ping < 2; ping++) await sent(outpost, `${prefix}/ping`, {});
    return null;
  };
  return Promise.race([reply, later()]);
}

const forwarded: Headers = {
  "X-Forwarded-Proto": "https",
  "X-Forwarded-Host": host,
  "X-Forwarded-Uri": "/page",
};

function check(outpost: Outpost, headers: Headers = {}, gateway = "traefik"): Promise<Reply | null> {
  return ask(outpost, `${prefix}/auth/${gateway}`, { ...forwarded, ...headers });
}

async function started(
  test: Test,
  version: OutpostVersion,
  options: Partial<Parameters<typeof startOutpost>[0]> = {},
): Promise<Outpost> {
  const outpost = await startOutpost({ port: 0, hosts: [host, "other.example.com"], version, ...options });
  test.teardown(() => outpost.close());
  return outpost;
}

function cookieOf(reply: Reply | null): string {
  return reply?.headers["set-cookie"]?.[0]?.split(";")[0] ?? "";
}

function locationOf(reply: Reply | null): string {
  const { pathname, search } = new URL(reply?.headers.location ?? "");
  return pathname + search;
}

/** The cookie of somebody who is on the way through the login, and the page that ends it. */
async function almostIn(outpost: Outpost): Promise<{ readonly cookie: string; readonly callback: string }> {
  const begun = await check(outpost);
  const form = `user=${outpostUser.name}&password=${outpostUser.password}`;
  const granted = await ask(outpost, locationOf(begun), forwarded, "POST", form);
  return { cookie: cookieOf(begun), callback: locationOf(granted) };
}

async function signedIn(outpost: Outpost): Promise<string> {
  const { cookie, callback } = await almostIn(outpost);
  return cookieOf(await ask(outpost, callback, { ...forwarded, Cookie: cookie }));
}

/**
 * An answer in short: its status, whether it names a user, what it does with the cookie, and its body. `302 sets`,
 * `200 user`, `400` (0 bytes), `400 json`, `silence`.
 */
function short(reply: Reply | null): string {
  if (reply === null) return "silence";
  const { status, headers, body } = reply;
  const words = [String(status)];
  if (headers["x-authentik-username"] !== undefined) words.push("user");
  const cookie = headers["set-cookie"]?.[0];
  if (cookie !== undefined) words.push(/^authentik_proxy_[0-9a-f]{8}=;/.test(cookie) ? "deletes" : "sets");
  if (body.length > 0) words.push(bodyKind(headers, body));
  return words.join(" ");
}

function bodyKind(headers: IncomingHttpHeaders, body: Buffer): string {
  const type = headers["content-type"] ?? "";
  if (type === "application/json") return "json";
  if (type.startsWith("text/html")) return "html";
  return JSON.stringify(body.toString());
}

type Who = "nobody" | "member" | "stale" | "garbage" | "basic" | "bearer" | "wrong password";

/** What each of them gets. `else` is for those who are not named. */
type Expected = Readonly<Partial<Record<Who, string>>> & { readonly else: string };

const everybody: readonly Who[] = [
  "nobody",
  "member",
  "stale",
  "garbage",
  "basic",
  "bearer",
  "wrong password",
];

const healthy = { member: "200 user", basic: "200 user sets", bearer: "200 user sets", else: "302 sets" };
const loginsHang = { member: "200 user", else: "silence" };
const coreDown = { member: "200 user", else: "302 sets" };
const coreHangs = {
  member: "200 user",
  basic: "silence",
  bearer: "silence",
  "wrong password": "silence",
  else: "302 sets",
};
const everywhere = { "logins-hang": loginsHang, "core-down": coreDown, "core-hangs": coreHangs };
const open = { stale: "200", garbage: "200" };

/** The table: version by state. A version's states are exactly those of `outpostStates`. */
const table: Readonly<
  Record<OutpostVersion, Readonly<Partial<Record<OutpostState | "ok" | "bare-400", Expected>>>>
> = {
  "2025.6": {
    ok: healthy,
    "store-full": { member: "200 user", else: "302" },
    ...everywhere,
  },
  "2025.10": {
    ok: { ...healthy, ...open },
    "store-full": { member: "200 user", else: "200" },
    "logins-hang": loginsHang,
    "core-down": { ...coreDown, ...open },
    "core-hangs": { ...coreHangs, ...open },
  },
  "2026.2": {
    ok: healthy,
    "bare-400": { member: "200 user", basic: "200 user sets", bearer: "200 user sets", else: "400" },
    "store-full": {
      member: "200 user",
      stale: "302 deletes",
      garbage: "302 deletes",
      basic: "302",
      bearer: "302",
      else: "400",
    },
    "no-providers": { else: "400 json" },
    ...everywhere,
  },
  embedded: {
    ok: healthy,
    "store-full": { member: "200 user", else: "400" },
    "store-unreadable": { member: "302", else: "400" },
    "database-hangs": { else: "silence" },
    "no-providers": { else: "404 html" },
    ...everywhere,
  },
  "2026.8": {
    ok: healthy,
    "store-full": { member: "200 user", basic: "200 user", bearer: "200 user", else: "302 sets" },
    "store-unreadable": { basic: "200 user", bearer: "200 user", else: "302 sets" },
    "no-providers": { else: "400 json" },
    ...everywhere,
  },
};

for (const version of outpostVersions) {
  t.test(`${version}: who gets what in each state`, async (test) => {
    const outpost = await started(test, version);
    const member = await signedIn(outpost);
    const headersOf = (state: string): Readonly<Record<Who, Headers>> => ({
      nobody: {},
      member: { Cookie: member },
      stale: { Cookie: staleCookie(state) },
      garbage: { Cookie: garbage },
      basic: { Authorization: basic },
      bearer: { Authorization: `Bearer ${outpostToken}` },
      "wrong password": { Authorization: "Basic eDp5" },
    });
    const states = Object.keys(outpostStates[version]);
    test.same(
      Object.keys(table[version])
        .filter((state) => states.includes(state))
        .sort(),
      states.sort(),
    );
    for (const [state, expected] of Object.entries(table[version])) {
      await outpost.setFault(state as FaultName | OutpostState);
      for (const who of everybody) {
        const reply = await check(outpost, headersOf(state)[who]);
        test.equal(short(reply), expected[who] ?? expected.else, `${state}: ${who}`);
      }
    }
  });
}

/** A stale cookie becomes a session once its check was challenged, so that each state has one of its own. */
function staleCookie(state: string): string {
  return `${sessionCookie}=${Buffer.from(state.padEnd(16, "-").slice(0, 16)).toString("hex")}`;
}

t.test(
  "a healthy challenge always sets a cookie of the product's form and leads to a login",
  async (test) => {
    for (const version of outpostVersions) {
      const outpost = await started(test, version);
      const reply = await check(outpost);
      test.match(reply?.headers["set-cookie"]?.[0], /^authentik_proxy_[0-9a-f]{8}=[0-9a-f]{32};/, version);
      test.match(reply?.headers.location, /\/application\/o\/authorize\/\?.*state=/, version);
    }
  },
);

t.test("an embedded outpost compresses nothing into something, where it is asked to", async (test) => {
  const outpost = await started(test, "embedded");
  const member = await signedIn(outpost);
  const emptyGzip = "1f8b08000000000000ff010000ffff0000000000000000";
  const emptyDeflate = "010000ffff";
  const rows = [
    { state: "store-full", accept: "gzip", cookie: "", status: 400, encoding: "gzip", hex: emptyGzip },
    {
      state: "store-full",
      accept: "deflate, gzip",
      cookie: "",
      status: 400,
      encoding: "gzip",
      hex: emptyGzip,
    },
    {
      state: "store-full",
      accept: "br, deflate",
      cookie: "",
      status: 400,
      encoding: "deflate",
      hex: emptyDeflate,
    },
    { state: "store-full", accept: "br", cookie: "", status: 400, encoding: undefined, hex: "" },
    { state: "store-unreadable", accept: "gzip", cookie: "", status: 400, encoding: "gzip", hex: emptyGzip },
    {
      state: "store-unreadable",
      accept: "gzip",
      cookie: member,
      status: 302,
      encoding: "gzip",
      hex: emptyGzip,
    },
    { state: "ok", accept: "gzip", cookie: member, status: 200, encoding: "gzip", hex: emptyGzip },
  ] as const;
  for (const { state, accept, cookie, status, encoding, hex } of rows) {
    await outpost.setFault(state);
    const reply = await check(outpost, {
      "Accept-Encoding": accept,
      ...(cookie !== "" && { Cookie: cookie }),
    });
    test.equal(reply?.status, status, `${state}, ${accept}`);
    test.equal(reply?.headers["content-encoding"], encoding, `${state}, ${accept}`);
    test.equal(reply?.body.toString("hex"), hex, `${state}, ${accept}`);
  }
  test.equal(gunzipSync(Buffer.from(emptyGzip, "hex")).length, 0);
  test.equal(inflateRawSync(Buffer.from(emptyDeflate, "hex")).length, 0);
  const page = await check(outpost, { "Accept-Encoding": "gzip", "X-Forwarded-Host": "elsewhere.example" });
  test.equal(page?.status, 404);
  test.match(gunzipSync(page?.body ?? "").toString(), "Not Found");
  const standalone = await started(test, "2026.2");
  test.equal(
    (await check(standalone, { "Accept-Encoding": "gzip" }))?.headers["content-encoding"],
    undefined,
  );
});

const goVersions = ["2025.6", "2025.10", "2026.2"] as const;
const go = (what: string) => ({ "2025.6": what, "2025.10": what, "2026.2": what, embedded: what });

t.test("what a client can write into a check", async (test) => {
  const misconfigured = '500 "configuration error\\n"';
  const rows: readonly {
    name: string;
    headers: Headers;
    without?: string;
    got: Record<OutpostVersion, string>;
  }[] = [
    {
      name: "a bad escape",
      headers: { "X-Forwarded-Uri": "/%zz" },
      got: { ...go(misconfigured), "2026.8": "302 sets" },
    },
    {
      name: "no X-Forwarded-Proto",
      headers: {},
      without: "X-Forwarded-Proto",
      got: { ...go(misconfigured), "2026.8": "302 sets" },
    },
    {
      name: "no X-Forwarded-Host",
      headers: { Host: host },
      without: "X-Forwarded-Host",
      got: { ...go(misconfigured), "2026.8": "302 sets" },
    },
    {
      name: "no URL at all",
      headers: { "X-Forwarded-Uri": "@evil.example/" },
      got: { ...go(misconfigured), "2026.8": misconfigured },
    },
    {
      name: "the end of a login that never began",
      headers: { "X-Forwarded-Uri": "/?X-authentik-auth-callback=true" },
      got: { ...go("400"), "2026.8": "400" },
    },
    {
      name: "an unknown host",
      headers: { "X-Forwarded-Host": "elsewhere.example" },
      got: { ...go("400 json"), embedded: "404 html", "2026.8": "400 json" },
    },
  ];
  for (const version of outpostVersions) {
    const outpost = await started(test, version);
    for (const { name, headers, without, got } of rows) {
      const all = Object.entries({ ...forwarded, ...headers }).filter(([header]) => header !== without);
      const reply = await ask(outpost, `${prefix}/auth/traefik`, Object.fromEntries(all));
      test.equal(short(reply), got[version], `${version}: ${name}`);
    }
    const member = await signedIn(outpost);
    const ended = { Cookie: member, "X-Forwarded-Uri": "/?X-authentik-auth-callback=true" };
    test.equal(short(await check(outpost, ended)), "200 user", `${version}: people logged in pass`);
  }
});

t.test("with a single app, a standalone outpost answers for it whatever the host", async (test) => {
  const unknown = { "X-Forwarded-Host": "elsewhere.example" };
  for (const version of goVersions) {
    const outpost = await started(test, version, { singleApp: true });
    const reply = await check(outpost, unknown);
    test.equal(short(reply), "302 sets", version);
    test.equal(new URL(reply?.headers.location ?? "").host, host, version);
  }
  const embedded = await started(test, "embedded", { singleApp: true });
  test.equal(short(await check(embedded, unknown)), "404 html");
  const rust = await started(test, "2026.8", { singleApp: true });
  test.equal(short(await check(rust, unknown)), "400 json");
});

t.test("only from 2026.8 on it matters who forwards", async (test) => {
  const rows = [
    { name: "this machine, by default", version: "2026.8", options: {}, got: "302 sets" },
    {
      name: "elsewhere",
      version: "2026.8",
      options: { trustedProxies: ["10.0.0.0/8", "fd00::/8"] },
      got: "400 json",
    },
    {
      name: "one address",
      version: "2026.8",
      options: { trustedProxies: ["127.0.0.1/32"] },
      got: "302 sets",
    },
    { name: "Go", version: "2026.2", options: { trustedProxies: ["10.0.0.0/8"] }, got: "302 sets" },
  ] as const;
  for (const { name, version, options, got } of rows) {
    test.equal(short(await check(await started(test, version, options))), got, name);
  }
});

t.test("nginx gets a 401 in place of a redirect, and needs X-Original-URL", async (test) => {
  const url = { "X-Original-URL": `https://${host}/page` };
  const unauthorized = '"unauthorized request\\n"';
  for (const version of outpostVersions) {
    const outpost = await started(test, version);
    const member = await signedIn(outpost);
    test.equal(short(await check(outpost, url, "nginx")), `401 sets ${unauthorized}`, version);
    test.equal(short(await check(outpost, { ...url, Cookie: member }, "nginx")), "200 user", version);
    test.match(short(await check(outpost, {}, "nginx")), /^500 /, `${version}: without it`);
    await outpost.setFault("store-full");
    const cookie = version === "2026.8" ? "sets " : "";
    test.equal(short(await check(outpost, url, "nginx")), `401 ${cookie}${unauthorized}`, `${version}: full`);
    const basicToo = await check(outpost, { ...url, Authorization: basic }, "nginx");
    const got = version === "2026.8" ? "200 user" : `401 ${unauthorized}`;
    test.equal(short(basicToo), got, `${version}: full, with Basic`);
  }
});

t.test("Caddy and Envoy get what Traefik gets", async (test) => {
  for (const version of outpostVersions) {
    const outpost = await started(test, version);
    for (const state of ["ok", "store-full"] as const) {
      await outpost.setFault(state);
      const traefik = await check(outpost);
      for (const gateway of ["caddy", "envoy/page", "envoy"]) {
        test.equal(
          short(await check(outpost, {}, gateway)),
          short(traefik),
          `${version} ${state}: ${gateway}`,
        );
      }
    }
  }
  const outpost = await started(test, "2026.2");
  test.equal(
    short(await ask(outpost, `${prefix}/auth/envoy/page`, { Host: host })),
    "302 sets",
    "Host is enough",
  );
  test.equal((await check(outpost, {}, "haproxy"))?.status, 404);
});

t.test("how a login goes on that began before its store was full", async (test) => {
  const rows: readonly { version: OutpostVersion; state: OutpostState; start: string; callback: string }[] = [
    { version: "2025.6", state: "store-full", start: "302", callback: "302" },
    { version: "2025.10", state: "store-full", start: "302", callback: "302" },
    { version: "2026.2", state: "store-full", start: "400", callback: "400" },
    { version: "embedded", state: "store-full", start: "400", callback: "400" },
    { version: "embedded", state: "store-unreadable", start: "400", callback: "400" },
    { version: "embedded", state: "database-hangs", start: "silence", callback: "silence" },
    { version: "2026.8", state: "store-full", start: "302 sets", callback: "500" },
    { version: "2026.2", state: "logins-hang", start: "silence", callback: "silence" },
  ];
  for (const { version, state, start, callback } of rows) {
    const outpost = await started(test, version);
    const login = await almostIn(outpost);
    await outpost.setFault(state);
    const name = `${version}: ${state}`;
    test.equal(short(await ask(outpost, `${prefix}/start?rd=/`, forwarded)), start, `${name}, /start`);
    const ended = await ask(outpost, login.callback, { ...forwarded, Cookie: login.cookie });
    test.equal(short(ended), callback, `${name}, /callback`);
    if (callback === "302")
      test.equal(ended?.headers.location, `https://${host}/page`, `${name}: in a circle`);
    const unknown = await ask(outpost, `${prefix}/callback?state=x`, { ...forwarded, Cookie: login.cookie });
    if (callback === "302") test.equal(unknown?.status, 400, `${name}: an unknown login`);
  }
});

t.test("only the core's own page shows that the core is down", async (test) => {
  const rows = [
    { version: "2026.2", state: "ok", ready: "200", login: "200 html" },
    { version: "2026.2", state: "store-full", ready: "200", login: "200 html" },
    { version: "2026.2", state: "core-down", ready: '503 "Service Unavailable\\n"', login: null },
    { version: "2026.2", state: "core-hangs", ready: "silence", login: "silence" },
    { version: "embedded", state: "core-down", ready: '502 "Bad Gateway\\n"', login: null },
    {
      version: "embedded",
      state: "store-unreadable",
      ready: '503 "Service Unavailable\\n"',
      login: "200 html",
    },
  ] as const;
  for (const { version, state, ready, login } of rows) {
    const outpost = await started(test, version);
    const begun = await check(outpost);
    await outpost.setFault(state);
    const name = `${version}: ${state}`;
    test.equal(short(await ask(outpost, "/-/health/ready/", {})), ready, name);
    test.equal(short(await ask(outpost, locationOf(begun), forwarded)), login ?? ready, `${name}, its login`);
    test.equal(short(await ask(outpost, `${prefix}/ping`, {})), "204", `${name}, ping is shallow`);
  }
  test.equal(short(await ask(await started(test, "2026.2"), "/-/health/live/", {})), "200");
});

t.test("each check without a session writes a file", async (test) => {
  const outpost = await started(test, "2026.2");
  await check(outpost);
  const second = await check(outpost);
  test.equal(outpost.files(), 2);
  await check(outpost, { Cookie: cookieOf(second) });
  test.equal(outpost.files(), 2, "a login that goes on has its file");
  const member = await signedIn(outpost);
  test.equal(outpost.files(), 4, "one where it began, one where it ended");
  await check(outpost, { Cookie: member });
  await ask(outpost, `${prefix}/ping`, {});
  await check(outpost, { "X-Forwarded-Host": "elsewhere.example" });
  test.equal(outpost.files(), 4);
  await check(outpost, { Authorization: basic });
  test.equal(outpost.files(), 5, "credentials begin a session too");
  await outpost.setFault("store-full");
  await check(outpost);
  test.equal(outpost.files(), 6, "a failed save leaves an empty file");
  const database = await started(test, "embedded");
  await database.setFault("store-full");
  await check(database);
  test.equal(database.files(), 0, "and a failed INSERT no row");
});

t.test("a state of another version is refused", async (test) => {
  const outpost = await started(test, "2026.2");
  await test.rejects(outpost.setFault("database-hangs"), {
    message: "this stand-in has no fault database-hangs",
  });
  test.equal(outpost.fault(), "ok");
  test.equal(outpost.version, "2026.2");
});

t.test("a check that is never answered keeps its connection", async (test) => {
  const outpost = await started(test, "2026.2");
  await outpost.setFault("logins-hang");
  const wire = await openWire(outpost.port);
  const head = `Host: ${host}\r\nX-Forwarded-Host: ${host}\r\nX-Forwarded-Proto: https\r\n`;
  wire.send(`GET ${prefix}/auth/traefik HTTP/1.1\r\n${head}\r\n`);
  const member = check(outpost, {});
  test.equal(await member, null);
  await outpost.close();
  test.equal((await wire.end()).text, "");
});
