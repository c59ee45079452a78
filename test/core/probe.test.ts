import t from "tap";
import {
  confirms,
  guessedTemplate,
  holds,
  learnedTemplate,
  probeRequest,
  probeResultOf,
} from "../../src/core/probe.ts";
import type { ProbeRules, Route } from "../../src/core/snapshot.ts";
import type { Check, Outcome, RawHeaders, UpstreamRequest } from "../../src/core/types.ts";
import { answering, failing } from "../support/check-world.ts";
import { answer, basic, check, FAULT_RULES, PROBE_RULES, route, streamedBody } from "../support/fixtures.ts";

const AGENT = "sparekey/1";

function probe(asked: Check, rules: Partial<ProbeRules> = {}, changes: Partial<Route> = {}): UpstreamRequest {
  return probeRequest(
    route({ probe: { ...PROBE_RULES, ...rules }, ...changes }),
    learnedTemplate(asked),
    AGENT,
  );
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

t.test("a probe holds host, proto and method of a check, and no other word of a client", async (t) => {
  const marked = MARKED_NAMES.flatMap((name) => [name, `marked ${name}`]);
  const many = Array.from({ length: 300 }, (_, index) => [`X-Marked-${index}`, "marked"]).flat();
  const asked = check({
    method: "GET",
    target: "/auth?marked=/marked",
    headers: [
      ...[...marked, "Authorization", basic("marked", "marked"), "Cookie", "session=marked"],
      ...["host", "app.example", "x-forwarded-host", "app.example"],
      ...["X-FORWARDED-PROTO", "https", "x-Forwarded-Method", "POST"],
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
      ...["Host", "app.example", "X-Forwarded-Host", "app.example", "X-Forwarded-Proto", "https"],
      ...["X-Forwarded-Method", "POST", "X-Forwarded-Uri", "/", "User-Agent", AGENT],
    ],
    body: null,
    repeatable: true,
    trying: { kind: "probe", fault: FAULT_RULES },
  });
  t.notMatch(JSON.stringify(request), /marked/i);
});

t.test("what a check does not say, a probe does not say for it", async (t) => {
  const request = probe(check({ method: "HEAD", headers: [] }));
  t.equal(request.method, "HEAD");
  t.same(request.headers, ["X-Forwarded-Uri", "/", "User-Agent", AGENT]);
});

t.test("the first of two lines counts", async (t) => {
  const headers = ["Host", "a", "Host", "marked", "X-Forwarded-Host", "b", "x-forwarded-host", "marked"];
  t.same(probe(check({ headers })).headers.slice(0, 4), ["Host", "a", "X-Forwarded-Host", "b"]);
});

t.test("where it asks: the route's own path, never the check's", async (t) => {
  const asked = check({ target: "/auth/deep/marked?marked" });
  t.equal(probe(asked, {}, { path: { kind: "exact", path: "/auth" } }).target, "/auth");
  t.equal(probe(asked, {}, { path: { kind: "prefix", prefix: "/auth/" } }).target, "/auth/");
});

t.test("what `probe` says otherwise", async (t) => {
  const learned = ["Host", "a", "X-Forwarded-Host", "b", "X-Forwarded-Proto", "https"];
  const tail = ["X-Forwarded-Uri", "/", "User-Agent", AGENT];
  const hosts = ["Host", "own", "X-Forwarded-Host", "own"];
  const rows: readonly { name: string; rules: Partial<ProbeRules>; headers: RawHeaders }[] = [
    { name: "nothing", rules: {}, headers: [...learned, ...tail] },
    {
      name: "host, for both",
      rules: { host: "own" },
      headers: ["X-Forwarded-Proto", "https", ...hosts, ...tail],
    },
    {
      name: "uri",
      rules: { uri: "/deep?x=1" },
      headers: [...learned, "X-Forwarded-Uri", "/deep?x=1", "User-Agent", AGENT],
    },
    {
      name: "headers, in place of the same names in any case",
      rules: { headers: ["x-forwarded-PROTO", "http", "user-agent", "own", "X-Own", "1"] },
      headers: [
        ...["Host", "a", "X-Forwarded-Host", "b", "X-Forwarded-Uri", "/"],
        ...["x-forwarded-PROTO", "http", "user-agent", "own", "X-Own", "1"],
      ],
    },
    {
      name: "headers win over host and uri",
      rules: { host: "own", uri: "/x", headers: ["X-Forwarded-Host", "c", "X-Forwarded-Uri", "/y"] },
      headers: [
        ...["X-Forwarded-Proto", "https", "Host", "own", "User-Agent", AGENT],
        ...["X-Forwarded-Host", "c", "X-Forwarded-Uri", "/y"],
      ],
    },
    {
      name: "a cookie or credentials of the operator's own",
      rules: { headers: ["Cookie", "own=1", "Authorization", "Bearer own"] },
      headers: [...learned, ...tail, "Cookie", "own=1", "Authorization", "Bearer own"],
    },
  ];
  for (const { name, rules, headers } of rows) {
    t.same(probe(check({ headers: learned }), rules).headers, headers, name);
  }
});

t.test("guessed from a check that is itself in question: only what is plain", async (t) => {
  const rows: readonly { name: string; headers: RawHeaders; kept: RawHeaders }[] = [
    { name: "a host", headers: ["Host", "app.example"], kept: ["Host", "app.example"] },
    { name: "with a port", headers: ["X-Forwarded-Host", "a:80"], kept: ["X-Forwarded-Host", "a:80"] },
    { name: "an odd host", headers: ["Host", "a/../%00", "X-Forwarded-Host", "a b"], kept: [] },
    { name: "an empty host", headers: ["Host", ""], kept: [] },
    { name: "an endless host", headers: ["Host", "a".repeat(254)], kept: [] },
    { name: "an odd port", headers: ["Host", "a:123456", "X-Forwarded-Host", "a:x"], kept: [] },
    { name: "two lines in one", headers: ["Host", "a\nX: y"], kept: [] },
    { name: "https", headers: ["X-Forwarded-Proto", "https"], kept: ["X-Forwarded-Proto", "https"] },
    { name: "an odd proto", headers: ["X-Forwarded-Proto", "https, magic"], kept: [] },
    { name: "GET", headers: ["X-Forwarded-Method", "GET"], kept: ["X-Forwarded-Method", "GET"] },
    { name: "another method", headers: ["X-Forwarded-Method", "MAGIC"], kept: [] },
    { name: "the rest", headers: ["Cookie", "a", "X-Forwarded-Uri", "/", "Authorization", "b"], kept: [] },
  ];
  for (const { name, headers, kept } of rows) {
    t.same(guessedTemplate(check({ method: "HEAD", headers })), { method: "GET", headers: kept }, name);
  }
});

const RESULTS: readonly {
  name: string;
  outcome: Outcome;
  expected: string;
  confirms: boolean;
  holds: number;
}[] = [
  ...[200, 202, 302, 401].map((status) => ({
    name: `${status}`,
    outcome: answering(answer(status)),
    expected: "fine",
    confirms: false,
    holds: 7_000,
  })),
  ...[403, 404].map((status) => ({
    name: `${status}: it clears the check it was guessed from, and no other`,
    outcome: answering(answer(status)),
    expected: "fine",
    confirms: false,
    holds: 0,
  })),
  {
    name: "JSON 400",
    outcome: answering(answer(400, [], "{}")),
    expected: "fine",
    confirms: false,
    holds: 0,
  },
  {
    name: "an endless 200",
    outcome: answering(answer(200, [], streamedBody("x").body)),
    expected: "fine",
    confirms: false,
    holds: 7_000,
  },
  ...[400, 500, 501, 599].map((status) => ({
    name: `${status}, empty`,
    outcome: answering(answer(status)),
    expected: status === 400 ? "suspect bare_400" : `suspect status_${status}`,
    confirms: true,
    holds: 1_000,
  })),
  ...[502, 503, 504].map((status) => ({
    name: `${status}`,
    outcome: answering(answer(status)),
    expected: `fault status_${status}`,
    confirms: true,
    holds: 1_000,
  })),
  ...(
    [
      ...["refused", "unreachable", "connect_timeout", "dns", "tls"],
      ...["read_timeout", "total_timeout", "reset", "malformed", "too_large"],
    ] as const
  ).map((reason) => ({
    name: reason,
    outcome: failing(reason),
    expected: `fault ${reason}`,
    confirms: true,
    holds: 1_000,
  })),
  ...(["abandoned", "released", "overload", "unsendable"] as const).map((kind) => ({
    name: `${kind}: no reason to let anybody in`,
    outcome: { kind },
    expected: "unknown",
    confirms: false,
    holds: 0,
  })),
];

t.test("probe results: what they say, what they confirm and how long they hold", async (t) => {
  for (const row of RESULTS) {
    const result = probeResultOf(row.outcome, FAULT_RULES);
    t.equal("reason" in result ? `${result.kind} ${result.reason}` : result.kind, row.expected, row.name);
    t.equal(confirms(result), row.confirms, `${row.name}: confirms`);
    t.equal(holds(result, { ...PROBE_RULES, minInterval: 7_000 }), row.holds, `${row.name}: holds`);
  }
});

t.test("a probe is judged by the route's own rules", async (t) => {
  const rules = { ...FAULT_RULES, statuses: new Set([403]), suspectStatuses: new Set([404]), bare400: false };
  t.match(probeResultOf(answering(answer(403)), rules), { kind: "fault", reason: "status_403" });
  t.match(probeResultOf(answering(answer(404)), rules), { kind: "suspect", reason: "status_404" });
  t.match(probeResultOf(answering(answer(400)), rules), { kind: "fine" });
});
