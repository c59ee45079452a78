import t from "tap";
import { endOfBytes, expectAnswer, newAnswerReader, readAnswer } from "../../src/wire/answer-body.ts";
import { reasonOf } from "../../src/wire/answer-head.ts";
import { type Circumstances, inWords, read } from "../both-paths/answer-reading.ts";
import { ANSWER_ROWS } from "../both-paths/answer-rows.ts";

function told(pieces: readonly string[], circumstances: Circumstances = {}): string {
  return inWords(
    read(
      pieces.map((piece) => Buffer.from(piece, "latin1")),
      circumstances,
    ),
  );
}

const HEAD = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
const OK = `${HEAD}ok`;
const CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const KEPT = "200 OK {Content-Length: 2} ok, kept";

for (const { name, bytes, is, method } of ANSWER_ROWS) {
  t.test(name, async (t) => {
    t.equal(told([bytes], { method }), is, "in one piece");
    if (bytes.length > 10_000) return;
    t.equal(told([...bytes], { method }), is, "byte by byte");
    const odd: string[] = [];
    for (let at = 0; at <= bytes.length; at += 1) {
      const said = told([bytes.slice(0, at), bytes.slice(at)], { method });
      if (said !== is) odd.push(`split at ${at}: ${said}`);
    }
    t.same(odd, [], "in two pieces, wherever it is split");
  });
}

t.test("what is cut short waits for the rest, and is never an answer", async (t) => {
  for (const whole of [OK, `${CHUNKED}2;a="b"\r\nok\r\n0\r\nX: y\r\n\r\n`, `HTTP/1.1 103 x\r\n\r\n${OK}`]) {
    for (let length = 0; length < whole.length; length += 1) {
      t.equal(told([whole.slice(0, length)], { closes: false }), "more", `${length} of ${whole}`);
      t.equal(told([whole.slice(0, length)]), "reset");
    }
  }
});

t.test("the limit", async (t) => {
  const hints = "HTTP/1.1 103 x\r\n\r\n";
  const rows = [
    { name: "a head of just so many bytes", bytes: OK, headBytes: HEAD.length, is: KEPT },
    { name: "one byte more", bytes: OK, headBytes: HEAD.length - 1, is: "too_large" },
    {
      name: "a line without end",
      bytes: `HTTP/1.1 200 OK\r\nX: ${"y".repeat(100)}`,
      headBytes: 100,
      is: "too_large",
    },
    {
      name: "a reason without end",
      bytes: `HTTP/1.1 200 ${"y".repeat(100)}`,
      headBytes: 100,
      is: "too_large",
    },
    {
      name: "white space without end",
      bytes: `HTTP/1.1 200 OK\r\nX:${" ".repeat(100)}`,
      headBytes: 100,
      is: "too_large",
    },
    {
      name: "what is wrong behind it is not looked at",
      bytes: `HTTP/1.1 200 OK\r\nX: ${"y".repeat(100)}\0`,
      headBytes: 100,
      is: "too_large",
    },
    {
      name: "what is wrong before it is",
      bytes: `HTTP/1.1 200 OK\r\nX: \0${"y".repeat(100)}`,
      headBytes: 100,
      is: "malformed",
    },
    { name: "interim answers within it", bytes: hints + OK, headBytes: hints.length + HEAD.length, is: KEPT },
    {
      name: "interim answers beyond it",
      bytes: hints + OK,
      headBytes: hints.length + HEAD.length - 1,
      is: "too_large",
    },
    { name: "interim answers without end", bytes: hints.repeat(100), headBytes: 100, is: "too_large" },
    {
      name: "a body is not of the head",
      bytes: `${CHUNKED}200\r\n${"x".repeat(512)}\r\n0\r\n\r\n`,
      headBytes: 60,
      is: `200 OK {} ${"x".repeat(512)}, kept`,
    },
    {
      name: "trailers within it",
      bytes: `${CHUNKED}0\r\nX: ${"y".repeat(53)}\r\n\r\n`,
      headBytes: 60,
      is: "200 OK {} , kept",
    },
    {
      name: "trailers beyond it",
      bytes: `${CHUNKED}0\r\nX: ${"y".repeat(54)}\r\n\r\n`,
      headBytes: 60,
      is: "too_large",
    },
    {
      name: "an extension within it",
      bytes: `${CHUNKED}0;${"y".repeat(59)}\r\n\r\n`,
      headBytes: 60,
      is: "200 OK {} , kept",
    },
    {
      name: "an extension beyond it",
      bytes: `${CHUNKED}0;${"y".repeat(60)}\r\n\r\n`,
      headBytes: 60,
      is: "too_large",
    },
    {
      name: "all extensions together",
      bytes: `${CHUNKED}${`1;${"y".repeat(29)}\r\nx\r\n`.repeat(3)}0\r\n\r\n`,
      headBytes: 60,
      is: "too_large",
    },
  ];
  for (const { name, bytes, headBytes, is } of rows) {
    t.equal(told([bytes], { headBytes }), is, name);
    t.equal(told([...bytes], { headBytes }), is, `${name}, byte by byte`);
  }
});

t.test("a head of 256 KiB, byte by byte", async (t) => {
  const value = "y".repeat(256 * 1024 - HEAD.length - "X: \r\n".length);
  const bytes = OK.replace("Content", `X: ${value}\r\nContent`);
  t.equal(told([...bytes]), `200 OK {X: ${value}; Content-Length: 2} ok, kept`);
});

t.test("one reader, many answers", async (t) => {
  const chunk = Buffer.from(
    `${OK}${CHUNKED}3\r\nfoo\r\n0\r\n\r\nHTTP/1.1 404 No\r\nX: y\r\nContent-Length: 0\r\n\r\n`,
  );
  const reader = newAnswerReader(1_000);
  const events: string[] = [];
  let at = 0;
  t.equal(readAnswer(reader, chunk, 0, chunk.length), 0, "no answer is expected: no byte is taken");
  for (let answers = 0; answers < 3; answers += 1) {
    expectAnswer(reader, false);
    do {
      at = readAnswer(reader, chunk, at, chunk.length);
      const { event, head } = reader;
      events.push(
        event === "head"
          ? `${head.status} ${reasonOf(head.lines.bytes, head.lines.reasonStart, head.lines.reasonEnd)} ${head.lines.used / 4}`
          : event,
      );
    } while (reader.event !== "end");
    t.equal(readAnswer(reader, chunk, at, chunk.length), at, "an end stays one");
    t.equal(reader.event, "end");
  }
  t.equal(at, chunk.length);
  t.same(events, ["200 OK 1", "body", "end", "200 OK 1", "body", "end", "404 No 2", "end"]);
});

t.test("a failure stays one", async (t) => {
  const chunk = Buffer.from(`HTTP/9.9 200 OK\r\n\r\n${OK}`);
  const reader = newAnswerReader(1_000);
  expectAnswer(reader, false);
  const at = readAnswer(reader, chunk, 0, chunk.length);
  t.equal(readAnswer(reader, Buffer.from(OK), 0, OK.length), 0);
  t.ok(at < chunk.length);
  t.equal(reader.event, "malformed");
  t.equal(endOfBytes(reader), "reset");
});

t.test("the head outlives its chunk where it came in several", async (t) => {
  const reader = newAnswerReader(1_000);
  expectAnswer(reader, false);
  const chunk = Buffer.alloc(4);
  for (let at = 0; at < OK.length; at += 4) {
    const length = chunk.write(OK.slice(at, at + 4));
    for (let from = 0; from < length || reader.event === "head"; )
      from = readAnswer(reader, chunk, from, length);
  }
  t.equal(reader.event, "body");
  t.equal(reader.bodyBytes, 2);
  t.equal(
    reasonOf(reader.head.lines.bytes, reader.head.lines.reasonStart, reader.head.lines.reasonEnd),
    "OK",
  );
});
