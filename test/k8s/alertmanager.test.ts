/** What becomes of alerts: who gets them, and which silence which, by the real Alertmanager. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { eventually, finished, start } from "../support/processes.ts";
import { missing } from "../support/programs.ts";
import { type Labels, type SeenAlert, startAlertmanager } from "./monitoring-servers.ts";
import { alertingRules, MONITORING, readRules } from "./rule-file.ts";

const file = join(MONITORING, "alertmanager.yaml");
const config = await readFile(file, "utf8");
const alerts = alertingRules(await readRules());

/** With the labels of its rule. `severity` where there are several. */
function alert(name: string, more: Labels = {}): Labels {
  const { severity } = more;
  const rule = alerts.find(
    (one) => one.alert === name && (severity === undefined || one.labels.severity === severity),
  );
  if (rule === undefined) throw new Error(`there is no alert ${name}`);
  return { alertname: name, ...rule.labels, ...more };
}

const SSO = { namespace: "sparekey", route: "authentik" };
const BOTS = { namespace: "sparekey", route: "bot-block" };

t.test("amtool finds nothing to say", { skip: missing("amtool") }, async (t) => {
  const { code, stdout, stderr } = await finished(start(t, "amtool", ["check-config", file]));
  t.equal(code, 0, stdout + stderr);
  t.match(stdout, "3 receivers");
});

t.test("who gets them", { skip: missing("amtool") }, async (t) => {
  const rows: readonly { name: string; labels: Labels; receiver: string }[] = [
    ...alerts.map(({ alert: name, labels }) => ({
      name: `${name}, ${labels.severity}`,
      labels: { alertname: name, ...labels },
      receiver: name === "Watchdog" ? "dead-mans-switch" : labels.severity === "critical" ? "pager" : "mail",
    })),
    { name: "kube-prometheus's Watchdog", labels: { alertname: "Watchdog" }, receiver: "dead-mans-switch" },
    { name: "another team's", labels: { alertname: "DiskFull", severity: "critical" }, receiver: "mail" },
  ];
  for (const { name, labels, receiver } of rows) {
    const args = ["config", "routes", "test", `--config.file=${file}`];
    const pairs = Object.entries(labels).map(([label, value]) => `${label}=${value}`);
    const { stdout, stderr } = await finished(start(t, "amtool", [...args, ...pairs]));
    t.equal(stdout.trim(), receiver, `${name} ${stderr}`);
  }
});

t.test("which silence which", { skip: missing("prometheus-alertmanager") }, async (t) => {
  const alertmanager = await startAlertmanager(t, config);
  const rows: readonly {
    name: string;
    cause: Labels;
    silenced: readonly Labels[];
    heard: readonly Labels[];
  }[] = [
    {
      name: "without a gateway nobody asks",
      cause: alert("TraefikDown", { namespace: "traefik" }),
      silenced: [
        alert("ForwardAuthFailing", SSO),
        alert("ForwardAuthFailing", BOTS),
        alert("ForwardAuthBreakerOpen", BOTS),
        alert("PoisonFountainDown", { namespace: "poison-fountain" }),
      ],
      heard: [
        alert("ExternalMonitorsCorrelated"),
        alert("SparekeyDown", { severity: "critical" }),
        alert("AuthentikOutpost400Spike", SSO),
        alert("AuthentikOutpostShmFilling", { namespace: "authentik" }),
        alert("EmergencyLoginUsed", SSO),
        alert("Watchdog"),
      ],
    },
    {
      name: "no bot blocker is the reason for its route's fallback, and for no other's",
      cause: alert("PoisonFountainDown", { namespace: "poison-fountain" }),
      silenced: [alert("ForwardAuthFailing", BOTS), alert("ForwardAuthBreakerOpen", BOTS)],
      heard: [
        alert("ForwardAuthFailing", SSO),
        alert("ForwardAuthFailing", { ...SSO, route: "authentik-login" }),
        alert("SparekeyShedding", BOTS),
      ],
    },
    {
      name: "the fallback says it all, of its own route",
      cause: alert("ForwardAuthFailing", SSO),
      silenced: [alert("ForwardAuthBreakerOpen", SSO), alert("EndpointEjected", SSO)],
      heard: [
        alert("ForwardAuthBreakerOpen", BOTS),
        alert("EndpointEjected", BOTS),
        alert("ForwardAuthBreakerOpen", { ...SSO, namespace: "staging" }),
        alert("EmergencyLoginUsed", SSO),
        alert("EmergencyLoginBruteForce", SSO),
        alert("EmergencyPasswordMissing", SSO),
        alert("ExternalMonitorsCorrelated"),
      ],
    },
    {
      name: "none left: the single ones are no news",
      cause: alert("SparekeyDown", { severity: "critical" }),
      silenced: [
        alert("SparekeyDown", { severity: "warning", namespace: "sparekey", instance: "10.0.0.7:9090" }),
        alert("SparekeyDown", { severity: "warning", namespace: "sparekey", instance: "10.0.0.8:9090" }),
      ],
      heard: [
        alert("TraefikDown", { namespace: "traefik" }),
        alert("SparekeyConfigRejected"),
        alert("Watchdog"),
      ],
    },
    {
      name: "many monitors are one outage",
      cause: alert("ExternalMonitorsCorrelated"),
      silenced: [
        { alertname: "BlackboxProbeFailed", severity: "critical", instance: "https://a.example.com" },
        { alertname: "ExternalMonitorDown", severity: "warning", instance: "https://b.example.com" },
      ],
      heard: [alert("ForwardAuthFailing", SSO), alert("SparekeyDown", { severity: "critical" })],
    },
  ];
  for (const { name, cause, silenced, heard } of rows) {
    await t.test(name, async (t) => {
      const all = [cause, ...silenced, ...heard];
      await alertmanager.post(all, true);
      const wanted = [...silenced.map(() => "inhibited"), "active", ...heard.map(() => "active")];
      let seen: readonly string[] = [];
      // Causes of the row before are over; Alertmanager takes a moment to see that.
      await eventually(
        () => `${name}: ${JSON.stringify([...silenced, cause, ...heard].map((one, at) => [one, seen[at]]))}`,
        async () => {
          const known = await alertmanager.alerts();
          seen = [...silenced, cause, ...heard].map((labels) => stateOf(labels, known));
          return seen.join() === wanted.join() ? true : null;
        },
      );
      t.same(seen, wanted);
      await alertmanager.post(all, false);
    });
  }
});

function stateOf(labels: Labels, known: readonly SeenAlert[]): string {
  const found = known.find(
    (one) =>
      Object.keys(one.labels).length === Object.keys(labels).length &&
      Object.entries(labels).every(([label, value]) => one.labels[label] === value),
  );
  if (found === undefined) return "unknown";
  return found.isInhibited ? "inhibited" : found.state;
}
