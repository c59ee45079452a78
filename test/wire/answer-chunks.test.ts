import t from "tap";
import { newChunks, restartChunks, takeChunkByte } from "../../src/wire/answer-chunks.ts";

const rows = [
  { name: "a size", bytes: "1aF\r\n", is: "data", size: 0x1af },
  { name: "leading zeros", bytes: "0002\r\n", is: "data", size: 2 },
  { name: "the last chunk", bytes: "0\r\n", is: "last" },
  { name: "no size", bytes: "\r", is: "malformed" },
  { name: "a sign", bytes: "-", is: "malformed" },
  { name: "white space behind the size", bytes: "2 ", is: "malformed" },
  { name: "a line feed alone", bytes: "2\n", is: "malformed" },
  { name: "a carriage return alone", bytes: "2\r2", is: "malformed" },
  { name: "more than can be counted", bytes: "fffffffffffffff", is: "malformed" },
  { name: "more digits than a number has", bytes: "0".repeat(17), is: "malformed" },
  { name: "an extension", bytes: "2;a\r\n", is: "data", size: 2 },
  { name: "one with a value", bytes: "2;a=b;c\r\n", is: "data", size: 2 },
  { name: "one with a quoted value", bytes: '2;a="b;\\"\r\n', is: "malformed" },
  { name: "one with a quoted and escaped value", bytes: '2;a="b; \\""\r\n', is: "data", size: 2 },
  { name: "one without a name", bytes: "2;;", is: "malformed" },
  { name: "one without its value", bytes: "2;a=\r", is: "malformed" },
  { name: "too many extensions", bytes: `2;${"a".repeat(21)}`, is: "too_large" },
];
for (const { name, bytes, is, size = 0 } of rows) {
  t.test(name, async (t) => {
    const chunks = newChunks();
    let phase = "";
    for (const byte of Buffer.from(bytes)) phase = takeChunkByte(chunks, byte, 20);
    t.equal(phase, is);
    if (is === "data") t.equal(chunks.size, size);
  });
}

t.test("behind the data comes a line end, then the next size; a restart forgets it all", async (t) => {
  const chunks = newChunks();
  for (const byte of Buffer.from("5;abc\r\n")) takeChunkByte(chunks, byte, 20);
  chunks.phase = "data end";
  for (const byte of Buffer.from("\r\n3\r\n")) takeChunkByte(chunks, byte, 20);
  t.same([chunks.phase, chunks.size], ["data", 3]);
  restartChunks(chunks);
  t.same(chunks, newChunks());
});
