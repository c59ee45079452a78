/** Every fault of an upstream × every mode of a fallback, over real sockets, replies and counters alike. */
import { createServer } from "node:http";
import { join } from "node:path";
import t, { type Test } from "tap";
import { startOutpost } from "../../src/demo/outpost.ts";
import type { FaultName } from "../../src/demo/stand-in.ts";
import { type Answered, ask, basic, type Served, sample, serve } from "../support/app.ts";
import { silentPort } from "../support/silent-port.ts";
import { htpasswdOf } from "../support/sparekey.ts";
import { unstalled } from "../support/unstalled.ts";
import { warmedUp } from "../support/warm.ts";

const PATH = "/outpost.goauthentik.io/auth/traefik";
const HOST = "app.example.com";
const FORWARDED = {
  "X-Forwarded-Proto": "https",
  "X-Forwarded-Host": HOST,
  "X-Forwarded-Uri": "/page",
  "X-Forwarded-For": "192.0.2.7",
};
const MODES = ["allow", "basic-auth", "deny", "none"] as const;

/** Each route has a listener of its own. Deadlines are far apart, so that a slow machine cannot mix them up. */
function config(upstream: string, htpasswd: string): string {
  const routes = MODES.map((mode, index) => {
    const password = mode === "basic-auth" ? `, htpasswd: ${htpasswd}` : "";
    return `
  - name: ${mode}
    preset: authentik
    listen: 127.0.0.${index + 1}:0
    upstream: ${upstream}
    timeouts: { connect: 400ms, read: 400ms, total: 1200ms }
    fallback: { mode: ${mode}${password} }`;
  });
  return `admin: { listen: "127.0.0.9:0" }\nroutes:${routes.join("")}\n`;
}

function htpasswdFile(t: Test): string {
  return join(t.testdir({ htpasswd: htpasswdOf({ admin: "right" }) }), "htpasswd");
}

type Expected =
  | {
      readonly reason: string;
      /** What a `none` route replies. */
      readonly gateway: 502 | 504;
      /** What a `none` route relays in its place. */
      readonly status?: number;
      readonly isSuspect?: boolean;
    }
  | { readonly relayed: number };

const FAULTS: Readonly<Record<Exclude<FaultName, "ok">, Expected>> = {
  refuse: { reason: "refused", gateway: 502 },
  hang: { reason: "read_timeout", gateway: 504 },
  reset: { reason: "reset", gateway: 502 },
  "status-503": { reason: "status_503", gateway: 502, status: 503 },
  // Row three of the evidence: the probe gets the same, so it is the upstream.
  "status-500": { reason: "status_500", gateway: 502, status: 500, isSuspect: true },
  "bare-400": { reason: "bare_400", gateway: 502, status: 400, isSuspect: true },
  drip: { reason: "total_timeout", gateway: 504 },
  truncate: { reason: "reset", gateway: 502 },
  garbage: { reason: "malformed", gateway: 502 },
  "oversize-head": { reason: "too_large", gateway: 502 },
  interim: { relayed: 302 },
  "close-delimited": { relayed: 302 },
};

for (const [fault, expected] of Object.entries(FAULTS)) {
  t.test(`upstream: ${fault}`, async (t) => {
    const outpost = await startOutpost({ port: 0, hosts: [HOST], dripMs: 40 });
    t.teardown(() => outpost.close());
    const yaml = config(outpost.url, htpasswdFile(t));
    await everyMode(t, yaml, expected, async ({ urls, metrics }) => {
      await outpost.setFault("ok");
      await warmedUp(metrics, ["allow", "basic-auth", "deny"], async (mode) => {
        const url = urls[MODES.indexOf(mode as (typeof MODES)[number])];
        t.equal((await check(`${url}${PATH}`)).status, 302);
      });
      await outpost.setFault(fault as FaultName);
    });
  });
}

/** Nothing is proven then. A wrong probe may be refused by a healthy upstream, so only what no probe brings about counts. */
t.test(
  "restarted in the midst of an outage, an open door opens where the upstream does not answer at all",
  async (t) => {
    const silences: ReadonlySet<string> = new Set(["refuse", "hang"]);
    for (const [fault, expected] of Object.entries(FAULTS)) {
      if ("relayed" in expected) continue;
      const outpost = await startOutpost({ port: 0, hosts: [HOST], dripMs: 40 });
      t.teardown(() => outpost.close());
      await outpost.setFault(fault as FaultName);
      const { urls } = await serve(t, config(outpost.url, htpasswdFile(t)));
      const [allow, login, deny] = await Promise.all(urls.map((url) => check(url + PATH)));
      const opens = silences.has(fault);
      t.equal(allow?.headers["x-auth-fallback"], opens ? "allow" : undefined, `${fault}: allow`);
      t.equal(allow?.status, opens ? 200 : 503, `${fault}: allow`);
      t.equal(login?.status, 401, `${fault}: the emergency login is shown`);
      t.equal(deny?.headers["x-auth-fallback"], "deny", `${fault}: deny`);
    }
  },
);

t.test("upstream: never accepts", async (t) => {
  const silent = await silentPort();
  t.teardown(() => silent.end());
  await everyMode(t, config(`http://127.0.0.1:${silent.port}`, htpasswdFile(t)), {
    reason: "connect_timeout",
    gateway: 504,
  });
});

t.test("upstream: a name that does not resolve", async (t) => {
  await everyMode(t, config("http://outpost.invalid:9000", htpasswdFile(t)), { reason: "dns", gateway: 502 });
});

t.test("upstream: TLS expected, plain HTTP spoken", async (t) => {
  const plain = createServer((_request, response) => response.end());
  await new Promise<void>((resolve) => {
    plain.listen(0, "127.0.0.1", resolve);
  });
  t.teardown(() => plain.close());
  const address = plain.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  await everyMode(t, config(`https://127.0.0.1:${port}`, htpasswdFile(t)), { reason: "tls", gateway: 502 });
});

interface Answers {
  readonly served: Served;
  readonly answers: readonly [Answered, Answered, Answered, Answered, Answered, Answered];
}

/** Brings the fault about. */
type Begin = (served: Served) => Promise<void>;

/** By a sparekey of its own. */
async function askAll(t: Test, yaml: string, begin: Begin): Promise<Answers> {
  const served = await serve(t, yaml);
  await begin(served);
  const [allow = "", login = "", deny = "", none = ""] = served.urls.map((url) => url + PATH);
  const answers = await Promise.all([
    check(allow),
    check(login),
    check(login, basic("admin", "wrong")),
    check(login, basic("admin", "right")),
    check(deny),
    check(none),
  ]);
  return { served, answers };
}

const SHED = /^sparekey_checks_total\{.*source="shed".*\} [1-9]/m;

async function everyMode(
  t: Test,
  yaml: string,
  expected: Expected,
  begin: Begin = async () => {},
): Promise<void> {
  const { served, answers } = await unstalled(
    () => askAll(t, yaml, begin),
    async ({ served }) => SHED.test(await served.metrics()),
  );
  const [open, asked, wrong, right, closed, plain] = answers;
  if ("relayed" in expected) {
    for (const answered of answers) {
      t.equal(answered.status, expected.relayed);
      t.notOk(answered.headers["x-auth-fallback"], "no fallback");
    }
    return;
  }
  same(t, open, { status: 200, fallback: "allow", text: "" }, "allow");
  t.notOk(open.headers["x-authentik-username"], "allow gives no identity");
  same(t, asked, { status: 401, fallback: "basic-auth" }, "login without credentials");
  t.equal(asked.headers["www-authenticate"], 'Basic realm="Emergency Access", charset="UTF-8"');
  same(t, wrong, { status: 401, fallback: "basic-auth" }, "login with a wrong password");
  same(t, right, { status: 200, fallback: "basic-auth", text: "" }, "login with the right password");
  t.equal(right.headers["x-authentik-username"], "admin");
  for (const name of ["uid", "email", "name", "groups"])
    t.equal(right.headers[`x-authentik-${name}`], "", name);
  same(t, closed, { status: 503, fallback: "deny" }, "deny");
  t.ok(closed.headers["retry-after"]);
  t.equal(plain.status, expected.status ?? expected.gateway, "none");
  t.notOk(plain.headers["x-auth-fallback"], "none is no fallback reply");
  await counted(t, served, expected.reason, expected.isSuspect ?? false);
}

function check(url: string, authorization?: string): Promise<Answered> {
  return ask(url, { headers: { ...FORWARDED, ...(authorization && { Authorization: authorization }) } });
}

function same(
  t: Test,
  answered: Answered,
  expected: { readonly status: number; readonly fallback: string; readonly text?: string },
  name: string,
): void {
  t.equal(answered.status, expected.status, `${name}: status`);
  t.equal(answered.headers["x-auth-fallback"], expected.fallback, `${name}: X-Auth-Fallback`);
  t.equal(answered.headers["cache-control"], "no-store", `${name}: Cache-Control`);
  if (expected.text !== undefined) t.equal(answered.text, expected.text, `${name}: body`);
}

async function counted(t: Test, served: Served, reason: string, isSuspect: boolean): Promise<void> {
  const metrics = await served.metrics();
  const fallbacks = [
    ["allow", "allowed"],
    ["basic-auth", "challenged"],
    ["basic-auth", "rejected"],
    ["basic-auth", "allowed"],
    ["deny", "denied"],
  ] as const;
  for (const [mode, result] of fallbacks) {
    const labels = `route="${mode}",mode="${mode}",reason="${reason}",result="${result}"`;
    t.equal(sample(metrics, `sparekey_fallback_total{${labels}}`), 1, labels);
  }
  t.equal(sample(metrics, `sparekey_faults_total{route="basic-auth",reason="${reason}"}`), 3);
  if (!isSuspect) t.equal(sample(metrics, `sparekey_faults_total{route="none",reason="${reason}"}`), 1);
  t.equal(sample(metrics, "sparekey_in_flight"), 0);
}
