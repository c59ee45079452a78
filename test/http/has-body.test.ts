import type { IncomingMessage } from "node:http";
import t from "tap";
import { hasBody } from "../../src/http/has-body.ts";

const rows = [
  { name: "no word of it", headers: {}, is: false },
  { name: "of no length", headers: { "content-length": "0" }, is: false },
  { name: "of a length", headers: { "content-length": "1" }, is: true },
  { name: "in chunks", headers: { "transfer-encoding": "chunked" }, is: true },
];
for (const { name, headers, is } of rows) {
  t.test(name, async (t) => t.equal(hasBody({ headers } as unknown as IncomingMessage), is));
}
