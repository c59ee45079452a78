import t from "tap";
import { subjectOf } from "../../src/core/dialect.ts";
import {
  bestOf,
  confirms,
  type Finding,
  findingOf,
  holds,
  type Meaning,
  meaningOf,
  NOTHING_FOUND,
  oddRefusal,
  type ProbeResult,
  probeRequest,
  worstOf,
} from "../../src/core/probe.ts";
import type { FaultRules, ProbeRules, Route } from "../../src/core/snapshot.ts";
import type { Check, FallbackMode, Outcome, RawHeaders, UpstreamRequest } from "../../src/core/types.ts";
import { answering, FALLBACKS, failing } from "../support/check-world.ts";
import { answer, basic, check, FAULT_RULES, PROBE_RULES, route, streamedBody } from "../support/fixtures.ts";

const AGENT = "sparekey/1";

function probe(asked: Check, rules: Partial<ProbeRules> = {}, changes: Partial<Route> = {}): UpstreamRequest {
  const made = route({ probe: { ...PROBE_RULES, ...rules }, ...changes });
  return probeRequest(made, subjectOf(asked, made.gateway), AGENT, null, null);
}

/** All that a client may have written into a check. Each part has a mark of its own. */
const MARKED_NAMES = [
  ...["Cookie", "Authorization", "Proxy-Authorization", "X-Forwarded-Uri", "X-Forwarded-For", "X-Real-Ip"],
  ...["X-Forwarded-Port", "X-Forwarded-Server", "X-Forwarded-User", "X-Forwarded-Prefix", "Forwarded", "Via"],
  ...["X-Original-Url", "X-Original-Uri", "X-Original-Method", "X-Rewrite-Url", "X-Http-Method-Override"],
  ...["User-Agent", "Accept", "Accept-Language", "Accept-Encoding", "Referer", "Origin", "Range", "If-Match"],
  ...["X-Request-Id", "X-Requested-With", "Sec-Fetch-Mode", "Content-Type", "Content-Length", "Expect", "TE"],
  ...["Transfer-Encoding", "Connection", "Upgrade", "Trailer", "Cache-Control", "Pragma", "X-Auth-Fallback"],
  ...["X-Host", "X-Forwarded-Hosts", "X_Forwarded_Host", "X-Forwarded-Proto-Version", "Host-", "X-Magic"],
  ...["X-authentik-username", "Remote-User", "traceparent", "CF-Connecting-IP", "X-Forwarded-Ssl"],
];

/** What every probe says of the client in Traefik's words, whoever taught it. */
const NOBODYS = ["X-Forwarded-For", "192.0.2.1", "X-Real-IP", "192.0.2.1"];

t.test("a probe holds host and proto of a check, and no other word of a client", async (t) => {
  const marked = MARKED_NAMES.flatMap((name) => [name, `marked ${name}`]);
  const many = Array.from({ length: 300 }, (_, index) => [`X-Marked-${index}`, "marked"]).flat();
  const asked = check({
    method: "GET",
    target: "/auth?marked=/marked",
    headers: [
      ...[...marked, "Authorization", basic("marked", "marked"), "Cookie", "session=marked"],
      ...["host", "sparekey.example", "x-forwarded-host", "App.example"],
      ...["X-FORWARDED-PROTO", "http", "x-Forwarded-Method", "HEAD"],
      ...many,
    ],
    body: (async function* () {
      yield Buffer.from("marked");
    })(),
  });
  const request = probe(asked);
  t.same(request, {
    method: "GET",
    target: "/auth",
    headers: [
      ...["Host", "sparekey.example", "X-Forwarded-Host", "app.example", "X-Forwarded-Method", "GET"],
      ...["X-Forwarded-Uri", "/", "X-Forwarded-Proto", "http", ...NOBODYS, "User-Agent", AGENT],
    ],
    body: null,
    repeatable: true,
    trying: { kind: "probe", fault: FAULT_RULES, holds: null, patience: null },
  });
  t.notMatch(JSON.stringify(request), /marked/i);
});

t.test("what a check does not say, a probe does not say for it", async (t) => {
  const request = probe(check({ method: "HEAD", headers: [] }));
  t.equal(request.method, "GET", "its own method is always GET");
  t.same(request.headers, [
    ...["X-Forwarded-Method", "GET", "X-Forwarded-Uri", "/", "X-Forwarded-Proto", "https", ...NOBODYS],
    ...["User-Agent", AGENT],
  ]);
});

t.test("a probe says what it is known to get, and how long it may take", async (t) => {
  const { trying } = probeRequest(route(), subjectOf(check(), "traefik"), AGENT, "challenge", 250);
  t.same(trying, { kind: "probe", fault: FAULT_RULES, holds: "challenge", patience: 250 });
});

t.test("where it asks: the route's own path, never the check's", async (t) => {
  const asked = check({ target: "/auth/deep/marked?marked" });
  t.equal(probe(asked, {}, { path: { kind: "exact", path: "/auth" } }).target, "/auth");
  t.equal(probe(asked, {}, { path: { kind: "prefix", prefix: "/auth/" } }).target, "/auth/");
});

t.test("what `probe` says otherwise", async (t) => {
  const taught = ["Host", "a", "X-Forwarded-Host", "b", "X-Forwarded-Proto", "https"];
  const before = ["Host", "a", "X-Forwarded-Host", "b", "X-Forwarded-Method", "GET"];
  const proto = ["X-Forwarded-Proto", "https"];
  const agent = ["User-Agent", AGENT];
  const rows: readonly { name: string; rules: Partial<ProbeRules>; headers: RawHeaders }[] = [
    {
      name: "nothing",
      rules: {},
      headers: [...before, "X-Forwarded-Uri", "/", ...proto, ...NOBODYS, ...agent],
    },
    {
      name: "uri",
      rules: { uri: "/deep?x=1" },
      headers: [...before, "X-Forwarded-Uri", "/deep?x=1", ...proto, ...NOBODYS, ...agent],
    },
    {
      name: "headers, in place of the same names in any case",
      rules: { headers: ["x-forwarded-PROTO", "http", "user-agent", "own", "X-Own", "1"] },
      headers: [
        ...[...before, "X-Forwarded-Uri", "/", ...NOBODYS],
        ...["x-forwarded-PROTO", "http", "user-agent", "own", "X-Own", "1"],
      ],
    },
    {
      name: "headers win over a taught host and over uri",
      rules: { uri: "/x", headers: ["X-Forwarded-Host", "c", "X-Forwarded-Uri", "/y"] },
      headers: [
        ...["Host", "a", "X-Forwarded-Method", "GET", ...proto, ...NOBODYS, ...agent],
        ...["X-Forwarded-Host", "c", "X-Forwarded-Uri", "/y"],
      ],
    },
    {
      name: "a cookie or credentials of the operator's own",
      rules: { headers: ["Cookie", "own=1", "Authorization", "Bearer own"] },
      headers: [
        ...[...before, "X-Forwarded-Uri", "/", ...proto, ...NOBODYS, ...agent],
        ...["Cookie", "own=1", "Authorization", "Bearer own"],
      ],
    },
  ];
  for (const { name, rules, headers } of rows) {
    t.same(probe(check({ headers: taught }), rules).headers, headers, name);
  }
});

const GOOD = { confirms: false, silence: false };
const BAD = { confirms: true, silence: false, holds: 1_000, verdict: null };

const FINDINGS: readonly {
  readonly name: string;
  readonly outcome: Outcome;
  readonly expected: string;
  readonly verdict: string | null;
  readonly confirms: boolean;
  readonly silence: boolean;
  readonly holds: number;
}[] = [
  ...([200, 202] as const).map((status) => ({
    name: `${status}`,
    outcome: answering(answer(status)),
    ...{ ...GOOD, expected: "fine", verdict: `allow ${status}`, holds: 7_000 },
  })),
  ...([302, 401] as const).map((status) => ({
    name: `${status}`,
    outcome: answering(answer(status)),
    ...{ ...GOOD, expected: "fine", verdict: `challenge ${status}`, holds: 7_000 },
  })),
  ...[403, 404].map((status) => ({
    name: `${status}: it clears the check it was guessed from, and no other`,
    outcome: answering(answer(status)),
    ...{ ...GOOD, expected: "fine", verdict: `deny ${status}`, holds: 0 },
  })),
  {
    name: "JSON 400",
    outcome: answering(answer(400, [], "{}")),
    ...{ ...GOOD, expected: "fine", verdict: "deny 400", holds: 0 },
  },
  {
    name: "an endless 200",
    outcome: answering(answer(200, [], streamedBody("x").body)),
    ...{ ...GOOD, expected: "fine", verdict: "allow 200", holds: 7_000 },
  },
  ...[400, 500, 501, 599].map((status) => ({
    name: `${status}, empty`,
    outcome: answering(answer(status)),
    ...{ ...BAD, expected: status === 400 ? "suspect bare_400" : `suspect status_${status}` },
  })),
  ...[502, 503, 504].map((status) => ({
    name: `${status}`,
    outcome: answering(answer(status)),
    ...{ ...BAD, expected: `fault status_${status}` },
  })),
  ...(["refused", "unreachable", "dns", "tls"] as const).map((reason) => ({
    name: `${reason}: no wrong probe brings that about`,
    outcome: failing(reason),
    ...{ ...BAD, expected: `fault ${reason}`, silence: true },
  })),
  ...(["connect_timeout", "read_timeout", "total_timeout", "reset", "malformed", "too_large"] as const).map(
    (reason) => ({ name: reason, outcome: failing(reason), ...{ ...BAD, expected: `fault ${reason}` } }),
  ),
  {
    name: "not a byte in time",
    outcome: { kind: "failure", reason: "read_timeout", silent: true },
    ...{ ...BAD, expected: "fault read_timeout", silence: true },
  },
  ...(["hurried", "released", "busy", "overload", "unsendable"] as const).map((kind) => ({
    name: `${kind}: no reason to let anybody in`,
    outcome: { kind },
    ...{ ...GOOD, expected: "unknown", verdict: null, holds: 0 },
  })),
  {
    name: "abandoned: sparekey ended it itself",
    outcome: { kind: "abandoned", isLate: true },
    ...{ ...GOOD, expected: "unknown", verdict: null, holds: 0 },
  },
];

t.test("findings: what they say, what they confirm and how long they hold", async (t) => {
  for (const row of FINDINGS) {
    const finding = findingOf(row.outcome, FAULT_RULES);
    const { result, verdict } = finding;
    t.equal("reason" in result ? `${result.kind} ${result.reason}` : result.kind, row.expected, row.name);
    t.equal(verdict && `${verdict.kind} ${verdict.status}`, row.verdict, `${row.name}: verdict`);
    t.equal(confirms(result), row.confirms, `${row.name}: confirms`);
    t.equal(finding.isSilence, row.silence, `${row.name}: silence`);
    t.equal(holds(finding, { ...PROBE_RULES, minInterval: 7_000 }), row.holds, `${row.name}: holds`);
  }
});

t.test("a probe is judged by the route's own rules", async (t) => {
  const rules: FaultRules = {
    ...FAULT_RULES,
    ...{ statuses: new Set([403]), suspectStatuses: new Set([404]), bare400: false },
    match: [{ status: 409, header: null, body: null }],
    expect: {
      challenge: { headers: ["set-cookie"], location: null, cookie: null },
      allow: { headers: ["x-user"] },
    },
  };
  const rows = [
    { given: answer(403), result: { kind: "fault", reason: "status_403" } },
    { given: answer(404), result: { kind: "suspect", reason: "status_404" } },
    { given: answer(409), result: { kind: "fault", reason: "status_409" } },
    { given: answer(400), result: { kind: "fine", passed: false } },
    { given: answer(302), result: { kind: "suspect", reason: "unexpected" } },
    { given: answer(200), result: { kind: "suspect", reason: "unexpected" } },
    { given: answer(302, ["Set-Cookie", "a=1"]), result: { kind: "fine", passed: true } },
    { given: answer(200, ["X-User", "a"]), result: { kind: "fine", passed: true } },
  ];
  for (const { given, result } of rows) {
    t.same(findingOf(answering(given), rules).result, result, String(given.status));
  }
});

t.test("an allow names a user only where the config says how", async (t) => {
  const named = { ...FAULT_RULES.expect, allow: { headers: ["x-user"] } };
  const given = answering(answer(200, ["X-User", "a"]));
  t.equal(findingOf(given, FAULT_RULES).verdict?.isNamed, false);
  t.equal(findingOf(given, { ...FAULT_RULES, expect: named }).verdict?.isNamed, true);
});

t.test("what a finding means beside what was proven", async (t) => {
  const fine = (kind: "allow" | "challenge" | "deny", isNamed = false): Finding => ({
    result: { kind: "fine", passed: kind !== "deny" },
    verdict: { kind, status: 200, isNamed },
    isSilence: false,
  });
  const bad = (kind: "fault" | "suspect"): Finding => ({
    result: { kind, reason: "status_500" },
    verdict: null,
    isSilence: false,
  });
  const rows: readonly { name: string; finding: Finding; challenge: Meaning; allow: Meaning }[] = [
    { name: "a challenge", finding: fine("challenge"), challenge: "as-proven", allow: "as-proven" },
    { name: "an allow", finding: fine("allow"), challenge: "otherwise", allow: "as-proven" },
    {
      name: "an allow that names a user",
      finding: fine("allow", true),
      challenge: "as-proven",
      allow: "as-proven",
    },
    { name: "a refusal", finding: fine("deny"), challenge: "otherwise", allow: "otherwise" },
    { name: "rows 1 and 2", finding: bad("fault"), challenge: "bad", allow: "bad" },
    { name: "row 3", finding: bad("suspect"), challenge: "bad", allow: "bad" },
    { name: "nothing", finding: NOTHING_FOUND, challenge: "unknown", allow: "unknown" },
  ];
  for (const { name, finding, challenge, allow } of rows) {
    t.equal(meaningOf(finding, "challenge"), challenge, `${name}, where a challenge is proven`);
    t.equal(meaningOf(finding, "allow"), allow, `${name}, where an allow is proven`);
  }
});

t.test("the worst of several processes, and the best of several probes", async (t) => {
  const [passed, refused, suspect, fault, unknown]: readonly [ProbeResult, ...ProbeResult[]] = [
    { kind: "fine", passed: true },
    { kind: "fine", passed: false },
    { kind: "suspect", reason: "bare_400" },
    { kind: "fault", reason: "refused" },
    { kind: "unknown" },
  ];
  const rows = [
    { name: "none", results: [], worst: unknown, best: unknown },
    { name: "all unknown", results: [unknown, unknown], worst: unknown, best: unknown },
    { name: "one unknown", results: [unknown, passed], worst: passed, best: passed },
    { name: "one refused", results: [passed, refused], worst: refused, best: passed },
    { name: "one suspect", results: [suspect, refused], worst: suspect, best: refused },
    { name: "one at fault", results: [suspect, fault], worst: fault, best: suspect },
  ];
  for (const { name, results, worst, best } of rows) {
    const given = results.flatMap((one) => (one === undefined ? [] : [one]));
    t.same(worstOf(given), worst, `${name}: worst`);
    t.same(bestOf(given), best, `${name}: best`);
  }
});

t.test("a refusal that shows a probe to be wrong", async (t) => {
  const modes: readonly FallbackMode[] = ["basic-auth", "deny"];
  const refusals = [400, 403, 404, 405, 429];
  for (const status of [200, 302, 401, 500, 503, ...refusals]) {
    const finding = findingOf(answering(answer(status, [], "words")), FAULT_RULES);
    for (const mode of ["allow", "basic-auth", "deny", "none"] as const) {
      const expected = modes.includes(mode) && refusals.includes(status) ? status : null;
      t.equal(oddRefusal(finding, route({ fallback: FALLBACKS[mode] })), expected, `${mode}, ${status}`);
    }
  }
});
