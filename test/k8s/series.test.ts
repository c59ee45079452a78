/** Rules and dashboard name metrics, labels and values: a sparekey that runs must have each of them. */
import t from "tap";
import { dashboardQueries, readDashboard } from "./dashboard.ts";
import { alertingRules, allRules, readRules } from "./rule-file.ts";
import { startMonitoringScene } from "./scene.ts";

/** Labels that Prometheus adds, or that kube-state-metrics and the kubelet have. */
const OF_OTHERS = new Set(["job", "instance", "namespace", "pod", "alertname"]);
const OURS = /\b((?:sparekey|process|nodejs)_\w+)(?:\{([^}]*)\})?/g;
const MATCHER = /(\w+)\s*(?:=~|!=|!~|=)\s*"([^"]*)"/g;
const GROUPING = /\b(?:by|on) \(([^)]*)\)/g;

/** Label values by label, by metric. */
type Served = ReadonlyMap<string, ReadonlyMap<string, ReadonlySet<string>>>;

function readSeries(text: string): Served {
  const served = new Map<string, Map<string, Set<string>>>();
  for (const [, name = "", labels = ""] of text.matchAll(/^(\w+)(?:\{(.*)\})? \S+$/gm)) {
    const values = served.get(name) ?? new Map<string, Set<string>>();
    served.set(name, values);
    for (const [, label = "", value = ""] of labels.matchAll(/(\w+)="([^"]*)"/g))
      values.set(label, (values.get(label) ?? new Set()).add(value));
  }
  return served;
}

/** What a query names and nobody serves. */
function strangersIn(expr: string, served: Served): readonly string[] {
  const named = [...expr.matchAll(OURS)].map(([, name = "", matchers = ""]) => ({ name, matchers }));
  if (named.length === 0) return [];
  return [
    ...named.flatMap(({ name, matchers }) => strangersOf(name, matchers, served)),
    ...groupedBy(expr).filter((label) => !OF_OTHERS.has(label) && !hasLabel(named, label, served)),
  ];
}

function strangersOf(name: string, matchers: string, served: Served): readonly string[] {
  const labels = served.get(name);
  if (labels === undefined) return [name];
  const pairs = [...matchers.matchAll(MATCHER)].filter(([, label = ""]) => !OF_OTHERS.has(label));
  return pairs.flatMap(([, label = "", value = ""]) => {
    const values = labels.get(label);
    if (values === undefined) return [`${name}{${label}}`];
    // A variable of Grafana.
    if (value.startsWith("$")) return [];
    const strange = value.split("|").filter((one) => !values.has(one));
    return strange.map((one) => `${name}{${label}="${one}"}`);
  });
}

function groupedBy(expr: string): readonly string[] {
  return [...expr.matchAll(GROUPING)].flatMap(([, list = ""]) => list.split(", "));
}

function hasLabel(named: readonly { readonly name: string }[], label: string, served: Served): boolean {
  return named.some(({ name }) => served.get(name)?.has(label));
}

t.test("what is named is served", async (t) => {
  // Some metrics are there with workers only.
  const { sparekey } = await startMonitoringScene(t, { admin: "correct horse" }, "workers: 2");
  const served = readSeries(await sparekey.metrics());
  const rules = await readRules();
  const dashboard = await readDashboard();

  t.same(
    strangersIn(
      'sum by (route, state) (rate(sparekey_faults_total{reason=~"refused|tired", code="1"}[5m]))',
      served,
    ),
    ['sparekey_faults_total{reason="tired"}', "sparekey_faults_total{code}", "state"],
    "a stranger is seen",
  );
  const named = new Set<string>();
  const queries = [
    ...allRules(rules).map(({ alert = "", expr }) => ({ name: alert, expr })),
    ...dashboardQueries(dashboard),
    ...dashboard.templating.list.map(({ name, definition = "" }) => ({ name, expr: definition })),
  ];
  for (const { name, expr } of queries) {
    t.same(strangersIn(expr, served), [], name);
    for (const [, metric = ""] of expr.matchAll(OURS)) named.add(metric);
  }
  t.ok(named.size >= 20, `${named.size} metrics are named`);

  // Descriptions send people to metrics as well.
  for (const { alert, annotations } of alertingRules(rules))
    for (const [metric] of (annotations.description ?? "").matchAll(/\bsparekey_\w+/g))
      t.ok(served.has(metric) || served.has(`${metric}_count`), `${alert}: ${metric}`);
});

t.test("the dashboard", async (t) => {
  const { panels, templating, uid, schemaVersion } = await readDashboard();
  t.equal(uid, "sparekey");
  t.ok(schemaVersion >= 42);
  t.equal(new Set(panels.map(({ id }) => id)).size, panels.length, "each panel has an id of its own");
  const variables = new Set(templating.list.map(({ name }) => name));
  for (const { title, targets = [], gridPos } of panels) {
    t.ok(gridPos.x + gridPos.w <= 24, `${title} is on the grid`);
    for (const { expr } of targets)
      for (const [, variable = ""] of expr.matchAll(/\$(?!__)(\w+)/g))
        t.ok(variables.has(variable), variable);
  }
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, cell) => `${x + (cell % w)},${y + Math.floor(cell / w)}`),
  );
  t.equal(new Set(cells).size, cells.length, "no panel lies on another");
});
