/** Each alert by Prometheus's own tool: it fires when it must, and is silent when it must not fire. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import t, { type Test } from "tap";
import { stringify } from "yaml";
import { type Finished, finished, start } from "../support/processes.ts";
import { missing } from "../support/programs.ts";
import { type AlertRow, alertRows, type FiringAlert } from "./alert-rows.ts";
import { type AlertingRule, alertingRules, allRules, readRules } from "./rule-file.ts";

const rules = await readRules();
const alerts = alertingRules(rules);
const names = [...new Set(alerts.map(({ alert }) => alert))];
const rows = alertRows(shmBytes());
const folder = t.testdir({ "sparekey.rules.yaml": stringify(rules) });

function shmBytes(): number {
  const { expr = "" } =
    allRules(rules).find(({ record }) => record === "authentik_outpost_shm_size_bytes") ?? {};
  return Number(/^vector\((\d+)\)$/.exec(expr)?.[1]);
}

function promtool(t: Test, ...args: readonly string[]): Promise<Finished> {
  return finished(start(t, "promtool", args, { cwd: folder }));
}

/** promtool compares all labels and annotations; only summaries differ from one alert to the next. */
function expected(alert: string, { severity, labels, summary }: FiringAlert): object {
  const rule = alerts.find(
    (one) => one.alert === alert && (severity === undefined || one.labels.severity === severity),
  );
  return { exp_labels: { ...rule?.labels, ...labels }, exp_annotations: { ...rule?.annotations, summary } };
}

function unitTest(alert: string, { series, at, fires }: AlertRow): object {
  return {
    interval: "30s",
    input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
    alert_rule_test: [
      { eval_time: at, alertname: alert, exp_alerts: fires.map((one) => expected(alert, one)) },
    ],
  };
}

async function runRows(t: Test, alert: string, cases: readonly AlertRow[]): Promise<Finished> {
  const text = stringify({
    rule_files: ["sparekey.rules.yaml"],
    evaluation_interval: "30s",
    tests: cases.map((row) => unitTest(alert, row)),
  });
  await writeFile(join(folder, `${alert}.yaml`), text);
  return promtool(t, "test", "rules", `${alert}.yaml`);
}

t.test("promtool finds nothing to say", { skip: missing("promtool") }, async (t) => {
  const { code, stdout, stderr } = await promtool(t, "check", "rules", "--lint-fatal", "sparekey.rules.yaml");
  t.equal(code, 0, stdout + stderr);
  t.match(stdout, `SUCCESS: ${allRules(rules).length} rules found`);
});

t.test("every alert has rows, firing and silent", async (t) => {
  t.same(Object.keys(rows).sort(), [...names].sort());
  for (const [alert, cases] of Object.entries(rows)) {
    t.ok(
      cases.some(({ fires }) => fires.length > 0),
      `${alert} fires`,
    );
    if (alert === "Watchdog") continue;
    t.ok(
      cases.some(({ fires }) => fires.length === 0),
      `${alert} is silent`,
    );
  }
});

t.jobs = 2;
/** All rows by one promtool, which takes a while to start; one by one only to name those that fail. */
for (const [alert, cases] of Object.entries(rows)) {
  t.test(alert, { skip: missing("promtool") }, async (t) => {
    const { code } = await runRows(t, alert, cases);
    t.equal(code, 0, `${cases.length} rows`);
    for (const row of code === 0 ? [] : cases) {
      const { code, stdout, stderr } = await runRows(t, alert, [row]);
      t.equal(code, 0, `${row.name}: ${stdout}${stderr}`);
    }
  });
}

t.test("what an operator reads", async (t) => {
  const severities = new Set(["critical", "warning", "none"]);
  for (const { alert, labels, annotations } of alerts as readonly AlertingRule[]) {
    t.ok(severities.has(labels.severity ?? ""), `${alert}: severity`);
    t.equal(labels.component, "sparekey", `${alert}: what Alertmanager routes by`);
    t.same(Object.keys(annotations).sort(), ["description", "runbook_url", "summary"], alert);
    t.equal(annotations.runbook_url, `docs/operations.md#${alert.toLowerCase()}`);
    // What differs from one alert to the next is in the summary, which the rows above spell out.
    t.notMatch(annotations.description, "{{", `${alert}: the description is as it stands`);
    t.ok((annotations.description ?? "").length > 60, `${alert}: says what to do`);
  }
});
