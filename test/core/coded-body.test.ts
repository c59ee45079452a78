import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import t from "tap";
import { isEmptyOnceDecoded } from "../../src/core/coded-body.ts";

const NOTHING = new Uint8Array();
const BOMB = gzipSync(Buffer.alloc(20_000));
const FROM_OUTPOST = Buffer.from("1f8b0800000000000000010000ffff0000000000000000", "hex");

t.test("whether a body holds nothing once its coding is undone", async (t) => {
  const rows = [
    { name: "empty", bytes: NOTHING, coding: null, is: true },
    { name: "empty, with a coding", bytes: NOTHING, coding: "gzip", is: true },
    { name: "one byte", bytes: Buffer.from(" "), coding: null, is: false },
    { name: "as an outpost compresses nothing", bytes: FROM_OUTPOST, coding: "gzip", is: true },
    { name: "gzip of nothing", bytes: gzipSync(NOTHING), coding: "gzip", is: true },
    { name: "in other letters", bytes: gzipSync(NOTHING), coding: " GZip ", is: true },
    { name: "by its old name", bytes: gzipSync(NOTHING), coding: "x-gzip", is: true },
    {
      name: "deflate of nothing, as an outpost has it",
      bytes: Buffer.from("010000ffff", "hex"),
      coding: "deflate",
      is: true,
    },
    { name: "raw deflate of nothing", bytes: deflateRawSync(NOTHING), coding: "deflate", is: true },
    { name: "framed deflate of nothing", bytes: deflateSync(NOTHING), coding: "deflate", is: true },
    { name: "brotli of nothing", bytes: brotliCompressSync(NOTHING), coding: "br", is: true },
    { name: "zstd of nothing", bytes: zstdCompressSync(NOTHING), coding: "zstd", is: true },
    { name: "gzip of a word", bytes: gzipSync("no"), coding: "gzip", is: false },
    { name: "gzip of one byte", bytes: gzipSync(" "), coding: "gzip", is: false },
    { name: "brotli of a word", bytes: brotliCompressSync("no"), coding: "br", is: false },
    { name: "few bytes that become many", bytes: BOMB, coding: "gzip", is: false },
    { name: "of another coding than it says", bytes: gzipSync(NOTHING), coding: "br", is: false },
    { name: "garbage", bytes: Buffer.from("garbage"), coding: "gzip", is: false },
    { name: "of an unknown coding", bytes: Buffer.from("x"), coding: "compress", is: false },
    { name: "of two codings", bytes: gzipSync(gzipSync(NOTHING)), coding: "gzip, gzip", is: false },
  ];
  for (const { name, bytes, coding, is } of rows) t.equal(isEmptyOnceDecoded(bytes, coding), is, name);
});
