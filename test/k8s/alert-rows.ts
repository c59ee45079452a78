/**
 * What makes each alert fire and what does not, in promtool's notation of series: one sample every 30 s.
 * `0+0x20` is 0 and 20 more of it, `0+5x20` grows by 5 each time, `_` is no sample, `stale` is the target's end.
 */

export interface FiringAlert {
  /** Besides severity and component. */
  readonly labels?: Readonly<Record<string, string>>;
  /** For an alert that has rules of several. */
  readonly severity?: string;
  readonly summary: string;
}

export interface AlertRow {
  readonly name: string;
  /** Samples by series. */
  readonly series: Readonly<Record<string, string>>;
  readonly at: string;
  /** Empty: it is silent. */
  readonly fires: readonly FiringAlert[];
}

const SILENT: readonly FiringAlert[] = [];
const ON = "1+0x60";
const OFF = "0+0x60";
const ROUTE = { namespace: "sparekey", route: "authentik" };

/** A series of one replica. */
function of(metric: string, labels = "", pod = "a", route = "authentik"): string {
  const more = labels === "" ? "" : `, ${labels}`;
  return `${metric}{namespace="sparekey", pod="${pod}", route="${route}"${more}}`;
}

const active = (pod: string, route = "authentik") => of("sparekey_fallback_active", "", pod, route);
const breaker = (state: string, pod = "a") => of("sparekey_breaker_state", `state="${state}"`, pod);
const endpoints = (state: string, pod = "a") => of("sparekey_endpoints", `state="${state}"`, pod);
const logins = (result: string, pod = "a") =>
  of("sparekey_emergency_logins_total", `result="${result}"`, pod);
const proven = (pod: string) => of("sparekey_probe_proven", "", pod);
const ended = (result: string, pod = "a") =>
  of("sparekey_logins_total", `result="${result}"`, pod, "authentik-login");
const users = (pod: string) => of("sparekey_htpasswd_users", "", pod);
const reloaded = (pod: string) =>
  `sparekey_config_last_reload_successful{namespace="sparekey", pod="${pod}", job="sparekey"}`;
const up = (instance: string, job = "sparekey") =>
  `up{namespace="sparekey", instance="${instance}", job="${job}"}`;
const checks = (labels: string, pod = "a") => of("sparekey_checks_total", labels, pod);
const suspects = (reason: string, finding: string, pod = "a") =>
  of("sparekey_suspects_total", `reason="${reason}", finding="${finding}"`, pod);
const answers = (code: number, route = "authentik", pod = "a") =>
  of("sparekey_upstream_answers_total", `code="${code}"`, pod, route);
const deployment = (namespace: string, name: string) =>
  `kube_deployment_status_replicas_available{namespace="${namespace}", deployment="${name}"}`;
const memory = (metric: string, pod: string, container: string) =>
  `container_memory_${metric}{namespace="authentik", pod="${pod}", container="${container}"}`;
const probe = (site: number) => `probe_success{job="blackbox", instance="https://site${site}.example.com"}`;
const monitor = (site: number) => `monitor_status{job="uptime-kuma", monitor_name="site${site}"}`;

const down = (instance: string): FiringAlert => ({
  labels: { namespace: "sparekey", instance, job: "sparekey" },
  severity: "warning",
  summary: `sparekey ${instance} does not answer its scrape.`,
});
const ALL_DOWN: FiringAlert = { severity: "critical", summary: "No sparekey answers its scrape." };

const relayed = (pod: string) => checks('source="upstream", verdict="error"', pod);
const allowed = (pod: string) => checks('source="upstream", verdict="allow"', pod);
/** A counter that grows by one every two minutes. */
const seldom = "0+0x3 1+0x3 2+0x3 3+0x3 4+0x3 5+0x3 6+0x3 7+0x3 8+0x3";

/** Samples of `bytes` each. */
const steady = (bytes: number) => `${bytes}+0x60`;

/** `shmBytes`: what the rules take for the size of /dev/shm. */
export function alertRows(shmBytes: number): Readonly<Record<string, readonly AlertRow[]>> {
  const part = (share: number) => steady(Math.round(shmBytes * share));
  const failing = (replicas: number, route = "authentik"): FiringAlert => ({
    labels: { ...ROUTE, route },
    summary: `Route ${route}: ${replicas} sparekey replica(s) decide by the fallback.`,
  });
  const opened = (replicas: number): FiringAlert => ({
    labels: ROUTE,
    summary: `Route authentik: the breaker of ${replicas} sparekey replica(s) is open.`,
  });
  const ejected = (count: number): FiringAlert => ({
    labels: ROUTE,
    summary: `Route authentik: ${count} endpoint(s) of the upstream are not asked.`,
  });
  const unproven: FiringAlert = {
    labels: ROUTE,
    summary: "Route authentik: no probe is known to work, on at least one sparekey replica.",
  };
  const failingLogins = (count: number): FiringAlert => ({
    labels: { ...ROUTE, route: "authentik-login" },
    summary: `Route authentik-login: ${count} logins failed in 10 minutes, and none went well.`,
  });
  const used: FiringAlert = {
    labels: ROUTE,
    summary: "Route authentik: somebody has passed by the emergency login.",
  };
  const guessed = (times: number): FiringAlert => ({
    labels: ROUTE,
    summary: `Route authentik: ${times} wrong emergency logins in 5 minutes.`,
  });
  const missing: FiringAlert = {
    labels: ROUTE,
    summary: "Route authentik: nobody could log in in an emergency.",
  };
  const rejected = (replicas: number): FiringAlert => ({
    labels: { namespace: "sparekey" },
    summary: `${replicas} sparekey replica(s) refused the config and serve by the one before.`,
  });
  const traefikDown = (namespace: string): FiringAlert => ({
    labels: { namespace },
    summary: `No Traefik is available in namespace ${namespace}.`,
  });
  const filling = (percent: string): FiringAlert => ({
    labels: { namespace: "authentik", pod: "ak-outpost-proxy-7d4" },
    summary: `/dev/shm of outpost ak-outpost-proxy-7d4 is ${percent} full.`,
  });
  const spike = (count: number): FiringAlert => ({
    labels: ROUTE,
    summary: `Route authentik: the outpost answered ${count} checks in 10 minutes with 400 in place of its login.`,
  });
  const red = (count: number): FiringAlert => ({ summary: `${count} external monitors are red at once.` });
  const errors: FiringAlert = {
    labels: ROUTE,
    summary: "Route authentik: clients get errors of the upstream, and no fallback.",
  };
  const doubts: FiringAlert = {
    labels: ROUTE,
    summary: "Route authentik: checks meet faults that probes do not.",
  };
  const outpost = "ak-outpost-proxy-7d4";

  return {
    ForwardAuthFailing: [
      { name: "5 minutes", series: { [active("a")]: ON }, at: "5m", fires: [failing(1)] },
      { name: "less", series: { [active("a")]: ON }, at: "4m30s", fires: SILENT },
      {
        name: "one replica alone",
        series: { [active("a")]: OFF, [active("b")]: ON },
        at: "6m",
        fires: [failing(1)],
      },
      {
        name: "both replicas",
        series: { [active("a")]: ON, [active("b")]: ON },
        at: "6m",
        fires: [failing(2)],
      },
      {
        name: "they take turns: first one, then the other",
        series: { [active("a")]: "1+0x6 0+0x60", [active("b")]: "0+0x6 1+0x60" },
        at: "6m",
        fires: [failing(1)],
      },
      {
        name: "each route for itself",
        series: {
          [active("a", "bot-block")]: ON,
          [active("a", "authentik-login")]: ON,
          [active("a")]: OFF,
        },
        at: "6m",
        fires: [failing(1, "bot-block"), failing(1, "authentik-login")],
      },
      {
        name: "over after 4 minutes",
        series: { [active("a")]: "1+0x7 0+0x60" },
        at: "10m",
        fires: SILENT,
      },
      {
        name: "firing, and quiet for a minute",
        series: { [active("a")]: "1+0x14 0+0x60" },
        at: "8m",
        fires: [failing(1)],
      },
      {
        name: "firing, and quiet for longer",
        series: { [active("a")]: "1+0x14 0+0x60" },
        at: "10m",
        fires: SILENT,
      },
      { name: "the upstream decides", series: { [active("a")]: OFF }, at: "30m", fires: SILENT },
    ],
    ForwardAuthBreakerOpen: [
      {
        name: "open, and half-open at each trial",
        series: {
          [breaker("closed")]: OFF,
          [breaker("open")]: "1 1 0 1 0 1 0 1 1",
          [breaker("half-open")]: "0 0 1 0 1 0 1 0 0",
        },
        at: "3m",
        fires: [opened(1)],
      },
      {
        name: "of one replica",
        series: { [breaker("open")]: OFF, [breaker("open", "b")]: ON },
        at: "3m",
        fires: [opened(1)],
      },
      {
        name: "of both",
        series: { [breaker("open")]: ON, [breaker("open", "b")]: ON },
        at: "3m",
        fires: [opened(2)],
      },
      { name: "for half a minute", series: { [breaker("open")]: ON }, at: "30s", fires: SILENT },
      {
        name: "closed",
        series: { [breaker("closed")]: ON, [breaker("open")]: OFF, [breaker("half-open")]: OFF },
        at: "30m",
        fires: SILENT,
      },
    ],
    EndpointEjected: [
      {
        name: "one of two, for 15 minutes",
        series: { [allowed("a")]: "0+9x60", [endpoints("in_use")]: ON, [endpoints("ejected")]: ON },
        at: "16m",
        fires: [ejected(1)],
      },
      {
        name: "less",
        series: { [allowed("a")]: "0+9x60", [endpoints("ejected")]: ON },
        at: "14m",
        fires: SILENT,
      },
      {
        name: "for checks without a cookie",
        series: { [allowed("a")]: "0+9x60", [endpoints("ejected_cookieless")]: ON },
        at: "16m",
        fires: [ejected(1)],
      },
      {
        name: "one of each kind, at both replicas",
        series: {
          [allowed("a")]: "0+9x60",
          [allowed("b")]: "0+9x60",
          [endpoints("ejected")]: ON,
          [endpoints("ejected_cookieless")]: ON,
          [endpoints("ejected", "b")]: ON,
          [endpoints("ejected_cookieless", "b")]: OFF,
        },
        at: "16m",
        fires: [ejected(2)],
      },
      {
        name: "at one replica alone",
        series: {
          [allowed("a")]: "0+9x60",
          [allowed("b")]: "0+9x60",
          [endpoints("ejected")]: OFF,
          [endpoints("ejected", "b")]: ON,
        },
        at: "16m",
        fires: [ejected(1)],
      },
      {
        name: "nobody comes who could try it",
        series: { [allowed("a")]: "9+0x60", [endpoints("ejected")]: ON },
        at: "30m",
        fires: SILENT,
      },
      {
        name: "nobody comes to the replica that has ejected it",
        series: {
          [allowed("a")]: "0+9x60",
          [allowed("b")]: "9+0x60",
          [endpoints("ejected")]: OFF,
          [endpoints("ejected", "b")]: ON,
        },
        at: "30m",
        fires: SILENT,
      },
      {
        name: "firing, and back for a minute",
        series: { [allowed("a")]: "0+9x60", [endpoints("ejected")]: "1+0x34 0+0x60" },
        at: "18m",
        fires: [ejected(1)],
      },
      {
        name: "a rolling restart",
        series: { [allowed("a")]: "0+9x60", [endpoints("ejected")]: "0+0x3 1+0x4 0+0x60" },
        at: "20m",
        fires: SILENT,
      },
      {
        name: "all are asked",
        series: { [allowed("a")]: "0+9x60", [endpoints("in_use")]: ON, [endpoints("ejected")]: OFF },
        at: "30m",
        fires: SILENT,
      },
    ],
    SparekeyProbeUnproven: [
      {
        name: "for 30 minutes of checks",
        series: { [allowed("a")]: "0+9x80", [proven("a")]: "0+0x80" },
        at: "32m",
        fires: [unproven],
      },
      {
        name: "less",
        series: { [allowed("a")]: "0+9x80", [proven("a")]: "0+0x80" },
        at: "29m",
        fires: SILENT,
      },
      {
        name: "a check every two minutes",
        series: { [allowed("a")]: seldom, [proven("a")]: "0+0x80" },
        at: "33m",
        fires: [unproven],
      },
      {
        name: "at one replica alone",
        series: {
          [allowed("a")]: "0+9x80",
          [allowed("b")]: "0+9x80",
          [proven("a")]: "1+0x80",
          [proven("b")]: "0+0x80",
        },
        at: "32m",
        fires: [unproven],
      },
      {
        name: "lost",
        series: { [allowed("a")]: "0+9x99", [proven("a")]: "1+0x10 0+0x80" },
        at: "38m",
        fires: [unproven],
      },
      {
        name: "nobody comes who could teach it",
        series: { [allowed("a")]: "9+0x80", [proven("a")]: "0+0x80" },
        at: "39m",
        fires: SILENT,
      },
      {
        name: "nobody comes to the replica that has not proven it",
        series: {
          [allowed("a")]: "0+9x80",
          [allowed("b")]: "9+0x80",
          [proven("a")]: "1+0x80",
          [proven("b")]: "0+0x80",
        },
        at: "39m",
        fires: SILENT,
      },
      {
        name: "proven after a while",
        series: { [allowed("a")]: "0+9x80", [proven("a")]: "0+0x30 1+0x80" },
        at: "39m",
        fires: SILENT,
      },
      {
        name: "a route without probes",
        series: { [allowed("a")]: "0+9x80" },
        at: "39m",
        fires: SILENT,
      },
    ],
    LoginsFailing: [
      {
        name: "five, and none well",
        series: { [ended("failed")]: "0+0x3 5+0x60", [ended("ok")]: OFF },
        at: "5m",
        fires: [failingLogins(5)],
      },
      {
        name: "shared over replicas",
        series: {
          [ended("failed")]: "0+0x3 3+0x60",
          [ended("failed", "b")]: "0+0x3 2+0x60",
          [ended("ok")]: OFF,
          [ended("ok", "b")]: "7+0x60",
        },
        at: "5m",
        fires: [failingLogins(5)],
      },
      {
        name: "four",
        series: { [ended("failed")]: "0+0x3 4+0x60", [ended("ok")]: OFF },
        at: "5m",
        fires: SILENT,
      },
      {
        name: "one goes well",
        series: { [ended("failed")]: "0+5x60", [ended("ok")]: "0+0x3 1+0x60" },
        at: "5m",
        fires: SILENT,
      },
      {
        name: "one goes well at the other replica",
        series: {
          [ended("failed")]: "0+5x60",
          [ended("ok")]: OFF,
          [ended("ok", "b")]: "0+0x3 1+0x60",
        },
        at: "5m",
        fires: SILENT,
      },
      {
        name: "ten minutes after the last good one",
        series: { [ended("failed")]: "0+1x60", [ended("ok")]: "0+0x3 1+0x60" },
        at: "20m",
        fires: [failingLogins(20)],
      },
      {
        name: "long over",
        series: { [ended("failed")]: "0+0x3 9+0x60", [ended("ok")]: OFF },
        at: "20m",
        fires: SILENT,
      },
      {
        name: "loops alone, since these logins went well",
        series: { [ended("failed")]: OFF, [ended("loop")]: "0+5x60", [ended("ok")]: "0+5x60" },
        at: "20m",
        fires: SILENT,
      },
    ],
    EmergencyLoginUsed: [
      { name: "one login", series: { [logins("ok")]: "0+0x3 1+0x60" }, at: "3m", fires: [used] },
      { name: "10 minutes later", series: { [logins("ok")]: "0+0x3 1+0x60" }, at: "13m", fires: SILENT },
      {
        name: "on the other replica",
        series: { [logins("ok")]: "7+0x60", [logins("ok", "b")]: "0+0x3 1+0x60" },
        at: "3m",
        fires: [used],
      },
      {
        name: "after a restart",
        series: { [logins("ok")]: "7+0x3 0 1+0x60" },
        at: "4m",
        fires: [used],
      },
      {
        name: "a restart alone",
        series: { [logins("ok")]: "7+0x3 0+0x60" },
        at: "4m",
        fires: SILENT,
      },
      {
        name: "who meets the login box has not passed",
        series: {
          [logins("ok")]: OFF,
          [logins("missing")]: "0+9x60",
          [logins("bad")]: "0+9x60",
          [logins("limited")]: "0+9x60",
          [logins("forbidden")]: "0+9x60",
        },
        at: "10m",
        fires: SILENT,
      },
    ],
    EmergencyLoginBruteForce: [
      { name: "20 a minute", series: { [logins("bad")]: "0+10x60" }, at: "10m", fires: [guessed(100)] },
      {
        name: "after the limit they are refused",
        series: { [logins("bad")]: "0+0x60", [logins("limited")]: "0+5x60" },
        at: "10m",
        fires: [guessed(50)],
      },
      {
        name: "shared over replicas and kinds",
        series: {
          [logins("bad")]: "0+1x60",
          [logins("limited")]: "0+1x60",
          [logins("bad", "b")]: "0+1x60",
          [logins("limited", "b")]: "0+1x60",
        },
        at: "10m",
        fires: [guessed(40)],
      },
      {
        name: "a person who mistypes",
        series: { [logins("bad")]: "0+1x10 10+0x60" },
        at: "6m",
        fires: SILENT,
      },
      {
        name: "long over, and a restart",
        series: { [logins("bad")]: "0+10x20 200+0x20 0+0x60" },
        at: "25m",
        fires: SILENT,
      },
      {
        name: "logins that are good, missing or from elsewhere",
        series: {
          [logins("ok")]: "0+90x60",
          [logins("missing")]: "0+90x60",
          [logins("forbidden")]: "0+90x60",
        },
        at: "10m",
        fires: SILENT,
      },
    ],
    EmergencyPasswordMissing: [
      { name: "no users", series: { [users("a")]: OFF }, at: "5m", fires: [missing] },
      {
        name: "on one replica",
        series: { [users("a")]: "2+0x60", [users("b")]: OFF },
        at: "6m",
        fires: [missing],
      },
      {
        name: "while the file is written",
        series: { [users("a")]: OFF },
        at: "4m",
        fires: SILENT,
      },
      { name: "one user", series: { [users("a")]: ON, [users("b")]: ON }, at: "30m", fires: SILENT },
      {
        name: "no route that asks for it",
        series: { [active("a", "bot-block")]: OFF },
        at: "30m",
        fires: SILENT,
      },
    ],
    SparekeyConfigRejected: [
      {
        name: "one replica refused it",
        series: { [reloaded("a")]: ON, [reloaded("b")]: OFF },
        at: "2m",
        fires: [rejected(1)],
      },
      {
        name: "all did",
        series: { [reloaded("a")]: OFF, [reloaded("b")]: OFF },
        at: "2m",
        fires: [rejected(2)],
      },
      { name: "mended at once", series: { [reloaded("a")]: OFF }, at: "30s", fires: SILENT },
      { name: "all took it", series: { [reloaded("a")]: ON, [reloaded("b")]: ON }, at: "30m", fires: SILENT },
    ],
    SparekeyDown: [
      { name: "one of two", series: { [up("a")]: ON, [up("b")]: OFF }, at: "3m", fires: [down("b")] },
      {
        name: "both",
        series: { [up("a")]: OFF, [up("b")]: OFF },
        at: "3m",
        fires: [ALL_DOWN, down("a"), down("b")],
      },
      { name: "no target left", series: { [up("a")]: "1+0x3 stale" }, at: "5m", fires: [ALL_DOWN] },
      { name: "never a target", series: { [up("x", "other")]: ON }, at: "2m", fires: [ALL_DOWN] },
      {
        name: "another job is up",
        series: { [up("a")]: OFF, [up("x", "other")]: ON },
        at: "3m",
        fires: [ALL_DOWN, down("a")],
      },
      {
        name: "a replica that was taken away",
        series: { [up("a")]: ON, [up("b")]: "1+0x3 stale" },
        at: "10m",
        fires: SILENT,
      },
      {
        name: "a missed scrape",
        series: { [up("a")]: OFF, [up("b")]: ON },
        at: "1m30s",
        fires: SILENT,
      },
      { name: "Prometheus has just started", series: {}, at: "30s", fires: SILENT },
      {
        name: "another job is down",
        series: { [up("a")]: ON, [up("x", "other")]: OFF },
        at: "30m",
        fires: SILENT,
      },
      { name: "both up", series: { [up("a")]: ON, [up("b")]: ON }, at: "30m", fires: SILENT },
    ],
    SparekeySuspectAnswers: [
      {
        name: "two a minute, over two replicas",
        series: { [relayed("a")]: "0 0+1x60", [relayed("b")]: "0 0 0+1x60" },
        at: "20m",
        fires: [errors],
      },
      {
        name: "two a minute, of one replica",
        series: { [relayed("a")]: "0+1x60", [relayed("b")]: OFF },
        at: "20m",
        fires: [errors],
      },
      { name: "for 8 minutes", series: { [relayed("a")]: "0+2x60" }, at: "8m", fires: SILENT },
      { name: "one in two minutes", series: { [relayed("a")]: seldom }, at: "16m", fires: SILENT },
      {
        name: "fallbacks and good answers are none",
        series: {
          [checks('source="fallback", verdict="error"')]: "0+9x60",
          [checks('source="upstream", verdict="deny"')]: "0+9x60",
          [relayed("a")]: OFF,
        },
        at: "20m",
        fires: SILENT,
      },
    ],
    SparekeySuspicionsCleared: [
      {
        name: "12 a minute, of one replica",
        series: {
          [suspects("status_500", "cleared")]: "0+6x60",
          [suspects("status_500", "cleared", "b")]: OFF,
        },
        at: "20m",
        fires: [doubts],
      },
      {
        name: "for 8 minutes",
        series: { [suspects("status_500", "cleared")]: "0+6x60" },
        at: "8m",
        fires: SILENT,
      },
      {
        name: "one in two minutes",
        series: { [suspects("status_500", "cleared")]: seldom },
        at: "16m",
        fires: SILENT,
      },
      {
        name: "confirmed ones are the upstream's",
        series: { [suspects("status_500", "confirmed")]: "0+6x60", [suspects("status_500", "cleared")]: OFF },
        at: "20m",
        fires: SILENT,
      },
    ],
    SparekeyShedding: [
      {
        name: "10 a minute, of one replica",
        series: {
          [checks('source="shed", verdict="deny"')]: "0+5x60",
          [checks('source="shed", verdict="deny"', "b")]: OFF,
        },
        at: "10m",
        fires: [
          {
            labels: ROUTE,
            summary: "Route authentik: sparekey refused 50 checks in 5 minutes by its own limits.",
          },
        ],
      },
      {
        name: "one now and then",
        series: { [checks('source="shed", verdict="deny"')]: seldom },
        at: "6m",
        fires: SILENT,
      },
      {
        name: "what the upstream or a fallback denies",
        series: {
          [checks('source="upstream", verdict="deny"')]: "0+9x60",
          [checks('source="fallback", verdict="deny"')]: "0+9x60",
        },
        at: "10m",
        fires: SILENT,
      },
    ],
    SparekeyWorkerDeaths: [
      {
        name: "one death",
        series: {
          'sparekey_worker_deaths_total{namespace="sparekey", instance="10.0.0.7:9090"}': "0+0x3 1+0x60",
          'sparekey_worker_deaths_total{namespace="sparekey", instance="10.0.0.8:9090"}': OFF,
        },
        at: "3m",
        fires: [
          {
            labels: { namespace: "sparekey", instance: "10.0.0.7:9090" },
            summary: "A worker of sparekey 10.0.0.7:9090 died and was replaced.",
          },
        ],
      },
      {
        name: "none",
        series: { 'sparekey_worker_deaths_total{namespace="sparekey", instance="10.0.0.7:9090"}': "3+0x60" },
        at: "3m",
        fires: SILENT,
      },
    ],
    TraefikDown: [
      {
        name: "none of a Deployment is available",
        series: { [deployment("traefik", "traefik")]: OFF },
        at: "2m",
        fires: [traefikDown("traefik")],
      },
      {
        name: "none of a DaemonSet is",
        series: {
          'kube_daemonset_status_number_available{namespace="kube-system", daemonset="traefik"}': OFF,
        },
        at: "2m",
        fires: [traefikDown("kube-system")],
      },
      {
        name: "a Deployment that a DaemonSet replaced",
        series: {
          [deployment("traefik", "traefik")]: OFF,
          'kube_daemonset_status_number_available{namespace="traefik", daemonset="traefik"}': "3+0x60",
        },
        at: "30m",
        fires: SILENT,
      },
      { name: "it restarts", series: { [deployment("traefik", "traefik")]: OFF }, at: "30s", fires: SILENT },
      { name: "one of three", series: { [deployment("traefik", "traefik")]: ON }, at: "30m", fires: SILENT },
      {
        name: "there is none by that name",
        series: { [deployment("x", "nginx")]: OFF },
        at: "30m",
        fires: SILENT,
      },
    ],
    PoisonFountainDown: [
      {
        name: "none is available",
        series: { [deployment("poison-fountain", "poison-fountain")]: OFF },
        at: "6m",
        fires: [{ labels: { namespace: "poison-fountain" }, summary: "No bot blocker is available." }],
      },
      {
        name: "it restarts",
        series: { [deployment("poison-fountain", "poison-fountain")]: OFF },
        at: "4m",
        fires: SILENT,
      },
      {
        name: "one is",
        series: { [deployment("poison-fountain", "poison-fountain")]: ON },
        at: "30m",
        fires: SILENT,
      },
      {
        name: "others are at zero",
        series: {
          [deployment("staging", "poison-fountain")]: OFF,
          [deployment("poison-fountain", "canary")]: OFF,
        },
        at: "30m",
        fires: SILENT,
      },
      { name: "a cluster without it", series: { [deployment("x", "y")]: OFF }, at: "30m", fires: SILENT },
    ],
    AuthentikOutpostShmFilling: [
      {
        name: "beside page cache that is told",
        series: {
          [memory("cache", outpost, "proxy")]: part(1),
          [memory("total_active_file_bytes", outpost, "proxy")]: part(0.05),
          [memory("total_inactive_file_bytes", outpost, "proxy")]: part(0.05),
        },
        at: "10m",
        fires: [filling("90%")],
      },
      {
        name: "page cache is not /dev/shm",
        series: {
          [memory("cache", outpost, "proxy")]: part(1),
          [memory("total_active_file_bytes", outpost, "proxy")]: part(0.2),
          [memory("total_inactive_file_bytes", outpost, "proxy")]: part(0.2),
        },
        at: "30m",
        fires: SILENT,
      },
      {
        name: "page cache that is not told",
        series: { [memory("cache", outpost, "proxy")]: part(0.9) },
        at: "10m",
        fires: [filling("90%")],
      },
      {
        name: "what the container before has left is the pod's",
        series: {
          [memory("cache", outpost, "proxy")]: part(0.1),
          [memory("cache", outpost, "")]: part(0.9),
          [memory("total_active_file_bytes", outpost, "proxy")]: part(0.01),
          [memory("total_active_file_bytes", outpost, "")]: part(0.02),
          [memory("total_inactive_file_bytes", outpost, "proxy")]: part(0.02),
          [memory("total_inactive_file_bytes", outpost, "")]: part(0.03),
        },
        at: "10m",
        fires: [filling("85%")],
      },
      {
        name: "a moment",
        series: { [memory("cache", outpost, "proxy")]: part(0.9) },
        at: "9m",
        fires: SILENT,
      },
      {
        name: "half full",
        series: { [memory("cache", outpost, "proxy")]: part(0.5), [memory("cache", outpost, "")]: part(0.5) },
        at: "30m",
        fires: SILENT,
      },
      {
        name: "other pods may cache what they like",
        series: { [memory("cache", "postgresql-0", "postgresql")]: part(9) },
        at: "30m",
        fires: SILENT,
      },
    ],
    AuthentikOutpost400Spike: [
      {
        name: "empty 400s that a probe met too, among many sessions",
        series: {
          [suspects("bare_400", "confirmed")]: "0+0x3 3+0x60",
          [answers(200)]: "0+900x60",
          [answers(302)]: "0+9x60",
          [answers(400)]: "0+0x3 3+0x60",
        },
        at: "10m",
        fires: [spike(3)],
      },
      {
        name: "JSON 400s in place of the login",
        series: { [answers(200)]: "0+900x60", [answers(302)]: "0+1x60", [answers(400)]: "0+5x60" },
        at: "20m",
        fires: [spike(100)],
      },
      {
        name: "shared over two replicas",
        series: {
          [answers(302)]: "0+1x60",
          [answers(400)]: "0+5x60",
          [answers(302, "authentik", "b")]: OFF,
          [answers(400, "authentik", "b")]: OFF,
          [suspects("bare_400", "confirmed")]: OFF,
        },
        at: "20m",
        fires: [spike(100)],
      },
      {
        name: "one of two replicas met it",
        series: {
          [suspects("bare_400", "confirmed")]: "0+0x3 3+0x60",
          [suspects("bare_400", "confirmed", "b")]: OFF,
        },
        at: "10m",
        fires: [spike(3)],
      },
      {
        name: "for a minute",
        series: { [suspects("bare_400", "confirmed")]: "0+0x3 3+0x60" },
        at: "2m30s",
        fires: SILENT,
      },
      {
        name: "long over",
        series: { [suspects("bare_400", "confirmed")]: "3+0x60" },
        at: "20m",
        fires: SILENT,
      },
      {
        name: "after a restart of sparekey",
        series: { [answers(302)]: "500+0x20 0+0x60", [answers(400)]: "100+0x20 0+5x60" },
        at: "21m",
        fires: [spike(100)],
      },
      {
        name: "a scanner tries unknown hosts, and people log in",
        series: { [answers(302)]: "0+9x60", [answers(400)]: "0+8x60" },
        at: "20m",
        fires: SILENT,
      },
      {
        name: "a few 400s at night",
        series: { [answers(302)]: OFF, [answers(400)]: "0+0x3 5+0x60" },
        at: "10m",
        fires: SILENT,
      },
      {
        name: "empty 400s that clients caused",
        series: { [suspects("bare_400", "cleared")]: "0+9x60", [suspects("bare_400", "confirmed")]: OFF },
        at: "20m",
        fires: SILENT,
      },
      {
        name: "login callbacks with an old state are clients'",
        series: { [answers(302, "authentik-login")]: OFF, [answers(400, "authentik-login")]: "0+5x60" },
        at: "20m",
        fires: SILENT,
      },
    ],
    ExternalMonitorsCorrelated: [
      {
        name: "3 of 5 probes",
        series: { [probe(1)]: OFF, [probe(2)]: OFF, [probe(3)]: OFF, [probe(4)]: ON, [probe(5)]: ON },
        at: "3m",
        fires: [red(3)],
      },
      {
        name: "3 of 4 Uptime Kuma monitors, one in maintenance",
        series: {
          [monitor(1)]: OFF,
          [monitor(2)]: OFF,
          [monitor(3)]: OFF,
          [monitor(4)]: ON,
          [monitor(5)]: "3+0x60",
        },
        at: "3m",
        fires: [red(3)],
      },
      {
        name: "while most are in maintenance",
        series: Object.fromEntries(
          Array.from({ length: 12 }, (_, site) => [monitor(site), site < 3 ? OFF : site < 5 ? ON : "3+0x60"]),
        ),
        at: "3m",
        fires: [red(3)],
      },
      {
        name: "both kinds together",
        series: { [probe(1)]: OFF, [probe(2)]: ON, [monitor(1)]: OFF, [monitor(2)]: OFF },
        at: "3m",
        fires: [red(3)],
      },
      {
        name: "all of two sites",
        series: { [probe(1)]: OFF, [probe(2)]: OFF },
        at: "30m",
        fires: SILENT,
      },
      {
        name: "3 of 10",
        series: Object.fromEntries(
          Array.from({ length: 10 }, (_, site) => [probe(site), site < 3 ? OFF : ON]),
        ),
        at: "30m",
        fires: SILENT,
      },
      {
        name: "pending and maintenance are not red",
        series: { [monitor(1)]: "2+0x60", [monitor(2)]: "2+0x60", [monitor(3)]: "3+0x60", [monitor(4)]: ON },
        at: "30m",
        fires: SILENT,
      },
      {
        name: "for a minute",
        series: { [probe(1)]: OFF, [probe(2)]: OFF, [probe(3)]: OFF },
        at: "1m30s",
        fires: SILENT,
      },
    ],
    Watchdog: [{ name: "always", series: {}, at: "1m", fires: [{ summary: "Alerts get through." }] }],
  };
}
