/** Reads replies as a gateway does, from all bytes of its connection. */

export interface ReplyPart {
  readonly status: number;
  /** The head up to and including the empty line. */
  readonly head: string;
  /** The body without its chunks. */
  readonly body: string;
  readonly framing: "none" | "length" | "chunked" | "close";
  /** False: more must come, or the connection ended too soon. */
  readonly isWhole: boolean;
  /** The reply announces that the connection ends with it. */
  readonly closes: boolean;
}

export interface ReadReplies {
  /** All replies in order, also interim ones. */
  readonly parts: readonly ReplyPart[];
  /** Bytes that are no reply to a check. */
  readonly rest: string;
}

/** `methods`: the methods of the checks, in order. A body that ends with the connection is whole if it `ended`. */
export function readReplies(text: string, methods: readonly string[], ended: boolean): ReadReplies {
  const parts: ReplyPart[] = [];
  let rest = text;
  let asked = 0;
  while (rest !== "" && asked < methods.length) {
    const end = rest.indexOf("\r\n\r\n");
    if (end === -1) return { parts, rest };
    const head = rest.slice(0, end + 4);
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1] ?? Number.NaN);
    if (Number.isNaN(status)) return { parts, rest };
    const framing = framingOf(head, status, methods[asked] ?? "GET");
    const read = readBody(rest.slice(head.length), head, framing, ended);
    const closes = /^connection: close\r$/im.test(head);
    parts.push({ status, head, body: read.body, framing, isWhole: read.isWhole, closes });
    rest = rest.slice(head.length + read.length);
    if (status >= 200) asked += 1;
    if (!read.isWhole) break;
  }
  return { parts, rest };
}

function framingOf(head: string, status: number, method: string): ReplyPart["framing"] {
  if (method === "HEAD" || status < 200 || status === 204 || status === 304) return "none";
  if (/^transfer-encoding: chunked\r$/im.test(head)) return "chunked";
  return /^content-length:[ \t]*\d+[ \t]*\r$/im.test(head) ? "length" : "close";
}

interface ReadBody {
  readonly body: string;
  /** How many bytes of the connection the body took. */
  readonly length: number;
  readonly isWhole: boolean;
}

function readBody(rest: string, head: string, framing: ReplyPart["framing"], ended: boolean): ReadBody {
  if (framing === "none") return { body: "", length: 0, isWhole: true };
  if (framing === "close") return { body: rest, length: rest.length, isWhole: ended };
  if (framing === "chunked") return undoChunks(rest);
  const length = Number(/^content-length:[ \t]*(\d+)[ \t]*\r$/im.exec(head)?.[1]);
  const body = rest.slice(0, length);
  return { body, length: body.length, isWhole: body.length === length };
}

/** Reads chunks without extensions and trailers, which no test sends. */
export function undoChunks(text: string): ReadBody {
  let body = "";
  let at = 0;
  for (;;) {
    const line = /^([0-9a-f]+)\r\n/i.exec(text.slice(at, at + 20));
    if (line === null) return { body, length: text.length, isWhole: false };
    const size = Number.parseInt(line[1] ?? "", 16);
    const start = at + line[0].length;
    body += text.slice(start, start + size);
    at = start + size + 2;
    if (text.slice(start + size, at) !== "\r\n") return { body, length: text.length, isWhole: false };
    if (size === 0) return { body, length: at, isWhole: true };
  }
}
