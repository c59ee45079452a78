/** What an upstream makes of four checks on one connection, and what each of them gets. */
import { answerTo } from "./tagged-upstream.ts";

/** Of an answer to a. */
export const HEAD = "HTTP/1.1 200 OK\r\nX-Tag: a\r\n";

export interface Row {
  readonly name: string;
  /** What the upstream sends once it has got a, b, c and d; `closes`: then its side ends, `resets`: by a reset. */
  readonly sends: readonly string[];
  readonly ending?: "closes" | "resets";
  /** Those that are asked anew. */
  readonly anew: string;
  /** What comes of them where it is not their own answer. */
  readonly results?: Readonly<Record<string, string>>;
}

const WHOLE = ["a", "b", "c", "d"].map(answerTo);
const AS_CHUNKS = `${HEAD}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n`;
export const ROWS: readonly Row[] = [
  { name: "each in a write of its own", sends: WHOLE, anew: "" },
  { name: "all in one write", sends: [WHOLE.join("")], anew: "" },
  { name: "byte by byte", sends: [...WHOLE.join("")], anew: "" },
  { name: "one in chunks in front", sends: [AS_CHUNKS + WHOLE.slice(1).join("")], anew: "" },
  { name: "an interim answer in front", sends: [`HTTP/1.1 103 x\r\n\r\n${WHOLE.join("")}`], anew: "" },
  {
    name: "a 204 in front",
    sends: [`HTTP/1.1 204 x\r\nX-Tag: a\r\n\r\n${WHOLE.slice(1).join("")}`],
    anew: "",
  },
  { name: "closed before the first", sends: [], ending: "closes", anew: "abcd" },
  { name: "reset before the first", sends: [], ending: "resets", anew: "abcd" },
  { name: "closed between two", sends: [answerTo("a"), answerTo("b")], ending: "closes", anew: "cd" },
  { name: "closed inside the first's head", sends: ["HTTP/1.1 200 O"], ending: "closes", anew: "abcd" },
  {
    name: "closed inside the second's body",
    sends: [`${answerTo("a")}${HEAD}Content-Length: 9\r\n\r\nb`],
    ending: "closes",
    anew: "bcd",
  },
  { name: "bytes behind the last", sends: [`${WHOLE.join("")}${answerTo("stolen")}`], anew: "" },
  { name: "bytes between two", sends: [`${answerTo("a")}x${WHOLE.slice(1).join("")}`], anew: "bcd" },
  { name: "malformed in front", sends: [`HTTP/1.1 200 OK\r\nX Tag: a\r\n\r\n`], anew: "abcd" },
  { name: "malformed behind", sends: [`${answerTo("a")}HTTP/2 200 OK\r\n\r\n`], anew: "bcd" },
  {
    name: "two lengths",
    sends: [`${HEAD}Content-Length: 1\r\nContent-Length: 2\r\n\r\na`, answerTo("b")],
    anew: "abcd",
  },
  { name: "ended by close", sends: [`${HEAD}\r\na`], ending: "closes", anew: "bcd" },
  {
    name: "HTTP/1.0",
    sends: [`HTTP/1.0 200 OK\r\nX-Tag: a\r\nContent-Length: 1\r\n\r\na`, answerTo("b")],
    anew: "bcd",
  },
  {
    name: "Connection: close in front",
    sends: [`${HEAD}Connection: close\r\nContent-Length: 1\r\n\r\na`, answerTo("b")],
    anew: "bcd",
  },
  {
    name: "Connection: close behind",
    sends: [answerTo("a"), `HTTP/1.1 200 OK\r\nX-Tag: b\r\nConnection: close\r\nContent-Length: 1\r\n\r\nb`],
    anew: "cd",
  },
  { name: "a head too large", sends: [`${HEAD}X: ${"x".repeat(20_000)}\r\n\r\n`], anew: "abcd" },
  {
    name: "a body announced too large",
    sends: [`${HEAD}Content-Length: 200001\r\n\r\n`],
    anew: "bcd",
    results: { a: "too_large" },
  },
  {
    name: "a stream in front",
    sends: [`${HEAD}Content-Length: 100000\r\n\r\n${"a".repeat(100_000)}${answerTo("b")}`],
    anew: "bcd",
  },
];
