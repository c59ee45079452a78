/** The metrics of a real process: read by Prometheus's own tool, there from the start, and exact after an outage. */
import t, { type Test } from "tap";
import { ask, basic } from "../support/app.ts";
import { eventually, finished, start } from "../support/processes.ts";
import { missing } from "../support/programs.ts";
import { type RawUpstream, rawUpstream } from "../support/raw-upstream.ts";
import { type Sparekey, startSparekey } from "../support/sparekey.ts";

const ROUTES = { login: "basic-auth", pass: "allow", closed: "deny", plain: "none" } as const;
type RouteName = keyof typeof ROUTES;
const PASSWORD = "correct horse";

interface Scene {
  readonly sparekey: Sparekey;
  readonly upstream: RawUpstream;
  /** From now on, probes of the route `sick` find the upstream at fault. */
  fallSick(): void;
}

/** Each route sends one probe while it is fine, and an open breaker stays open. */
const LONG = "probe: { minInterval: 1h }, breaker: { failures: 2, interval: 1h, maxInterval: 1h }";
const SHORT = LONG.replace("minInterval: 1h", "minInterval: 100ms");

/**
 * The upstream does what X-Do says: answers a status, resets, talks nonsense or says nothing. Probes, which cannot
 * say so, find it fine; but on the route `sick` they find it at fault in the end.
 */
async function startScene(t: Test): Promise<Scene> {
  let isSick = false;
  const upstream = await rawUpstream(t, (socket, head) => {
    const order =
      /\r\nX-Do: (\w+)\r\n/i.exec(head)?.[1] ?? (isSick && head.includes(" /sick ") ? "503" : "200");
    if (order === "silence") return;
    if (order === "reset") socket.resetAndDestroy();
    else if (order === "nonsense") socket.end("SSH-2.0-OpenSSH_9.9\r\n\r\n");
    else socket.write(`HTTP/1.1 ${order} Scripted\r\nContent-Length: 0\r\n\r\n`);
  });
  const routes = Object.entries(ROUTES).map(([name, mode]) => {
    const login = mode === "basic-auth" ? ", htpasswd: htpasswd, rateLimit: { failures: 2 }" : "";
    return `  - { name: ${name}, path: /${name}, upstream: "http://127.0.0.1:${upstream.port}", ${LONG}, fallback: { mode: ${mode}${login} } }`;
  });
  const slow = `  - { name: slow, path: /slow, upstream: "http://127.0.0.1:${upstream.port}", timeouts: { read: 100ms }, ${LONG}, fallback: { mode: none } }`;
  const sick = `  - { name: sick, path: /sick, upstream: "http://127.0.0.1:${upstream.port}", ${SHORT}, fallback: { mode: allow } }`;
  const yaml = ['listen: "127.0.0.1:0"', "routes:", ...routes, slow, sick, ""].join("\n");
  return {
    sparekey: await startSparekey(t, yaml, { users: { admin: PASSWORD, bob: PASSWORD } }),
    upstream,
    fallSick: () => {
      isSick = true;
    },
  };
}

/** Series and values of the counters whose name and labels fit. */
function counters(metrics: string, fits: RegExp): Readonly<Record<string, number>> {
  const series = metrics.split("\n").flatMap((line): [string, number][] => {
    const [, name = "", value = ""] = /^(\S.*) (\S+)$/.exec(line) ?? [];
    return !line.startsWith("#") && fits.test(name) ? [[name, Number(value)]] : [];
  });
  return Object.fromEntries(series);
}

function nonZero(counts: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(counts).filter(([, value]) => value !== 0));
}

const COUNTED = /^sparekey_\w+(_total|_seconds_count)\{/;
const COUNTED_OF_CHECKS = /^sparekey_(?!probes)\w+(_total|_seconds_count)\{/;
const PROBES = /^sparekey_probes_total\{/;
const BROKEN_ANSWERS = ["read_timeout", "total_timeout", "reset", "malformed", "too_large"];
const FAILURES = ["refused", "unreachable", "connect_timeout", "dns", "tls", ...BROKEN_ANSWERS];
const FAULT_STATUSES = ["status_502", "status_503", "status_504"];
const SUSPECTS = ["status_500", "bare_400"];
const JUDGED = ["connect_timeout", ...SUSPECTS];
const FAULTS = [...FAILURES, ...FAULT_STATUSES, ...SUSPECTS];
/** Of each mode: the verdicts a fallback can end in, its results, what leads to it, and what a probe must confirm. */
const OF_MODE = {
  "basic-auth": {
    verdicts: ["allow", "challenge", "deny"],
    results: ["allowed", "challenged", "rejected", "limited", "denied"],
    faults: FAULTS,
    fallbacks: FAULTS,
    suspects: JUDGED,
  },
  allow: {
    verdicts: ["allow"],
    results: ["allowed"],
    faults: FAULTS,
    fallbacks: FAULTS,
    suspects: ["connect_timeout", ...BROKEN_ANSWERS, ...FAULT_STATUSES, ...SUSPECTS],
  },
  deny: { verdicts: ["deny"], results: ["denied"], faults: FAULTS, fallbacks: FAULTS, suspects: JUDGED },
  none: {
    verdicts: ["error"],
    results: ["denied"],
    faults: [...FAILURES, ...FAULT_STATUSES],
    fallbacks: FAILURES,
    suspects: [],
  },
} as const;

/** The families of one route, as docs/metrics.md lists them. */
function seriesOf(route: string, mode: (typeof ROUTES)[RouteName]): readonly string[] {
  const { verdicts, results, faults, fallbacks, suspects } = OF_MODE[mode];
  const check = (source: string, verdict: string) =>
    `sparekey_checks_total{route="${route}",source="${source}",verdict="${verdict}"}`;
  const logins = mode === "basic-auth" ? ["ok", "bad", "missing", "limited", "forbidden"] : [];
  return [
    ...["allow", "challenge", "deny", "error"].map((verdict) => check("upstream", verdict)),
    ...verdicts.map((verdict) => check("fallback", verdict)),
    // Also where nothing falls back, by a person's choice.
    ...new Set([...verdicts, "error"].map((verdict) => check("override", verdict))),
    check("shed", "deny"),
    ...[...fallbacks, "breaker_open", "override"].flatMap((reason) =>
      results.map(
        (result) =>
          `sparekey_fallback_total{route="${route}",mode="${mode}",reason="${reason}",result="${result}"}`,
      ),
    ),
    ...[...faults, ...(mode === "none" ? [] : ["abandoned"])].map(
      (reason) => `sparekey_faults_total{route="${route}",reason="${reason}"}`,
    ),
    ...(mode === "none" ? [] : [`sparekey_abandoned_total{route="${route}"}`]),
    ...suspects.flatMap((reason) =>
      ["confirmed", "cleared"].map(
        (finding) => `sparekey_suspects_total{route="${route}",reason="${reason}",finding="${finding}"}`,
      ),
    ),
    ...["retry", "hedge"].map((kind) => `sparekey_retries_total{route="${route}",kind="${kind}"}`),
    ...["ok", "fault"].map((result) => `sparekey_probes_total{route="${route}",result="${result}"}`),
    ...[200, 302, 400, 401, 403, 404, 500, 502, 503, 504].map(
      (code) => `sparekey_upstream_answers_total{route="${route}",code="${code}"}`,
    ),
    ...logins.map((result) => `sparekey_emergency_logins_total{route="${route}",result="${result}"}`),
    `sparekey_check_duration_seconds_count{route="${route}"}`,
    `sparekey_upstream_duration_seconds_count{route="${route}"}`,
  ];
}

t.test("the metrics of a process", async (t) => {
  const { sparekey, fallSick } = await startScene(t);
  const [{ url }] = sparekey.listen;

  await t.test("every series of a known route is there from the start, at 0", async (t) => {
    const found = counters(await sparekey.metrics(), COUNTED);
    const expected = [
      ...Object.entries(ROUTES).flatMap(([name, mode]) => seriesOf(name, mode)),
      ...seriesOf("slow", "none"),
      ...seriesOf("sick", "allow"),
    ];
    t.same(Object.keys(found).sort(), [...expected].sort());
    t.same(nonZero(found), {});
    const gauges = counters(await sparekey.metrics(), /^sparekey_(htpasswd_users|fallback_active|in_flight)/);
    t.same(gauges, {
      'sparekey_htpasswd_users{route="login"}': 2,
      'sparekey_fallback_active{route="login"}': 0,
      'sparekey_fallback_active{route="pass"}': 0,
      'sparekey_fallback_active{route="closed"}': 0,
      'sparekey_fallback_active{route="plain"}': 0,
      'sparekey_fallback_active{route="slow"}': 0,
      'sparekey_fallback_active{route="sick"}': 0,
      sparekey_in_flight: 0,
    });
    const breakers = counters(await sparekey.metrics(), /^sparekey_breaker_state/);
    t.equal(Object.keys(breakers).length, 6 * 3);
    t.same(
      Object.keys(nonZero(breakers)),
      [...Object.keys(ROUTES), "slow", "sick"].map(
        (route) => `sparekey_breaker_state{route="${route}",state="closed"}`,
      ),
    );
  });

  const check = async (route: string, order: string, more: Record<string, string> = {}): Promise<number> =>
    (await ask(`${url}/${route}`, { headers: { "X-Do": order, ...more } })).status;
  const from = (address: string, user: string, password: string) => ({
    "X-Forwarded-For": address,
    Authorization: basic(user, password),
  });

  await t.test("after an outage the counters say what happened", async (t) => {
    const script = [
      ["login", "200", {}, 200],
      ["login", "302", {}, 302],
      ["login", "302", from("192.0.2.1", "admin", "guess"), 302],
      ["login", "403", {}, 403],
      ["login", "429", {}, 429],
      ["login", "500", {}, 500],
      ["login", "503", {}, 401],
      ["login", "reset", {}, 401],
      ["login", "nonsense", from("192.0.2.1", "admin", "guess"), 401],
      ["login", "503", from("192.0.2.1", "nobody", "guess"), 401],
      ["login", "503", from("192.0.2.1", "nobody", "guess"), 429],
      ["login", "503", from("192.0.2.2", "admin", PASSWORD), 200],
      ["login", "503", from("192.0.2.2", "admin", PASSWORD), 200],
      ["login", "200", {}, 200],
      ["pass", "403", {}, 403],
      ["pass", "502", {}, 502],
      ["pass", "reset", {}, 502],
      ["closed", "401", {}, 401],
      ["closed", "504", {}, 503],
      ["plain", "503", {}, 503],
      ["plain", "reset", {}, 502],
      ["plain", "200", {}, 200],
      ["slow", "silence", {}, 504],
      ["sick", "403", {}, 403],
      ["sick", "500", {}, 200],
      ["sick", "400", {}, 200],
      ["sick", "503", {}, 200],
      ["sick", "reset", {}, 200],
      ["sick", "403", {}, 200],
      ["nowhere", "200", {}, 404],
    ] as const;
    t.equal(await check("sick", "200"), 200);
    await eventually(
      () => "the probe of the route is not proven",
      async () => {
        const metrics = await sparekey.metrics();
        return metrics.includes('sparekey_probe_proven{route="sick"} 1\n') || null;
      },
    );
    fallSick();
    // For a second, the last verdict stands against what probes find.
    await new Promise((resolve) => setTimeout(resolve, 1_050));
    for (const [route, order, more, status] of script)
      t.equal(await check(route, order, more), status, `${route}: ${order}`);

    // A fault of these modes is not held up by its probe.
    const probes = await eventually(
      () => "not every route has had its probe",
      async () => {
        const counts = nonZero(counters(await sparekey.metrics(), PROBES));
        return Object.keys(counts).length === 7 ? counts : null;
      },
    );
    for (const route of [...Object.keys(ROUTES), "slow"])
      t.ok((probes[`sparekey_probes_total{route="${route}",result="ok"}`] ?? 0) >= 1, `${route}: it is fine`);
    t.ok((probes['sparekey_probes_total{route="sick",result="fault"}'] ?? 0) >= 1);

    t.same(nonZero(counters(await sparekey.metrics(), COUNTED_OF_CHECKS)), {
      'sparekey_checks_total{route="login",source="upstream",verdict="allow"}': 2,
      'sparekey_checks_total{route="login",source="upstream",verdict="challenge"}': 2,
      'sparekey_checks_total{route="login",source="upstream",verdict="deny"}': 2,
      'sparekey_checks_total{route="login",source="upstream",verdict="error"}': 1,
      'sparekey_checks_total{route="login",source="fallback",verdict="allow"}': 2,
      'sparekey_checks_total{route="login",source="fallback",verdict="challenge"}': 4,
      'sparekey_checks_total{route="login",source="fallback",verdict="deny"}': 1,
      'sparekey_checks_total{route="pass",source="upstream",verdict="deny"}': 1,
      'sparekey_checks_total{route="pass",source="upstream",verdict="error"}': 2,
      'sparekey_checks_total{route="closed",source="upstream",verdict="challenge"}': 1,
      'sparekey_checks_total{route="closed",source="fallback",verdict="deny"}': 1,
      'sparekey_checks_total{route="plain",source="upstream",verdict="allow"}': 1,
      'sparekey_checks_total{route="plain",source="upstream",verdict="error"}': 1,
      'sparekey_checks_total{route="plain",source="fallback",verdict="error"}': 1,
      'sparekey_checks_total{route="slow",source="fallback",verdict="error"}': 1,
      'sparekey_checks_total{route="sick",source="upstream",verdict="allow"}': 1,
      'sparekey_checks_total{route="sick",source="upstream",verdict="deny"}': 1,
      'sparekey_checks_total{route="sick",source="fallback",verdict="allow"}': 5,
      'sparekey_fallback_total{route="login",mode="basic-auth",reason="status_503",result="challenged"}': 1,
      'sparekey_fallback_total{route="login",mode="basic-auth",reason="reset",result="challenged"}': 1,
      'sparekey_fallback_total{route="login",mode="basic-auth",reason="malformed",result="rejected"}': 1,
      'sparekey_fallback_total{route="login",mode="basic-auth",reason="status_503",result="rejected"}': 1,
      'sparekey_fallback_total{route="login",mode="basic-auth",reason="status_503",result="limited"}': 1,
      'sparekey_fallback_total{route="login",mode="basic-auth",reason="status_503",result="allowed"}': 2,
      'sparekey_fallback_total{route="closed",mode="deny",reason="status_504",result="denied"}': 1,
      'sparekey_fallback_total{route="plain",mode="none",reason="reset",result="denied"}': 1,
      'sparekey_fallback_total{route="slow",mode="none",reason="read_timeout",result="denied"}': 1,
      'sparekey_fallback_total{route="sick",mode="allow",reason="status_500",result="allowed"}': 1,
      'sparekey_fallback_total{route="sick",mode="allow",reason="bare_400",result="allowed"}': 1,
      'sparekey_fallback_total{route="sick",mode="allow",reason="status_503",result="allowed"}': 1,
      'sparekey_fallback_total{route="sick",mode="allow",reason="reset",result="allowed"}': 1,
      'sparekey_fallback_total{route="sick",mode="allow",reason="breaker_open",result="allowed"}': 1,
      'sparekey_retries_total{route="login",kind="retry"}': 16,
      'sparekey_retries_total{route="pass",kind="retry"}': 4,
      'sparekey_retries_total{route="closed",kind="retry"}': 2,
      'sparekey_retries_total{route="sick",kind="retry"}': 8,
      'sparekey_faults_total{route="login",reason="status_503"}': 5,
      'sparekey_faults_total{route="login",reason="reset"}': 1,
      'sparekey_faults_total{route="login",reason="malformed"}': 1,
      'sparekey_faults_total{route="closed",reason="status_504"}': 1,
      'sparekey_faults_total{route="plain",reason="status_503"}': 1,
      'sparekey_faults_total{route="plain",reason="reset"}': 1,
      'sparekey_faults_total{route="slow",reason="read_timeout"}': 1,
      'sparekey_faults_total{route="sick",reason="status_500"}': 1,
      'sparekey_faults_total{route="sick",reason="bare_400"}': 1,
      'sparekey_faults_total{route="sick",reason="status_503"}': 1,
      'sparekey_faults_total{route="sick",reason="reset"}': 1,
      'sparekey_suspects_total{route="login",reason="status_500",finding="cleared"}': 1,
      'sparekey_suspects_total{route="pass",reason="status_502",finding="cleared"}': 1,
      'sparekey_suspects_total{route="pass",reason="reset",finding="cleared"}': 1,
      'sparekey_suspects_total{route="sick",reason="status_500",finding="confirmed"}': 1,
      'sparekey_suspects_total{route="sick",reason="bare_400",finding="confirmed"}': 1,
      'sparekey_suspects_total{route="sick",reason="status_503",finding="confirmed"}': 1,
      'sparekey_suspects_total{route="sick",reason="reset",finding="confirmed"}': 1,
      'sparekey_upstream_answers_total{route="login",code="200"}': 2,
      'sparekey_upstream_answers_total{route="login",code="302"}': 2,
      'sparekey_upstream_answers_total{route="login",code="403"}': 1,
      'sparekey_upstream_answers_total{route="login",code="429"}': 1,
      'sparekey_upstream_answers_total{route="login",code="500"}': 1,
      'sparekey_upstream_answers_total{route="login",code="503"}': 5,
      'sparekey_upstream_answers_total{route="pass",code="403"}': 1,
      'sparekey_upstream_answers_total{route="pass",code="502"}': 1,
      'sparekey_upstream_answers_total{route="closed",code="401"}': 1,
      'sparekey_upstream_answers_total{route="closed",code="504"}': 1,
      'sparekey_upstream_answers_total{route="plain",code="200"}': 1,
      'sparekey_upstream_answers_total{route="plain",code="503"}': 1,
      'sparekey_upstream_answers_total{route="sick",code="400"}': 1,
      'sparekey_upstream_answers_total{route="sick",code="200"}': 1,
      'sparekey_upstream_answers_total{route="sick",code="403"}': 1,
      'sparekey_upstream_answers_total{route="sick",code="500"}': 1,
      'sparekey_upstream_answers_total{route="sick",code="503"}': 1,
      'sparekey_emergency_logins_total{route="login",result="missing"}': 2,
      'sparekey_emergency_logins_total{route="login",result="bad"}': 2,
      'sparekey_emergency_logins_total{route="login",result="limited"}': 1,
      'sparekey_emergency_logins_total{route="login",result="ok"}': 2,
      'sparekey_check_duration_seconds_count{route="login"}': 14,
      'sparekey_check_duration_seconds_count{route="pass"}': 3,
      'sparekey_check_duration_seconds_count{route="closed"}': 2,
      'sparekey_check_duration_seconds_count{route="plain"}': 3,
      'sparekey_check_duration_seconds_count{route="slow"}': 1,
      'sparekey_check_duration_seconds_count{route="sick"}': 7,
      'sparekey_upstream_duration_seconds_count{route="login"}': 12,
      'sparekey_upstream_duration_seconds_count{route="pass"}': 2,
      'sparekey_upstream_duration_seconds_count{route="closed"}': 2,
      'sparekey_upstream_duration_seconds_count{route="plain"}': 2,
      'sparekey_upstream_duration_seconds_count{route="sick"}': 5,
    });
    const active = counters(await sparekey.metrics(), /^sparekey_fallback_active/);
    t.same(Object.values(active), [1, 0, 1, 1, 1, 1]);
    const breakers = nonZero(
      counters(await sparekey.metrics(), /^sparekey_breaker_state\{route="(login|sick)"/),
    );
    t.same(breakers, {
      'sparekey_breaker_state{route="login",state="closed"}': 1,
      'sparekey_breaker_state{route="sick",state="open"}': 1,
    });
  });

  await t.test("promtool finds nothing to say", { skip: missing("promtool") }, async (t) => {
    const answered = await ask(`${sparekey.admin.url}/metrics`);
    t.match(answered.headers["content-type"], /^text\/plain; version=0\.0\.4/);
    const checked = await finished(start(t, "promtool", ["check", "metrics"], { input: answered.text }));
    t.same(checked, { code: 0, stdout: "", stderr: "" });
  });

  await t.test("the log tells the outage in few lines", async (t) => {
    const about = (msg: string) => sparekey.logs().filter((line) => line.msg === msg);
    t.same(
      about("fallback begins").map(({ route, mode, reason }) => [route, mode, reason]),
      [
        ["login", "basic-auth", "status_503"],
        ["closed", "deny", "status_504"],
        ["plain", "none", "reset"],
        ["slow", "none", "read_timeout"],
        ["sick", "allow", "status_500"],
      ],
    );
    t.same(
      about("breaker opened").map(({ route, reason }) => [route, reason]),
      [["sick", "reset"]],
    );
    t.same(
      about("emergency login").map(({ route, user }) => [route, user]),
      [["login", "admin"]],
    );
  });
});
