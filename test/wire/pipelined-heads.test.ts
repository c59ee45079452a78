import t from "tap";
import {
  addBytes,
  dropFirst,
  type Heads,
  heldBytes,
  letGo,
  mayBecomePlain,
  newHeads,
} from "../../src/wire/pipelined-heads.ts";

const ONE = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
const TWO = "HEAD /bc HTTP/1.1\r\nHost: b\r\n\r\n";

function headsOf(...pieces: readonly string[]): Heads {
  const heads = newHeads();
  for (const piece of pieces) addBytes(heads, Buffer.from(piece, "latin1"));
  return heads;
}

function firstOf({ buffer, start, firstEnd }: Heads): string | null {
  return firstEnd === -1 ? null : buffer.toString("latin1", start, firstEnd);
}

t.test("two heads and the beginning of a third, cut anywhere and byte by byte", async (t) => {
  const text = `${ONE}${TWO}GET`;
  const cuts = Array.from({ length: text.length - 1 }, (_, at) => [
    text.slice(0, at + 1),
    text.slice(at + 1),
  ]);
  for (const pieces of [[text], [...text], ...cuts]) {
    const heads = headsOf(...pieces);
    const name = JSON.stringify(pieces[0]);
    t.same([heads.complete, firstOf(heads)], [2, ONE], name);
    dropFirst(heads);
    t.same([heads.complete, firstOf(heads)], [1, TWO], name);
    dropFirst(heads);
    t.same([heads.complete, firstOf(heads), heldBytes(heads)], [0, null, 3], name);
    t.ok(mayBecomePlain(heads), name);
    addBytes(heads, Buffer.from(ONE.slice(3), "latin1"));
    t.same([heads.complete, firstOf(heads)], [1, ONE], name);
  }
});

t.test("nothing is held behind the last head, nor once all is let go", async (t) => {
  const heads = headsOf(ONE);
  t.equal(heldBytes(heads), ONE.length);
  dropFirst(heads);
  t.same(heads, newHeads());
  addBytes(heads, Buffer.from(`${TWO}GET /`, "latin1"));
  letGo(heads);
  t.same(heads, newHeads());
});

t.test("what was handed out stays as it was, whatever comes behind", async (t) => {
  const heads = headsOf(ONE.slice(0, 5), ONE.slice(5));
  const { buffer, start, firstEnd } = heads;
  const first = buffer.subarray(start, firstEnd);
  for (let times = 0; times < 50; times += 1) addBytes(heads, Buffer.from(TWO, "latin1"));
  t.equal(first.toString("latin1"), ONE);
  t.equal(heads.complete, 51);
});

t.test("a chunk may be overwritten once it was added", async (t) => {
  const chunk = Buffer.from(ONE, "latin1");
  const heads = newHeads();
  addBytes(heads, chunk);
  chunk.fill("!");
  t.equal(firstOf(heads), ONE);
});

t.test("the tail may become a plain check", async (t) => {
  for (const text of [
    "",
    "G",
    "GET",
    "GET /",
    "H",
    "HEAD /x",
    "GET /a HTTP/1.1\r",
    "GET /a\r\nX: \xe9\ty\r\n\r",
  ])
    t.ok(mayBecomePlain(headsOf(text)), JSON.stringify(text));
});

t.test("the tail can never become one", async (t) => {
  const rows = [
    { name: "another method", text: "P" },
    { name: "a method that begins alike", text: "GETS" },
    { name: "absolute form", text: "GET h" },
    { name: "two spaces", text: "GET  /" },
    { name: "lower case", text: "g" },
    { name: "a line break in front", text: "\r\n" },
    { name: "the beginning of TLS", text: "\x16\x03\x01" },
    { name: "a bare LF", text: "GET /a\n" },
    { name: "a bare CR", text: "GET /a\rb" },
    { name: "CR CR", text: "GET /a\r\r" },
    { name: "LF LF", text: "GET /a\r\n\n" },
    { name: "NUL", text: "GET /a\0" },
    { name: "DEL", text: "GET /a\x7f" },
  ];
  for (const { name, text } of rows) {
    t.notOk(mayBecomePlain(headsOf(text)), name);
    t.notOk(mayBecomePlain(headsOf(...text)), `${name}, byte by byte`);
    const heads = newHeads();
    const seen = [...text].map((byte) => {
      addBytes(heads, Buffer.from(byte, "latin1"));
      return mayBecomePlain(heads);
    });
    t.equal(seen.at(-1), false, `${name}, looked at after each byte`);
    t.notOk(mayBecomePlain(headsOf(ONE + text)), `${name}, behind a good one`);
  }
});
