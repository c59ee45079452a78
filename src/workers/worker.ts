/**
 * The program of a worker: an engine that does what its primary says. The primary decides logins, so that limits and
 * remembered logins are those of one process, and it takes the signals. A worker ends at once when its primary does.
 */
import { createEngine, type Engine, type Prepared } from "../app/engine.ts";
import { type PackedSnapshot, unpack } from "../core/packed-snapshot.ts";
import type { LoginResult } from "../core/types.ts";
import { ListenError } from "../gateway/listeners.ts";
import { createHtpasswdFiles } from "../login/htpasswd-files.ts";
import type { OpenLogins } from "../login/logins.ts";
import { isForTimeline, type Report } from "../observe/event.ts";
import { defectText, logEvent } from "../observe/log/events.ts";
import { openLineWriter } from "../observe/log/line-writer.ts";
import { createLogger, type Logger } from "../observe/log/logger.ts";
import { type ProcessReport, sumReports } from "../observe/report.ts";
import { inTime } from "../process/file-patience.ts";
import type { ToPrimary, ToWorker, WorkerReply, WorkerRequest } from "./protocol.ts";

const STDOUT = 1;
const FLUSH_MS = 1_000;
const FILE_INTERVAL_MS = 1_000;

const slot = Number(process.argv[2]);
const now = (): number => performance.now();
const lines = openLineWriter(STDOUT);
const writeLine = (line: string): void => lines.write(`${line.slice(0, -1)},"worker":${slot}}`);

let engine: Engine | null = null;
let logger: Logger | null = null;
let prepared: Prepared | null = null;

function tell(message: ToPrimary): void {
  if (process.connected) process.send?.(message, undefined, {}, () => {});
}

/** Every check needs the names, so they are known here; the primary verifies the passwords. */
function openRemoteLogins(): OpenLogins & { settle(id: number, result: LoginResult): void } {
  const files = createHtpasswdFiles({ interval: FILE_INTERVAL_MS, report: () => {}, inTime });
  const waiting = new Map<number, (result: LoginResult) => void>();
  let asked = 0;
  return {
    knows: files.knows,
    users: (file) => files.get(file)?.users.size ?? 0,
    use: files.use,
    attempt: (route, { htpasswd, rateLimit }, credentials, address) => {
      asked += 1;
      const { promise, resolve } = Promise.withResolvers<LoginResult>();
      waiting.set(asked, resolve);
      tell({ kind: "login", id: asked, route, policy: { htpasswd, rateLimit }, credentials, address });
      return promise;
    },
    settle: (id, result) => {
      waiting.get(id)?.(result);
      waiting.delete(id);
    },
    close: async () => files.close(),
  };
}

const logins = openRemoteLogins();

async function prepare(packed: PackedSnapshot): Promise<WorkerReply> {
  const snapshot = unpack(packed);
  const { level } = snapshot.log;
  logger ??= createLogger({ level, write: writeLine, now: Date.now });
  const log = logger;
  engine ??= createEngine(snapshot, {
    logger: log,
    logins,
    sharesPorts: true,
    report: reportTo(log),
    now,
  });
  try {
    const { use, undo } = await engine.prepare(snapshot);
    prepared = {
      use: () => {
        log.setLevel(level);
        return use();
      },
      undo,
    };
    return { kind: "prepared" };
  } catch (error) {
    if (error instanceof ListenError) return { kind: "refused", address: error.address, code: error.code };
    logEvent(log, { kind: "reload_refused", problems: [], defect: error });
    return { kind: "defect" };
  }
}

/** Overrides are the primary's, which reports them. What the log alone shows need not go there. */
function reportTo(log: Logger): Report {
  return (event) => {
    if (event.kind === "override") return;
    logEvent(log, event);
    if (event.kind === "fallback_proven" || isForTimeline(event)) tell({ kind: "event", event });
  };
}

async function processReport(): Promise<ProcessReport> {
  await engine?.reports.refresh();
  return sumReports(engine?.reports.all() ?? []);
}

async function answerTo(question: WorkerRequest): Promise<WorkerReply> {
  switch (question.kind) {
    case "prepare":
      return prepare(question.packed);
    case "report":
      return { kind: "report", report: await processReport() };
    case "probe":
      return { kind: "probed", results: (await engine?.probe(question.route)) ?? [] };
    case "drain":
      return { kind: "drained", left: (await engine?.drain(question.rules)) ?? 0 };
  }
}

function taken(): Prepared | null {
  const one = prepared;
  prepared = null;
  return one;
}

function take(message: ToWorker): void {
  switch (message.kind) {
    case "use":
      taken()?.use();
      return;
    case "undo":
      void taken()?.undo();
      return;
    case "override": {
      const { route, mode, milliseconds } = message;
      if (mode === null) engine?.overrides.clear(route, "");
      else engine?.overrides.set(route, { mode, reason: null }, milliseconds, "");
      return;
    }
    case "login":
      return logins.settle(message.id, message.result);
    case "close":
      void end();
      return;
    default: {
      const { id } = message;
      void answerTo(message).then((answer) => tell({ kind: "answer", id, answer }));
    }
  }
}

async function end(): Promise<void> {
  await engine?.close();
  await logins.close();
  await lines.flush(FLUSH_MS);
  process.exit(0);
}

// A terminal or a service manager may signal all processes, and the primary says what is to be done.
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => {});
// process.exit would wait for threads, and one of them may wait for a file that hangs.
process.once("disconnect", () => process.kill(process.pid, "SIGKILL"));
process.on("uncaughtException", (error) => {
  process.stderr.write(`sparekey: worker ${slot}: ${defectText(error)}\n`);
  process.exit(1);
});
process.on("message", (message) => take(message as ToWorker));
