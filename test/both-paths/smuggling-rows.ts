/** Requests that two readers could take for different ones. `path` is of the check; what must not get out is /none/stolen. */

export interface HeadRow {
  readonly name: string;
  readonly text: (path: string) => string;
  /** The gateway closes its side behind it. */
  readonly ends?: true;
}

const STOLEN = "GET /none/stolen HTTP/1.1\r\nHost: a\r\n\r\n";
/** As one chunk, and the last. */
const STOLEN_CHUNK = `${STOLEN.length.toString(16)}\r\n${STOLEN}\r\n0\r\n\r\n`;

export function lines(name: string, text: string, behind = ""): HeadRow {
  return { name, text: (path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n${text}\r\n\r\n${behind}` };
}

export function posted(name: string, text: string, body: string): HeadRow {
  return { name, text: (path) => `POST ${path} HTTP/1.1\r\nHost: a\r\n${text}\r\n\r\n${body}` };
}

export function start(name: string, line: (path: string) => string, more = "Host: a\r\n"): HeadRow {
  return { name, text: (path) => `${line(path)}\r\n${more}\r\n` };
}

export const TE = "Transfer-Encoding: chunked";

/** Where the body ends. */
const LENGTHS: readonly HeadRow[] = [
  posted("TE and CL", `${TE}\r\nContent-Length: 4`, STOLEN_CHUNK),
  posted("CL and TE", `Content-Length: ${STOLEN.length}\r\n${TE}`, `0\r\n\r\n${STOLEN}`),
  posted("CL 0 and TE", `Content-Length: 0\r\n${TE}`, STOLEN_CHUNK),
  posted("two CL that differ", `Content-Length: 0\r\nContent-Length: ${STOLEN.length}`, STOLEN),
  posted("two CL that agree", `Content-Length: ${STOLEN.length}\r\nContent-Length: ${STOLEN.length}`, STOLEN),
  lines("two CL of a GET", `Content-Length: 0\r\ncontent-length: ${STOLEN.length}`, STOLEN),
  posted("a list as CL", `Content-Length: 0, ${STOLEN.length}`, STOLEN),
  posted("a list of one length as CL", `Content-Length: ${STOLEN.length}, ${STOLEN.length}`, STOLEN),
  posted("a CL with a plus", `Content-Length: +${STOLEN.length}`, STOLEN),
  posted("a CL with a minus", `Content-Length: -1`, STOLEN),
  posted("a CL with a space inside", `Content-Length: ${STOLEN.length / 2} 0`, STOLEN),
  posted("a hexadecimal CL", `Content-Length: 0x${STOLEN.length.toString(16)}`, STOLEN),
  posted("a CL with a letter", `Content-Length: ${STOLEN.length}a`, STOLEN),
  posted("a CL with a dot", `Content-Length: ${STOLEN.length}.0`, STOLEN),
  posted("a CL with an exponent", "Content-Length: 1e1", STOLEN),
  posted("a quoted CL", `Content-Length: "${STOLEN.length}"`, STOLEN),
  posted("a CL beyond all numbers", "Content-Length: 99999999999999999999", STOLEN),
  posted("an empty CL", "Content-Length: ", STOLEN),
  posted("an empty CL and another", `Content-Length: \r\nContent-Length: ${STOLEN.length}`, STOLEN),
  posted("a space before the colon of CL", `Content-Length : ${STOLEN.length}`, STOLEN),
  posted("a tab before the colon of CL", `Content-Length\t: ${STOLEN.length}`, STOLEN),
  posted("a NUL before CL", `Content-Length: \0${STOLEN.length}`, STOLEN),
  posted("a form feed before CL", `Content-Length: \f${STOLEN.length}`, STOLEN),
  posted("a folded CL", `Content-Length:\r\n ${STOLEN.length}`, STOLEN),
  posted("TE not chunked last", "Transfer-Encoding: chunked, identity", STOLEN_CHUNK),
  posted("TE gzip, chunked", "Transfer-Encoding: gzip, chunked", STOLEN_CHUNK),
  posted("TE chunked twice in a line", "Transfer-Encoding: chunked, chunked", STOLEN_CHUNK),
  posted("TE chunked in two lines", `${TE}\r\n${TE}`, STOLEN_CHUNK),
  posted("TE chunked, then another", `${TE}\r\nTransfer-Encoding: identity`, STOLEN_CHUNK),
  posted("TE another, then chunked", `Transfer-Encoding: identity\r\n${TE}`, STOLEN_CHUNK),
  posted("an empty TE", "Transfer-Encoding: ", STOLEN_CHUNK),
  posted("TE with a vertical tab", "Transfer-Encoding: \vchunked", STOLEN_CHUNK),
  posted("TE with a NUL", "Transfer-Encoding: chunked\0", STOLEN_CHUNK),
  posted("a space before the colon of TE", "Transfer-Encoding : chunked", STOLEN_CHUNK),
  posted("a tab before the colon of TE", "Transfer-Encoding\t: chunked", STOLEN_CHUNK),
  posted("a space before TE", ` ${TE}`, STOLEN_CHUNK),
  posted("a folded TE", "Transfer-Encoding:\r\n chunked", STOLEN_CHUNK),
  posted("TE behind a folded line", `X: y\r\n ${TE}`, STOLEN_CHUNK),
  posted("TE behind a bare LF", `X: y\n${TE}`, STOLEN_CHUNK),
  posted("TE behind a bare CR", `X: y\r${TE}`, STOLEN_CHUNK),
  {
    name: "TE of HTTP/1.0",
    text: (path) => `POST ${path} HTTP/1.0\r\nHost: a\r\n${TE}\r\n\r\n${STOLEN_CHUNK}`,
  },
];

/** Codings nobody can undo. Node's parser cuts the connection where a body follows at once. */
export const CUT: readonly HeadRow[] = [
  posted("TE not chunked at all", "Transfer-Encoding: identity", STOLEN),
  posted("TE gzip", "Transfer-Encoding: gzip", STOLEN),
  posted("TE xchunked", "Transfer-Encoding: xchunked", STOLEN_CHUNK),
  posted("TE chunkedx", "Transfer-Encoding: chunkedx", STOLEN_CHUNK),
  posted("a quoted TE", 'Transfer-Encoding: "chunked"', STOLEN_CHUNK),
  posted("TE with a parameter", "Transfer-Encoding: chunked;x=y", STOLEN_CHUNK),
];

/** Where lines and names end. */
const LINES: readonly HeadRow[] = [
  lines("a folded line", "X: y\r\n z"),
  lines("a line folded by a tab", "X: y\r\n\tz"),
  { name: "a folded first line", text: (path) => `GET ${path} HTTP/1.1\r\n X: y\r\nHost: a\r\n\r\n` },
  lines("a bare CR", "X: y\rZ: 1"),
  lines("a bare CR before the colon", "X\r: y"),
  lines("a bare LF", "X: y\nZ: 1"),
  { name: "LF LF for the end", text: (path) => `GET ${path} HTTP/1.1\r\nHost: a\n\n${STOLEN}` },
  { name: "LF LF behind CR LF", text: (path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\n${STOLEN}` },
  { name: "LF only", text: (path) => `GET ${path} HTTP/1.1\nHost: a\n\n` },
  lines("CR CR LF", "X: y\r"),
  lines("a space before the colon", "X : y"),
  lines("a tab before the colon", "X\t: y"),
  lines("a space in a name", "X Y: z"),
  lines("an empty name", ": y"),
  lines("no colon", "X"),
  lines("NUL in a name", "X\0Y: z"),
  lines("NUL in a value", "X: y\0z"),
  lines("a control in a value", "X: y\x01z"),
  lines("DEL in a value", "X: y\x7fz"),
  lines("a byte beyond ASCII in a name", "X\xe9: y"),
  lines("a quote in a name", '"X": y'),
  lines("a bracket in a name", "X[]: y"),
];

/** What is asked for, and how. */
const REQUEST_LINES: readonly HeadRow[] = [
  start("NUL in the target", (path) => `GET ${path}?\0 HTTP/1.1`),
  start("a control in the target", (path) => `GET ${path}?\x01 HTTP/1.1`),
  start("DEL in the target", (path) => `GET ${path}?\x7f HTTP/1.1`),
  start("a tab in the target", (path) => `GET ${path}?\ty HTTP/1.1`),
  start("a bare CR in the target", (path) => `GET ${path}?\ry HTTP/1.1`),
  start("a byte beyond ASCII in the target", (path) => `GET ${path}?\xe9 HTTP/1.1`),
  start("a fragment", (path) => `GET ${path}#x HTTP/1.1`),
  start("absolute form", (path) => `GET http://a${path} HTTP/1.1`),
  start("absolute form of another host", (path) => `GET http://b${path} HTTP/1.1`),
  start("absolute form over TLS", (path) => `GET https://a${path} HTTP/1.1`),
  start("authority form", () => "GET a:80 HTTP/1.1"),
  start("CONNECT", () => "CONNECT a:80 HTTP/1.1"),
  start("CONNECT with a path", (path) => `CONNECT ${path} HTTP/1.1`),
  start("asterisk form", () => "OPTIONS * HTTP/1.1"),
  start("asterisk form of GET", () => "GET * HTTP/1.1"),
  start("no slash", (path) => `GET ${path.slice(1)} HTTP/1.1`),
  start("no target", () => "GET HTTP/1.1"),
  start("HTTP/0.9", (path) => `GET ${path} HTTP/0.9`),
  { name: "HTTP/0.9 by its form", text: (path) => `GET ${path}\r\n\r\n` },
  start("HTTP/1.2", (path) => `GET ${path} HTTP/1.2`),
  start("HTTP/1.10", (path) => `GET ${path} HTTP/1.10`),
  start("HTTP/01.1", (path) => `GET ${path} HTTP/01.1`),
  start("HTTP/1", (path) => `GET ${path} HTTP/1`),
  start("HTTP/2.0", (path) => `GET ${path} HTTP/2.0`),
  start("HTTP/3.0", (path) => `GET ${path} HTTP/3.0`),
  start("http/1.1", (path) => `GET ${path} http/1.1`),
  start("HTTP 1.1", (path) => `GET ${path} HTTP 1.1`),
  start("the preface of HTTP/2", () => "PRI * HTTP/2.0", "\r\nSM\r\n"),
  start("white space before the method", (path) => ` GET ${path} HTTP/1.1`),
  start("a tab before the method", (path) => `\tGET ${path} HTTP/1.1`),
  start("a space behind the version", (path) => `GET ${path} HTTP/1.1 `),
  start("a tab behind the method", (path) => `GET\t${path} HTTP/1.1`),
  start("a method in lower case", (path) => `get ${path} HTTP/1.1`),
  start("a method nobody knows", (path) => `GETS ${path} HTTP/1.1`),
  start("a NUL in the method", (path) => `G\0T ${path} HTTP/1.1`),
];

/** Whom it is for. */
const HOSTS: readonly HeadRow[] = [
  start("no Host", (path) => `GET ${path} HTTP/1.1`, "X: y\r\n"),
  start("no line", (path) => `GET ${path} HTTP/1.1`, ""),
  start("two Hosts", (path) => `GET ${path} HTTP/1.1`, "Host: a\r\nHost: b\r\n"),
  start("two Hosts that agree", (path) => `GET ${path} HTTP/1.1`, "Host: a\r\nhost: a\r\n"),
  start("two Hosts far apart", (path) => `GET ${path} HTTP/1.1`, "Host: a\r\nX: y\r\nHOST: b\r\n"),
  start("a folded Host", (path) => `GET ${path} HTTP/1.1`, "Host:\r\n a\r\n"),
  start("a space before the colon of Host", (path) => `GET ${path} HTTP/1.1`, "Host : a\r\n"),
  start("a NUL in Host", (path) => `GET ${path} HTTP/1.1`, "Host: a\0b\r\n"),
];

export const REFUSED: readonly HeadRow[] = [...LENGTHS, ...LINES, ...REQUEST_LINES, ...HOSTS];

/** Of requests whose heads are good: what was passed on of such a body is never whole. */
const BROKEN_CHUNKS: readonly HeadRow[] = (
  [
    ["a size that is none", `z\r\n${STOLEN}`],
    ["no size", `\r\n${STOLEN}`],
    ["a negative size", `-1\r\n${STOLEN}`],
    ["a size with a plus", `+3\r\nabc\r\n0\r\n\r\n${STOLEN}`],
    ["a size with 0x", `0x3\r\nabc\r\n0\r\n\r\n${STOLEN}`],
    ["a size beyond all numbers", `fffffffffffffffff\r\n${STOLEN}`],
    ["a size that wraps to 3", `10000000000000003\r\nabc\r\n0\r\n\r\n${STOLEN}`],
    ["a space before a size", ` 3\r\nabc\r\n0\r\n\r\n${STOLEN}`],
    ["a size that ends in LF", `3\nabc\r\n0\r\n\r\n${STOLEN}`],
    ["a chunk that ends in LF", `3\r\nabc\n0\r\n\r\n${STOLEN}`],
    ["a chunk that ends in nothing", `3\r\nabc0\r\n\r\n${STOLEN}`],
    ["a chunk longer than its size", `3\r\nabcdef\r\n0\r\n\r\n${STOLEN}`],
    ["a last chunk that ends in LF", `3\r\nabc\r\n0\n\n${STOLEN}`],
    ["an extension with a bare LF", `3;x=\nabc\r\n0\r\n\r\n${STOLEN}`],
    ["an extension with a bare CR", `3;x=\rabc\r\n0\r\n\r\n${STOLEN}`],
    ["an extension with a NUL", `3;x=\0\r\nabc\r\n0\r\n\r\n${STOLEN}`],
    ["a trailer that is folded", `3\r\nabc\r\n0\r\nX: y\r\n z\r\n\r\n${STOLEN}`],
    ["a trailer with a space before its colon", `3\r\nabc\r\n0\r\nX : y\r\n\r\n${STOLEN}`],
    ["a trailer that is a length", `3\r\nabc\r\n0\r\nContent-Length: ${STOLEN.length}\r\n\r\n${STOLEN}`],
    ["a trailer that is a coding", `3\r\nabc\r\n0\r\n${TE}\r\n\r\n${STOLEN_CHUNK}`],
  ] as const
).map(([name, body]) => posted(name, TE, body));

export const BROKEN_BODIES: readonly HeadRow[] = [
  ...BROKEN_CHUNKS,
  posted("a tab behind TE", `${TE}\t`, STOLEN_CHUNK),
  { ...posted("a chunk larger than all that comes", TE, `ffff\r\n${STOLEN}`), ends: true },
  { ...posted("a CL larger than all that comes", "Content-Length: 9999", STOLEN), ends: true },
];
