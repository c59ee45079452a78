import t from "tap";
import { firstHeader } from "../../src/core/headers.ts";
import {
  copyLess,
  hasValue,
  headersOf,
  isWord,
  knownNames,
  meaningOf,
  withRange,
} from "../../src/wire/bytes.ts";

const KNOWN = knownNames({ host: 1, date: 2, "keep-alive": 3, te: 4 });

t.test("known names", async (t) => {
  const rows = [
    { name: "host", meaning: 1 },
    { name: "HOST", meaning: 1 },
    { name: "Keep-Alive", meaning: 3 },
    { name: "TE", meaning: 4 },
    { name: "hosts", meaning: null },
    { name: "hose", meaning: null },
    { name: "keep_alive", meaning: null },
    { name: "(ost", meaning: null },
    { name: "x".repeat(300), meaning: null },
    { name: "", meaning: null },
  ];
  for (const { name, meaning } of rows) {
    const bytes = Buffer.from(`>${name}<`);
    t.equal(meaningOf(KNOWN, bytes, 1, bytes.length - 1), meaning, name);
  }
});

t.test("a word is the whole of it", async (t) => {
  const word = Buffer.from("close");
  for (const [text, is] of [
    ["Close", true],
    ["clos", false],
    ["closed", false],
    ["clo\xf3e", false],
  ] as const) {
    t.equal(isWord(Buffer.from(text, "latin1"), 0, text.length, word), is, text);
  }
});

t.test("ranges that are left out", async (t) => {
  const all = Buffer.from("0123456789");
  const rows: readonly { readonly ranges: readonly (readonly [number, number])[]; readonly is: string }[] = [
    { ranges: [], is: "123456789" },
    { ranges: [[1, 3]], is: "3456789" },
    {
      ranges: [
        [1, 3],
        [3, 5],
      ],
      is: "56789",
    },
    {
      ranges: [
        [2, 3],
        [8, 10],
      ],
      is: "134567",
    },
  ];
  for (const { ranges, is } of rows) {
    let dropped: number[] = [];
    for (const [start, end] of ranges) dropped = withRange(dropped, start, end);
    const into = Buffer.alloc(12, "#");
    t.equal(into.toString("latin1", 2, copyLess(all, 1, 10, dropped, into, 2)), is);
    t.equal(into[1], 35, "nothing in front of it is touched");
  }
  t.same(withRange(withRange([], 1, 3), 3, 5), [1, 5], "neighbours are one range");
});

t.test("lines as text", async (t) => {
  const bytes = Buffer.from("X-A:1\r\nx-b: \t two: 2 \r\nX-C:\r\n", "latin1");
  t.same(headersOf(bytes, 0, bytes.length), ["X-A", "1", "x-b", "two: 2 ", "X-C", ""]);
});

t.test("whether a line has a value, without making text of it", async (t) => {
  const long = "x".repeat(300);
  const lines = `Date: now\r\nX-Long: ${long}\r\nX-User: \t demo\r\nX-Empty:\r\nX-Blank:  \r\nX-Empty: second\r\nx-last:1\r\n`;
  const bytes = Buffer.from(`before${lines}`);
  const rows = [
    { name: "x-user", has: true },
    { name: "x-last", has: true },
    { name: "x-long", has: true },
    { name: "date", has: true },
    { name: "x-empty", has: false },
    { name: "x-blank", has: false },
    { name: "x-use", has: false },
    { name: "x-users", has: false },
    { name: "demo", has: false },
    { name: "x-last:1", has: false },
  ];
  for (const { name, has } of rows) {
    t.equal(hasValue(bytes, "before".length, bytes.length, name), has, name);
    const text = firstHeader(headersOf(bytes, "before".length, bytes.length), name);
    t.equal(Boolean(text?.trim()), has, `${name}: as the text says`);
  }
});
