import t from "tap";
import { ScratchBuffer } from "../../src/wire/scratch.ts";
import { wireAnswer } from "../both-paths/answer-of.ts";

/** The lines that pass, without a status line that may pass too. */
function passing(head: string): string {
  const answer = wireAnswer(head);
  const into = Buffer.alloc(answer.headBytes + 4, "#");
  const end = answer.copyHead(into, 2);
  const text = into.toString("latin1");
  t.same(
    [text.slice(0, 2), end, text.slice(end)],
    ["##", answer.headBytes + 2, "##"],
    "no byte beyond its room",
  );
  return text.slice(2, end).replace(/^HTTP\/1\.1 .*\r\n/, "");
}

t.test("what a decision asks for, whatever the connection reads next", async (t) => {
  const answer = wireAnswer(
    "HTTP/1.1 302 To the login\r\nX-A:1\r\nx-a:  \xe9 \r\nTE: x\r\nContent-Length: 2\r\n\r\n",
    "ok",
  );
  t.match(answer, { status: 302, statusText: "To the login", passesLength: true, passesDate: false });
  t.same(answer.headers.slice(0, 2), ["X-A", "1"]);
  t.ok(answer.headers.includes("TE"), "lines that stay here are among them");
  t.equal(answer.headers, answer.headers, "made once");
});

t.test("the reason", async (t) => {
  for (const [line, reason] of [
    ["HTTP/1.1 200 OK", "OK"],
    ["HTTP/1.1 200", ""],
    ["HTTP/1.1 200 ", ""],
    ["HTTP/1.0 200 a  b", "a  b"],
    ["HTTP/1.1 200 caf\xe9", ""],
  ] as const) {
    t.equal(wireAnswer(`${line}\r\nContent-Length: 0\r\n\r\n`).statusText, reason, JSON.stringify(line));
  }
});

t.test("the lines that pass", async (t) => {
  const rows = [
    { name: "all", lines: "X-A: 1\r\nX-B:2\r\n", is: "X-A: 1\r\nX-B:2\r\n" },
    { name: "none", lines: "", is: "" },
    {
      name: "hop-by-hop ones stay",
      lines: "TE: x\r\nX-A: 1\r\nUpgrade: y\r\nTrailer: z\r\n",
      is: "X-A: 1\r\n",
    },
    { name: "listed ones stay", lines: "X-A: 1\r\nConnection: x-a\r\nX-B: 2\r\n", is: "X-B: 2\r\n" },
    { name: "X-Auth-Fallback is ours alone", lines: "x-auth-FALLBACK: allow\r\n", is: "" },
    { name: "only lines that stay", lines: "TE: x\r\nKeep-Alive: y\r\n", is: "" },
  ];
  for (const { name, lines, is } of rows) t.equal(passing(`HTTP/1.1 204 x\r\n${lines}\r\n`), is, name);
});

t.test("the next answer of its connection is written where it is", async (t) => {
  const room = new ScratchBuffer();
  const head = (name: string): string => `HTTP/1.1 200 Of ${name}\r\nX-${name}: ${name}\r\n\r\n`;
  const waiting = wireAnswer(head("a"), "", "GET", room);
  waiting.leaveBytes();
  const over = wireAnswer(head("b"), "", "GET", room);
  over.copyHead(Buffer.alloc(100), 0);
  over.leaveBytes();
  wireAnswer(head("c"), "", "GET", room);
  t.same([waiting.statusText, waiting.headers], ["Of a", ["X-a", "a"]], "a decision may still ask for it");
  const into = Buffer.alloc(100);
  t.equal(into.toString("latin1", 0, waiting.copyHead(into, 0)), "HTTP/1.1 200 Of a\r\nX-a: a\r\n");
  t.same(over.headers, [], "whose reply is out has nothing of another one's");
});
