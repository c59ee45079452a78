import t from "tap";
import { newRequestHead, readRequestHead } from "../../../src/wire/request-head.ts";
import { WireCheck } from "../../../src/wire/wire-check.ts";
import { attemptsSuite } from "../attempts-suite.ts";

attemptsSuite(t, (headers) => {
  const lines = headers.flatMap((name, at) => (at % 2 === 0 ? [`${name}: ${headers[at + 1]}\r\n`] : []));
  const bytes = Buffer.from(`GET /auth HTTP/1.1\r\n${lines.join("")}\r\n`, "latin1");
  const head = newRequestHead();
  if (!readRequestHead(bytes, 0, bytes.length, 1_000, head)) throw new Error(`not plain: ${bytes}`);
  return new WireCheck(bytes, head);
});
