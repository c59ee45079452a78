import t from "tap";
import { relayed } from "../../src/core/replies.ts";
import type { RawHeaders, Reply } from "../../src/core/types.ts";
import { keptEndsFor, type ReplyContext, streamHead, wholeReply } from "../../src/wire/reply-bytes.ts";
import { ScratchBuffer } from "../../src/wire/scratch.ts";
import { wireAnswer } from "../both-paths/answer-of.ts";

const DATE = "Date: now\r\n";
const KEPT = "Connection: keep-alive\r\nKeep-Alive: timeout=120\r\n";
const CONTEXT: ReplyContext = {
  isHead: false,
  isLast: false,
  dateLine: () => DATE,
  keptEnds: keptEndsFor(120),
};

function ours(status: number, headers: RawHeaders, body: string): Reply {
  return { status, statusText: "Ours", headers, body: { kind: "whole", bytes: Buffer.from(body, "latin1") } };
}

function whole(reply: Reply, context: Partial<ReplyContext> = {}): string {
  if (reply.body.kind !== "whole") throw new Error("a stream");
  return wholeReply(reply, reply.body.bytes, { ...CONTEXT, ...context }, new ScratchBuffer()).toString(
    "latin1",
  );
}

const HEAD = { isHead: true } as const;
const LAST = { isLast: true } as const;

t.test("a reply of our own", async (t) => {
  const rows = [
    {
      name: "with a body",
      reply: ours(200, ["X", "y"], "ok"),
      is: `X: y\r\nContent-Length: 2\r\n${DATE}${KEPT}\r\nok`,
    },
    { name: "without one", reply: ours(200, [], ""), is: `Content-Length: 0\r\n${DATE}${KEPT}\r\n` },
    {
      name: "to HEAD",
      reply: ours(200, [], "ok"),
      context: HEAD,
      is: `Content-Length: 2\r\n${DATE}${KEPT}\r\n`,
    },
    { name: "to HEAD, its length open", reply: ours(200, [], ""), context: HEAD, is: `${DATE}${KEPT}\r\n` },
    { name: "204", reply: ours(204, [], ""), is: `${DATE}${KEPT}\r\n` },
    { name: "304, its body left out", reply: ours(304, [], "ok"), is: `${DATE}${KEPT}\r\n` },
    {
      name: "the last",
      reply: ours(200, [], ""),
      context: LAST,
      is: `Content-Length: 0\r\n${DATE}Connection: close\r\n\r\n`,
    },
    {
      name: "with a length and a date of its own",
      reply: ours(200, ["content-length", "2", "date", "then"], "ok"),
      is: `content-length: 2\r\ndate: then\r\n${KEPT}\r\nok`,
    },
    {
      name: "with every byte beyond ASCII",
      reply: ours(200, ["X", "\xe9\xff"], "\xfe"),
      is: `X: \xe9\xff\r\nContent-Length: 1\r\n${DATE}${KEPT}\r\n\xfe`,
    },
  ];
  for (const { name, reply, context = {}, is } of rows) {
    t.equal(whole(reply, context), `HTTP/1.1 ${reply.status} Ours\r\n${is}`, name);
  }
});

t.test("an answer that is relayed", async (t) => {
  const head = (lines: string, line = "HTTP/1.1 200 Theirs"): string => `${line}\r\n${lines}\r\n`;
  const rows = [
    {
      name: "as it came",
      reply: relayed(wireAnswer(head("x-A:1\r\nContent-Length: 2\r\n"), "ok")),
      is: `HTTP/1.1 200 Theirs\r\nx-A:1\r\nContent-Length: 2\r\n${DATE}${KEPT}\r\nok`,
    },
    {
      name: "with what is added",
      reply: relayed(wireAnswer(head("TE: x\r\nContent-Length: 0\r\n")), ["Authorization", "Bearer x"]),
      is: `HTTP/1.1 200 Theirs\r\nContent-Length: 0\r\nAuthorization: Bearer x\r\n${DATE}${KEPT}\r\n`,
    },
    {
      name: "with the length of what came in chunks",
      reply: relayed(wireAnswer(head("Transfer-Encoding: chunked\r\n"), "ok")),
      is: `HTTP/1.1 200 Theirs\r\nContent-Length: 2\r\n${DATE}${KEPT}\r\nok`,
    },
    {
      name: "with a Date of its own",
      reply: relayed(wireAnswer(head("Date: then\r\nContent-Length: 0\r\n"))),
      is: `HTTP/1.1 200 Theirs\r\nDate: then\r\nContent-Length: 0\r\n${KEPT}\r\n`,
    },
    {
      name: "of HTTP/1.0",
      reply: relayed(wireAnswer(head("X: y\r\n", "HTTP/1.0 403 No"), "no")),
      is: `HTTP/1.1 403 No\r\nX: y\r\nContent-Length: 2\r\n${DATE}${KEPT}\r\nno`,
    },
    {
      name: "without a reason",
      reply: relayed(wireAnswer(head("Content-Length: 0\r\n", "HTTP/1.1 200"))),
      is: `HTTP/1.1 200 \r\nContent-Length: 0\r\n${DATE}${KEPT}\r\n`,
    },
    {
      name: "less a reason beyond ASCII",
      reply: relayed(wireAnswer(head("Content-Length: 0\r\n", "HTTP/1.1 200 \xe9"))),
      is: `HTTP/1.1 200 \r\nContent-Length: 0\r\n${DATE}${KEPT}\r\n`,
    },
    {
      name: "204, less a length",
      reply: relayed(wireAnswer(head("Content-Length: 0\r\n", "HTTP/1.1 204 x"))),
      is: `HTTP/1.1 204 x\r\n${DATE}${KEPT}\r\n`,
    },
    {
      name: "to HEAD",
      context: HEAD,
      reply: relayed(wireAnswer(head("Content-Length: 9\r\n"), "", "HEAD")),
      is: `HTTP/1.1 200 Theirs\r\nContent-Length: 9\r\n${DATE}${KEPT}\r\n`,
    },
    {
      name: "the last",
      context: LAST,
      reply: relayed(wireAnswer(head("Content-Length: 0\r\n"))),
      is: `HTTP/1.1 200 Theirs\r\nContent-Length: 0\r\n${DATE}Connection: close\r\n\r\n`,
    },
  ];
  for (const { name, reply, context = {}, is } of rows) t.equal(whole(reply, context), is, name);
});

t.test("the head of a stream", async (t) => {
  const rows = [
    {
      name: "with a length",
      lines: "Content-Length: 99999\r\n",
      is: `Content-Length: 99999\r\n${DATE}${KEPT}\r\n`,
      chunked: false,
    },
    {
      name: "without",
      lines: "X: y\r\n",
      is: `X: y\r\n${DATE}${KEPT}Transfer-Encoding: chunked\r\n\r\n`,
      chunked: true,
    },
    {
      name: "the last",
      lines: "",
      context: LAST,
      is: `${DATE}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n`,
      chunked: true,
    },
    { name: "to HEAD", lines: "", context: HEAD, is: `${DATE}${KEPT}\r\n`, chunked: false },
  ];
  for (const { name, lines, context = {}, is, chunked } of rows) {
    const reply = relayed(wireAnswer(`HTTP/1.1 200 Theirs\r\n${lines}\r\n`));
    const head = streamHead(reply, { ...CONTEXT, ...context }, new ScratchBuffer());
    t.same([head.bytes.toString("latin1"), head.isChunked], [`HTTP/1.1 200 Theirs\r\n${is}`, chunked], name);
  }
});

t.test("a line of ours that would become two is never written", async (t) => {
  for (const [name, value] of [
    ["X", "y\r\nZ: 1"],
    ["X", "y\nz"],
    ["X", "y\0"],
    ["X", "\u0100"],
    ["X\r\nZ", "y"],
    ["X Y", "z"],
    ["", "y"],
  ] as const) {
    t.throws(() => whole(ours(200, [name, value], "")), /cannot be written/, JSON.stringify([name, value]));
    const added = relayed(wireAnswer("HTTP/1.1 200 x\r\nContent-Length: 0\r\n\r\n"), [name, value]);
    t.throws(() => whole(added), /cannot be written/, `${JSON.stringify([name, value])}, added`);
  }
});
