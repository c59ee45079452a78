import t from "tap";
import { readDuration } from "../../src/core/duration.ts";

const rows = [
  { written: "0s", milliseconds: 0 },
  { written: "100ms", milliseconds: 100 },
  { written: "1.5m", milliseconds: 90_000 },
  { written: "007s", milliseconds: 7_000 },
  { written: "0.4ms", milliseconds: 0 },
  { written: "0.5ms", milliseconds: 1 },
  { written: "0.000001h", milliseconds: 4 },
  { written: "0.29s", milliseconds: 290 },
  { written: "999999999h", milliseconds: 3_599_999_996_400_000 },
];
for (const { written, milliseconds } of rows) {
  t.test(`${written} is ${milliseconds} ms`, async (t) => {
    t.equal(readDuration(written), milliseconds);
    t.ok(Number.isSafeInteger(readDuration(written)));
  });
}

const others = [
  { name: "nothing", written: "" },
  { name: "no unit", written: "5" },
  { name: "no number", written: "s" },
  { name: "a sign", written: "-1s" },
  { name: "a power", written: "1e3s" },
  { name: "hexadecimal", written: "0x1s" },
  { name: "a blank between", written: "1 s" },
  { name: "a blank at the end", written: "1s " },
  { name: "a line break at the end", written: "1s\n" },
  { name: "another unit", written: "1d" },
  { name: "a unit in capitals", written: "1S" },
  { name: "nothing before the point", written: ".5s" },
  { name: "nothing after the point", written: "1.s" },
  { name: "a decimal comma", written: "1,5s" },
  { name: "two units", written: "1m30s" },
  { name: "more digits than there may be", written: "1234567890s" },
  { name: "more decimals than there may be", written: "1.1234567s" },
  { name: "digits of another script", written: "\u0661s" },
  { name: "without end", written: "Infinitys" },
];
for (const { name, written } of others) {
  t.test(`no duration: ${name}`, async (t) => t.equal(Number.isNaN(readDuration(written)), true));
}
