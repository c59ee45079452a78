import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import t from "tap";
import { newRequestHead, readRequestHead } from "../../src/wire/request-head.ts";

const LINE = "GET /auth HTTP/1.1\r\n";
const HOST = "Host: a\r\n";

/** As `head` says it; null: not ours. */
function read(text: string, before = "") {
  const bytes = Buffer.from(before + text, "latin1");
  const head = newRequestHead();
  if (!readRequestHead(bytes, before.length, bytes.length, 1_000, head)) return null;
  const slice = (start: number, end: number) => bytes.toString("latin1", start, end);
  const pairs = (list: readonly number[]) =>
    list.flatMap((start, index) => (index % 2 === 0 ? [slice(start, list[index + 1] ?? 0)] : []));
  return {
    method: head.isHead ? "HEAD" : "GET",
    target: slice(head.targetStart, head.targetEnd),
    path: slice(head.targetStart, head.pathEnd),
    lines: slice(head.linesStart, head.linesEnd),
    keepsAlive: head.keepsAlive,
    dropped: pairs(head.dropped),
    authorizations: pairs(head.authorizations),
  };
}

t.test("a plain check, wherever it stands", async (t) => {
  const text = `${LINE}${HOST}Cookie: a=b; c\r\nX-Empty: \r\n\r\n`;
  for (const before of ["", "behind other bytes\r\n\r\n"]) {
    t.same(read(text, before), {
      method: "GET",
      target: "/auth",
      path: "/auth",
      lines: `${HOST}Cookie: a=b; c\r\nX-Empty: \r\n`,
      keepsAlive: true,
      dropped: [],
      authorizations: [],
    });
  }
});

t.test("ours", async (t) => {
  const rows: readonly { name: string; text: string; is: object }[] = [
    { name: "HEAD", text: `HEAD / HTTP/1.1\r\n${HOST}\r\n`, is: { method: "HEAD", target: "/" } },
    {
      name: "a query",
      text: `GET /a?b?c=/d HTTP/1.1\r\n${HOST}\r\n`,
      is: { target: "/a?b?c=/d", path: "/a" },
    },
    {
      name: "bytes beyond ASCII in a value",
      text: `${LINE}${HOST}X: \xe9\r\n\r\n`,
      is: { lines: `${HOST}X: \xe9\r\n` },
    },
    {
      name: "close",
      text: `${LINE}${HOST}Connection: Close\r\n\r\n`,
      is: { keepsAlive: false, dropped: ["Connection: Close\r\n"] },
    },
    {
      name: "keep-alive",
      text: `${LINE}${HOST}connection: keep-alive\r\n\r\n`,
      is: { keepsAlive: true, dropped: ["connection: keep-alive\r\n"] },
    },
    {
      name: "hop-by-hop names, neighbours as one",
      text: `${LINE}TE: trailers\r\nKeep-Alive: 5\r\n${HOST}Proxy-Authorization: x\r\n\r\n`,
      is: { dropped: ["TE: trailers\r\nKeep-Alive: 5\r\n", "Proxy-Authorization: x\r\n"] },
    },
    {
      name: "aliases of names",
      text: `${LINE}${HOST}X_Forwarded_Host: b\r\nX.Y: c\r\n\r\n`,
      is: { dropped: ["X_Forwarded_Host: b\r\nX.Y: c\r\n"] },
    },
    {
      name: "every Authorization",
      text: `${LINE}${HOST}authorization: a b\r\nX: y\r\nAUTHORIZATION: \r\n\r\n`,
      is: { authorizations: ["a b", ""], dropped: [] },
    },
    {
      name: "names of the same length as others",
      text: `${LINE}${HOST}Hosts: x\r\nHast: y\r\nConnectiom: z\r\n\r\n`,
      is: { dropped: [] },
    },
    { name: "white space inside a value", text: `${LINE}${HOST}X: a \t b\r\n\r\n`, is: {} },
  ];
  for (const { name, text, is } of rows) t.match(read(text), is, name);
});

const NOT_OURS: readonly { readonly name: string; readonly text: string }[] = [
  { name: "another method", text: `POST / HTTP/1.1\r\n${HOST}\r\n` },
  { name: "a method in lower case", text: `get / HTTP/1.1\r\n${HOST}\r\n` },
  { name: "a method that begins so", text: `GETX / HTTP/1.1\r\n${HOST}\r\n` },
  { name: "HTTP/1.0", text: `GET / HTTP/1.0\r\n${HOST}\r\n` },
  { name: "HTTP/2.0", text: `GET / HTTP/2.0\r\n${HOST}\r\n` },
  { name: "absolute form", text: `GET http://a/ HTTP/1.1\r\n${HOST}\r\n` },
  { name: "asterisk form", text: `GET * HTTP/1.1\r\n${HOST}\r\n` },
  { name: "a fragment", text: `GET /a#b HTTP/1.1\r\n${HOST}\r\n` },
  { name: "two spaces in front", text: `GET  /a HTTP/1.1\r\n${HOST}\r\n` },
  { name: "a space in the target", text: `GET /a b HTTP/1.1\r\n${HOST}\r\n` },
  { name: "a tab in the target", text: `GET /a\tb HTTP/1.1\r\n${HOST}\r\n` },
  { name: "a byte beyond ASCII in the target", text: `GET /\xff HTTP/1.1\r\n${HOST}\r\n` },
  { name: "NUL in the target", text: `GET /a\0b HTTP/1.1\r\n${HOST}\r\n` },
  { name: "an empty line in front", text: `\r\n${LINE}${HOST}\r\n` },
  { name: "no Host", text: `${LINE}X: y\r\n\r\n` },
  { name: "no line at all", text: `${LINE}\r\n` },
  { name: "two Hosts", text: `${LINE}${HOST}${HOST}\r\n` },
  { name: "Content-Length", text: `${LINE}${HOST}Content-Length: 0\r\n\r\n` },
  { name: "Transfer-Encoding", text: `${LINE}${HOST}transfer-encoding: chunked\r\n\r\n` },
  { name: "both", text: `${LINE}${HOST}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n` },
  { name: "Expect", text: `${LINE}${HOST}Expect: 100-continue\r\n\r\n` },
  { name: "Upgrade", text: `${LINE}${HOST}Upgrade: websocket\r\n\r\n` },
  { name: "Connection with a name", text: `${LINE}${HOST}Connection: close, X-Forwarded-For\r\n\r\n` },
  { name: "an empty Connection", text: `${LINE}${HOST}Connection: \r\n\r\n` },
  { name: "two Connections", text: `${LINE}${HOST}Connection: close\r\nConnection: close\r\n\r\n` },
  { name: "a line that goes on (obs-fold)", text: `${LINE}${HOST}X: a\r\n b\r\n\r\n` },
  { name: "obs-fold by a tab", text: `${LINE}${HOST}X: a\r\n\tb\r\n\r\n` },
  { name: "a folded Transfer-Encoding", text: `${LINE}${HOST}X: a\r\n Transfer-Encoding: chunked\r\n\r\n` },
  { name: "a bare LF between lines", text: `${LINE}${HOST}X: a\nY: b\r\n\r\n` },
  { name: "a bare LF behind the request line", text: `GET / HTTP/1.1\n${HOST}\r\n` },
  { name: "a bare CR in a value", text: `${LINE}${HOST}X: a\rb\r\n\r\n` },
  { name: "CR CR LF", text: `${LINE}${HOST}X: a\r\r\n\r\n` },
  { name: "NUL in a value", text: `${LINE}${HOST}X: a\0b\r\n\r\n` },
  { name: "DEL in a value", text: `${LINE}${HOST}X: a\x7fb\r\n\r\n` },
  { name: "a space before the colon", text: `${LINE}${HOST}X : a\r\n\r\n` },
  { name: "a space before the name", text: `${LINE} X: a\r\n${HOST}\r\n` },
  { name: "no space behind the colon", text: `${LINE}${HOST}X:a\r\n\r\n` },
  { name: "two spaces behind the colon", text: `${LINE}${HOST}X:  a\r\n\r\n` },
  { name: "a space behind the value", text: `${LINE}${HOST}X: a \r\n\r\n` },
  { name: "no name", text: `${LINE}${HOST}: a\r\n\r\n` },
  { name: "no colon", text: `${LINE}${HOST}X a\r\n\r\n` },
  { name: "a quote in the name", text: `${LINE}${HOST}"X": a\r\n\r\n` },
  { name: "a byte beyond ASCII in the name", text: `${LINE}${HOST}X\xe9: a\r\n\r\n` },
  { name: "too many lines", text: `${LINE}${HOST}${"X: y\r\n".repeat(1_000)}\r\n` },
];

t.test("not ours", async (t) => {
  for (const { name, text } of NOT_OURS) t.equal(read(text), null, name);
  t.ok(read(`${LINE}${HOST}${"X: y\r\n".repeat(999)}\r\n`), "the last of 1,000 lines");
});

t.test("cut anywhere, it is never taken for less than it is", async (t) => {
  const text = `GET /a?b HTTP/1.1\r\n${HOST}Authorization: x\r\nConnection: close\r\n\r\n`;
  for (let length = 0; length < text.length; length += 1)
    t.equal(read(text.slice(0, length)), null, `${length}`);
});

/** mulberry32: the same heads in every run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

t.test("what is ours, Node's parser reads in the same way", async (t) => {
  const server = createServer({ maxHeaderSize: 64 * 1024 }, (request, response) => {
    const { method, url, rawHeaders } = request;
    response.end(JSON.stringify({ method, url, rawHeaders }));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  const draw = random(20_260_418);
  const odd = [
    "\r",
    "\n",
    "\0",
    " ",
    "\t",
    ":",
    "\xff",
    "\x7f",
    "#",
    "?",
    "a",
    "\r\n",
    "\r\n ",
    ",",
    "close",
  ];
  const good = `GET /auth?x=1 HTTP/1.1\r\nHost: a\r\nCookie: k=v\r\nX-Forwarded-Uri: /a b\r\nConnection: close\r\nAuthorization: Basic x\r\n\r\n`;
  let ours = 0;
  for (let round = 0; round < 3_000; round += 1) {
    const at = Math.floor(draw() * (good.length - 4));
    const length = Math.floor(draw() * 3);
    const text = good.slice(0, at) + (odd[Math.floor(draw() * odd.length)] ?? "") + good.slice(at + length);
    const end = text.indexOf("\r\n\r\n") + 4;
    const mine = read(text.slice(0, end));
    if (mine === null) continue;
    ours += 1;
    const socket = connect(port, "127.0.0.1");
    socket.end(Buffer.from(text.slice(0, end), "latin1"));
    const chunks: Buffer[] = [];
    for await (const chunk of socket) chunks.push(chunk);
    const [top = "", body = ""] = Buffer.concat(chunks).toString("latin1").split("\r\n\r\n");
    t.match(top, /^HTTP\/1\.1 200 /, JSON.stringify(text));
    const theirs = JSON.parse(
      Buffer.from(body.replace(/^[0-9a-f]+\r\n|\r\n0$/g, ""), "latin1").toString("utf8"),
    );
    const lines = theirs.rawHeaders.flatMap((part: string, index: number, all: string[]) =>
      index % 2 === 0 ? [`${part}: ${all[index + 1]}\r\n`] : [],
    );
    t.same(
      { method: mine.method, url: mine.target, lines: mine.lines },
      { method: theirs.method, url: theirs.url, lines: lines.join("") },
      JSON.stringify(text),
    );
  }
  t.ok(ours > 300, `${ours} of 3,000 were ours`);
});
