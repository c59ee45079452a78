/** The real Prometheus and Alertmanager, on ports of the system's choice, ended with the test. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Test } from "tap";
import { stringify } from "yaml";
import { ask } from "../support/app.ts";
import { eventually, start, startOnPorts, temporaryFolder } from "../support/processes.ts";
import type { RuleFile } from "./rule-file.ts";

const JSON_BODY = { "Content-Type": "application/json" };

export type Labels = Readonly<Record<string, string>>;

export interface SeenAlert {
  readonly labels: Labels;
  readonly state: "unprocessed" | "active" | "suppressed";
  readonly isInhibited: boolean;
}

export interface Alertmanager {
  readonly address: string;
  alerts(): Promise<readonly SeenAlert[]>;
  /** `firing: false`: they are over. */
  post(alerts: readonly Labels[], firing: boolean): Promise<void>;
}

export async function startAlertmanager(t: Test, config: string): Promise<Alertmanager> {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, "alertmanager.yaml"), config);
  const { ports } = await startOnPorts(1, async ([port]) =>
    start(t, "prometheus-alertmanager", [
      `--config.file=${folder}/alertmanager.yaml`,
      `--storage.path=${folder}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
      // It would look for others of its kind in the network.
      "--cluster.listen-address=",
    ]),
  );
  const address = `127.0.0.1:${ports[0]}`;
  const url = `http://${address}/api/v2/alerts`;
  return {
    address,
    alerts: async () => {
      const { text } = await ask(url);
      return JSON.parse(text).map(({ labels, status }: AlertmanagerAlert) => ({
        labels,
        state: status.state,
        isInhibited: status.inhibitedBy.length > 0,
      }));
    },
    post: async (alerts, firing) => {
      const now = Date.now();
      const at = (ms: number) => new Date(now + ms).toISOString();
      const body = JSON.stringify(
        alerts.map((labels) => ({ labels, startsAt: at(-60_000), endsAt: at(firing ? 60_000 : -1) })),
      );
      const { status, text } = await ask(url, { method: "POST", headers: JSON_BODY, body });
      if (status !== 200) throw new Error(`Alertmanager refuses alerts: ${status} ${text}`);
    },
  };
}

interface AlertmanagerAlert {
  readonly labels: Labels;
  readonly status: { readonly state: SeenAlert["state"]; readonly inhibitedBy: readonly string[] };
}

export interface Prometheus {
  /** Rejects when it is no good query. */
  query(expr: string): Promise<readonly { readonly metric: Labels; readonly value: [number, string] }[]>;
  rules(): Promise<
    readonly { readonly name: string; readonly health: string; readonly lastError?: string }[]
  >;
}

export interface PrometheusOptions {
  readonly rules: RuleFile;
  /** `host:port` */
  readonly target: string;
  readonly alertmanager: string;
}

/** It takes 5 s before the first scrape: what finds its targets waits that long for more. */
export async function startPrometheus(
  t: Test,
  { rules, target, alertmanager }: PrometheusOptions,
): Promise<Prometheus> {
  const folder = await temporaryFolder(t);
  await mkdir(join(folder, "data"));
  await writeFile(join(folder, "rules.yaml"), stringify(rules));
  await writeFile(
    join(folder, "prometheus.yaml"),
    stringify({
      global: { scrape_interval: "500ms", scrape_timeout: "500ms", evaluation_interval: "250ms" },
      rule_files: ["rules.yaml"],
      scrape_configs: [{ job_name: "sparekey", static_configs: [{ targets: [target] }] }],
      alerting: { alertmanagers: [{ static_configs: [{ targets: [alertmanager] }] }] },
    }),
  );
  const { ports } = await startOnPorts(1, async ([port]) =>
    start(t, "prometheus", [
      `--config.file=${folder}/prometheus.yaml`,
      `--storage.tsdb.path=${folder}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
      "--log.level=warn",
      // What fires before it has found Alertmanager is sent once more, a minute later by default.
      "--rules.alert.resend-delay=1s",
    ]),
  );
  const origin = `http://127.0.0.1:${ports[0]}`;
  // It listens before it has read its storage.
  await eventually(
    () => "Prometheus does not become ready",
    async () => ((await ask(`${origin}/-/ready`)).status === 200 ? true : null),
  );
  const get = async (path: string) => {
    const { text } = await ask(`${origin}/api/v1/${path}`);
    const { status, error, data } = JSON.parse(text);
    if (status !== "success") throw new Error(`Prometheus: ${error}`);
    return data;
  };
  return {
    query: async (expr) => (await get(`query?query=${encodeURIComponent(expr)}`)).result,
    rules: async () =>
      (await get("rules")).groups.flatMap(({ rules }: { rules: readonly object[] }) => rules),
  };
}
