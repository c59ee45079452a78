import t from "tap";
import { byPosition, errorCode, formatPath, formatProblem, quote } from "../../src/config/problem.ts";

const pathRows = [
  { name: "the top", path: [], text: "config" },
  { name: "keys and indexes", path: ["routes", 0, "fallback", "realm"], text: "routes[0].fallback.realm" },
  { name: "an index first", path: [0, "a"], text: "[0].a" },
  { name: "an empty key", path: ["a", ""], text: 'a[""]' },
  { name: "a key with a dot, which is no step", path: ["a", "b.c"], text: "a[b.c]" },
  { name: "a key with a blank", path: ["a b"], text: '["a b"]' },
  { name: "a key that is JavaScript's own", path: ["__proto__"], text: "__proto__" },
  { name: "the longest plain key", path: ["a".repeat(64)], text: "a".repeat(64) },
  { name: "a longer key is cut", path: ["a".repeat(65)], text: `[${"a".repeat(60)}…]` },
  { name: "a key that would write to a terminal", path: ["\u001b[2J"], text: '["\\u001b[2J"]' },
];
for (const { name, path, text } of pathRows) {
  t.test(`path: ${name}`, async (t) => t.equal(formatPath(path), text));
}

const quoteRows = [
  { name: "plain text stands as it is", text: "http://h:1/a-b~c", shown: "http://h:1/a-b~c" },
  { name: "nothing", text: "", shown: '""' },
  { name: "a blank", text: "a b", shown: '"a b"' },
  { name: "quotes and backslashes", text: 'a"\\b', shown: '"a\\"\\\\b"' },
  { name: "a line break cannot begin a log line of its own", text: "a\nb", shown: '"a\\nb"' },
  { name: "DEL", text: "a\u007fb", shown: '"a\\u007fb"' },
  { name: "a C1 control", text: "a\u009bb", shown: '"a\\u009bb"' },
  { name: "text that would run backwards", text: "a\u202eb", shown: '"a\\u202eb"' },
  { name: "letters of other scripts", text: "ü", shown: '"\\u00fc"' },
  { name: "a character of two code units", text: "😀", shown: '"\\ud83d\\ude00"' },
  { name: "the longest that is shown whole", text: "a".repeat(60), shown: "a".repeat(60) },
  { name: "longer text is cut", text: "a".repeat(61), shown: `${"a".repeat(60)}…` },
  { name: "the cut halves a character", text: `${"a".repeat(59)}😀`, shown: `"${"a".repeat(59)}\\ud83d…"` },
];
for (const { name, text, shown } of quoteRows) {
  t.test(`quoted: ${name}`, async (t) => t.equal(quote(text), shown));
}

t.test(
  "a problem is a line that editors understand, and problems come in the order of the file",
  async (t) => {
    const at = (line: number, column: number) => ({ file: "c.yaml", line, column, path: "a", message: "no" });
    t.equal(formatProblem(at(2, 10)), "c.yaml:2:10 a: no");
    t.same([at(10, 1), at(2, 10), at(2, 9)].toSorted(byPosition), [at(2, 9), at(2, 10), at(10, 1)]);
  },
);

const codeRows = [
  {
    name: "of the system",
    error: Object.assign(new Error("/etc/secret"), { code: "EACCES" }),
    code: "EACCES",
  },
  { name: "a number", error: Object.assign(new Error("x"), { code: 5 }), code: "5" },
  { name: "without a code", error: new Error("/etc/secret"), code: "unknown error" },
  { name: "no error", error: { code: "EACCES" }, code: "unknown error" },
  { name: "nothing", error: undefined, code: "unknown error" },
];
for (const { name, error, code } of codeRows) {
  t.test(`code of an error: ${name}`, async (t) => t.equal(errorCode(error), code));
}
