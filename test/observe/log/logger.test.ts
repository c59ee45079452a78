import t from "tap";
import type { LogLevel } from "../../../src/core/snapshot.ts";
import { clientText, createLogger, type LogData } from "../../../src/observe/log/logger.ts";

function loggerInto(lines: string[], level: LogLevel) {
  return createLogger({
    level,
    write: (line) => lines.push(line),
    now: () => Date.UTC(2026, 0, 2, 3, 4, 5, 6),
  });
}

t.test("levels", async (t) => {
  const rows: readonly { level: LogLevel; written: readonly string[] }[] = [
    { level: "debug", written: ["debug", "info", "warn", "error"] },
    { level: "info", written: ["info", "warn", "error"] },
    { level: "warn", written: ["warn", "error"] },
    { level: "error", written: ["error"] },
  ];
  for (const { level, written } of rows) {
    t.test(level, async (t) => {
      const lines: string[] = [];
      const logger = loggerInto(lines, "error");
      logger.setLevel(level);
      logger.debug("m");
      logger.info("m");
      logger.warn("m");
      logger.error("m");
      t.same(
        lines.map((line) => JSON.parse(line).level),
        written,
      );
      t.equal(logger.isEnabled("info"), written.includes("info"));
    });
  }
});

t.test("a line", async (t) => {
  const rows: readonly { name: string; data?: LogData; line: string }[] = [
    { name: "without data", line: '{"time":"2026-01-02T03:04:05.006Z","level":"info","msg":"started"}' },
    {
      name: "with data",
      data: { port: 9000, routes: ["a", "b"], tls: false, ca: null },
      line: '{"time":"2026-01-02T03:04:05.006Z","level":"info","msg":"started","port":9000,"routes":["a","b"],"tls":false,"ca":null}',
    },
    {
      name: "data cannot replace the head",
      data: { level: "error", msg: "forged", time: "never" },
      line: '{"time":"2026-01-02T03:04:05.006Z","level":"info","msg":"started"}',
    },
    {
      name: "no control character gets out",
      data: { host: "a\n{}\u001b[2J\u007f\u009b2J\u2028é" },
      line: '{"time":"2026-01-02T03:04:05.006Z","level":"info","msg":"started","host":"a\\n{}\\u001b[2J\\u007f\\u009b2J\u2028é"}',
    },
  ];
  for (const { name, data, line } of rows) {
    t.test(name, async (t) => {
      const lines: string[] = [];
      loggerInto(lines, "info").info("started", data);
      t.same(lines, [line]);
      t.ok(JSON.parse(line));
    });
  }
});

t.test("text of clients is cut", async (t) => {
  t.equal(clientText("x".repeat(256)), "x".repeat(256));
  t.equal(clientText("x".repeat(257)), `${"x".repeat(255)}…`);
});
