import t from "tap";
import { isOver, newLines, restartLines, scanLines } from "../../src/wire/answer-lines.ts";

const INTERIM = "HTTP/1.1 103 Early\r\nLink: x\r\n\r\n";
const HEAD = "HTTP/1.0 404 Not There\r\nX-A:1\r\nX-B: \t two \r\n\r\n";

/** Every name and value, and the reason, once all pieces are read. Each piece lies behind a byte of something else. */
function read(pieces: readonly string[]): unknown {
  const lines = newLines();
  restartLines(lines, "version");
  for (const piece of pieces) {
    const chunk = Buffer.from(`?${piece}`, "latin1");
    scanLines(lines, chunk, 1, chunk.length, 1_000);
    if (!isOver(lines.phase)) chunk.fill("!");
  }
  const text = (start = 0, end = 0): string => lines.bytes.toString("latin1", start, end);
  const fields: string[] = [];
  for (let at = 0; at < lines.used; at += 2) fields.push(text(lines.offsets[at], lines.offsets[at + 1]));
  return [lines.phase, lines.status, lines.minor, text(lines.reasonStart, lines.reasonEnd), ...fields];
}

t.test("offsets are true wherever the bytes are cut, and the interim answer is skipped", async (t) => {
  const is = ["done", 404, 0, "Not There", "X-A", "1", "X-B", "two "];
  const whole = INTERIM + HEAD;
  t.same(read([whole]), is);
  t.same(read([...whole]), is, "byte by byte");
  for (let at = 1; at < whole.length; at += 1)
    t.same(read([whole.slice(0, at), whole.slice(at)]), is, `cut at ${at}`);
});

t.test("it stops behind the empty line, and at the first wrong byte", async (t) => {
  const rows = [
    { name: "an empty line", text: "X: y\r\n\r\nHTTP", phase: "done", at: 8 },
    { name: "a fold", text: "X: y\r\n z\r\n", phase: "malformed", at: 6 },
    { name: "no colon", text: "X y\r\n\r\n", phase: "malformed", at: 2 },
  ];
  for (const { name, text, phase, at } of rows) {
    const lines = newLines();
    restartLines(lines, "line");
    scanLines(lines, Buffer.from(text), 0, text.length, 1_000);
    t.equal(lines.phase, phase, name);
    t.ok(lines.at - at <= 1 && lines.at >= at, `${name}: at ${lines.at}`);
  }
});
