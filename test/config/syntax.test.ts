import t from "tap";
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
