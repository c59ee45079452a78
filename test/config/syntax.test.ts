import t from "tap";
import { isOverflow, withoutBlank } from "../../src/config/syntax.ts";
import { problemsOf } from "../support/config-text.ts";

const brokenYaml = [
  {
    name: "indentation",
    text: "routes:\n  - a: 1\n   b: 2\n",
    line: "c.yaml:3:1 yaml: Sequence item without - indicator",
  },
  {
    name: "an open bracket",
    text: "routes: [\n",
    line: /^c\.yaml:2:1 yaml: Flow sequence .* end with a \]$/,
  },
  { name: "tabs", text: "routes:\n\t- a: b\n\t  c: d\n", line: /^c\.yaml:2:1 yaml: .*[Tt]ab/ },
  {
    name: "no blank after a colon",
    text: "routes:\n  - fallback:\n      mode:deny\n      htpasswd: hunter2\n",
    line: "c.yaml:3:7 yaml: a blank is missing after mode:",
  },
  {
    name: "no blank after the last colon",
    text: "notify:\n  - headers: {}\n    url:https://hunter2\n",
    line: "c.yaml:3:5 yaml: a blank is missing after url:",
  },
  {
    name: "one word with a colon that is no key",
    text: "trustedProxies:\n  - localhost:90\n    a: b\n",
    line: "c.yaml:2:5 yaml: Implicit keys need to be on a single line",
  },
  {
    name: "a line indented further than the one before",
    text: "routes:\n  - preset: authentik\n     upstream: http://host\n    path: /a\n",
    line: "c.yaml:2:13 yaml: the line after this one is indented further; a key begins where the key above it does",
  },
  {
    name: "a colon and a blank inside a value",
    text: "realm: Emergency: hunter2\n",
    line: 'c.yaml:1:8 yaml: text that holds ": " must stand in quotes',
  },
  {
    name: "a value that begins with %, at the begin of a line",
    text: "%hunter2\n---\na: b\n",
    line: "c.yaml:1:1 yaml: a % begins a directive of YAML; text that begins so must stand in quotes",
  },
  {
    name: "a star alone",
    text: "routes:\n  - path: *\n",
    line: "c.yaml:2:11 yaml: an * or & begins an alias or anchor of YAML; text that begins so must stand in quotes",
  },
];
for (const { name, text, line } of brokenYaml) {
  t.test(`broken YAML: ${name}`, async (t) => {
    const problems = await problemsOf(text);
    t.match(problems, [line]);
    t.equal(problems.length, 1, "what follows from it is left out");
    t.notMatch(problems.join(), /hunter2/);
  });
}

t.test("broken YAML: mistakes that stand alone are all named", async (t) => {
  const problems = await problemsOf("listen: @a\nlog: !include b\ndrain: `c\nroutes:\n\t- d\n\t- e\n");
  t.match(
    problems.map((problem) => problem.split(" ")[0]),
    ["c.yaml:1:9", "c.yaml:2:6", "c.yaml:3:8", "c.yaml:5:1"],
  );
  t.equal(problems.length, 4);
});

t.test("broken YAML: five mistakes are enough", async (t) => {
  const many = Array.from({ length: 9 }, (_, index) => `a${index}: @x\n`).join("");
  t.equal((await problemsOf(many)).length, 5);
});

const secretRows = [
  { name: "an escape", text: 'a: "hunter2\\q"\n' },
  { name: "a quote that is not closed", text: "a: 'hunter2\n" },
  { name: "text after a quote", text: 'a: "b" hunter2\n' },
  { name: "a comment without a blank", text: 'a: "b"#hunter2\n' },
  { name: "an anchor with two names", text: "a: &x &hunter2 b\n" },
  { name: "a key without a value", text: "a: b\nhunter2\n" },
  { name: "a block that begins oddly", text: "a: |hunter2\n" },
  { name: "a map within a line", text: "a: { b: c hunter2: d }\n" },
];
for (const { name, text } of secretRows) {
  t.test(`broken YAML shows nothing of what is written: ${name}`, async (t) => {
    const problems = await problemsOf(text);
    t.ok(problems.length > 0);
    t.notMatch(problems.join("\n"), /hunter2/);
  });
}

const blankRows = [
  { text: "mode:deny", missing: "mode" },
  { text: "url:https://chat.example/x", missing: "url" },
  { text: "mode::", missing: "mode" },
  { text: "mode: deny", missing: null },
  { text: "mode:", missing: null },
  { text: "localhost:9000", missing: null },
  { text: "Mode:deny", missing: null },
  { text: " mode:deny", missing: null },
  { text: "__proto__:x", missing: null },
  { text: "constructor:x", missing: null },
  { text: `${"a".repeat(100_000)}:x`, missing: null },
];
for (const { text, missing } of blankRows) {
  t.test(`a blank is missing: ${text.slice(0, 30)}`, async (t) =>
    t.equal(withoutBlank(text), missing && `a blank is missing after ${missing}:`),
  );
}

t.test("the words of a full stack, thrown or told", async (t) => {
  for (const text of ["Maximum call stack size exceeded", "RangeError: Stack overflow"])
    t.ok(isOverflow(text));
  t.notOk(isOverflow("Missing closing 'quote"));
});
