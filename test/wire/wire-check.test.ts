import t from "tap";
import { newRequestHead, readRequestHead } from "../../src/wire/request-head.ts";
import { WireCheck } from "../../src/wire/wire-check.ts";

const BEFORE = "of another check\r\n\r\n";

/** Out of the middle of other bytes; the head it is read with is used again. */
function wireCheck(text: string): WireCheck {
  const head = newRequestHead();
  const bytes = Buffer.from(`${BEFORE}${text}${BEFORE}`, "latin1");
  if (!readRequestHead(bytes, BEFORE.length, BEFORE.length + text.length, 100, head)) throw new Error(text);
  const check = new WireCheck(bytes, head);
  const other = Buffer.from("HEAD /o HTTP/1.1\r\nHost: o\r\nTE: o\r\nAuthorization: o\r\n\r\n", "latin1");
  readRequestHead(other, 0, other.length, 100, head);
  return check;
}

function sent(check: WireCheck, ...stay: readonly string[]): string {
  return check.requestBytes((authorization) => stay.includes(authorization)).toString("latin1");
}

t.test("what a decision asks for", async (t) => {
  const check = wireCheck(
    "GET /a/b?c=/d?e HTTP/1.1\r\nHost: a\r\nX-Empty: \r\nx-Odd: \xe9: f\r\nTE: x\r\n\r\n",
  );
  t.match(check, { method: "GET", target: "/a/b?c=/d?e", path: "/a/b", body: null, hasAuthorization: false });
  t.same(
    check.headers,
    ["Host", "a", "X-Empty", "", "x-Odd", "\xe9: f", "TE", "x"],
    "all lines, as they came",
  );
  t.equal(check.headers, check.headers, "made once");
  t.match(wireCheck("HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n"), { method: "HEAD", target: "/a", path: "/a" });
});

const START = "GET / HTTP/1.1\r\n";
const HOST = "Host: a\r\n";
const EMERGENCY = "Basic emergency";

t.test("as the upstream gets it", async (t) => {
  const rows = [
    { name: "whole", lines: `${HOST}X: y\r\n`, is: `${HOST}X: y\r\n` },
    { name: "less what stays here", lines: `TE: x\r\n${HOST}X_Y: z\r\nA: b\r\n`, is: `${HOST}A: b\r\n` },
    { name: "less the last line", lines: `${HOST}Connection: close\r\n`, is: HOST },
    {
      name: "with an Authorization",
      lines: `${HOST}Authorization: Bearer x\r\n`,
      is: `${HOST}Authorization: Bearer x\r\n`,
    },
    {
      name: "less emergency credentials",
      lines: `${HOST}Authorization: ${EMERGENCY}\r\nA: b\r\n`,
      is: `${HOST}A: b\r\n`,
    },
    {
      name: "less the emergency one of several, between lines that stay",
      lines: `TE: x\r\nauthorization: ${EMERGENCY}\r\nTrailer: y\r\nAUTHORIZATION: Bearer x\r\n${HOST}Authorization: ${EMERGENCY}\r\n`,
      is: `AUTHORIZATION: Bearer x\r\n${HOST}`,
    },
    {
      name: "with an empty Authorization",
      lines: `Authorization: \r\n${HOST}`,
      is: `Authorization: \r\n${HOST}`,
    },
  ];
  for (const { name, lines, is } of rows) {
    const check = wireCheck(`${START}${lines}\r\n`);
    t.equal(sent(check, EMERGENCY), `${START}${is}\r\n`, name);
    t.equal(sent(check, EMERGENCY), `${START}${is}\r\n`, `${name}, once more`);
  }
  const check = wireCheck(`${START}Authorization: \r\n${HOST}\r\n`);
  t.equal(sent(check, ""), `${START}${HOST}\r\n`, "less an empty one that must stay");
});

t.test("the next check of its connection is written where it is", async (t) => {
  const bytes = Buffer.alloc(100);
  const head = newRequestHead();
  const written = (host: string): WireCheck => {
    const end = bytes.write(`GET /${host} HTTP/1.1\r\nHost: ${host}\r\n\r\n`, "latin1");
    if (!readRequestHead(bytes, 0, end, 100, head)) throw new Error(host);
    return new WireCheck(bytes, head);
  };
  const held = written("a");
  held.hold();
  held.leaveBytes();
  const over = written("b");
  over.hold();
  over.release();
  over.leaveBytes();
  written("c");
  t.same(held.headers, ["Host", "a"], "who holds it may ask for it");
  t.equal(sent(held), `GET /a HTTP/1.1\r\nHost: a\r\n\r\n`);
  t.same(over.headers, [], "nobody gets a word of another one out of it");
});
