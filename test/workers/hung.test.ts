/** A worker that is there and does nothing: neither a scrape nor a reload waits for it, and it is replaced. */
import t from "tap";
import { startApp } from "../../src/app/app.ts";
import { parseConfig } from "../../src/config/load.ts";
import { readBounded } from "../../src/config/read-file.ts";
import { workerEngine } from "../../src/workers/worker-engine.ts";
import { ask, sample } from "../support/app.ts";
import { eventually } from "../support/processes.ts";
import { rawUpstream } from "../support/raw-upstream.ts";
import { ended, workersOf } from "../support/workers.ts";

const CHECKS = 'sparekey_checks_total{route="sso",source="upstream",verdict="allow"}';

t.test("a worker that hangs", async (t) => {
  const upstream = await rawUpstream(t, (socket) =>
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
  );
  const snapshot = async (path: string) => {
    const yaml = `
admin: { listen: "127.0.0.1:0" }
workers: 2
listen: 127.0.0.1:0
routes: [{ name: sso, path: ${path}, upstream: "http://127.0.0.1:${upstream.port}", fallback: { mode: deny } }]`;
    const loaded = await parseConfig(yaml, "test.yaml", {}, readBounded);
    if (!loaded.ok) throw new Error("the config is no good");
    return loaded.snapshot;
  };
  const lines: string[] = [];
  const writeLine = (line: string): void => void lines.push(line);
  const others = await workersOf(process.pid);
  const app = await startApp(
    await snapshot("/auth"),
    { writeLine, reload: async () => ({ ok: true }) },
    workerEngine(
      2,
      { writeLine, onHopeless: (error) => t.fail(error.message) },
      { lookEvery: 700, looks: 2, shortLife: 10_000 },
    ),
  );
  t.teardown(() => app.close());
  const workers = (await workersOf(process.pid)).filter((pid) => !others.includes(pid));
  t.equal(workers.length, 2);
  const [hung = 0] = workers;
  const url = `http://127.0.0.1:${app.listeners[0]?.port}`;
  const metrics = async () => (await ask(`http://127.0.0.1:${app.admin.port}/metrics`)).text;
  for (let count = 0; count < 20; count += 1) await ask(`${url}/auth`);
  t.equal(sample(await metrics(), CHECKS), 20);

  process.kill(hung, "SIGSTOP");
  const scraped = await metrics();
  t.equal(sample(scraped, 'sparekey_workers{state="silent"}'), 1);
  t.equal(sample(scraped, CHECKS), 20, "with what it told last");
  t.same(await app.reload(await snapshot("/new")), { ok: true });
  await ended([hung]);
  t.match(lines.join("\n"), /"worker does not answer: it is killed"/);
  await eventually(
    () => `no successor serves:\n${lines.join("\n")}`,
    () => (lines.some((line) => line.includes('"worker serves"')) ? true : null),
  );
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask(`${url}/new`)));
  t.same(new Set(answers.map(({ status }) => status)), new Set([200]), "by the config of the reload");
  const after = await metrics();
  t.equal(sample(after, 'sparekey_workers{state="serving"}'), 2);
  t.equal(sample(after, CHECKS), 40, "the dead one's counts are kept");
});
