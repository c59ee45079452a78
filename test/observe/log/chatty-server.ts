/**
 * A process that logs much: it writes LINES lines while it answers over HTTP, tells its port and what it saw on
 * file descriptor 3, and ends by `GET /end`. Run by line-writer.test.ts.
 */
import { writeSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { openLineWriter } from "../../../src/observe/log/line-writer.ts";

const REPORT_FD = 3;
const lines = Number(process.argv[2]);
const writer = openLineWriter(1);
let written = 0;

function writeSome(): void {
  for (let i = 0; i < 100 && written < lines; i += 1) {
    written += 1;
    writer.write(JSON.stringify({ number: written, filler: "x".repeat(100) }));
  }
  if (written < lines) setImmediate(writeSome);
}

const server = createServer((request, response) => {
  if (request.url === "/end") {
    response.end("ending");
    server.close();
    void writer.flush(200).then(() => process.exit(0));
    return;
  }
  if (request.url === "/more") writer.write(JSON.stringify({ more: true }));
  response.end(String(written));
});
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as AddressInfo;
  writeSync(REPORT_FD, `${port}\n`);
  writeSome();
});
