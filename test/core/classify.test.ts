import { gzipSync } from "node:zlib";
import t from "tap";
import { classify, isFinalStatus, isRedirect } from "../../src/core/classify.ts";
import type { FaultRules } from "../../src/core/snapshot.ts";
import type { Answer, Body, FailureReason } from "../../src/core/types.ts";
import { answer, FAULT_RULES, streamedBody } from "../support/fixtures.ts";

const EMPTY_GZIP: Body = { kind: "whole", bytes: gzipSync("") };

/** `allow`, or with a reason `fault status_502`. */
function verdictOf(given: Answer, rules: Partial<FaultRules> = {}): string {
  const verdict = classify({ kind: "answer", answer: given }, { ...FAULT_RULES, ...rules });
  return "reason" in verdict ? `${verdict.kind} ${verdict.reason}` : verdict.kind;
}

const FAILURES: readonly FailureReason[] = [
  ...(["refused", "unreachable", "connect_timeout", "dns", "tls"] as const),
  ...(["read_timeout", "total_timeout", "reset", "malformed", "too_large"] as const),
];

t.test("every failure is a fault with its own reason and no answer", async (t) => {
  for (const reason of FAILURES) {
    const verdict = classify({ kind: "failure", reason }, FAULT_RULES);
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
    t.equal(classify({ kind: "answer", answer: given }, FAULT_RULES).answer, given, String(status));
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
