/**
 * The whole way of an alert: a sparekey in fallback, the real Prometheus that scrapes it by the rules, the real
 * Alertmanager, and who gets the message. Only the times are shorter, a hundredth of each.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { basic } from "../support/app.ts";
import { eventually } from "../support/processes.ts";
import { missing } from "../support/programs.ts";
import { startReceiver } from "../support/receiver.ts";
import { dashboardQueries, readDashboard } from "./dashboard.ts";
import { type Labels, startAlertmanager, startPrometheus } from "./monitoring-servers.ts";
import { alertingRules, inAHurry, MONITORING, readRules } from "./rule-file.ts";
import { startMonitoringScene } from "./scene.ts";

interface Message {
  readonly alerts: readonly {
    readonly status: string;
    readonly labels: Labels;
    readonly annotations: Labels;
  }[];
}

const skip = missing("prometheus", "prometheus-alertmanager");

t.test("an outage on its way to a person", { skip }, async (t) => {
  const receiver = await startReceiver(t);
  const config = await readFile(join(MONITORING, "alertmanager.yaml"), "utf8");
  const alertmanager = await startAlertmanager(
    t,
    config
      .replace(/https:\/\/([\w-]+)\.example\.net\/sparekey/g, `${receiver.url}/$1`)
      .replace(/group_(wait|interval): \w+/g, "group_$1: 200ms"),
  );
  const rules = await readRules();
  const scene = await startMonitoringScene(t, { admin: "correct horse" });
  const { sparekey } = scene;
  const prometheus = await startPrometheus(t, {
    rules: inAHurry(rules),
    target: `${sparekey.admin.host}:${sparekey.admin.port}`,
    alertmanager: alertmanager.address,
  });
  const alertsTo = (to: string) =>
    receiver.received
      .filter(({ target }) => target === `/${to}`)
      .flatMap(({ body }) => (JSON.parse(body) as Message).alerts);
  /** The first message of that kind. */
  const told = (to: string, labels: Labels) =>
    eventually(
      () =>
        `no ${JSON.stringify(labels)} for ${to}: ${alertsTo(to).map((one) => JSON.stringify(one.labels))}`,
      () =>
        alertsTo(to).find(
          (alert) =>
            alert.status === "firing" &&
            Object.entries(labels).every(([label, value]) => alert.labels[label] === value),
        ) ?? null,
    );

  await eventually(
    () => "Prometheus has not scraped sparekey",
    async () =>
      (await prometheus.query('sparekey_fallback_active{route="authentik"} == 0')).length > 0 ? true : null,
  );
  t.same(await scene.check(3), [302, 302, 302], "the outpost works");
  await scene.breakOutpost("bare-400");
  await eventually(
    () => "a full session store is not seen",
    async () => ((await scene.check(1))[0] === 401 ? true : null),
  );
  t.same(await scene.check(3), [401, 401, 401], "its session store is full");
  await scene.breakOutpost("refuse");
  t.same(await scene.check(6), [401, 401, 401, 401, 401, 401], "it is gone");
  t.same(await scene.check(1, { Authorization: basic("admin", "correct horse") }), [200]);

  await t.test("the pager says which route, and what to do", async (t) => {
    const { labels, annotations } = await told("pager", {
      alertname: "ForwardAuthFailing",
      route: "authentik",
    });
    t.same(labels, {
      alertname: "ForwardAuthFailing",
      component: "sparekey",
      severity: "critical",
      route: "authentik",
    });
    const rule = alertingRules(rules).find(({ alert }) => alert === "ForwardAuthFailing");
    t.same(annotations, {
      ...rule?.annotations,
      summary: "Route authentik: 1 sparekey replica(s) decide by the fallback.",
    });
  });

  await t.test("the full session store is told by itself", () =>
    told("pager", { alertname: "AuthentikOutpost400Spike", route: "authentik" }),
  );

  await t.test("mail tells of the login and, before anybody is called, of the breaker", async () => {
    await told("mail", { alertname: "EmergencyLoginUsed", route: "authentik" });
    await told("mail", { alertname: "ForwardAuthBreakerOpen", route: "authentik" });
  });

  await t.test("now the breaker is no news any more", () =>
    eventually(
      () => "ForwardAuthFailing does not silence ForwardAuthBreakerOpen",
      async () =>
        (await alertmanager.alerts()).find(({ labels }) => labels.alertname === "ForwardAuthBreakerOpen")
          ?.isInhibited
          ? true
          : null,
    ),
  );

  await t.test("the dead man's switch is held down", () =>
    told("dead-mans-switch", { alertname: "Watchdog" }),
  );

  await t.test("every rule can be evaluated", async (t) => {
    const known = await prometheus.rules();
    t.equal(known.length, rules.groups.flatMap((group) => group.rules).length);
    for (const { name, health, lastError } of known) t.equal(health, "ok", `${name} ${lastError ?? ""}`);
  });

  await t.test("the dashboard shows it: every query has an answer", async (t) => {
    for (const { name, expr } of dashboardQueries(await readDashboard())) {
      const asked = expr
        .replaceAll("$__rate_interval", "1m")
        .replaceAll(/\$(job|route)/g, ".*")
        // When it was last well, by the minute: this scene has only seconds.
        .replace("[2d:1m]", "[1m:250ms]");
      t.ok((await prometheus.query(asked)).length > 0, `${name}: ${asked}`);
    }
  });

  await t.test("a sparekey that is gone is missed", async () => {
    await sparekey.stop();
    await told("pager", { alertname: "SparekeyDown", severity: "critical" });
  });
});
