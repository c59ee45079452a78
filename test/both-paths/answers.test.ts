/** Both paths, given the same bytes by an upstream, make the same of them; where not, it is written down. */
import type { Socket } from "node:net";
import t, { type Test } from "tap";
import { headersForGateway } from "../../src/core/headers.ts";
import { LinkedList } from "../../src/core/linked-list.ts";
import type { Answer, Body } from "../../src/core/types.ts";
import { createUpstreams } from "../../src/upstream/upstreams.ts";
import { rawUpstream, upstreamAt } from "../support/raw-upstream.ts";
import { inWords, read, type Said } from "./answer-reading.ts";
import { ANSWER_ROWS } from "./answer-rows.ts";

interface Case {
  readonly bytes: string;
  readonly method: string;
  readonly closes: boolean;
}

const PATIENT = { connect: 20_000, read: 20_000, total: 20_000 };

type AnswerPath = (each: Case) => Promise<Said | string>;

/** Over undici, each case with connections of its own. */
async function slowPath(t: Test): Promise<AnswerPath> {
  const cases: Case[] = [];
  const used = new WeakSet<Socket>();
  const reused = new Set<number>();
  const upstream = await rawUpstream(t, (socket, head) => {
    const index = Number(/^\w+ \/(\d+)/.exec(head)?.[1]);
    const { bytes, closes } = cases[index] ?? { bytes: "", closes: true };
    if (used.has(socket)) reused.add(index);
    used.add(socket);
    socket.write(bytes, "latin1");
    if (closes) socket.end();
  });
  const upstreams = createUpstreams({ now: () => performance.now(), asksInBytes: () => false });
  t.teardown(() => upstreams.close());
  return async (each) => {
    const index = cases.push(each) - 1;
    const target = upstreamAt(upstream.port, { timeouts: PATIENT });
    const { method } = each;
    const request = {
      method,
      target: `/${index}`,
      headers: ["Host", "a"],
      body: null,
      repeatable: true,
      trying: { kind: "once" } as const,
    };
    const ask = () => upstreams.ask(target, request, new AbortController().signal, new LinkedList());
    const outcome = await ask();
    if (outcome.kind === "failure") return outcome.reason;
    if (outcome.kind !== "answer") return outcome.kind;
    const said = await saidBy(outcome.answer);
    if (!each.closes) await ask();
    return { ...said, kept: reused.has(index) };
  };
}

async function saidBy({ status, statusText, headers, body }: Answer): Promise<Omit<Said, "kept">> {
  return {
    status,
    reason: statusText,
    headers: headersForGateway(headers, status),
    text: await textOf(body),
  };
}

async function textOf(body: Body): Promise<string> {
  if (body.kind === "whole") return Buffer.from(body.bytes).toString("latin1");
  let text = "";
  for await (const chunk of body.chunks) text += Buffer.from(chunk).toString("latin1");
  return text;
}

function here({ bytes, method, closes }: Case): Said | string {
  return read([Buffer.from(bytes, "latin1")], { method, closes });
}

t.test("every row", async (t) => {
  const there = await slowPath(t);
  await Promise.all(
    ANSWER_ROWS.map(async ({ name, bytes, method, elsewhere }) => {
      // Behind what either takes for a whole answer it stays open, so that it can be kept.
      const isWhole = typeof here({ bytes, method, closes: false }) !== "string";
      const closes = !isWhole && !elsewhere.endsWith(", kept");
      t.equal(inWords(await there({ bytes, method, closes })), elsewhere, name);
    }),
  );
});

const INTERIM = /^(HTTP\/1\.[01] 1(?!01)\d\d( [\t -~\x80-\xff]*)?\r\n([\w-]+:[\t -~\x80-\xff]*\r\n)*\r\n)+/;

/** Of what is left behind interim answers: where the fast path refuses what the slow path lets pass. */
const STRICTER: readonly { readonly name: string; readonly is: RegExp }[] = [
  { name: "a line break in front", is: /^[\r\n]/ },
  { name: "an odd version", is: /^(HTTP\/(2\.0|0\.9)|RTSP\/)/ },
  { name: "a control in the reason", is: /^HTTP\/1\.[01] \d{3} .*[\0\x7f]/ },
  { name: "an interim answer with a line that is none", is: /^HTTP\/1\.[01] 1(?!01)\d\d[ \r\n]/ },
  { name: "a status out of bounds, read to its end", is: /^HTTP\/1\.[01] [06-9]/ },
  { name: "101, cut off", is: /^HTTP\/1\.[01] 101/ },
  { name: "two CRs behind the status line", is: /^HTTP\/1\.[01] .*\r\r/ },
  { name: "white space behind a length", is: /content-length: *\d+[ \t]/i },
  { name: "chunked twice", is: /(transfer-encoding:[ \t]*chunked *\r\n[\s\S]*){2}/i },
  {
    name: "chunked beside odd white space",
    is: /transfer-encoding:[ \t]*(\xa0 *chunked|chunked *[\t\xa0])/i,
  },
  { name: "a chunk extension", is: /\n[0-9a-f]+;/i },
];

/** mulberry32: the same answers in every run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const GOOD = [
  "HTTP/1.1 200 OK\r\nDate: x\r\nX-User: a b\r\nConnection: keep-alive\r\nContent-Length: 12\r\n\r\nhello, world",
  "HTTP/1.1 302 Found\r\nLocation: https://a/?b\r\nSet-Cookie: c=d; Path=/\r\nContent-Length: 0\r\n\r\n",
  'HTTP/1.1 401 No\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n6;c="d e"\r\n, all!\r\n0\r\nX-Sum: 1\r\n\r\n',
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nKeep-Alive: timeout=5\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n",
  "HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
  "HTTP/1.0 403 Forbidden\r\nServer: x\r\n\r\nno, until the close",
  "HTTP/1.1 204 No Content\r\nX-Auth-Fallback: allow\r\nX-User: a\r\n\r\n",
];
const ODD = [
  "\r",
  "\n",
  "\r\n",
  "\r\n\r\n",
  "\r\n ",
  "\0",
  "\x7f",
  "\xff",
  "\xa0",
  " ",
  "\t",
  ":",
  ";",
  ",",
  "=",
  "0",
  "1",
  "9",
  "f",
  "x",
  "-",
  '"',
];
const ODD_LINES = [
  "Content-Length: 2\r\n",
  "Transfer-Encoding: chunked\r\n",
  "Connection: x-user\r\n",
  "Connection: close\r\n",
  "TE: x\r\n",
];

function mutated(draw: () => number): string {
  const pick = (from: readonly string[]): string => from[Math.floor(draw() * from.length)] ?? "";
  let text = pick(GOOD);
  for (let times = 1 + Math.floor(draw() * 2); times > 0; times -= 1) {
    const at = Math.floor(draw() * text.length);
    const line = text.indexOf("\r\n", at) + 2;
    const kind = draw();
    if (kind < 0.7) text = text.slice(0, at) + pick(ODD) + text.slice(at + Math.floor(draw() * 3));
    else if (kind < 0.85) text = text.slice(0, line) + pick(ODD_LINES) + text.slice(line);
    else if (kind < 0.95) text = text.slice(0, at) + text.slice(line);
    else text = text.slice(0, at);
  }
  return text;
}

/** What both make of it, less what may differ; null: the same, or a known difference. */
function difference(bytes: string, here: Said | string, there: Said | string): string | null {
  const [mine, theirs] = [here, there].map((said) =>
    inWords(typeof said === "string" ? said : { ...said, kept: false }),
  );
  if (mine === theirs) return null;
  // undici has another word for a body that breaks off where the connection was to close anyhow.
  if (mine === "reset" && theirs === "malformed") return null;
  const final = bytes.replace(INTERIM, "");
  if (mine === "malformed" && STRICTER.some(({ is }) => is.test(final))) return null;
  return `${JSON.stringify(bytes)}: ${mine} here, ${theirs} there`;
}

t.test("2,000 answers that were good once", async (t) => {
  const there = await slowPath(t);
  const draw = random(20_260_418);
  const odd: string[] = [];
  const kinds = { same: 0, answers: 0 };
  const compare = async (bytes: string, method: string): Promise<void> => {
    const each = { bytes, method, closes: true };
    const mine = here(each);
    const cut = Math.floor(draw() * bytes.length);
    const pieces = [bytes.slice(0, cut), bytes.slice(cut)].map((piece) => Buffer.from(piece, "latin1"));
    if (inWords(read(pieces, each)) !== inWords(mine)) odd.push(`${JSON.stringify(bytes)}, split at ${cut}`);
    const theirs = await there(each);
    const found = difference(bytes, mine, theirs);
    if (found !== null) odd.push(found);
    if (typeof mine !== "string") kinds.answers += 1;
    if (typeof mine === typeof theirs) kinds.same += 1;
  };
  for (let round = 0; round < 40; round += 1) {
    const methods = Array.from({ length: 50 }, (_, index) => (index % 7 === 0 ? "HEAD" : "GET"));
    await Promise.all(methods.map((method) => compare(mutated(draw), method)));
  }
  t.same(odd, []);
  t.ok(kinds.answers > 500, `${kinds.answers} answers`);
  t.ok(kinds.same > 1_900, `${kinds.same} of the same kind`);
});
