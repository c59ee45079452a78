/** What upstreams answer, good, odd and broken, as both paths pass it on or fall back for it. */
import type { UpstreamAnswer } from "./both-paths.ts";

export interface AnswerScript extends UpstreamAnswer {
  readonly name: string;
}

function script(name: string, bytes: string, then?: UpstreamAnswer["then"]): AnswerScript {
  return { name, bytes, ...(then && { then }) };
}

/** With these lines beside its length. */
function lines(text: string, status = "200 OK", body = "ok"): string {
  return `HTTP/1.1 ${status}\r\n${text}Content-Length: ${body.length}\r\n\r\n${body}`;
}

function chunked(...chunks: readonly string[]): string {
  const framed = chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join("");
  return `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${framed}0\r\n\r\n`;
}

const WHOLE = 64 * 1024;
const LONG = "0123456789abcdef".repeat(5_000);
const HUGE = "0123456789abcdef".repeat(80_000);

const FRAMING: readonly AnswerScript[] = [
  script("a length", lines("X-User: eve\r\n")),
  script("a length of 0", lines("", "200 OK", "")),
  script("chunks", chunked("ok", ", ok")),
  script("no chunk", chunked()),
  script("trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n"),
  script("until the close", "HTTP/1.1 200 OK\r\nX-User: eve\r\n\r\nok", "closes"),
  script("until the close, said so", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok", "closes"),
  script("HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nok", "closes"),
  script("HTTP/1.0, empty", "HTTP/1.0 403 Forbidden\r\n\r\n", "closes"),
  script("HTTP/1.0 that keeps", `HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n`),
  script("a length, and closes", lines("Connection: close\r\n"), "closes"),
];

const STATUSES: readonly AnswerScript[] = [
  script("204", "HTTP/1.1 204 No Content\r\nX-User: eve\r\n\r\n"),
  script("204 with a length", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"),
  script("304", "HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n"),
  script("304 with a length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
  script("205", lines("", "205 Reset Content", "")),
  script(
    "302",
    lines("Location: https://login.example/?a=b\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\n", "302 Found", ""),
  ),
  script("401", lines('WWW-Authenticate: Basic realm="x"\r\n', "401 Unauthorized", "who?")),
  script("403", lines("", "403 Forbidden", "no")),
  script("404", lines("", "404 Not Found", "where?")),
  script("400", lines("Content-Type: application/json\r\n", "400 Bad Request", '{"Message":"x"}')),
  script("a bare 400", lines("", "400 Bad Request", "")),
  script("a bare 400 in chunks", "HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
  script("an empty 400 with a cookie", lines("Set-Cookie: a=1\r\n", "400 Bad Request", "")),
  script("500", lines("", "500 Internal Server Error", "oh")),
  script("500, empty", lines("", "500 Internal Server Error", "")),
  script("501", lines("", "501 Not Implemented", "what?")),
  script("502", lines("", "502 Bad Gateway", "oh")),
  script("503", lines("Retry-After: 1\r\n", "503 Service Unavailable", "later")),
  script("504", lines("", "504 Gateway Timeout", "")),
  script("505", lines("", "505 HTTP Version Not Supported", "1.1?")),
  script("599", lines("", "599 Odd", "odd")),
  script("a 500 that is long", lines("", "500 Internal Server Error", LONG)),
  script("a 503 that is long", lines("", "503 Service Unavailable", LONG)),
];

const LINES: readonly AnswerScript[] = [
  script("no reason", lines("", "200 ")),
  script("another reason", lines("", "200 As It Came")),
  script("a reason beyond ASCII", lines("", "200 caf\xc3\xa9")),
  script("a Date of its own", lines("Date: Sat, 18 Apr 2026 09:05:07 GMT\r\n")),
  script("spelled oddly", lines("x-uSER: eve\r\ncontent-TYPE: text/plain\r\n")),
  script("bytes beyond ASCII", lines("X-User: caf\xe9\r\nX-Every: \x80\xa0\xff\r\n")),
  script("the same name again", lines("X-User: eve\r\nx-user: adam\r\nX-User: \r\n")),
  script(
    "hop-by-hop headers",
    lines(
      "Keep-Alive: timeout=9\r\nProxy-Authenticate: x\r\nTE: x\r\nTrailer: y\r\nUpgrade: h2c\r\nX-User: eve\r\n",
    ),
  ),
  script("Connection that lists", lines("Connection: X-Hop, keep-alive\r\nX-Hop: 1\r\nX-User: eve\r\n")),
  script("Connection that lists Date", lines("Connection: date\r\nDate: x\r\nX-User: eve\r\n")),
  script("Connection that lists the length", lines("Connection: content-length\r\nX-User: eve\r\n")),
  script("X-Auth-Fallback", lines("X-Auth-Fallback: allow\r\nX-User: eve\r\n")),
  script("Authorization", lines("Authorization: Bearer of-the-upstream\r\n")),
  script("names that are aliases", lines("X_User: eve\r\nX.User: eve\r\n")),
  script("a timeout of one second", lines("Keep-Alive: timeout=1\r\n")),
  script("200 lines", lines(Array.from({ length: 200 }, (_, at) => `X-Line-${at}: ${at}\r\n`).join(""))),
  script("a line of 16 KiB", lines(`X-User: ${"e".repeat(16 * 1024)}\r\n`)),
  script(
    "packed",
    lines("Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n", "200 OK", "\x1f\x8b\0\0\xff\r\n\r\n"),
  ),
];

const INTERIM: readonly AnswerScript[] = [
  script("100 first", `HTTP/1.1 100 Continue\r\n\r\n${lines("")}`),
  script("103 and 102 first", `HTTP/1.1 103 x\r\nLink: </a>\r\n\r\nHTTP/1.1 102 y\r\n\r\n${lines("")}`),
  script("101", "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"),
  script("100 and no more", "HTTP/1.1 100 Continue\r\n\r\n", "closes"),
];

const LONG_ONES: readonly AnswerScript[] = [
  script("64 KiB", lines("", "200 OK", "x".repeat(WHOLE))),
  script("64 KiB and a byte", lines("", "200 OK", "x".repeat(WHOLE + 1))),
  script("long", lines("X-User: eve\r\n", "200 OK", LONG)),
  script("long, in chunks", chunked(LONG, "!", LONG)),
  script("long, until the close", `HTTP/1.1 200 OK\r\n\r\n${LONG}`, "closes"),
  script("long, and closes", lines("Connection: close\r\n", "200 OK", LONG), "closes"),
  script("a long 302", lines("Location: /\r\n", "302 Found", LONG)),
  script("more than answerBytes", lines("", "200 OK", HUGE)),
  script("more than answerBytes, in chunks", chunked(HUGE)),
  script("long, and breaks off", `HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n${LONG}`, "closes"),
  script("long, and reset", `HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n${LONG}`, "resets"),
  script(
    "long, and breaks off in a chunk",
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n${LONG}`,
    "closes",
  ),
];

const BROKEN: readonly AnswerScript[] = [
  script("half a head", "HTTP/1.1 200 OK\r\nContent-Le", "closes"),
  script("half a body", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "closes"),
  script("half a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf", "closes"),
  script("no HTTP", "SSH-2.0-OpenSSH_9.2\r\n", "closes"),
  script("600", lines("", "600 x")),
  script("HTTP/1.2", "HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n"),
  script(
    "both lengths",
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
  ),
  script("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokk"),
  script("a length that is none", "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok"),
  script("another coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
  script("NUL", lines("X: a\0b\r\n")),
  script("a folded line", lines("X: a\r\n b\r\n")),
  script("a bare LF", lines("X: a\nY: b\r\n")),
  script("a bare CR", lines("X: a\rY: b\r\n")),
  script("a space before the colon", lines("X : a\r\n")),
  script("a bad chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\nok\r\n0\r\n\r\n"),
  script("a head too large", lines(`X: ${"x".repeat(40_000)}\r\n`)),
];

/** Whether such a check is repeated depends on its connection: only a used one is. */
export const UNHEARD: readonly AnswerScript[] = [
  script("nothing", "", "closes"),
  script("a reset", "", "resets"),
];

/** Not written as usual, a name, a colon and one space. */
const SPACED: readonly AnswerScript[] = [
  script("white space around values", lines("X-A:1\r\nX-B:  1\t \r\nX-C:\r\n")),
  script("an empty Authorization", lines("authorization:\r\n")),
];

/** None of these bytes may reach another check. */
const UNASKED: readonly AnswerScript[] = [
  script("a byte behind", `${lines("")}x`),
  script("an answer behind", `${lines("")}${lines("X-User: stolen\r\n", "200 OK", "stolen")}`),
  script("a body behind a 204", "HTTP/1.1 204 No Content\r\n\r\nstolen"),
  script("a body behind a 304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\nstolen"),
];

export const ANSWER_SCRIPTS: readonly AnswerScript[] = [
  ...FRAMING,
  ...STATUSES,
  ...LINES,
  ...INTERIM,
  ...LONG_ONES,
  ...BROKEN,
  ...SPACED,
  ...UNASKED,
];
