import t from "tap";
import { createInterimFilter } from "../../../src/upstream/undici/interim.ts";

const ENOUGH = 10_000;
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";
const HINTS = "HTTP/1.1 103 Early Hints\r\nLink: </a>; x=HTTP/1.1 200 OK\r\nX: \r\n\r\n";

/** What a reader of final answers sees of one answer that comes in these pieces. */
function seen(pieces: readonly string[], maxBytes = ENOUGH): string {
  const filter = createInterimFilter(maxBytes);
  filter.restart();
  return pieces.map((piece) => filter.pass(Buffer.from(piece, "latin1")).toString("latin1")).join("");
}

const ROWS = [
  { name: "no interim answer", bytes: OK, passed: OK },
  { name: "one 100", bytes: CONTINUE + OK, passed: OK },
  { name: "one 103 with headers", bytes: HINTS + OK, passed: OK },
  { name: "several", bytes: CONTINUE + HINTS + CONTINUE + OK, passed: OK },
  { name: "HTTP/1.0", bytes: `HTTP/1.0 102 Processing\r\n\r\n${OK}`, passed: OK },
  { name: "no reason phrase", bytes: `HTTP/1.1 100\r\n\r\n${OK}`, passed: OK },
  { name: "no reason phrase, but its space", bytes: `HTTP/1.1 199 \r\n\r\n${OK}`, passed: OK },
  {
    name: "an interim answer inside the body belongs to the body",
    bytes: `${CONTINUE}HTTP/1.1 200 OK\r\n\r\n${CONTINUE}${OK}`,
    passed: `HTTP/1.1 200 OK\r\n\r\n${CONTINUE}${OK}`,
  },
  {
    name: "101 is for the reader to refuse",
    bytes: `HTTP/1.1 101 x\r\n\r\n${OK}`,
    passed: `HTTP/1.1 101 x\r\n\r\n${OK}`,
  },
  { name: "101 after a 100", bytes: `${CONTINUE}HTTP/1.1 101 x\r\n\r\n`, passed: "HTTP/1.1 101 x\r\n\r\n" },
  { name: "not HTTP", bytes: "SSH-2.0-OpenSSH_9.2\r\n", passed: "SSH-2.0-OpenSSH_9.2\r\n" },
  { name: "another version", bytes: `HTTP/2.0 100 x\r\n\r\n${OK}`, passed: `HTTP/2.0 100 x\r\n\r\n${OK}` },
  { name: "four digits", bytes: `HTTP/1.1 1000 x\r\n\r\n${OK}`, passed: `HTTP/1.1 1000 x\r\n\r\n${OK}` },
  { name: "letters for digits", bytes: "HTTP/1.1 1xx\r\n\r\n", passed: "HTTP/1.1 1xx\r\n\r\n" },
  { name: "two spaces", bytes: "HTTP/1.1  100\r\n\r\n", passed: "HTTP/1.1  100\r\n\r\n" },
  { name: "lower case", bytes: "http/1.1 100 x\r\n\r\n", passed: "http/1.1 100 x\r\n\r\n" },
  { name: "only interim answers: nothing yet", bytes: CONTINUE + HINTS, passed: "" },
  { name: "broken off inside an interim answer", bytes: `${CONTINUE}HTTP/1.1 103 Early\r\nLink`, passed: "" },
  { name: "a start that may become one", bytes: "HTTP/1.1 1", passed: "" },
  { name: "a start that cannot", bytes: "HTTP/1.1 2", passed: "HTTP/1.1 2" },
  { name: "a final answer that begins after one", bytes: `${CONTINUE}HTTP/1.1 4`, passed: "HTTP/1.1 4" },
  { name: "a bare line feed ends no head", bytes: "HTTP/1.1 100 x\n\nHTTP/1.1 200 OK\n\n", passed: "" },
  {
    name: "bytes beyond ASCII",
    bytes: `HTTP/1.1 100 \xe9\r\n\r\nHTTP/1.1 200 \xe9\r\n\r\n\xff`,
    passed: "HTTP/1.1 200 \xe9\r\n\r\n\xff",
  },
];

for (const { name, bytes, passed } of ROWS) {
  t.test(name, async (t) => {
    t.equal(seen([bytes]), passed, "in one piece");
    t.equal(seen([...bytes]), passed, "byte by byte");
    const odd: string[] = [];
    for (let at = 0; at <= bytes.length; at += 1) {
      if (seen([bytes.slice(0, at), bytes.slice(at)]) !== passed) odd.push(`split at ${at}`);
    }
    t.same(odd, [], "in two pieces, wherever it is split");
  });
}

t.test("several inputs in three pieces, wherever they are split", async (t) => {
  const bytes = CONTINUE + HINTS + OK;
  let odd = 0;
  for (let first = 0; first <= bytes.length; first += 1) {
    for (let second = first; second <= bytes.length; second += 1) {
      if (seen([bytes.slice(0, first), bytes.slice(first, second), bytes.slice(second)]) !== OK) odd += 1;
    }
  }
  t.equal(odd, 0);
});

t.test("a final answer passes as soon as it is known to be one, and then chunk by chunk", async (t) => {
  const filter = createInterimFilter(ENOUGH);
  filter.restart();
  t.equal(filter.pass(Buffer.from(`${CONTINUE}HTTP/1.1`)).length, 0);
  t.equal(filter.pass(Buffer.from(" 20")).toString(), "HTTP/1.1 20");
  const chunk = Buffer.from("0 OK\r\n\r\n");
  t.equal(filter.pass(chunk), chunk, "the same buffer, not a copy");
});

t.test("before the first answer is expected, everything passes for the reader to judge", async (t) => {
  const filter = createInterimFilter(ENOUGH);
  t.equal(filter.pass(Buffer.from(CONTINUE)).toString(), CONTINUE);
});

t.test("the next answer starts anew", async (t) => {
  const filter = createInterimFilter(ENOUGH);
  for (let i = 0; i < 3; i += 1) {
    filter.restart();
    t.equal(filter.pass(Buffer.from(CONTINUE + OK)).toString(), OK);
    t.equal(filter.pass(Buffer.from(CONTINUE)).toString(), CONTINUE, "unasked: not ours to hide");
  }
  filter.restart();
  filter.pass(Buffer.from("HTTP/1.1 10"));
  filter.restart();
  t.equal(filter.pass(Buffer.from(OK)).toString(), OK, "what was held is forgotten");
});

t.test("the limit", async (t) => {
  const max = 2 * CONTINUE.length;
  await t.test("interim answers up to it are skipped, then they reach the reader", async (t) => {
    t.equal(seen([CONTINUE, CONTINUE, OK], max), OK);
    t.equal(seen([CONTINUE, CONTINUE, CONTINUE, OK], max - 1).endsWith(CONTINUE + OK), true);
  });
  await t.test("an endless head is let go, whole", async (t) => {
    const head = `HTTP/1.1 103 ${"x".repeat(max)}`;
    t.equal(seen([...head], max), head);
  });
  await t.test("no more than it is held back", async (t) => {
    const filter = createInterimFilter(max);
    filter.restart();
    let sent = 0;
    for (const byte of `HTTP/1.1 103 ${"x".repeat(max)}`) {
      sent += 1;
      if (filter.pass(Buffer.from(byte)).length > 0) break;
    }
    t.equal(sent, max + 1);
  });
  await t.test("each answer has its own", async (t) => {
    const filter = createInterimFilter(max);
    for (let i = 0; i < 5; i += 1) {
      filter.restart();
      t.equal(filter.pass(Buffer.from(CONTINUE)).length, 0);
      t.equal(filter.pass(Buffer.from(CONTINUE)).length, 0);
      t.equal(filter.pass(Buffer.from(OK)).toString(), OK);
    }
  });
});
