import type { IncomingMessage } from "node:http";
import t from "tap";
import { readCheck } from "../../src/gateway/read-check.ts";

interface Row {
  readonly name: string;
  readonly target?: string;
  readonly version?: string;
  readonly rawHeaders?: readonly string[];
  readonly isCheck: boolean;
}

const CHUNKED = ["Host", "a", "Transfer-Encoding", "Chunked"];
const rows: readonly Row[] = [
  { name: "a plain one", isCheck: true },
  { name: "bytes beyond ASCII in the target", target: "/\xe9?\xff", isCheck: true },
  { name: "a quote in the target", target: '/"', isCheck: true },
  { name: "a fragment", target: "/a#b", isCheck: false },
  { name: "absolute form", target: "http://a/b", isCheck: false },
  { name: "a space", target: "/a b", isCheck: false },
  { name: "asterisk form", target: "*", isCheck: false },
  { name: "HTTP/1.0", version: "1.0", isCheck: true },
  { name: "HTTP/2.0", version: "2.0", isCheck: false },
  { name: "HTTP/0.9", version: "0.9", isCheck: false },
  { name: "two hosts", rawHeaders: ["Host", "a", "hOST", "b"], isCheck: false },
  { name: "in chunks", rawHeaders: CHUNKED, isCheck: true },
  { name: "in chunks of HTTP/1.0", version: "1.0", rawHeaders: CHUNKED, isCheck: false },
  { name: "in gzip and chunks", rawHeaders: ["Transfer-Encoding", "gzip, chunked"], isCheck: false },
];

function request({ version = "1.1", rawHeaders = ["Host", "a"] }: Row): IncomingMessage {
  const coding = rawHeaders[rawHeaders.indexOf("Transfer-Encoding") + 1] ?? "";
  return {
    method: "GET",
    httpVersionMajor: Number(version[0]),
    httpVersionMinor: Number(version[2]),
    rawHeaders,
    headers: rawHeaders.includes("Transfer-Encoding") ? { "transfer-encoding": coding } : {},
    iterator: () => [],
  } as unknown as IncomingMessage;
}

for (const row of rows) {
  t.test(row.name, async (t) =>
    t.equal(readCheck(request(row), row.target ?? "/auth") !== null, row.isCheck),
  );
}

t.test("what is asked of it", async (t) => {
  const plain = readCheck(request({ name: "", isCheck: true }), "/auth?a?b");
  t.match(plain, { method: "GET", target: "/auth?a?b", path: "/auth", hasAuthorization: false, body: null });
  const rawHeaders = [...CHUNKED, "AUTHORIZATION", ""];
  const other = readCheck(request({ name: "", rawHeaders, isCheck: true }), "/auth");
  t.same([other?.path, other?.hasAuthorization, other?.body !== null], ["/auth", true, true]);
});
