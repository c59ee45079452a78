/** All pages: what they link to and name exists (files, tests, log messages, metrics), and each alert has its runbook. */
import { globSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import t from "tap";
import { parse } from "yaml";

const ROOT = join(import.meta.dirname, "../..");
const PAGES = [...globSync("*.md", { cwd: ROOT }), ...globSync("docs/**/*.md", { cwd: ROOT })];
/** For the operator to write. */
const NOT_OURS: ReadonlySet<string> = new Set(["config/sparekey.yaml", "compose/secret/htpasswd"]);
const COMMANDS: ReadonlySet<string> = new Set(["docker", "kubectl", "npm", "sparekey", "systemctl"]);
/** For a person in an outage. */
const RUNBOOKS = ["docs/operations.md", "docs/emergency-login.md"];
const textOf = (page: string): string => readFileSync(join(ROOT, page), "utf8");
const withoutCode = (text: string): string => text.replace(/^ *```[\s\S]*?^ *```$/gm, "");

/** As GitHub makes them of headings. */
function anchorsOf(page: string): ReadonlySet<string> {
  const headings = withoutCode(textOf(page)).matchAll(/^#+ (.+)$/gm);
  const anchors = Array.from(headings, ([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
  return new Set(anchors);
}

for (const page of PAGES) {
  const text = withoutCode(textOf(page));
  t.test(`links of ${page}`, async (t) => {
    for (const [, link = ""] of text.matchAll(/\]\(([^()\s]+)\)/g)) {
      if (/^[a-z]+:/.test(link)) continue;
      const [path = "", anchor = ""] = link.split("#");
      const target = path === "" ? page : relative(ROOT, resolve(ROOT, dirname(page), path));
      if (!t.equal(globSync(target, { cwd: ROOT }).length, 1, `${link} is there`)) continue;
      if (anchor !== "") t.ok(anchorsOf(target).has(anchor), `${link} is a heading`);
    }
  });
  t.test(`files that ${page} names`, async (t) => {
    const named = text.matchAll(/`((?:bench|compose|config|docs|k8s|src|systemd|test)\/[\w./*-]*)`/g);
    for (const [, path = ""] of named)
      t.ok(NOT_OURS.has(path) || globSync(path, { cwd: ROOT }).length > 0, path);
  });
}

t.test("tests that a page names are there", async (t) => {
  for (const page of PAGES)
    for (const [, file = "", names = ""] of textOf(page).matchAll(
      /`(test\/[\w/.-]+\.ts)`:? ((?:"[^"]+"(?:, )?)+)/g,
    ))
      for (const [, name = ""] of names.matchAll(/"([^"]+)"/g))
        t.ok(textOf(file).includes(name), `${page}: ${file}: ${name}`);
});

t.test("what is said to be in the log is what sparekey writes", async (t) => {
  const sources = globSync("src/**/*.ts", { cwd: ROOT }).map(textOf).join("\n");
  for (const page of [...RUNBOOKS, "docs/configuration.md"]) {
    const phrases = Array.from(
      withoutCode(textOf(page)).matchAll(/`"?([a-z]+(?: [a-z]+)+(?:[,:] [a-z .]+)?)"?`/g),
      ([, phrase = ""]) => phrase,
    );
    const messages = phrases.filter((phrase) => !COMMANDS.has(phrase.split(" ")[0] ?? ""));
    t.ok(messages.length > 0, page);
    for (const message of messages) t.ok(sources.includes(`"${message}`), `${page}: ${message}`);
  }
});

t.test("metrics that a runbook names are those of docs/metrics.md", async (t) => {
  const known = new Set(textOf("docs/metrics.md").match(/(?<=^\| `)\w+(?=`)|(?<=`, `)sparekey_\w+(?=`)/gm));
  for (const page of RUNBOOKS)
    for (const [metric] of textOf(page).matchAll(/\b(?:sparekey|nodejs|process)_\w+/g))
      t.ok(known.has(metric.replace(/_(bucket|sum|count)$/, "")), `${page}: ${metric}`);
});

t.test("each alert has a runbook, and each runbook an alert", async (t) => {
  const { groups } = parse(textOf("k8s/monitoring/prometheus-rule.yaml")).spec;
  const rules: { alert?: string; annotations: { runbook_url: string } }[] = groups.flatMap(
    ({ rules }: { rules: unknown[] }) => rules,
  );
  const alerts = rules.filter(({ alert }) => alert !== undefined);
  for (const { alert = "", annotations } of alerts)
    t.equal(annotations.runbook_url, `docs/operations.md#${alert.toLowerCase()}`, alert);
  const [, runbooks = ""] = /^## Alerts\n([\s\S]*?)^## /m.exec(textOf("docs/operations.md")) ?? [];
  const told = Array.from(runbooks.matchAll(/^### (.+)$/gm), ([, name = ""]) => name);
  t.same(told.toSorted(), [...new Set(alerts.map(({ alert = "" }) => alert))].toSorted());
});

t.test("the alert on a full store reckons with the size that the outpost's patch gives", async (t) => {
  const [, bytes] = /vector\((\d+)\)/.exec(textOf("k8s/monitoring/prometheus-rule.yaml")) ?? [];
  const [, gibibytes] = /sizeLimit: (\d+)Gi/.exec(textOf("k8s/authentik/outpost.yaml")) ?? [];
  t.equal(Number(bytes), Number(gibibytes) * 1024 ** 3);
});
