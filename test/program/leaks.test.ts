/**
 * Passwords, cookies, Authorization values and query strings never show: not in a log, a metric or a reply.
 * Every kind of check is made with marked secrets, then everything that came out is searched.
 */
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import t from "tap";
import { startOutpost } from "../../src/demo/outpost.ts";
import { outpostPrefix } from "../../src/demo/outpost-visit.ts";
import type { FaultName } from "../../src/demo/stand-in.ts";
import { exchangeBytes } from "../demo/wire.ts";
import { basic } from "../support/app.ts";
import { eventually } from "../support/processes.ts";
import { rawUpstream } from "../support/raw-upstream.ts";
import { startSparekey } from "../support/sparekey.ts";

const CHECK = `${outpostPrefix}auth/traefik`;
const mark = (kind: string): string => `leak${kind}${randomBytes(12).toString("hex")}`;
const secret = {
  password: mark("password"),
  guess: mark("guess"),
  nameTypedAsPassword: mark("name"),
  other: mark("other"),
  cookie: mark("cookie"),
  token: mark("token"),
  proxy: mark("proxy"),
  query: mark("query"),
  malformed: mark("malformed"),
} as const;

const authorizations = {
  good: basic("admin", secret.password),
  wrong: basic("admin", secret.guess),
  unknown: basic("nobody", secret.other),
  swapped: basic(secret.nameTypedAsPassword, secret.guess),
  noColon: `Basic ${Buffer.from(secret.other).toString("base64")}`,
  noBase64: `Basic admin:${secret.other}`,
  control: basic("admin", `${secret.guess}\n`),
  token: `Bearer ${secret.token}`,
  digest: `Digest username="admin", response="${secret.token}"`,
} as const;

/** All that must not be seen: the secrets, and how they are written in a header. */
function markers(hashes: string): readonly string[] {
  const encoded = Object.values(authorizations).map((value) => value.split(" ").slice(1).join(" "));
  const hash = hashes.trim().split(":")[1] ?? "";
  return [...Object.values(secret), ...encoded, hash];
}

function check(path: string, lines: readonly string[]): string {
  return [
    `GET ${path}?token=${secret.query} HTTP/1.1`,
    "Host: sparekey",
    "X-Forwarded-Host: app.test",
    "X-Forwarded-Proto: https",
    "X-Forwarded-For: 192.0.2.1",
    `X-Forwarded-Uri: /page?key=${secret.query}`,
    `Cookie: authentik_proxy_5ba4e1c2=${secret.cookie}; other=${secret.cookie}`,
    `Proxy-Authorization: Basic ${secret.proxy}`,
    "Connection: close",
    ...lines,
    "\r\n",
  ].join("\r\n");
}

function checksOf(path: string): readonly string[] {
  const single = Object.values(authorizations).map((value) => check(path, [`Authorization: ${value}`]));
  const twice = [`Authorization: ${authorizations.good}`, `Authorization: ${authorizations.wrong}`];
  return [
    ...single.slice(0, 1).map((good) => good.replace("192.0.2.1", "192.0.2.2")),
    ...single,
    check(path, []),
    check(path, twice),
    check(path, [`X-Requested-With: ${secret.query}`]),
    check(path, ["Content-Length: 31", "Expect: 100-continue"]) + secret.query,
  ];
}

/** Of a stream that has no end: it begins with all there is. */
async function firstMessages(port: number, path: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  let text = "";
  socket.setEncoding("utf8").on("data", (part: string) => {
    text += part;
  });
  socket.write(check(path, []));
  await eventually(
    () => `no message: ${text}`,
    () => text.includes("event: beat") || null,
  );
  socket.destroy();
  return text;
}

const MALFORMED = [
  `GET /check?${secret.malformed} HTTP/9.9\r\nHost: x\r\n\r\n`,
  `GET http://x/${secret.malformed} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
  `GET /check HTTP/1.1\r\nHost: x\r\nCookie ${secret.malformed}\r\n\r\n`,
  `GET /check HTTP/1.1\r\nHost: x\r\nCookie: ${secret.malformed}\0\r\n\r\n`,
  `GET /check HTTP/1.1\r\nHost: x\r\nCookie: ${secret.malformed.repeat(10_000)}\r\n\r\n`,
  `${secret.malformed} / HTTP/1.1\r\nHost: x\r\n\r\n`,
  `GET /check HTTP/1.1\r\nHost: ${secret.malformed}\r\nHost: x\r\nConnection: close\r\n\r\n`,
  `GET /check HTTP/1.1\r\nHost: x\r\nContent-Length: ${secret.malformed}\r\n\r\n`,
  // What no route or admin page answers.
  `GET /nothing/${secret.malformed} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
  `GET /healthz?${secret.malformed} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
  `POST /metrics?${secret.malformed} HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorizations.good}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
];

const ADMIN_PATHS = ["/", "/healthz", "/readyz", "/metrics", "/status.json", "/status/page.js", "/operator"];
const STREAMS = ["/events", "/status/live"];
const FAULTS: readonly FaultName[] = [
  "ok",
  "reset",
  "status-503",
  "status-500",
  "bare-400",
  "truncate",
  "garbage",
  "oversize-head",
  "interim",
  "close-delimited",
  "refuse",
];

t.test("no secret shows anywhere", async (t) => {
  const outpost = await startOutpost({ port: 0, hosts: ["app.test"] });
  t.teardown(() => outpost.close());
  const silent = await rawUpstream(t, () => {});
  const yaml = `
listen: "127.0.0.1:0"
log: { level: debug, access: all }
routes:
  - preset: authentik
    upstream: "http://127.0.0.1:${outpost.port}"
    breaker: { failures: 1000 }
    fallback: { htpasswd: htpasswd, rateLimit: { failures: 1000, global: 1000 } }
  - name: limited
    path: /limited
    upstream: "http://127.0.0.1:${silent.port}"
    timeouts: { read: 1s }
    breaker: { failures: 1000 }
    fallback: { htpasswd: htpasswd, rateLimit: { failures: 1 } }
  - { name: deny, path: /deny, upstream: "http://127.0.0.1:${silent.port}", timeouts: { read: 1s }, fallback: { mode: deny } }
  - { name: none, path: /none/*, upstream: "http://127.0.0.1:${outpost.port}", fallback: { mode: none } }
`;
  const sparekey = await startSparekey(t, yaml, { users: { admin: secret.password } });
  const [{ port }] = sparekey.listen;
  const replies: string[] = [];
  const send = async (to: number, bytes: string): Promise<void> => {
    replies.push((await exchangeBytes(to, bytes)).text);
  };

  for (const fault of FAULTS) {
    await outpost.setFault(fault);
    for (const bytes of [...checksOf(CHECK), ...checksOf("/none/x")]) await send(port, bytes);
  }
  for (const path of ["/limited", "/deny"])
    await Promise.all(checksOf(path).map((bytes) => send(port, bytes)));
  for (const bytes of MALFORMED) {
    await send(port, bytes);
    await send(sparekey.admin.port, bytes);
  }
  for (const path of ADMIN_PATHS) await send(sparekey.admin.port, check(path, []));
  for (const path of STREAMS) replies.push(await firstMessages(sparekey.admin.port, path));
  const metrics = await sparekey.metrics();
  await sparekey.stop();
  const { stdout, stderr } = sparekey.process;

  await t.test("the checks were made as meant", async (t) => {
    const statuses = new Set(replies.map((text) => text.split(" ")[1]));
    for (const status of ["200", "302", "400", "401", "404", "429", "431", "502", "503"])
      t.ok(statuses.has(status), `a reply was ${status}`);
    for (const result of ["ok", "bad", "missing", "limited"])
      t.match(metrics, new RegExp(`emergency_logins_total\\{.*result="${result}"\\} [1-9]`), result);
    t.ok(sparekey.logs().filter(({ msg }) => msg === "check").length > 50);
    const seen = outpost.received().flatMap(({ headers }) => headers);
    t.ok(seen.includes(authorizations.token), "other credentials reach the upstream");
  });

  await t.test("emergency credentials stay here", async (t) => {
    const asked = outpost.received().filter(({ target }) => target.startsWith(CHECK));
    const seen = asked.flatMap(({ headers }) => headers);
    t.notOk(seen.includes(authorizations.good));
    t.notOk(seen.includes(authorizations.wrong));
  });

  await t.test("nothing came out", async (t) => {
    const places = { stdout: stdout(), stderr: stderr(), metrics, replies: replies.join("\n") };
    const hashes = await readFile(join(sparekey.folder, "htpasswd"), "utf8");
    for (const [place, text] of Object.entries(places)) {
      for (const marker of markers(hashes))
        t.notOk(text.includes(marker), `${place}: ${marker.slice(0, 16)}…`);
    }
    t.equal(places.stderr, "");
  });
});
