import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import t from "tap";
import { classify, isFinalStatus, isRedirect, rowOf } from "../../src/core/classify.ts";
import type { Expectations, FaultRules } from "../../src/core/snapshot.ts";
import type { Answer, Body, FailureReason } from "../../src/core/types.ts";
import { answer, FAULT_RULES, streamedBody } from "../support/fixtures.ts";

const EMPTY_GZIP: Body = { kind: "whole", bytes: gzipSync("") };

const NOT_PROVEN = (): boolean => false;

/** `allow`, or with a reason `fault status_502`. */
function verdictOf(
  given: Answer,
  rules: Partial<FaultRules> = {},
  isProvenHost: () => boolean = NOT_PROVEN,
): string {
  const verdict = classify({ kind: "answer", answer: given }, { ...FAULT_RULES, ...rules }, isProvenHost);
  return "reason" in verdict ? `${verdict.kind} ${verdict.reason}` : verdict.kind;
}

const FAILURES: readonly FailureReason[] = [
  ...(["refused", "unreachable", "connect_timeout", "dns", "tls"] as const),
  ...(["read_timeout", "total_timeout", "reset", "malformed", "too_large"] as const),
];

t.test("every failure is a fault with its own reason and no answer", async (t) => {
  for (const reason of FAILURES) {
    const verdict = classify({ kind: "failure", reason }, FAULT_RULES, NOT_PROVEN);
    t.same(verdict, { kind: "fault", reason, answer: null });
  }
});

t.test("every status is a verdict, and only a 2xx is allow", async (t) => {
  for (let status = 200; status <= 599; status += 1) {
    t.equal(verdictOf(answer(status, [], "words")), expectedOf(status), String(status));
  }
});

function expectedOf(status: number): string {
  if (status < 300) return "allow";
  if (status < 400 || status === 401) return "challenge";
  if (status < 500) return "deny";
  return [502, 503, 504].includes(status) ? `fault status_${status}` : `suspect status_${status}`;
}

t.test("a 400", async (t) => {
  const rows = [
    { name: "empty, no cookie: the full session store", given: answer(400), verdict: "suspect bare_400" },
    {
      name: "with JSON: the outpost's own refusal",
      given: answer(400, ["Content-Type", "application/json"], '{"Message":"no app for hostname"}'),
      verdict: "deny",
    },
    {
      name: "to HEAD, of a length",
      given: answer(400, ["Content-Length", "30"]),
      verdict: "deny",
    },
    {
      name: "empty once decoded: the failing database of an embedded outpost",
      given: answer(400, ["Content-Encoding", "gzip", "Content-Length", "20"], EMPTY_GZIP),
      verdict: "suspect bare_400",
    },
    ...(
      [
        ["deflate", deflateSync("")],
        ["br", brotliCompressSync("")],
        ["zstd", zstdCompressSync("")],
      ] as const
    ).map(([coding, bytes]) => ({
      name: `empty once decoded: ${coding}`,
      given: answer(400, ["Content-Encoding", coding], { kind: "whole" as const, bytes }),
      verdict: "suspect bare_400",
    })),
    {
      name: "words once decoded",
      given: answer(400, ["Content-Encoding", "gzip"], { kind: "whole", bytes: gzipSync("no") }),
      verdict: "deny",
    },
    {
      name: "empty once decoded, with a cookie",
      given: answer(400, ["Content-Encoding", "gzip", "Set-Cookie", "a=1"], EMPTY_GZIP),
      verdict: "deny",
    },
    { name: "the same bytes without a coding", given: answer(400, [], EMPTY_GZIP), verdict: "deny" },
    { name: "with one byte", given: answer(400, [], " "), verdict: "deny" },
    { name: "empty with a cookie", given: answer(400, ["SET-cookie", "a=1"]), verdict: "deny" },
    { name: "empty with an empty cookie", given: answer(400, ["Set-Cookie", ""]), verdict: "deny" },
    {
      name: "empty with other headers",
      given: answer(400, ["Content-Length", "0", "Date", "x", "X-Set-Cookie", "a=1"]),
      verdict: "suspect bare_400",
    },
    { name: "with a streamed body", given: answer(400, [], streamedBody("long").body), verdict: "deny" },
    { name: "empty, rule off", given: answer(400), rules: { bare400: false }, verdict: "deny" },
    { name: "empty 401", given: answer(401), verdict: "challenge" },
    { name: "empty 403", given: answer(403), verdict: "deny" },
    { name: "empty 404", given: answer(404), verdict: "deny" },
  ];
  for (const row of rows) {
    t.equal(verdictOf(row.given, row.rules), row.verdict, row.name);
  }
});

t.test("rules of the config", async (t) => {
  const rows = [
    { name: "no fault status: still suspect", status: 503, rules: { statuses: new Set<number>() } },
    {
      name: "no suspect status: 5xx stay suspect",
      status: 500,
      rules: { suspectStatuses: new Set<number>() },
    },
    { name: "a suspect 200 lets nobody in", status: 200, rules: { suspectStatuses: new Set([200]) } },
    { name: "a suspect 403", status: 403, rules: { suspectStatuses: new Set([403]) } },
  ];
  for (const row of rows) {
    t.equal(verdictOf(answer(row.status, [], "x"), row.rules), `suspect status_${row.status}`, row.name);
  }
  const statuses = new Set([200, 400, 500]);
  for (const status of statuses) {
    t.equal(verdictOf(answer(status), { statuses }), `fault status_${status}`, `${status} as a fault status`);
  }
});

t.test("the answer goes along untouched", async (t) => {
  for (const status of [200, 302, 403, 500, 503]) {
    const given = answer(status);
    t.equal(
      classify({ kind: "answer", answer: given }, FAULT_RULES, NOT_PROVEN).answer,
      given,
      String(status),
    );
  }
});

t.test("a failure keeps what it says beside its reason", async (t) => {
  for (const more of [{ unasked: true }, { silent: true }] as const) {
    const verdict = classify({ kind: "failure", reason: "total_timeout", ...more }, FAULT_RULES, NOT_PROVEN);
    t.same(verdict, { kind: "fault", reason: "total_timeout", ...more, answer: null });
  }
});

const COOKIE = ["Set-Cookie", "authelia_session=1; Path=/"];
const LOGIN = ["Location", "https://auth.example.com/login"];
const NOTHING_EXPECTED = FAULT_RULES.expect;

function expecting(challenge: Partial<Expectations["challenge"]>): Partial<FaultRules> {
  return { expect: { ...NOTHING_EXPECTED, challenge: { ...NOTHING_EXPECTED.challenge, ...challenge } } };
}
const NAMED: Partial<FaultRules> = { expect: { ...NOTHING_EXPECTED, allow: { headers: ["x-user"] } } };
const SETS_COOKIE = expecting({ headers: ["set-cookie"] });
const OWN_COOKIE = expecting({ cookie: "authelia_session" });
const TO_LOGIN = expecting({ location: "https://auth.example.com/" });

t.test("a verdict that misses what a healthy upstream always says is suspect", async (t) => {
  const rows: readonly {
    readonly name: string;
    readonly given: Answer;
    readonly rules: Partial<FaultRules>;
    readonly verdict: string;
  }[] = [
    {
      name: "an allow that names a user",
      given: answer(200, ["X-User", "a"]),
      rules: NAMED,
      verdict: "allow",
    },
    { name: "an allow that names nobody", given: answer(200), rules: NAMED, verdict: "suspect unexpected" },
    {
      name: "an allow whose user is empty",
      given: answer(200, ["X-User", ""]),
      rules: NAMED,
      verdict: "suspect unexpected",
    },
    { name: "a 202 that names nobody", given: answer(202), rules: NAMED, verdict: "suspect unexpected" },
    { name: "a challenge names no user", given: answer(302), rules: NAMED, verdict: "challenge" },
    { name: "nor does a refusal", given: answer(403), rules: NAMED, verdict: "deny" },
    {
      name: "a challenge with a cookie",
      given: answer(302, COOKIE),
      rules: SETS_COOKIE,
      verdict: "challenge",
    },
    {
      name: "a 302 without one: the full store of an outpost of 2025.6",
      given: answer(302, LOGIN),
      rules: SETS_COOKIE,
      verdict: "suspect unexpected",
    },
    {
      name: "a 401 without one",
      given: answer(401),
      rules: SETS_COOKIE,
      verdict: "suspect unexpected",
    },
    { name: "an allow needs none", given: answer(200), rules: SETS_COOKIE, verdict: "allow" },
    { name: "nor does a refusal", given: answer(403), rules: SETS_COOKIE, verdict: "deny" },
    { name: "the cookie of the name", given: answer(302, COOKIE), rules: OWN_COOKIE, verdict: "challenge" },
    {
      name: "the cookie of the name, in a second line",
      given: answer(302, ["Set-Cookie", "other=1", ...COOKIE]),
      rules: OWN_COOKIE,
      verdict: "challenge",
    },
    {
      name: "another cookie: the dead store of Authelia",
      given: answer(302, ["Set-Cookie", "other=1"]),
      rules: OWN_COOKIE,
      verdict: "suspect unexpected",
    },
    {
      name: "the name in another place",
      given: answer(302, ["Set-Cookie", "x=authelia_session"]),
      rules: OWN_COOKIE,
      verdict: "suspect unexpected",
    },
    { name: "no cookie at all", given: answer(401), rules: OWN_COOKIE, verdict: "suspect unexpected" },
    { name: "a redirect to the login", given: answer(302, LOGIN), rules: TO_LOGIN, verdict: "challenge" },
    {
      name: "a redirect to elsewhere",
      given: answer(302, ["Location", "https://auth.example.com.evil.example/"]),
      rules: TO_LOGIN,
      verdict: "suspect unexpected",
    },
    {
      name: "a redirect to nowhere",
      given: answer(302),
      rules: TO_LOGIN,
      verdict: "suspect unexpected",
    },
    { name: "a 401 leads nowhere by right", given: answer(401), rules: TO_LOGIN, verdict: "challenge" },
  ];
  for (const { name, given, rules, verdict } of rows) t.equal(verdictOf(given, rules), verdict, name);
});

t.test("an answer that the config calls a fault", async (t) => {
  const byHeader = { status: 403, header: "x-bouncer-error", body: null };
  const byBody = { status: 403, header: null, body: "LAPI is down" };
  const byBoth = { status: 403, header: "x-bouncer-error", body: "LAPI" };
  const byStatus = { status: 418, header: null, body: null };
  const rows = [
    {
      name: "by a header, in any case",
      match: [byHeader],
      given: answer(403, ["X-BOUNCER-Error", "1"]),
      verdict: "fault status_403",
    },
    {
      name: "by a header that is empty",
      match: [byHeader],
      given: answer(403, ["X-Bouncer-Error", ""]),
      verdict: "fault status_403",
    },
    { name: "without the header", match: [byHeader], given: answer(403), verdict: "deny" },
    {
      name: "of another status",
      match: [byHeader],
      given: answer(404, ["X-Bouncer-Error", "1"]),
      verdict: "deny",
    },
    {
      name: "by a part of the body",
      match: [byBody],
      given: answer(403, [], "sorry, LAPI is down today"),
      verdict: "fault status_403",
    },
    { name: "with another body", match: [byBody], given: answer(403, [], "banned"), verdict: "deny" },
    {
      name: "with a body that is too long to be looked at",
      match: [byBody],
      given: answer(403, [], streamedBody("LAPI is down").body),
      verdict: "deny",
    },
    {
      name: "by both, of which one is missing",
      match: [byBoth],
      given: answer(403, ["X-Bouncer-Error", "1"], "banned"),
      verdict: "deny",
    },
    {
      name: "by both",
      match: [byBoth],
      given: answer(403, ["X-Bouncer-Error", "1"], "LAPI"),
      verdict: "fault status_403",
    },
    { name: "by its status alone", match: [byStatus], given: answer(418), verdict: "fault status_418" },
    {
      name: "by the second of several",
      match: [byHeader, byBody],
      given: answer(403, [], "LAPI is down"),
      verdict: "fault status_403",
    },
    {
      name: "a 200 that is none, so that it lets nobody in",
      match: [{ status: 200, header: null, body: "Internal error" }],
      given: answer(200, [], "Internal error"),
      verdict: "fault status_200",
    },
    {
      name: "before what it lacks",
      match: [{ status: 302, header: null, body: null }],
      given: answer(302),
      verdict: "fault status_302",
    },
  ];
  for (const { name, match, given, verdict } of rows) {
    t.equal(verdictOf(given, { ...SETS_COOKIE, match }), verdict, name);
  }
});

t.test("a refusal on a host whose probe is proven", async (t) => {
  for (const status of [400, 404, 405, 410, 418, 451, 499]) {
    const given = answer(status, [], "words");
    t.equal(
      verdictOf(given, {}, () => true),
      `suspect status_${status}`,
      String(status),
    );
    t.equal(verdictOf(given), "deny", `${status}, not proven`);
  }
  for (const status of [401, 403, 429]) {
    const verdict = status === 401 ? "challenge" : "deny";
    t.equal(
      verdictOf(answer(status), {}, () => true),
      verdict,
      `${status}: a healthy upstream says so by right`,
    );
  }
  for (const status of [200, 302, 401, 403, 429, 500, 503]) {
    const isProvenHost = (): boolean => t.fail(`asked for ${status}`);
    verdictOf(answer(status), {}, isProvenHost);
  }
});

t.test("the row of an answer", async (t) => {
  const rows = [
    { name: "a verdict", given: answer(200), rules: {}, isProven: false, row: null },
    { name: "a refusal", given: answer(404), rules: {}, isProven: false, row: null },
    { name: "a refusal on a proven host", given: answer(404), rules: {}, isProven: true, row: 3 },
    { name: "a fault status", given: answer(503), rules: {}, isProven: true, row: 2 },
    {
      name: "a fault by the config",
      given: answer(403),
      rules: { match: [{ status: 403, header: null, body: null }] },
      isProven: false,
      row: 2,
    },
    { name: "another 5xx", given: answer(501), rules: {}, isProven: false, row: 3 },
    { name: "a bare 400", given: answer(400), rules: {}, isProven: false, row: 3 },
    { name: "what misses an expectation", given: answer(302), rules: SETS_COOKIE, isProven: false, row: 3 },
  ];
  for (const { name, given, rules, isProven, row } of rows) {
    t.equal(
      rowOf(given, { ...FAULT_RULES, ...rules }, () => isProven),
      row,
      name,
    );
  }
});

t.test("redirects", async (t) => {
  for (const status of [300, 302, 303, 307, 399]) t.equal(isRedirect(status), true, String(status));
  for (const status of [200, 299, 400, 401]) t.equal(isRedirect(status), false, String(status));
});

t.test("final statuses", async (t) => {
  for (const status of [200, 599]) t.equal(isFinalStatus(status), true, String(status));
  for (const status of [0, 99, 100, 101, 199, 600, 999])
    t.equal(isFinalStatus(status), false, String(status));
});
