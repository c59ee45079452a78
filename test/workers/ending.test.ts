/** How a sparekey of several processes begins and ends: whole, or not at all. */
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { type ClientRequest, request as httpRequest } from "node:http";
import { createServer } from "node:net";
import { join } from "node:path";
import t, { type Test } from "tap";
import { ask } from "../support/app.ts";
import { eventually, temporaryFolder } from "../support/processes.ts";
import { rawUpstream } from "../support/raw-upstream.ts";
import { type Sparekey, sparekeyProcess, startSparekey } from "../support/sparekey.ts";
import { ended, workersOf } from "../support/workers.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

function configOf(port: number, workers: number): string {
  return `
workers: ${workers}
listen: 127.0.0.1:0
routes: [{ name: sso, path: /auth, upstream: "http://127.0.0.1:${port}", fallback: { mode: deny } }]`;
}

interface Load {
  answered: number;
  leaving: boolean;
  readonly failed: string[];
}

/** Checks on connections of their own, without a pause, until it leaves. */
async function keepAsking(url: string, load: Load): Promise<void> {
  while (!load.leaving) {
    const word = await ask(url).then(({ status }) => status, String);
    if (word !== 200) load.failed.push(String(word));
    load.answered += 1;
  }
}

const signals = [
  { name: "SIGTERM to the primary", signal: "SIGTERM", all: false },
  { name: "Ctrl-C, which all processes get", signal: "SIGINT", all: true },
] as const;
for (const { name, signal, all } of signals) {
  t.test(`no check is lost: ${name}`, async (t) => {
    const upstream = await rawUpstream(t, (socket, request) => {
      if (!request.includes("/auth?slow")) socket.write(OK);
      else setTimeout(() => socket.write(OK), 800);
    });
    const options = { drain: "{ delay: 300ms, timeout: 20s }" };
    const sparekey = await startSparekey(t, configOf(upstream.port, 2), options);
    const workers = await workersOf(sparekey.process.pid);
    const load: Load = { answered: 0, leaving: false, failed: [] };
    const clients = Array.from({ length: 4 }, () => keepAsking(`${sparekey.listen[0].url}/auth`, load));
    await eventually(
      () => `only ${load.answered} checks were answered`,
      () => (load.answered > 200 ? true : null),
    );
    const slow = Promise.all(
      Array.from({ length: 8 }, () =>
        ask(`${sparekey.listen[0].url}/auth?slow`).then(({ status }) => status),
      ),
    );
    for (const pid of all ? [sparekey.process.pid, ...workers] : [sparekey.process.pid])
      process.kill(pid, signal);
    await sparekey.log(({ msg }) => msg === "drain begins");
    t.equal((await ask(`${sparekey.admin.url}/readyz`)).status, 503);
    load.leaving = true;
    await Promise.all(clients);
    t.same(load.failed, []);
    t.same(await slow, Array(8).fill(200), "what was in flight is answered");
    t.same(await sparekey.process.ended, { code: 0, signal: null });
    t.match(sparekey.logs().at(-1), { msg: "drain ended", complete: true, connections_cut: 0 });
    await ended(workers);
  });
}

t.test("what is not done in the drain's time is cut and counted, of all workers", async (t) => {
  const upstream = await rawUpstream(t, () => {});
  const sparekey = await startSparekey(t, configOf(upstream.port, 2), { drain: "{ timeout: 100ms }" });
  const cut = await Promise.all(Array.from({ length: 20 }, () => waiting(sparekey)));
  await eventually(
    () => "not all checks wait",
    async () => (/^sparekey_in_flight 20$/m.test(await sparekey.metrics()) ? true : null),
  );
  t.same(await sparekey.stop(), { code: 0, signal: null });
  t.match(sparekey.logs().at(-1), { msg: "drain ended", complete: false, connections_cut: 20 });
  for (const request of cut) request.destroy();
});

/** A check that gets no answer. */
async function waiting(sparekey: Sparekey): Promise<ClientRequest> {
  const request = httpRequest(`${sparekey.listen[0].url}/auth`, { agent: false }).on("error", () => {});
  request.end();
  await once(request, "finish");
  return request;
}

t.test("a port that is taken is told as by a single process", async (t) => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  t.teardown(() => other.close());
  const bound = other.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : 0;
  const said = await Promise.all(
    [1, 2].map(async (workers) => {
      const running = await run(t, configOf(9, workers).replace("127.0.0.1:0", `127.0.0.1:${port}`), {});
      t.match(await running.ended, { code: 1 });
      t.equal(running.stdout(), "");
      return running.stderr();
    }),
  );
  const message = `sparekey: cannot listen on 127.0.0.1:${port} (EADDRINUSE); is another process there?\n`;
  t.same(said, [message, message]);
});

/** A program that ends or hinders workers from within, once `file` is there. */
async function hindering(t: Test, program: (file: string) => string) {
  const folder = await temporaryFolder(t);
  const file = join(folder, "now");
  const hindrance = join(folder, "hindrance.cjs");
  const isNow = `require("node:fs").existsSync(${JSON.stringify(file)})`;
  await writeFile(hindrance, `if (process.argv[1].endsWith("worker.ts")) { ${program(isNow)} }`);
  return { env: { NODE_OPTIONS: `--require=${hindrance}` }, begin: () => writeFile(file, "") };
}

const dying = (isNow: string): string => `if (${isNow}) process.exit(3);`;

t.test("workers that die at the start", async (t) => {
  const { env, begin } = await hindering(t, dying);
  await begin();
  const running = await run(t, configOf(9, 2), env);
  t.match(await running.ended, { code: 1 });
  t.match(running.stderr(), /^sparekey: a worker ended while it started; .*\n$/);
  t.notMatch(running.stdout(), /"serving"/);
});

t.test("successors that die again and again, and nobody is left", async (t) => {
  const { env, begin } = await hindering(t, dying);
  const sparekey = await startSparekey(t, configOf(9, 2), { env });
  const workers = await workersOf(sparekey.process.pid);
  await begin();
  for (const pid of workers) process.kill(pid, "SIGKILL");
  await eventually(
    () => "who cannot serve is ready",
    async () => ((await ask(`${sparekey.admin.url}/readyz`)).status === 503 ? true : null),
  );
  t.match(await sparekey.process.ended, { code: 1 });
  t.equal(sparekey.process.stderr(), "sparekey: no worker serves: each ends before it does; see the log\n");
  t.equal(
    sparekey.logs().filter(({ msg }) => msg === "worker died").length,
    10,
    "two, and four tries for each",
  );
});

const deaf = (isNow: string): string => `
const { Server } = require("node:net");
const { listen } = Server.prototype;
Server.prototype.listen = function (...how) {
  if (process.argv[2] === "1" || !${isNow}) return listen.apply(this, how);
  process.nextTick(() => this.emit("error", Object.assign(new Error(), { code: "EACCES" })));
  return this;
};`;

t.test("a reload that one worker cannot take is refused by all", async (t) => {
  const upstream = await rawUpstream(t, (socket) => socket.write(OK));
  const { env, begin } = await hindering(t, deaf);
  const config = configOf(upstream.port, 2);
  const sparekey = await startSparekey(t, config, { env });
  await begin();
  const more = `{ name: new, path: /new, listen: "127.0.0.2:0", upstream: "http://127.0.0.1:1", fallback: { mode: deny } }, `;
  const next = config.replace("routes: [", `routes: [${more}`).replace("/auth", "/other");
  await writeFile(join(sparekey.folder, "sparekey.yaml"), `admin: { listen: "127.0.0.1:0" }\n${next}`);
  const line = await sparekey.log(({ msg }) => msg.startsWith("config re"));
  t.match(line, { msg: "config refused: the one in use stays" });
  const [, address = ""] =
    /^cannot listen on (127\.0\.0\.2:\d+) \(EACCES\); the system forbids it$/.exec(String(line.problem)) ??
    [];
  await t.rejects(ask(`http://${address}/new`), { code: "ECONNREFUSED" }, "nor does the other one listen");
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask(`${sparekey.listen[0].url}/auth`)));
  t.same(new Set(answers.map(({ status }) => status)), new Set([200]));
  t.match(await sparekey.metrics(), /^sparekey_config_last_reload_successful 0$/m);
});

async function run(t: Test, yaml: string, env: Readonly<Record<string, string>>) {
  const file = join(await temporaryFolder(t), "sparekey.yaml");
  await writeFile(file, `admin: { listen: "127.0.0.1:0" }\n${yaml}`);
  return sparekeyProcess(t, ["run", "--config", file], { env });
}
