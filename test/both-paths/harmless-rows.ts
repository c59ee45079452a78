/** Odd requests that everybody reads in one way. */
import { type HeadRow, lines, posted, start, TE } from "./smuggling-rows.ts";

export interface HarmlessRow extends HeadRow {
  /** As the upstream of a plain proxy gets it, by undici. */
  readonly asked: (path: string) => string;
}

const UNDICI = "host: a\r\nconnection: keep-alive\r\n";

function harmless(row: HeadRow, asked: (path: string) => string): HarmlessRow {
  return { ...row, asked };
}

function listed(names: string, text: string, passing: string): HarmlessRow {
  const row = lines(`Connection that names ${names}`, `Connection: ${names}\r\n${text}`);
  return harmless(row, (path) => `GET ${path} HTTP/1.1\r\n${UNDICI}${passing}\r\n`);
}

function get(path: string): string {
  return `GET ${path} HTTP/1.1\r\n${UNDICI}\r\n`;
}

function abc(path: string, framing = "transfer-encoding: chunked"): string {
  return `POST ${path} HTTP/1.1\r\n${UNDICI}${framing}\r\n\r\nabc`;
}

/** Odd, but nobody takes them for anything else, and the upstream gets them written anew. */
export const HARMLESS: readonly HarmlessRow[] = [
  harmless(
    { name: "an empty line in front", text: (path) => `\r\n${lines("", "X: y").text(path)}` },
    (path) => get(path).replace(/\r\n$/, "X: y\r\n\r\n"),
  ),
  harmless(
    {
      name: "empty lines in front",
      text: (path) => `\r\n\r\n\r\n${start("", () => `GET ${path} HTTP/1.1`).text(path)}`,
    },
    get,
  ),
  harmless(
    start("two spaces behind the method", (path) => `GET  ${path} HTTP/1.1`),
    get,
  ),
  harmless(
    start("two spaces before the version", (path) => `GET ${path}  HTTP/1.1`),
    get,
  ),
  harmless(
    start("a protocol that Node takes for HTTP/1.0", (path) => `GET ${path} RTSP/1.0`),
    get,
  ),
  harmless(
    start("white space around Host", (path) => `GET ${path} HTTP/1.1`, "Host: \t a \t\r\n"),
    get,
  ),
  ...["", "a b", "a/b", "a@b", "[", "a:x", "\xe9"].map((host) =>
    harmless(
      start(`the Host ${JSON.stringify(host)}`, (path) => `GET ${path} HTTP/1.1`, `Host: ${host}\r\n`),
      (path) => `GET ${path} HTTP/1.1\r\nhost: ${host}\r\nconnection: keep-alive\r\n\r\n`,
    ),
  ),
  harmless(posted("white space around CL", "Content-Length: \t 3 \t", "abc"), (path) =>
    abc(path, "content-length: 3"),
  ),
  harmless(posted("zeros before CL", "Content-Length: 003", "abc"), (path) => abc(path, "content-length: 3")),
  harmless(posted("TE in upper case", "TRANSFER-ENCODING: CHUNKED", "3\r\nabc\r\n0\r\n\r\n"), abc),
  harmless(posted("white space around TE", "Transfer-Encoding:\t chunked ", "3\r\nabc\r\n0\r\n\r\n"), abc),
  harmless(posted("zeros before a size", TE, "0003\r\nabc\r\n000\r\n\r\n"), abc),
  harmless(posted("extensions", TE, '3;x;y="\\"z"\r\nabc\r\n0;z=1\r\n\r\n'), abc),
  harmless(
    posted("trailers", TE, "3\r\nabc\r\n0\r\nHost: b\r\nAuthorization: b\r\nX-Forwarded-For: b\r\n\r\n"),
    abc,
  ),
  listed("Authorization", "Authorization: Bearer x\r\nX: y", "X: y\r\n"),
  listed("Host", "X: y", "X: y\r\n"),
  listed("host, close", "X: y", "X: y\r\n"),
  listed(
    "X-Forwarded-For, x-forwarded-host",
    "X-Forwarded-For: b\r\nX-Forwarded-Host: c",
    "X-Forwarded-For: b\r\nX-Forwarded-Host: c\r\n",
  ),
  listed(
    "X-Real-Ip, Forwarded, X-Original-Url",
    "X-Real-Ip: b\r\nForwarded: for=b\r\nX-Original-Url: /",
    "X-Real-Ip: b\r\nForwarded: for=b\r\nX-Original-Url: /\r\n",
  ),
  listed("Content-Length", "X: y", "X: y\r\n"),
];
