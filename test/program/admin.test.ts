/** What a person does on the admin listener of a real process, and what checks get of it. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import t, { type Test } from "tap";
import { ask, basic, sample } from "../support/app.ts";
import { rawUpstream } from "../support/raw-upstream.ts";
import { htpasswdOf, startSparekey } from "../support/sparekey.ts";

const PASSWORD = basic("root", "open sesame");

async function scene(t: Test) {
  const upstream = await rawUpstream(t, (socket) => socket.write("HTTP/1.1 204 Fine\r\n\r\n"));
  const yaml = `
listen: "127.0.0.1:0"
routes:
  - { name: sso, path: /auth, upstream: "http://127.0.0.1:${upstream.port}", fallback: { htpasswd: htpasswd } }
`;
  const users = { root: "open sesame", eve: "emergency" };
  const sparekey = await startSparekey(t, yaml, { users, adminHtpasswd: "htpasswd" });
  const [{ url }] = sparekey.listen;
  const post = (path: string, body: unknown, authorization = PASSWORD) =>
    ask(`${sparekey.admin.url}${path}`, {
      method: "POST",
      headers: { Authorization: authorization },
      body: JSON.stringify(body),
    });
  const override = (body: unknown) => post("/-/routes/sso/override", body);
  const check = async () => (await ask(`${url}/auth`)).status;
  return { sparekey, post, override, check };
}

t.test("a route is put into its fallback and back by hand, and it is said who did it", async (t) => {
  const { sparekey, override, check } = await scene(t);
  t.equal(await check(), 204);
  t.equal((await override({ mode: "fallback", ttl: "1h" })).status, 200);
  t.equal(await check(), 401);
  const metrics = await sparekey.metrics();
  t.equal(sample(metrics, 'sparekey_checks_total{route="sso",source="override",verdict="challenge"}'), 1);
  t.equal(sample(metrics, 'sparekey_fallback_active{route="sso"}'), 1);
  t.equal((await override({ mode: "auto" })).status, 200);
  t.equal(await check(), 204);
  const begins = await sparekey.log(({ msg }) => msg === "override begins");
  t.match(begins, { route: "sso", mode: "fallback", seconds: 3_600, user: "root" });
  const ended = await sparekey.log(({ msg }) => msg === "override ended");
  t.match(ended, { route: "sso", mode: "fallback", by: "person", user: "root" });
});

t.test("an override outlives a reload, and not its route", async (t) => {
  const { sparekey, post, override, check } = await scene(t);
  await override({ mode: "fallback", ttl: "1h" });
  const file = join(sparekey.folder, "sparekey.yaml");
  const yaml = await readFile(file, "utf8");
  await writeFile(file, `${yaml}log: { level: debug }\n`);
  t.same(JSON.parse((await post("/-/reload", null)).text), { ok: true });
  t.equal(await check(), 401);
  await writeFile(file, yaml.replace("name: sso", "name: other"));
  t.same(JSON.parse((await post("/-/reload", null)).text), { ok: true });
  t.equal(await check(), 204);
  t.match(await sparekey.log(({ msg }) => msg === "override ended"), { by: "reload", user: null });
});

t.test("it ends by itself", async (t) => {
  const { sparekey, override, check } = await scene(t);
  await override({ mode: "fallback", ttl: "1s" });
  t.match(await sparekey.log(({ msg }) => msg === "override ended"), { by: "expiry", user: null });
  t.equal(await check(), 204);
});

t.test("regression: who was let in before an override is not let in by grace after it", async (t) => {
  const pass = "HTTP/1.1 200 OK\r\nX-authentik-username: eve\r\nContent-Length: 0\r\n\r\n";
  const upstream = await rawUpstream(t, (socket, _head, count) =>
    socket.write(count === 1 ? pass : "HTTP/1.1 503 Down\r\nContent-Length: 0\r\n\r\n"),
  );
  const yaml = `
listen: "127.0.0.1:0"
routes:
  - { name: sso, path: /auth, upstream: "http://127.0.0.1:${upstream.port}", fallback: { mode: deny, grace: 1h } }
`;
  const users = { root: "open sesame" };
  const sparekey = await startSparekey(t, yaml, { users, adminHtpasswd: "htpasswd" });
  const [{ url }] = sparekey.listen;
  const headers = { "X-Forwarded-Host": "app.example", Cookie: "session=eve" };
  const check = () => ask(`${url}/auth`, { headers });
  const override = (body: unknown) =>
    ask(`${sparekey.admin.url}/-/routes/sso/override`, {
      method: "POST",
      headers: { Authorization: PASSWORD },
      body: JSON.stringify(body),
    });
  t.equal((await check()).status, 200);
  await override({ mode: "fallback", ttl: "1h" });
  await override({ mode: "auto" });
  t.equal((await check()).headers["x-auth-fallback"], "deny");
});

t.test("a reload by hand tells at once what became of it", async (t) => {
  const { sparekey, post, check } = await scene(t);
  const file = join(sparekey.folder, "sparekey.yaml");
  const before = await readFile(file, "utf8");
  await writeFile(file, "routes: 5\n");
  const refused = await post("/-/reload", null);
  t.equal(refused.status, 422);
  t.match(JSON.parse(refused.text).problems[0], /sparekey\.yaml:1:9 routes: value 5 is not a list/);
  t.equal(await check(), 204);
  t.equal(sample(await sparekey.metrics(), "sparekey_config_last_reload_successful"), 0);
  await writeFile(file, before);
  t.equal((await post("/-/reload", null)).status, 200);
  t.equal(sample(await sparekey.metrics(), "sparekey_config_last_reload_successful"), 1);
  t.match(await sparekey.log(({ msg }) => msg === "reload asked for"), { user: "root" });
});

t.test("the admin's file may be another one, and its names stay out of the checks", async (t) => {
  const { sparekey, post } = await scene(t);
  t.equal((await post("/-/reload", null, basic("eve", "emergency"))).status, 200, "every user of the file");
  t.equal((await post("/-/reload", null, basic("eve", "guess"))).status, 401);
  const file = join(sparekey.folder, "sparekey.yaml");
  const closed = (await readFile(file, "utf8")).replace(/htpasswd: htpasswd }\n/, "htpasswd: null }\n");
  await writeFile(file, closed);
  t.equal((await post("/-/reload", null)).status, 200);
  t.equal((await post("/-/reload", null)).status, 403, "without a file nobody may");
});

t.test("regression: a reload that is refused locks nobody out", async (t) => {
  const { sparekey, post } = await scene(t);
  await writeFile(join(sparekey.folder, "others"), htpasswdOf({ kim: "other" }));
  const file = join(sparekey.folder, "sparekey.yaml");
  const yaml = await readFile(file, "utf8");
  const taken = `listen: "${sparekey.admin.host}:${sparekey.admin.port}"`;
  const changed = yaml.replace("htpasswd: htpasswd }\n", "htpasswd: others }\n");
  await writeFile(file, changed.replace('listen: "127.0.0.1:0"\nroutes', `${taken}\nroutes`));
  t.equal((await post("/-/reload", null)).status, 422, "its port is taken");
  await writeFile(file, changed);
  t.equal((await post("/-/reload", null)).status, 200);
  t.equal((await post("/-/reload", null)).status, 401, "then the other file counts");
  t.equal((await post("/-/reload", null, basic("kim", "other"))).status, 200);
});

t.test("regression: a reload that moves the admin listener is answered on the old one", async (t) => {
  const { sparekey, post } = await scene(t);
  const file = join(sparekey.folder, "sparekey.yaml");
  const yaml = await readFile(file, "utf8");
  await writeFile(
    file,
    yaml.replace('{ listen: "127.0.0.1:0", htpasswd', '{ listen: "127.0.0.3:0", htpasswd'),
  );
  const reply = await post("/-/reload", null);
  t.equal(reply.status, 200);
  t.same(JSON.parse(reply.text), { ok: true });
  await t.rejects(post("/-/reload", null), "which is gone then");
});
