import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { createServer, request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { compare } from "bcrypt";
import t, { type Test } from "tap";
import { parse } from "yaml";
import { type DemoIo, demoCommand } from "../../src/commands/demo.ts";
import { parseConfig } from "../../src/config/load.ts";
import { listen } from "../../src/demo/listening.ts";
import { type OutpostVersion, outpostVersions } from "../../src/demo/outpost-versions.ts";
import { missing } from "../support/programs.ts";

const run = promisify(execFile);

/** Stands in for sparekey: it passes each route's path to its upstream, without a fallback. */
async function passThrough(yaml: string) {
  const config = parse(yaml);
  const upstreams = new Map<string, string>();
  for (const route of config.routes) {
    const path = { authentik: "/outpost.goauthentik.io/auth/traefik", "bot-block": "/auth" }[
      String(route.preset)
    ];
    upstreams.set(path ?? route.path.replace("*", ""), route.upstream);
  }
  const prefix = "/outpost.goauthentik.io/";
  const server = createServer((request, response) => {
    const path = request.url?.split("?")[0] ?? "";
    const upstream = upstreams.get(path) ?? (path.startsWith(prefix) ? upstreams.get(prefix) : undefined);
    const asked = httpRequest(`${upstream}${request.url}`, {
      method: request.method ?? "",
      headers: request.headers,
    });
    asked.on("response", (answer) => {
      response.writeHead(answer.statusCode ?? 0, answer.rawHeaders);
      answer.pipe(response);
    });
    asked.on("error", () => response.writeHead(503, { "X-Auth-Fallback": "deny" }).end());
    request.pipe(asked);
  });
  return listen(server, Number(config.listen.split(":")[1]));
}

/** Makes a fresh one at each call, for tests that run more than one demo. */
async function emptyDir(test: Test): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "demo-test-"));
  test.teardown(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

interface Running {
  readonly text: string;
  readonly yaml: string;
  readonly temp: string;
  readonly stop: () => Promise<number>;
}

async function demo(test: Test, outpost: OutpostVersion = "2026.2"): Promise<Running> {
  const temp = await emptyDir(test);
  const stop = new AbortController();
  const said = Promise.withResolvers<string>();
  let yaml = "";
  const io: DemoIo = {
    out: said.resolve,
    err: (text) => said.reject(new Error(text)),
    env: { TMPDIR: temp },
    outpost,
    stopped: stop.signal,
    startSparekey: (config) => {
      yaml = config;
      return passThrough(config);
    },
  };
  const code = demoCommand(io);
  const stopDemo = () => {
    stop.abort();
    return code;
  };
  test.teardown(stopDemo);
  return { text: await said.promise, yaml, temp, stop: stopDemo };
}

function curlLines(text: string): string[] {
  return text.split("\n").flatMap((line) => (/^ {4}curl /.test(line) ? [line.trim()] : []));
}

/** The first URL of the line that starts with `start`. */
function urlOf(text: string, marker: RegExp): string {
  const line = text.split("\n").find((one) => marker.test(one)) ?? "";
  return /http:\/\/[^\s]+/.exec(line)?.[0] ?? "";
}

t.test("the config it composes is good, and speaks of what was started", async (test) => {
  const { yaml, temp } = await demo(test);
  const loaded = await parseConfig(yaml, join(temp, "demo.yaml"), {}, () =>
    Promise.reject(new Error("the demo has no TLS files")),
  );
  test.match(loaded, { ok: true });
  if (!loaded.ok) return;
  const { routes, admin } = loaded.snapshot;
  test.same(
    routes.map(({ name, fallback }) => [name, fallback.mode]),
    [
      ["authentik", "basic-auth"],
      ["bot-block", "allow"],
      ["outpost-pages", "none"],
    ],
  );
  for (const {
    name,
    listen: { host },
    upstream,
  } of routes) {
    test.equal(host, "127.0.0.1", name);
    test.same(upstream.timeouts, { connect: 1000, read: 2000, total: 3000 }, name);
    const answer = await fetch(`http://127.0.0.1:${upstream.servers[0].port}/`, { method: "POST" });
    test.ok(answer.status >= 400, `${name}: its upstream listens`);
    await answer.text();
  }
  test.equal(admin.listen.host, "127.0.0.1");
});

t.test("the emergency login it prints is the one in the file, which goes with it", async (test) => {
  const { text, yaml, temp, stop } = await demo(test);
  const file: string = parse(yaml).routes[0].fallback.htpasswd;
  test.ok(file.startsWith(temp));
  test.equal((await stat(file)).mode & 0o777, 0o600);
  const [user = "", hash = ""] = (await readFile(file, "utf8")).trim().split(":");
  const printed = /user (\S+), password (\S+) /.exec(text);
  test.equal(printed?.[1], user);
  test.ok(await compare(printed?.[2] ?? "", hash));
  test.match(hash, /^\$2[aby]\$10\$/);
  test.match(text, `-u ${user}:${printed?.[2]} `);
  test.equal(await stop(), 0);
  test.same(await readdir(temp), []);
});

t.test("every curl line runs as it stands", { skip: missing("curl") }, async (test) => {
  const { text } = await demo(test);
  const lines = curlLines(text);
  test.ok(lines.length >= 15);
  for (const line of lines) {
    const [, ...args] = line.split(" ");
    // The pass-through has no timeouts of its own: a hanging or dripping check is cut here.
    const { stdout } = await run("curl", ["-s", "--max-time", "0.3", ...args]).catch((error) => error);
    if (line.includes("-X POST")) test.match(stdout, /^(Outpost 2026\.2|Bot blocker): [a-z0-9-]+: /, line);
  }
  const urls = { app: urlOf(text, /the sample app;/), board: urlOf(text, /the switchboard:/) };
  test.equal((await fetch(urls.board)).status, 200);
  const begun = await fetch(urls.app, { redirect: "manual" });
  test.equal(begun.status, 302, "the last lines end all faults");
  test.equal((await fetch(urls.app, { headers: { "User-Agent": "GPTBot" } })).status, 403);
});

t.test("a browser can log in through the gateway, by either name of this machine", async (test) => {
  const { text } = await demo(test);
  const app = urlOf(text, /the sample app;/);
  for (const start of [`${app}wiki?x=1`, `${app.replace("127.0.0.1", "localhost")}wiki?x=1`]) {
    const begun = await fetch(start, { redirect: "manual" });
    const cookie = begun.headers.getSetCookie()[0]?.split(";")[0] ?? "";
    const form = begun.headers.get("location") ?? "";
    test.equal(new URL(form).host, new URL(start).host);
    test.match(await (await fetch(form)).text(), '<form method="post"');
    const [, user = "", password = ""] = /log in as (\S+), password (\S+)/.exec(text) ?? [];
    const body = new URLSearchParams({ user, password });
    const granted = await fetch(form, { method: "POST", body, redirect: "manual" });
    const headers = { Cookie: cookie };
    const done = await fetch(granted.headers.get("location") ?? "", { redirect: "manual", headers });
    test.equal(done.headers.get("location"), start);
    const session = done.headers.getSetCookie()[0]?.split(";")[0] ?? "";
    const page = await fetch(start, {
      headers: { Cookie: session, Authorization: "Basic eA==", "X-authentik-username": "root" },
    });
    const html = await page.text();
    test.match(html, `You are <b>${user}</b>, let in by the outpost.`);
    test.match(html, "Authorization: did not arrive");
  }
});

t.test("each version of the outpost can be picked, and its full store be seen", async (test) => {
  const statuses: Readonly<Record<OutpostVersion, number>> = {
    "2025.6": 302,
    "2025.10": 200,
    "2026.2": 400,
    embedded: 400,
    "2026.8": 302,
  };
  for (const version of outpostVersions) {
    const { text, stop } = await demo(test, version);
    test.match(text, `outpost ${version} (who is logged in?)`);
    const board = urlOf(text, /the switchboard:/);
    test.match(await (await fetch(board)).text(), `<h2>Outpost ${version}</h2>`);
    const switched = await fetch(`${board}fault/store-full`, { method: "POST" });
    test.match(await switched.text(), `Outpost ${version}: store-full: `);
    const answer = await fetch(urlOf(text, /the sample app;/), { redirect: "manual" });
    test.equal(answer.status, statuses[version], version);
    await answer.text();
    await stop();
  }
});

t.test("two demos get ports of their own", async (test) => {
  const [first, second] = [await demo(test), await demo(test)];
  const listens = [first, second].map(({ yaml }) => parse(yaml).listen);
  test.not(listens[0], listens[1]);
  test.not(urlOf(first.text, /the sample app;/), urlOf(second.text, /the sample app;/));
});

t.test("when sparekey does not start it says so, and leaves nothing behind", async (test) => {
  const temp = await emptyDir(test);
  const out: string[] = [];
  const err: string[] = [];
  const code = await demoCommand({
    out: (text) => void out.push(text),
    err: (text) => void err.push(text),
    env: { TMPDIR: temp },
    outpost: "2026.2",
    stopped: new AbortController().signal,
    startSparekey: () => Promise.reject(new Error("port 9000 is taken")),
  });
  test.equal(code, 1);
  test.same(out, []);
  test.same(err, ["sparekey demo: port 9000 is taken\n"]);
  test.same(await readdir(temp), []);
});

t.test("stopped while it starts, it ends", async (test) => {
  const temp = await emptyDir(test);
  const stop = new AbortController();
  stop.abort();
  const closed = new EventTarget();
  const over = once(closed, "close");
  const code = await demoCommand({
    out: () => undefined,
    err: () => undefined,
    env: { TMPDIR: temp },
    outpost: "2026.2",
    stopped: stop.signal,
    startSparekey: async () => ({ close: async () => void closed.dispatchEvent(new Event("close")) }),
  });
  test.equal(code, 0);
  await over;
});
