/** Everything a real process may be fed that is wrong: configs, htpasswd files, and the bytes of a check. */
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import t, { type Test } from "tap";
import { openWire } from "../demo/wire.ts";
import { type Answered, ask, basic, sample } from "../support/app.ts";
import { eventually, finished, temporaryFolder } from "../support/processes.ts";
import { rawUpstream } from "../support/raw-upstream.ts";
import { htpasswdOf, type Sparekey, sparekeyProcess, startSparekey } from "../support/sparekey.ts";

const PASSWORD = "correct horse";

t.test("a broken config never starts", async (t) => {
  const rows = [
    ["a wrong value", "routes: []\nlisten: 5\n", 2],
    ["an unknown key", "routes: [{ preset: authentik, upstream: http://x }]\nfrobnicate: yes\n", 1],
    ["no YAML", "routes: [\n", 1],
    ["nothing", "", 1],
    ["two documents", "routes: []\n---\nroutes: []\n", 1],
  ] as const;
  const breaks = async ([name, text, problems]: (typeof rows)[number]): Promise<void> => {
    const file = join(await temporaryFolder(t), "c.yaml");
    await writeFile(file, text);
    const { code, stdout, stderr } = await finished(sparekeyProcess(t, ["run", "--config", file]));
    const lines = stderr.trimEnd().split("\n");
    t.equal(code, 1, name);
    t.equal(stdout, "", `${name}: nothing was started`);
    t.ok(lines.length >= problems, `${name}: every problem is named`);
    for (const line of lines) t.match(line.replace(file, "FILE"), /^FILE:\d+:\d+ /, name);
  };
  await Promise.all(rows.map(breaks));
});

t.test("without its htpasswd file it starts, says so, and takes the file when it comes", async (t) => {
  const upstream = await rawUpstream(t, (socket) =>
    socket.write("HTTP/1.1 503 Down\r\nContent-Length: 0\r\n\r\n"),
  );
  const yaml = `
listen: "127.0.0.1:0"
routes:
  - { name: login, path: /login, upstream: "http://127.0.0.1:${upstream.port}", fallback: { htpasswd: htpasswd } }
`;
  const sparekey = await startSparekey(t, yaml, { users: null });
  const [{ url }] = sparekey.listen;
  const file = join(sparekey.folder, "htpasswd");
  const login = (headers: Record<string, string> = {}): Promise<Answered> => ask(`${url}/login`, { headers });
  const right = { Authorization: basic("admin", PASSWORD) };
  const users = async () => sample(await sparekey.metrics(), 'sparekey_htpasswd_users{route="login"}');
  const checkConfig = () =>
    finished(sparekeyProcess(t, ["check", "--config", join(sparekey.folder, "sparekey.yaml")]));
  const until = (status: number) =>
    eventually(
      () => `a check does not become ${status}`,
      async () => ((await login()).status === status ? true : null),
    );

  const told = await sparekey.log(({ msg }) => msg.startsWith("htpasswd unreadable"));
  t.match(told, { level: "error", file, problem: "it does not exist" });
  t.equal(await users(), 0);
  t.match(await login(), { status: 503, headers: { "x-auth-fallback": "basic-auth" } });
  t.match(await login(right), { status: 503 });
  const bad = await checkConfig();
  t.equal(bad.code, 1);
  t.match(
    bad.stdout,
    /sparekey\.yaml:\d+:\d+ routes\[0\]\.fallback\.htpasswd: .* it does not exist; make it with sparekey passwd\n$/,
  );
  t.equal((await ask(`${sparekey.admin.url}/readyz`)).status, 200, "other routes may be fine");

  await writeFile(file, htpasswdOf({ admin: PASSWORD }));
  await until(401);
  t.equal((await login(right)).status, 200);
  t.equal(await users(), 1);
  t.match(await sparekey.log(({ msg }) => msg === "htpasswd loaded"), { file, users: 1 });
  t.equal((await checkConfig()).code, 0);

  await rm(file);
  await until(503);
  t.equal((await login(right)).status, 503, "a remembered login goes with the file");
  t.equal(await users(), 0);

  await writeFile(file, "admin:plain text\n\u0000\n");
  await sparekey.log(({ msg }) => msg === "htpasswd has no users: nobody can log in by it");
  t.equal((await login({ Authorization: basic("admin", "plain text") })).status, 503);
});

const HOST = "Host: sparekey\r\n";
const END = "Connection: close\r\n\r\n";
/** Bytes that are no check, and the statuses they may get. */
const MALFORMED: readonly (readonly [name: string, bytes: string, status: 400 | 431])[] = [
  ["NUL in a value", `GET /check HTTP/1.1\r\n${HOST}X-A: a\0b\r\n\r\n`, 400],
  ["NUL in a name", `GET /check HTTP/1.1\r\n${HOST}X-\0A: a\r\n\r\n`, 400],
  ["NUL in the target", `GET /check?\0 HTTP/1.1\r\n${HOST}\r\n`, 400],
  ["another control in a value", `GET /check HTTP/1.1\r\n${HOST}X-A: a\x01b\r\n\r\n`, 400],
  ["a control in the target", `GET /check?\x7f HTTP/1.1\r\n${HOST}${END}`, 400],
  ["a bare LF after the request line", `GET /check HTTP/1.1\n${HOST}\r\n`, 400],
  ["a bare LF after a header", `GET /check HTTP/1.1\r\n${HOST}X-A: a\nX-B: b\r\n\r\n`, 400],
  ["a bare LF at the end", `GET /check HTTP/1.1\r\n${HOST}\n`, 400],
  ["a bare CR in a value", `GET /check HTTP/1.1\r\n${HOST}X-A: a\rX-B: b\r\n\r\n`, 400],
  ["a header without a colon", `GET /check HTTP/1.1\r\n${HOST}Cookie\r\n\r\n`, 400],
  ["a header without a name", `GET /check HTTP/1.1\r\n${HOST}: a\r\n\r\n`, 400],
  ["a space before the colon", `GET /check HTTP/1.1\r\n${HOST}Cookie : a\r\n\r\n`, 400],
  ["a space inside a name", `GET /check HTTP/1.1\r\n${HOST}X A: a\r\n\r\n`, 400],
  ["a space before the first header", `GET /check HTTP/1.1\r\n ${HOST}\r\n`, 400],
  ["a folded header", `GET /check HTTP/1.1\r\n${HOST}X-A: a\r\n b\r\n\r\n`, 400],
  [
    "Transfer-Encoding and Content-Length",
    `POST /check HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n`,
    400,
  ],
  [
    "two Content-Lengths",
    `POST /check HTTP/1.1\r\n${HOST}Content-Length: 3\r\nContent-Length: 0\r\n\r\nabc`,
    400,
  ],
  ["a Content-Length that is no number", `POST /check HTTP/1.1\r\n${HOST}Content-Length: +3\r\n\r\nabc`, 400],
  [
    "a Transfer-Encoding that does not end in chunked",
    `POST /check HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
    400,
  ],
  ["no Host", `GET /check HTTP/1.1\r\n${END}`, 400],
  ["two Hosts", `GET /check HTTP/1.1\r\n${HOST}Host: other\r\n${END}`, 400],
  ["two Hosts that are the same", `GET /check HTTP/1.1\r\n${HOST}host: sparekey\r\n${END}`, 400],
  ["a target in absolute form", `GET http://sparekey/check HTTP/1.1\r\n${HOST}${END}`, 400],
  ["a target in asterisk form", `OPTIONS * HTTP/1.1\r\n${HOST}${END}`, 400],
  ["a target without a slash", `GET check HTTP/1.1\r\n${HOST}${END}`, 400],
  ["a target with a fragment", `GET /check#a HTTP/1.1\r\n${HOST}${END}`, 400],
  ["a target with a space", `GET /check a HTTP/1.1\r\n${HOST}${END}`, 400],
  ["no target", `GET HTTP/1.1\r\n${HOST}\r\n`, 400],
  ["HTTP/1.2", `GET /check HTTP/1.2\r\n${HOST}${END}`, 400],
  ["HTTP/2.0", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400],
  ["a version that is none", `GET /check HTTP/1.1x\r\n${HOST}\r\n`, 400],
  ["another protocol's version", `GET /check ICE/1.0\r\n${HOST}\r\n`, 400],
  ["an unknown method", `BREW /check HTTP/1.1\r\n${HOST}\r\n`, 400],
  ["a method in lower case", `get /check HTTP/1.1\r\n${HOST}\r\n`, 400],
  ["the beginning of TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03aaaaaaaaaaaaaaaaaaaaaaaa", 400],
  [
    "a head that is too large in one header",
    `GET /check HTTP/1.1\r\n${HOST}Cookie: ${"a".repeat(300_000)}\r\n\r\n`,
    431,
  ],
  [
    "a head that is too large in many",
    `GET /check HTTP/1.1\r\n${HOST}${`X-A: ${"a".repeat(1000)}\r\n`.repeat(300)}\r\n`,
    431,
  ],
  ["a target that is too large", `GET /check?${"a".repeat(300_000)} HTTP/1.1\r\n${HOST}\r\n`, 431],
];

async function startChecks(
  t: Test,
): Promise<{ readonly sparekey: Sparekey; readonly heads: readonly string[] }> {
  const upstream = await rawUpstream(t, (socket) =>
    socket.write("HTTP/1.1 200 OK\r\nX-From: upstream\r\nContent-Length: 0\r\n\r\n"),
  );
  const yaml = `
listen: "127.0.0.1:0"
routes:
  - { name: check, path: /check, upstream: "http://127.0.0.1:${upstream.port}", fallback: { mode: allow } }
  - { name: plain, path: /plain/*, upstream: "http://127.0.0.1:${upstream.port}", fallback: { mode: none } }
`;
  return { sparekey: await startSparekey(t, yaml), heads: upstream.heads };
}

const GOOD = `GET /check HTTP/1.1\r\n${HOST}\r\n`;
const GOOD_REPLY = /^HTTP\/1\.1 200 OK\r\nX-From: upstream\r\n/;

t.test("malformed checks", async (t) => {
  const { sparekey, heads } = await startChecks(t);
  const [{ port }] = sparekey.listen;
  const bystander = await openWire(port);
  t.teardown(() => bystander.close());
  bystander.send(GOOD);
  await bystander.until("\r\n\r\n");
  const before = heads.length;

  for (const [name, bytes, status] of MALFORMED) {
    const wire = await openWire(port);
    t.teardown(() => wire.close());
    wire.send(bytes);
    const { text } = await wire.end();
    t.equal(text.split("\r\n", 1)[0]?.slice(0, 12), `HTTP/1.1 ${status}`, name);
    t.equal(text.split("HTTP/1.1 ").length, 2, `${name}: one reply`);
  }
  await t.test("CONNECT gets no tunnel", async (t) => {
    const wire = await openWire(port);
    wire.send(`CONNECT /check HTTP/1.1\r\n${HOST}\r\n`);
    t.notMatch((await wire.end()).text, /^HTTP\/1\.1 2/);
  });

  t.equal(heads.length, before, "the upstream saw none of it");
  bystander.send(GOOD.replace("/check", "/check?again"));
  t.match(
    await eventually(
      () => "the bystander gets no reply",
      () => heads[before] ?? null,
    ),
    "GET /check?again ",
  );
  bystander.send(`GET /check?last HTTP/1.1\r\n${HOST}${END}`);
  const { text } = await bystander.end();
  t.equal(text.split("X-From: upstream").length, 4, "other connections go on");
  t.match(
    await sparekey.metrics(),
    'sparekey_checks_total{route="check",source="upstream",verdict="allow"} 3\n',
  );
  t.equal(sparekey.process.stderr(), "");
});

t.test("HTTP/0.9, which has no headers, is refused", async (t) => {
  const { sparekey, heads } = await startChecks(t);
  const wire = await openWire(sparekey.listen[0].port);
  wire.send("GET /check\r\n\r\n");
  t.match((await wire.end()).text, /^HTTP\/1\.1 400 /);
  t.same(heads, []);
});

t.test("a malformed check behind a good one never becomes its reply", async (t) => {
  const { sparekey, heads } = await startChecks(t);
  const [{ port }] = sparekey.listen;
  for (const [index, [name, bytes]] of MALFORMED.entries()) {
    const wire = await openWire(port);
    t.teardown(() => wire.close());
    wire.send(GOOD.replace("/check", `/check?${index}`) + bytes);
    const { text } = await wire.end();
    t.ok(text === "" || GOOD_REPLY.test(text), `${name}: ${text.slice(0, 40)}`);
  }
  // A good one whose connection was cut may have gone on all the same, but never twice.
  const targets = heads.map((head) => /^GET \/check\?(\d+) HTTP\/1\.1\r\n/.exec(head)?.[1]);
  t.notOk(targets.includes(undefined), "nothing but the good ones went on");
  t.equal(new Set(targets).size, targets.length);
});

t.test("a body that is malformed", async (t) => {
  const { sparekey, heads } = await startChecks(t);
  const [{ port }] = sparekey.listen;
  const chunked = `POST /plain/x HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n`;
  for (const body of ["zz\r\nabc\r\n0\r\n\r\n", "3\nabc\r\n0\r\n\r\n", "3\r\nabcdef\r\n0\r\n\r\n"]) {
    const wire = await openWire(port);
    t.teardown(() => wire.close());
    wire.send(`${chunked}${body}GET /check?smuggled HTTP/1.1\r\n${HOST}\r\n`);
    await wire.end();
  }
  t.notMatch(heads.join(""), "smuggled");
});

t.test("a large head passes up to the limit", async (t) => {
  const { sparekey, heads } = await startChecks(t);
  const [{ url }] = sparekey.listen;
  const cookie = "authentik_proxy=".padEnd(200 * 1024, "c");
  t.equal((await ask(`${url}/check`, { headers: { Cookie: cookie } })).status, 200);
  t.ok(heads[0]?.includes(`\r\nCookie: ${cookie}\r\n`), "unchanged");
  const many = Object.fromEntries(Array.from({ length: 990 }, (_, index) => [`X-${index}`, "a"]));
  t.equal((await ask(`${url}/check`, { headers: { ...many, "X-Last": "b" } })).status, 200);
  t.match(heads[1], "\r\nX-Last: b\r\n", "the last of many headers arrives");
});
