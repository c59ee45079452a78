/** One real process is asked, does not answer in time, is killed, and is asked again. */
import { setImmediate } from "node:timers/promises";
import t from "tap";
import { sumReports } from "../../src/observe/report.ts";
import { type WorkerEnd, WorkerProcess } from "../../src/workers/worker-process.ts";

const PATIENCE_MS = 30_000;

t.test("a worker from its start to its end", async (t) => {
  const ends: WorkerEnd[] = [];
  const lines: string[] = [];
  const worker = new WorkerProcess(3, {
    writeLine: (line) => void lines.push(line),
    onEvent: () => t.fail("nothing happened"),
    onLogin: async () => {
      t.fail("nobody logged in");
      return { kind: "missing" };
    },
    onEnd: (end) => ends.push(end),
  });
  t.type(worker.pid, "number");

  const late = await worker.ask({ kind: "report" }, 0);
  t.equal(late, null, "it did not answer in time");
  const [drained, report] = await Promise.all([
    worker.ask({ kind: "drain", rules: { delay: 0, timeout: 0 } }, PATIENCE_MS),
    worker.ask({ kind: "report" }, PATIENCE_MS),
  ]);
  t.same(drained, { kind: "drained", left: 0 }, "each gets its own answer, and a late one nobody's");
  t.same(report, { kind: "report", report: sumReports([]) });

  process.kill(worker.pid ?? 0, "SIGTERM");
  t.same(await worker.ask({ kind: "probe", route: "none" }, PATIENCE_MS), { kind: "probed", results: [] });
  t.same(ends, [], "a signal for all processes does not end it");

  process.kill(worker.pid ?? 0, "SIGSTOP");
  const asked = worker.ask({ kind: "report" }, PATIENCE_MS);
  worker.kill();
  worker.kill();
  t.equal(await asked, null, "a question that waits hears of its end");
  await worker.ended;
  t.same(ends, [{ code: null, signal: "SIGKILL" }], "once");
  t.equal(await worker.ask({ kind: "report" }, PATIENCE_MS), null, "one that has ended is not waited for");
  worker.say({ kind: "close" });
  await setImmediate();
  t.same(lines, [], "it wrote nothing");
});
