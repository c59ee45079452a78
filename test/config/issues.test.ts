import t from "tap";
import { readDocument } from "../../src/config/document.ts";
import { findIssues } from "../../src/config/issues.ts";
import { formatPath } from "../../src/config/problem.ts";

const ROUTES = 'routes: [{ preset: none, upstream: "http://h" }]';

function issuesOf(text: string): readonly string[] {
  const reading = readDocument(text, {});
  if (!reading.ok) throw new Error(JSON.stringify(reading.problems));
  return findIssues(reading.document).map(({ path, message }) => `${formatPath(path)}: ${message}`);
}

const hints = [
  { key: "lisen", hint: "unknown key (did you mean listen?)" },
  { key: "LISTEN", hint: "unknown key (did you mean listen?)" },
  { key: "workres", hint: "unknown key (did you mean workers?)" },
  { key: "lg", hint: "unknown key; allowed here" },
  { key: "adm", hint: "unknown key; allowed here" },
  { key: "admi", hint: "unknown key (did you mean admin?)" },
  { key: "notification", hint: "unknown key; allowed here" },
  { key: "timeouts", hint: "unknown key; it belongs in an entry of routes" },
  { key: "headBytes", hint: "unknown key; it belongs under limits" },
  { key: "host", hint: "unknown key; allowed here" },
  { key: "htpasswd", hint: "unknown key; it belongs under admin" },
  { key: "__proto__", hint: "unknown key; allowed here" },
  { key: "constructor", hint: "unknown key; allowed here" },
  { key: "hasOwnProperty", hint: "unknown key; allowed here" },
  { key: "properties", hint: "unknown key; allowed here" },
];
for (const { key, hint } of hints) {
  t.test(`the key ${key} at the top`, async (t) => {
    const issues = issuesOf(`${key}: 1\n${ROUTES}`);
    t.match(issues, [hint]);
    t.equal(issues.length, 1);
  });
}

t.test("a key that may hold a secret is not repeated", async (t) => {
  t.same(issuesOf(`log: { "level:hunter2" : 1 }\n${ROUTES}`), ["log: a blank is missing after level:"]);
});

t.test("a key as long as the file may be costs no time", async (t) => {
  const text = `routes:\n  - upstream: http://h\n    ? "${"x".repeat(900_000)}"\n    : 1`;
  const before = process.cpuUsage();
  t.match(issuesOf(text), [/unknown key; allowed here/]);
  const { user } = process.cpuUsage(before);
  t.ok(user < 600_000, `${user} µs`);
});

const unions = [
  {
    name: "of neither type",
    upstream: "5",
    issues: [/^routes\[0\]\.upstream: .* is not an upstream URL or a list of them/],
  },
  {
    name: "a text that is none",
    upstream: "h",
    issues: [/^routes\[0\]\.upstream: .* is not an upstream URL; write/],
  },
  { name: "an empty list", upstream: "[]", issues: [/^routes\[0\]\.upstream: holds no upstream/] },
  {
    name: "entries",
    upstream: '[5, "http://h", {}]',
    issues: [/^routes\[0\]\.upstream\[0\]: /, /^routes\[0\]\.upstream\[2\]: /],
  },
  {
    name: "too many",
    upstream: `[${'"http://h",'.repeat(17)}]`,
    issues: [/^routes\[0\]\.upstream: a list this long is refused; at most 16 entries/],
  },
];
for (const { name, upstream, issues } of unions) {
  t.test(`what is wrong with an upstream, by what it was meant to be: ${name}`, async (t) => {
    const found = issuesOf(`routes: [{ preset: none, upstream: ${upstream} }]`);
    t.match(found, issues);
    t.equal(found.length, issues.length);
  });
}

t.test("a good file has none", async (t) => t.same(issuesOf(ROUTES), []));
