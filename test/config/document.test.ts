import t from "tap";
import { readDocument } from "../../src/config/document.ts";
import { formatPath } from "../../src/config/problem.ts";
import { problemsOf, snapshotOf } from "../support/config-text.ts";

t.test("aliases are followed", async (t) => {
  const { routes } = await snapshotOf(`
routes:
  - { preset: authentik, upstream: &outpost "http://host:9000" }
  - { name: login, path: /login, upstream: *outpost }
`);
  t.same(routes[1]?.upstream.servers, [{ host: "host", port: 9000 }]);
});

t.test("a file of endless brackets or nodes is refused, not read", async (t) => {
  t.match(await problemsOf("[".repeat(20_000)), [/nested too deeply/]);
  t.match(await problemsOf(`routes: ${"[".repeat(40)}${"]".repeat(40)}`), [/nested too deeply/]);
  t.match(await problemsOf(`log: [${"1,".repeat(100_001)}]\nroutes: []`), { length: 3 });
});

function read(text: string, env: Readonly<Record<string, string>> = {}) {
  const reading = readDocument(text, env);
  if (!reading.ok) throw new Error(JSON.stringify(reading.problems));
  const messages = reading.findings.map(({ path, message }) => `${formatPath(path)}: ${message}`);
  return { document: reading.document, messages };
}

const dataRows = [
  {
    name: "words that were booleans before YAML 1.2",
    text: "a: [yes, no, on, y]",
    data: { a: ["yes", "no", "on", "y"] },
  },
  { name: "numbers", text: "a: [0o17, 0x1F, 1e3, 1_000, 010]", data: { a: [15, 31, 1000, "1_000", 10] } },
  { name: "a date is text", text: "a: 2026-01-01", data: { a: "2026-01-01" } },
  { name: "empty values", text: "a:\nb: ~\nc: null\nd: ''", data: { a: null, b: null, c: null, d: "" } },
  {
    name: "keys are text, whatever they look like",
    text: "5: a\ntrue: b\nnull: c",
    data: { 5: "a", true: "b", null: "c" },
  },
  { name: "keys are never filled in", text: `\${A}: b`, data: { "${A}": "b" } },
  { name: "nothing is merged", text: "<<: { a: 1 }\nb: 2", data: { "<<": { a: 1 }, b: 2 } },
  { name: "a tag of YAML's own", text: "a: !!str 5", data: { a: "5" } },
  { name: "line ends of Windows", text: "a: [\r\n  b ]\r\nc: d\r\n", data: { a: ["b"], c: "d" } },
  { name: "numbers are not filled in", text: `a: 5\nb: '5\${A}'`, data: { a: 5, b: "5one" } },
];
for (const { name, text, data } of dataRows) {
  t.test(`data: ${name}`, async (t) => {
    const { document, messages } = read(text, { A: "one" });
    t.strictSame(JSON.parse(JSON.stringify(document.data)), data);
    t.same(messages, []);
  });
}

t.test("a key is a key, even where JavaScript has another meaning for it", async (t) => {
  const { data } = read("__proto__: { admin: 1 }\nconstructor: 2").document;
  t.same(Object.keys(data as object), ["__proto__", "constructor"]);
  t.equal(Object.getPrototypeOf(data), null);
  t.notOk("admin" in (data as object), "nothing is inherited from a file");
});

/** Writes a mapping, then lists, then a number that stands `levels` below the top. */
const nested = (levels: number) => `a: ${"[".repeat(levels - 1)}1${"]".repeat(levels - 1)}`;

const refusedRows = [
  {
    name: "a key that is a list",
    text: "? [a]\n: b",
    messages: ["config: holds a key that is not plain text; write KEY: VALUE"],
  },
  {
    name: "a key that is an alias",
    text: "a: &x b\n*x : c",
    messages: ["config: holds a key that is not plain text; write KEY: VALUE"],
  },
  { name: "the same key by another spelling", text: "a: 1\n'a': 2", messages: ["a: given twice; keep one"] },
  { name: "an alias before its anchor", text: "a: *x\nb: &x 1", messages: [/^a: \{value\} begins with \*/] },
  { name: "32 levels are the most", text: nested(32), messages: [] },
  {
    name: "33 levels",
    text: nested(33),
    messages: [/^config: the file is nested too deeply/],
  },
  { name: "100 aliases are the most", text: `a: &x 1\nb: [${"*x,".repeat(100)}]`, messages: [] },
  {
    name: "101 aliases, and more, are told of once",
    text: `a: &x 1\nb: [${"*x,".repeat(150)}]`,
    messages: ["b[100]: more than 100 aliases"],
  },
];
for (const { name, text, messages } of refusedRows) {
  t.test(`findings: ${name}`, async (t) => {
    const found = read(text).messages;
    t.match(found, messages);
    t.equal(found.length, messages.length);
  });
}

t.test("the last alias that is followed, and the first that is not", async (t) => {
  const { data } = read(`a: &x 1\nb: [${"*x,".repeat(101)}]`).document;
  const { b } = data as { readonly b: readonly unknown[] };
  t.same(b.slice(98), [1, 1, null]);
});

const PLACES = `# a comment
listen: "0.0.0.0:\${PORT}"
admin:
  htpasswd: 'https://user:hunter2@host/@x'
routes: &all
  - path: /a
  - true
  - "true"
  -
again: *all
bare: user:hunter2@host
`;
const placeRows = [
  { name: "a key", path: ["admin"], at: "key", place: "3:1", shown: "a mapping", written: null },
  {
    name: "quoted, as in the file",
    path: ["listen"],
    place: "2:9",
    shown: `value "0.0.0.0:\${PORT}"`,
    written: `0.0.0.0:\${PORT}`,
  },
  {
    name: "a URL without its user and password",
    path: ["admin", "htpasswd"],
    place: "4:13",
    shown: 'value "https://***@x"',
    written: "https://user:hunter2@host/@x",
  },
  {
    name: "a URL without its scheme, user and password",
    path: ["bare"],
    place: "11:7",
    shown: "value ***@host",
    written: "user:hunter2@host",
  },
  { name: "a list", path: ["routes"], place: "6:3", shown: "a list", written: null },
  { name: "in a list", path: ["routes", 0, "path"], place: "6:11", shown: "value /a", written: "/a" },
  {
    name: "an entry has no key",
    path: ["routes", 1],
    at: "key",
    place: "7:5",
    shown: "value true",
    written: "true",
  },
  {
    name: "text in quotes is no true",
    path: ["routes", 2],
    place: "8:5",
    shown: 'value "true"',
    written: "true",
  },
  { name: "an empty entry", path: ["routes", 3], place: "9:4", shown: "an empty value", written: null },
  {
    name: "through an alias, where it is written",
    path: ["again", 0, "path"],
    place: "6:11",
    shown: "value /a",
    written: "/a",
  },
  {
    name: "missing: the nearest one around it",
    path: ["routes", 0, "name"],
    place: "6:5",
    shown: "a missing value",
    written: null,
  },
  {
    name: "a name where an index belongs",
    path: ["routes", "0"],
    place: "6:3",
    shown: "a missing value",
    written: null,
  },
] as const;
for (const { name, path, place, shown, written, ...row } of placeRows) {
  t.test(`places: ${name}`, async (t) => {
    const { document } = read(PLACES, { PORT: "4711" });
    const { line, column } = document.position(path, "at" in row ? row.at : "value");
    t.equal(`${line}:${column}`, place);
    t.equal(document.shown(path), shown);
    t.equal(document.written(path), written);
  });
}
