import t from "tap";
import { type AnswerHead, framesBody, newAnswerHead, readAnswerHead } from "../../src/wire/answer-head.ts";
import { type Lines, newLines, restartLines, scanLines } from "../../src/wire/answer-lines.ts";

function scanned(text: string, phase: "version" | "line"): Lines {
  const lines = newLines();
  restartLines(lines, phase);
  scanLines(lines, Buffer.from(text), 0, text.length, 1_000);
  return lines;
}

/** The head of an answer with a body of two bytes, unless `lines` say something else. */
function headWith(lines: string, isHead = false): AnswerHead {
  const head = newAnswerHead(scanned(`HTTP/1.1 200 OK\r\n${lines}\r\n`, "version"));
  t.equal(readAnswerHead(head, isHead), true, lines);
  return head;
}

t.test("how long an idle connection may be kept", async (t) => {
  const rows = [
    { name: "no word", lines: "", idleMs: Number.POSITIVE_INFINITY },
    { name: "less two seconds", lines: "Keep-Alive: timeout=5\r\n", idleMs: 3_000 },
    { name: "among others", lines: "Keep-Alive: max=3, TIMEOUT=5\r\n", idleMs: 3_000 },
    { name: "in a second line", lines: "Keep-Alive: max=3\r\nKeep-Alive: timeout=5\r\n", idleMs: 3_000 },
    { name: "no number", lines: "Keep-Alive: timeout=soon\r\n", idleMs: Number.POSITIVE_INFINITY },
    { name: "part of a name", lines: "Keep-Alive: mytimeout=5\r\n", idleMs: Number.POSITIVE_INFINITY },
  ];
  for (const { name, lines, idleMs } of rows)
    t.equal(headWith(`Content-Length: 2\r\n${lines}`).idleMs, idleMs, name);
  const { keepsAlive } = headWith("Content-Length: 2\r\nKeep-Alive: timeout=2\r\n");
  t.equal(keepsAlive, false, "no longer than the margin is not at all");
});

t.test("how the body ends", async (t) => {
  const rows = [
    { name: "by length", lines: "Content-Length: 2\r\n", framing: "length" },
    { name: "in chunks", lines: "Transfer-Encoding: chunked\r\n", framing: "chunked" },
    { name: "by close", lines: "", framing: "close" },
    { name: "not at all", lines: "Content-Length: 2\r\n", isHead: true, framing: "none" },
  ];
  for (const { name, lines, isHead = false, framing } of rows)
    t.equal(headWith(lines, isHead).framing, framing, name);
});

t.test("trailers that say how the body ends", async (t) => {
  t.equal(framesBody(scanned("X: y\r\nContent-LENGTH: 2\r\n\r\n", "line")), true);
  t.equal(framesBody(scanned("Transfer-Encoding: x\r\n\r\n", "line")), true);
  t.equal(framesBody(scanned("X-Content-Length: 2\r\nDate: x\r\n\r\n", "line")), false);
});
