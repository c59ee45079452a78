/** Answers of upstreams, good, odd and broken, and what either path makes of them. */

export interface AnswerRow {
  readonly name: string;
  readonly bytes: string;
  /** In words, as answer-reading.ts has it. The upstream closes behind what is no complete answer. */
  readonly is: string;
  /** What undici and src/upstream/undici make of it, where that is something else. */
  readonly elsewhere: string;
  readonly method: "GET" | "HEAD";
}

function row(name: string, bytes: string, is: string, elsewhere = is): AnswerRow {
  return { name, bytes, is, elsewhere, method: "GET" };
}

function toHead(name: string, bytes: string, is: string, elsewhere = is): AnswerRow {
  return { ...row(name, bytes, is, elsewhere), method: "HEAD" };
}

/** An answer with these lines beside its length. */
function lines(text: string): string {
  return `HTTP/1.1 200 OK\r\n${text}Content-Length: 2\r\n\r\nok`;
}

/** An answer with these lines alone, and this body. */
function only(text: string, body = "ok"): string {
  return `HTTP/1.1 200 OK\r\n${text}\r\n${body}`;
}

function status(line: string): string {
  return `${line}\r\nContent-Length: 2\r\n\r\nok`;
}

function chunks(body: string): string {
  return only(TE, body);
}

const CL = "Content-Length: 2\r\n";
const TE = "Transfer-Encoding: chunked\r\n";
const CHUNKS = "2\r\nok\r\n0\r\n\r\n";
const KEPT = "200 OK {Content-Length: 2} ok, kept";
const CLOSED = "200 OK {Content-Length: 2} ok, closed";
const CHUNKS_KEPT = "200 OK {} ok, kept";
const UNTIL_CLOSE = "200 OK {} ok, closed";
const BAD = "malformed";
const CUT = "reset";

const STATUS_LINES: readonly AnswerRow[] = [
  row("no reason and no space", status("HTTP/1.1 200"), "200  {Content-Length: 2} ok, kept"),
  row("no reason", status("HTTP/1.1 200 "), "200  {Content-Length: 2} ok, kept"),
  row("white space in the reason", status("HTTP/1.1 200  a\tb "), "200  a\tb  {Content-Length: 2} ok, kept"),
  row(
    "a reason beyond ASCII stays here",
    status("HTTP/1.1 200 \xc3\xa9"),
    "200  {Content-Length: 2} ok, kept",
  ),
  row("NUL in the reason", status("HTTP/1.1 200 a\0"), BAD, "200  {Content-Length: 2} ok, kept"),
  row("a control in the reason", status("HTTP/1.1 200 a\x01"), BAD, "200  {Content-Length: 2} ok, kept"),
  row("DEL in the reason", status("HTTP/1.1 200 a\x7f"), BAD, "200  {Content-Length: 2} ok, kept"),
  row("a bare CR in the reason", status("HTTP/1.1 200 a\rb"), BAD),
  row("CR CR for its end", `HTTP/1.1 200 OK\r\r${CL}\r\nok`, BAD, KEPT),
  row("a bare LF behind the status line", `HTTP/1.1 200 OK\n${CL}\r\nok`, BAD),
  row("two spaces before the status", status("HTTP/1.1  200 OK"), BAD),
  row("a tab before the status", status("HTTP/1.1\t200 OK"), BAD),
  row("a tab behind the status", status("HTTP/1.1 200\tOK"), BAD),
  row("four digits", status("HTTP/1.1 2000 OK"), BAD),
  row("two digits", status("HTTP/1.1 20 OK"), BAD),
  row("a letter for a digit", status("HTTP/1.1 2x0 OK"), BAD),
  row("599", status("HTTP/1.1 599 x"), "599 x {Content-Length: 2} ok, kept"),
  row("600", status("HTTP/1.1 600 x"), BAD),
  row("600, cut off", "HTTP/1.1 600 x\r\nContent-Length: 9\r\n\r\nok", BAD, CUT),
  row("600, too large", "HTTP/1.1 600 x\r\nContent-Length: 9999999\r\n\r\nok", BAD, "too_large"),
  row("999", status("HTTP/1.1 999 x"), BAD),
  row("099", status("HTTP/1.1 099 x"), BAD),
  row("000", status("HTTP/1.1 000 x"), BAD),
  row("HTTP/1.2", status("HTTP/1.2 200 OK"), BAD),
  row("HTTP/1.10", status("HTTP/1.10 200 OK"), BAD),
  row("HTTP/2.0", status("HTTP/2.0 200 OK"), BAD, CLOSED),
  row("HTTP/0.9", status("HTTP/0.9 200 OK"), BAD, CLOSED),
  row("RTSP", status("RTSP/1.0 200 OK"), BAD, CLOSED),
  row("ICY", status("ICY 200 OK"), BAD),
  row("lower case", status("http/1.1 200 OK"), BAD),
  row("SSH", "SSH-2.0-OpenSSH_9.2\r\n", BAD),
  row("a TLS alert", "\x15\x03\x01\x00\x02\x02\x46", BAD),
  row("a space in front", ` ${lines("")}`, BAD),
  row("an empty line in front", `\r\n${lines("")}`, BAD, KEPT),
  row("a bare LF in front", `\n${lines("")}`, BAD, KEPT),
  row("an empty line alone", "\r\n", BAD, CUT),
  row("nothing", "", CUT),
  row("cut off in the status", "HTTP/1.1 20", CUT),
];

const INTERIM: readonly AnswerRow[] = [
  row("one 100", `HTTP/1.1 100 Continue\r\n\r\n${lines("")}`, KEPT),
  row(
    "several",
    `HTTP/1.1 102 x\r\n\r\nHTTP/1.0 103 Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100\r\n\r\n${lines("X: y\r\n")}`,
    "200 OK {X: y; Content-Length: 2} ok, kept",
  ),
  row(
    "with lines that frame a body",
    `HTTP/1.1 103 x\r\n${TE}${CL}Connection: close\r\n\r\n${lines("")}`,
    KEPT,
  ),
  row("101", "HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", BAD),
  row("101 behind 100", "HTTP/1.1 100 x\r\n\r\nHTTP/1.1 101 x\r\n\r\n", BAD),
  row("101, cut off", "HTTP/1.1 101 x\r\nA", BAD, CUT),
  row("a letter behind it", `HTTP/1.1 100x\r\n\r\n${lines("")}`, BAD),
  row("bare LFs", `HTTP/1.1 100 x\n\n${lines("")}`, BAD),
  row("a bare LF inside", `HTTP/1.1 100 x\nA: b\r\n\r\n${lines("")}`, BAD, KEPT),
  row("a line without a colon", `HTTP/1.1 103 x\r\nno colon\r\n\r\n${lines("")}`, BAD, KEPT),
  row("an empty line behind it", `HTTP/1.1 100 x\r\n\r\n\r\n${lines("")}`, BAD, KEPT),
  row("an empty line before it", `\r\nHTTP/1.1 100 x\r\n\r\n${lines("")}`, BAD),
  row("and no more", "HTTP/1.1 100 x\r\n\r\n", CUT),
  row("cut off", "HTTP/1.1 100 Cont", CUT),
];

const FIELD_LINES: readonly AnswerRow[] = [
  row("none", only(""), UNTIL_CLOSE),
  row("an empty value", lines("X:\r\nY: \t\r\n"), "200 OK {X: ; Y: ; Content-Length: 2} ok, kept"),
  row("white space around", lines("X: \t a \t b \r\n"), "200 OK {X: a \t b ; Content-Length: 2} ok, kept"),
  row("no white space", lines("X:a\r\n"), "200 OK {X: a; Content-Length: 2} ok, kept"),
  row(
    "order and spelling",
    lines("x-A: 1\r\nX-a: 2\r\n"),
    "200 OK {x-A: 1; X-a: 2; Content-Length: 2} ok, kept",
  ),
  row("bytes beyond ASCII", lines("X: a\x80\xff\r\n"), "200 OK {X: a\x80\xff; Content-Length: 2} ok, kept"),
  row(
    "every token character",
    lines("!#$%&'*+-.^_`|~09azAZ: a\r\n"),
    "200 OK {!#$%&'*+-.^_`|~09azAZ: a; Content-Length: 2} ok, kept",
  ),
  row("folded by a space", lines("X: a\r\n b\r\n"), BAD),
  row("folded by a tab", lines("X: a\r\n\tb\r\n"), BAD),
  row("folded and empty", lines("X: a\r\n \r\n"), BAD),
  row("a folded Content-Length", only("Content-Length: \r\n 2\r\n"), BAD),
  row("a space before the first name", lines(" X: a\r\n"), BAD),
  row("a bare LF between lines", lines("X: a\n"), BAD),
  row("a bare LF at the end", `HTTP/1.1 200 OK\r\n${CL}\nok`, BAD),
  row("bare LFs alone", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", BAD),
  row("a bare CR in a value", lines("X: a\rb\r\n"), BAD),
  row("CR CR LF", lines("X: a\r\r\n"), BAD),
  row("NUL in a value", lines("X: a\0b\r\n"), BAD),
  row("a control in a value", lines("X: a\x01b\r\n"), BAD),
  row("DEL in a value", lines("X: a\x7fb\r\n"), BAD),
  row("a space before the colon", lines("X : a\r\n"), BAD),
  row("a space before that of Content-Length", only("Content-Length : 2\r\n"), BAD),
  row("no colon", lines("X\r\n"), BAD),
  row("no name", lines(": a\r\n"), BAD),
  row("parentheses in a name", lines("X(y): a\r\n"), BAD),
  row("a name beyond ASCII", lines("X\xe9: a\r\n"), BAD),
  row("NUL in a name", lines("X\0: a\r\n"), BAD),
  row("cut off", "HTTP/1.1 200 OK\r\nContent-Le", CUT),
  row("cut off before the last LF", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r", CUT),
];

const STAY_HERE: readonly AnswerRow[] = [
  row(
    "hop-by-hop",
    lines("TE: a\r\nTrailer: b\r\nX: y\r\nUpgrade: c\r\nProxy-Authenticate: d\r\nproxy-authorization: e\r\n"),
    "200 OK {X: y; Content-Length: 2} ok, kept",
  ),
  row(
    "listed in Connection",
    lines("X-A: 1\r\nX-AB: 2\r\nConnection: X-a, ,x-b\r\nX-B: 3\r\n"),
    "200 OK {X-AB: 2; Content-Length: 2} ok, kept",
  ),
  row("listed in two of them", lines("Connection: x-a\r\nX-A: 1\r\nX-B: 2\r\nconnection: x-b\r\n"), KEPT),
  row("a listed Content-Length", lines("Connection: content-length\r\n"), "200 OK {} ok, kept"),
  row(
    "a listed Date and Set-Cookie",
    lines("Date: a\r\nSet-Cookie: b\r\nConnection: date, set-cookie\r\n"),
    KEPT,
  ),
  row(
    "ours alone",
    lines("X-Auth-Fallback: allow\r\nX-Auth-Fallbacks: y\r\n"),
    "200 OK {X-Auth-Fallbacks: y; Content-Length: 2} ok, kept",
  ),
  row(
    "Date and Set-Cookie pass",
    lines("Date: a\r\nset-cookie: b\r\n"),
    "200 OK {Date: a; set-cookie: b; Content-Length: 2} ok, kept",
  ),
];

const LENGTHS: readonly AnswerRow[] = [
  row("a length", lines(""), KEPT),
  row("0", only("Content-Length: 0\r\n", ""), "200 OK {Content-Length: 0} , kept"),
  row(
    "zeros in front",
    only("Content-Length: 0000000000000000000002\r\n"),
    "200 OK {Content-Length: 0000000000000000000002} ok, kept",
  ),
  row("white space in front", only("Content-Length:\t 2\r\n"), KEPT),
  row("white space behind", only("Content-Length: 2 \r\n"), BAD),
  row("twice the same", lines(CL), BAD),
  row("two lengths", lines("Content-Length: 3\r\n"), BAD),
  row("a list", only("Content-Length: 2, 2\r\n"), BAD),
  row("plus", only("Content-Length: +2\r\n"), BAD),
  row("minus", only("Content-Length: -2\r\n"), BAD),
  row("hexadecimal", only("Content-Length: 0x2\r\n"), BAD),
  row("empty", only("Content-Length:\r\n"), BAD),
  row("white space inside", only("Content-Length: 2 2\r\n"), BAD),
  row("2^64", only("Content-Length: 18446744073709551616\r\n"), BAD),
  row("2^64 - 1", only("Content-Length: 18446744073709551615\r\n"), BAD, "too_large"),
  row("2^53", only("Content-Length: 9007199254740992\r\n"), BAD, "too_large"),
  row("cut off", only("Content-Length: 9\r\n"), CUT),
  row("cut off, of one that closes", only("Connection: close\r\nContent-Length: 9\r\n"), CUT, BAD),
  row("cut off, of HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nok", CUT, BAD),
  row("a byte behind", `${lines("")}X`, CLOSED),
  row("an answer behind", `${lines("")}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen`, CLOSED),
  row("an empty line behind", `${lines("")}\r\n`, CLOSED, KEPT),
  row(
    "more than 64 KiB",
    only("Content-Length: 100000\r\n", "x".repeat(100_000)),
    `200 OK {Content-Length: 100000} ${"x".repeat(100_000)}, kept`,
  ),
];

const NO_BODY: readonly AnswerRow[] = [
  row("204", "HTTP/1.1 204 x\r\n\r\n", "204 x {} , kept"),
  row("304", "HTTP/1.1 304 x\r\nETag: y\r\n\r\n", "304 x {ETag: y} , kept"),
  row("204 of length 0", "HTTP/1.1 204 x\r\nContent-Length: 0\r\n\r\n", "204 x {} , kept"),
  row("204 of another length", "HTTP/1.1 204 x\r\nContent-Length: 2\r\n\r\n", "204 x {} , closed"),
  row("204 with its body", "HTTP/1.1 204 x\r\nContent-Length: 2\r\n\r\nok", "204 x {} , closed"),
  row(
    "204 of a length too large",
    "HTTP/1.1 204 x\r\nContent-Length: 9999999\r\n\r\n",
    "204 x {} , closed",
    "too_large",
  ),
  row(
    "304 with a length",
    "HTTP/1.1 304 x\r\nContent-Length: 9999999\r\n\r\n",
    "304 x {Content-Length: 9999999} , closed",
  ),
  row("204 in chunks", `HTTP/1.1 204 x\r\n${TE}\r\n`, "204 x {} , closed"),
  row("304 with its chunks", `HTTP/1.1 304 x\r\n${TE}\r\n0\r\n\r\n`, "304 x {} , closed"),
  row("204 in gzip", "HTTP/1.1 204 x\r\nTransfer-Encoding: gzip\r\n\r\n", BAD),
  row("304 of both lengths", `HTTP/1.1 304 x\r\n${CL}${TE}\r\n`, BAD),
  row("205 has one", "HTTP/1.1 205 x\r\n\r\nok", "205 x {} ok, closed"),
  toHead(
    "HEAD, a length",
    only("Content-Length: 9999999\r\n", ""),
    "200 OK {Content-Length: 9999999} , closed",
  ),
  toHead(
    "HEAD, kept by its word",
    only(`Connection: keep-alive\r\n${CL}`, ""),
    "200 OK {Content-Length: 2} , closed",
  ),
  toHead("HEAD, no length", only("", ""), "200 OK {} , closed"),
  toHead("HEAD, chunks", only(TE, ""), "200 OK {} , closed"),
  toHead("HEAD, with its body", lines(""), "200 OK {Content-Length: 2} , closed"),
  toHead(
    "HEAD, white space behind its length",
    only("Content-Length: 2 \r\n", ""),
    BAD,
    "200 OK {Content-Length: 2 } , closed",
  ),
  toHead("HEAD, 100 first", `HTTP/1.1 100 x\r\n\r\n${only(CL, "")}`, "200 OK {Content-Length: 2} , closed"),
  toHead("HEAD, gzip", only("Transfer-Encoding: gzip\r\n", ""), BAD),
  toHead("HEAD, both lengths", only(CL + TE, ""), BAD),
  toHead("HEAD, 600", "HTTP/1.1 600 x\r\n\r\n", BAD),
];

const CODINGS: readonly AnswerRow[] = [
  row("chunked", chunks(CHUNKS), CHUNKS_KEPT),
  row("in another case", only("transfer-encoding: CHUNKED \r\n", CHUNKS), CHUNKS_KEPT),
  row("length, then chunked", only(CL + TE, CHUNKS), BAD),
  row("chunked, then length", only(TE + CL, CHUNKS), BAD),
  row("length and identity", only(`${CL}Transfer-Encoding: identity\r\n`), BAD),
  row("identity", only("Transfer-Encoding: identity\r\n"), BAD),
  row("empty", only("Transfer-Encoding:\r\n"), BAD),
  row("gzip, chunked", only("Transfer-Encoding: gzip, chunked\r\n", CHUNKS), BAD),
  row("gzip and chunked in two lines", only(`Transfer-Encoding: gzip\r\n${TE}`, CHUNKS), BAD),
  row("chunked and gzip in two lines", only(`${TE}Transfer-Encoding: gzip\r\n`, CHUNKS), BAD),
  row("chunked, chunked", only("Transfer-Encoding: chunked, chunked\r\n", CHUNKS), BAD),
  row("chunked in two lines", only(TE + TE, CHUNKS), BAD, CHUNKS_KEPT),
  row("a parameter", only("Transfer-Encoding: chunked;q=1\r\n", CHUNKS), BAD),
  row("a letter more", only("Transfer-Encoding: chunkedx\r\n", CHUNKS), BAD),
  row("a letter in front", only("Transfer-Encoding: xchunked\r\n", CHUNKS), BAD),
  row("a comma behind", only("Transfer-Encoding: chunked,\r\n", CHUNKS), BAD),
  row("a vertical tab in front", only("Transfer-Encoding: \x0bchunked\r\n", CHUNKS), BAD),
  row("a tab behind", only("Transfer-Encoding: chunked\t\r\n", CHUNKS), BAD, `200 OK {} ${CHUNKS}, closed`),
  row(
    "a no-break space in front",
    only("Transfer-Encoding: \xa0chunked\r\n", CHUNKS),
    BAD,
    `200 OK {} ${CHUNKS}, closed`,
  ),
  row("of HTTP/1.0", `HTTP/1.0 200 OK\r\n${TE}\r\n${CHUNKS}`, UNTIL_CLOSE),
  row(
    "of HTTP/1.0, kept by its word",
    `HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n${TE}\r\n${CHUNKS}`,
    UNTIL_CLOSE,
    CHUNKS_KEPT,
  ),
];

const CHUNK_LINES: readonly AnswerRow[] = [
  row("several", chunks("1\r\no\r\n0000000000000001\r\nk\r\n00\r\n\r\n"), CHUNKS_KEPT),
  row(
    "digits of either case",
    chunks(`a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n`),
    "200 OK {} 01234567890123456789a, kept",
  ),
  row("bytes like lines", chunks("4\r\n\r\n0\r\r\n0\r\n\r\n"), "200 OK {} \r\n0\r, kept"),
  row("extensions", chunks('2;a;b=c;d="e;\\"\t\xff"\r\nok\r\n0;x\r\n\r\n'), CHUNKS_KEPT),
  row("17 digits", chunks("00000000000000002\r\nok\r\n0\r\n\r\n"), BAD, CHUNKS_KEPT),
  row("2^64", chunks("10000000000000000\r\nok"), BAD),
  row("2^64 - 1", chunks("ffffffffffffffff\r\nok"), BAD, CUT),
  row("2^53", chunks("20000000000000\r\nok"), BAD, CUT),
  row("0x2", chunks("0x2\r\nok\r\n0\r\n\r\n"), BAD),
  row("minus", chunks("-2\r\nok\r\n0\r\n\r\n"), BAD),
  row("no size", chunks("\r\nok\r\n0\r\n\r\n"), BAD),
  row("no size but an extension", chunks(";a\r\nok\r\n0\r\n\r\n"), BAD),
  row("a space in front", chunks(" 2\r\nok\r\n0\r\n\r\n"), BAD),
  row("a space behind", chunks("2 \r\nok\r\n0\r\n\r\n"), BAD),
  row("a bare LF behind the size", chunks("2\nok\r\n0\r\n\r\n"), BAD),
  row("a bare CR behind the size", chunks("2\rok\r\n0\r\n\r\n"), BAD),
  row("a bare LF behind the data", chunks("2\r\nok\n0\r\n\r\n"), BAD),
  row("nothing behind the data", chunks("2\r\nok0\r\n\r\n"), BAD),
  row("more data than its size", chunks("2\r\nokk\r\n0\r\n\r\n"), BAD),
  row("bare LFs at the end", chunks("2\r\nok\r\n0\n\n"), BAD),
  row("an extension without a name", chunks("2;\r\nok\r\n0\r\n\r\n"), BAD),
  row("an extension without its value", chunks("2;a=\r\nok\r\n0\r\n\r\n"), BAD, CHUNKS_KEPT),
  row("an extension without its name", chunks("2;=a\r\nok\r\n0\r\n\r\n"), BAD, CHUNKS_KEPT),
  row("two semicolons", chunks("2;;a\r\nok\r\n0\r\n\r\n"), BAD, CHUNKS_KEPT),
  row("a quote inside a value", chunks('2;a=b"c"\r\nok\r\n0\r\n\r\n'), BAD, CHUNKS_KEPT),
  row("two values", chunks("2;a=b=c\r\nok\r\n0\r\n\r\n"), BAD),
  row("a space in an extension", chunks("2; a\r\nok\r\n0\r\n\r\n"), BAD),
  row("a bare LF in an extension", chunks("2;a\nok\r\n0\r\n\r\n"), BAD),
  row("a quote that stays open", chunks('2;a="b\r\nok\r\n0\r\n\r\n'), BAD),
  row("a word behind the quote", chunks('2;a="b"c\r\nok\r\n0\r\n\r\n'), BAD),
  row("cut off in the size", chunks("2"), CUT),
  row("cut off in the data", chunks("9\r\nok"), CUT),
  row("cut off in the data, of one that closes", only(`Connection: close\r\n${TE}`, "9\r\nok"), CUT, BAD),
  row("cut off before the end", chunks("2\r\nok\r\n0\r\n"), CUT),
  row("a byte behind", chunks(`${CHUNKS}X`), UNTIL_CLOSE),
];

const TRAILERS: readonly AnswerRow[] = [
  row("stay here", chunks("2\r\nok\r\n0\r\nX: y\r\nZ:\r\n\r\n"), CHUNKS_KEPT),
  row("Content-Length", chunks(`2\r\nok\r\n0\r\n${CL}\r\n`), BAD),
  row("Transfer-Encoding", chunks(`2\r\nok\r\n0\r\n${TE}\r\n`), BAD, CHUNKS_KEPT),
  row("no colon", chunks("2\r\nok\r\n0\r\nX y\r\n\r\n"), BAD),
  row("NUL", chunks("2\r\nok\r\n0\r\nX: \0\r\n\r\n"), BAD),
  row("folded", chunks("2\r\nok\r\n0\r\nX: a\r\n b\r\n\r\n"), BAD),
  row("a bare LF", chunks("2\r\nok\r\n0\r\nX: a\n\r\n"), BAD),
  row("cut off", chunks("2\r\nok\r\n0\r\nX: y\r\n"), CUT),
];

const KEEPING: readonly AnswerRow[] = [
  row("until the close", only("Connection: keep-alive\r\n"), UNTIL_CLOSE),
  row("until the close, HTTP/1.0", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nok", UNTIL_CLOSE),
  row("HTTP/1.0", status("HTTP/1.0 200 OK"), CLOSED),
  row("HTTP/1.0 that keeps", `HTTP/1.0 200 OK\r\nConnection: a, Keep-Alive\r\n${CL}\r\nok`, KEPT),
  row("HTTP/1.0, another word", `HTTP/1.0 200 OK\r\nConnection: keep-alivex\r\n${CL}\r\nok`, CLOSED),
  row(
    "HTTP/1.0, by Proxy-Connection",
    `HTTP/1.0 200 OK\r\nProxy-Connection: keep-alive\r\n${CL}\r\nok`,
    CLOSED,
    KEPT,
  ),
  row("close", lines("Connection: close\r\n"), CLOSED),
  row("close among others", lines("Connection: a, CLOSE\r\n"), CLOSED),
  row("close and keep-alive", lines("Connection: close, keep-alive\r\n"), CLOSED),
  row("close in the second of two", lines("Connection: keep-alive\r\nConnection: close\r\n"), CLOSED),
  row("close by Proxy-Connection", lines("Proxy-Connection: close\r\n"), CLOSED),
  row("another word", lines("Connection: closed\r\n"), KEPT),
  row("an upgrade on offer", lines("Connection: upgrade\r\nUpgrade: x\r\n"), KEPT),
  row("timeout=3", lines("Keep-Alive: timeout=3\r\n"), KEPT),
  row("timeout=2, no more than the margin", lines("Keep-Alive: timeout=2\r\n"), CLOSED),
  row("timeout among others", lines("Keep-Alive: max=9,\tTimeout=0\r\n"), CLOSED),
  row("no timeout after all", lines("Keep-Alive: xtimeout=0\r\n"), KEPT),
];

function named(group: string, rows: readonly AnswerRow[]): readonly AnswerRow[] {
  return rows.map((each) => ({ ...each, name: `${group}: ${each.name}` }));
}

export const ANSWER_ROWS: readonly AnswerRow[] = [
  ...named("status line", STATUS_LINES),
  ...named("interim answers", INTERIM),
  ...named("field lines", FIELD_LINES),
  ...named("lines that stay here", STAY_HERE),
  ...named("Content-Length", LENGTHS),
  ...named("no body", NO_BODY),
  ...named("Transfer-Encoding", CODINGS),
  ...named("chunks", CHUNK_LINES),
  ...named("trailers", TRAILERS),
  ...named("keeping the connection", KEEPING),
];
