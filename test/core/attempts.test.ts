import t from "tap";
import { type AttemptOutcome, evidenceRow, isTimeout, leastTrusted } from "../../src/core/attempts.ts";
import { classify } from "../../src/core/classify.ts";
import type { FaultRules } from "../../src/core/snapshot.ts";
import { type Treatment, treatmentOf } from "../../src/core/treatment.ts";
import type { FailureReason, FallbackMode, Trying } from "../../src/core/types.ts";
import { answer, FAULT_RULES, tryingOf } from "../support/fixtures.ts";

const failure = (reason: FailureReason): AttemptOutcome => ({ kind: "failure", reason });
const answered = (status: number, body = ""): AttemptOutcome => ({
  kind: "answer",
  answer: answer(status, [], body),
});
const UNASKED: AttemptOutcome = { kind: "failure", reason: "total_timeout", unasked: true };

const ROWS = [
  { name: "an allow", outcome: answered(200), row: 0, timeout: false },
  { name: "a challenge", outcome: answered(302), row: 0, timeout: false },
  { name: "a refusal", outcome: answered(403), row: 0, timeout: false },
  { name: "refused", outcome: failure("refused"), row: 1, timeout: false },
  { name: "unreachable", outcome: failure("unreachable"), row: 1, timeout: false },
  { name: "no connection in time", outcome: failure("connect_timeout"), row: 2, timeout: true },
  { name: "no name", outcome: failure("dns"), row: 1, timeout: false },
  { name: "no TLS", outcome: failure("tls"), row: 1, timeout: false },
  { name: "silent", outcome: failure("read_timeout"), row: 2, timeout: true },
  { name: "too slow", outcome: failure("total_timeout"), row: 2, timeout: true },
  { name: "never sent", outcome: UNASKED, row: 2, timeout: true },
  { name: "reset", outcome: failure("reset"), row: 2, timeout: false },
  { name: "malformed", outcome: failure("malformed"), row: 2, timeout: false },
  { name: "too large", outcome: failure("too_large"), row: 2, timeout: false },
  { name: "a fault status", outcome: answered(503), row: 2, timeout: false },
  { name: "a 500", outcome: answered(500), row: 3, timeout: false },
  { name: "a bare 400", outcome: answered(400), row: 3, timeout: false },
] as const;

t.test("the row of an attempt, and whether it was silent", async (t) => {
  for (const { name, outcome, row, timeout } of ROWS) {
    t.equal(evidenceRow(outcome, tryingOf()), row, name);
    t.equal(isTimeout(outcome), timeout, name);
  }
});

t.test("a refusal is odd where a probe for the client's host is proven", async (t) => {
  const rows = [
    { status: 200, row: 0 },
    { status: 302, row: 0 },
    { status: 401, row: 0 },
    { status: 403, row: 0 },
    { status: 404, row: 3 },
    { status: 429, row: 0 },
    { status: 451, row: 3 },
    { status: 500, row: 3 },
  ];
  for (const { status, row } of rows) {
    t.equal(evidenceRow(answered(status), tryingOf({ isProvenHost: () => true })), row, `${status}`);
    const isAsked = row === 3 && status < 500;
    let asked = false;
    const isProvenHost = (): boolean => {
      asked = true;
      return false;
    };
    t.equal(evidenceRow(answered(status), tryingOf({ isProvenHost })), status < 500 ? 0 : 3, `${status}`);
    t.equal(asked, isAsked, `${status}: the host is read only where it matters`);
  }
});

t.test("a probe that is answered otherwise than it is known to be is odd", async (t) => {
  const rows = [
    { holds: null, allow: 0, challenge: 0, basic: 0, deny: 0, unknown: 0 },
    { holds: "challenge", allow: 3, challenge: 0, basic: 0, deny: 3, unknown: 3 },
    { holds: "allow", allow: 0, challenge: 0, basic: 0, deny: 3, unknown: 3 },
  ] as const;
  for (const { holds, ...is } of rows) {
    const trying = { kind: "probe", fault: FAULT_RULES, holds, patience: null } satisfies Trying;
    const row = (status: number) => evidenceRow(answered(status), trying);
    t.same(
      { allow: row(200), challenge: row(302), basic: row(401), deny: row(403), unknown: row(404) },
      is,
      `holds ${holds}`,
    );
    t.equal(row(503), 2);
  }
});

t.test("the evidence is the least trusted of the attempts, whichever came first", async (t) => {
  const bad = ROWS.filter(({ row }) => row > 0);
  for (const a of bad) {
    for (const b of bad) {
      const both = leastTrusted(a.outcome, b.outcome, tryingOf());
      t.equal(evidenceRow(both, tryingOf()), Math.max(a.row, b.row), `${a.name}, then ${b.name}`);
      if (a.row === b.row && b.outcome !== UNASKED) t.equal(both, a.outcome, `${a.name} came first`);
    }
  }
});

const STRICTNESS: Readonly<Record<Treatment, number>> = { relay: 0, confirm: 1, "fall-back": 2 };

/** How near a check is to a fallback after these attempts. A verdict wins, whatever the others brought. */
function nearness(attempts: readonly AttemptOutcome[], mode: FallbackMode, rules: FaultRules): number {
  if (attempts.some((one) => evidenceRow(one, tryingOf({ fault: rules })) === 0)) return STRICTNESS.relay;
  const evidence = attempts.reduce((a, b) => leastTrusted(a, b, tryingOf({ fault: rules })));
  return STRICTNESS[
    treatmentOf(
      classify(evidence, rules, () => false),
      mode,
      rules.confirm,
    )
  ];
}

t.test("property: a further attempt never brings a check nearer to a fallback", async (t) => {
  const outcomes = ROWS.map(({ outcome }) => outcome);
  const histories = outcomes.flatMap((a) => [[a], ...outcomes.map((b) => [a, b])]);
  // A plain proxy (`none`) makes no further attempts.
  for (const mode of ["allow", "basic-auth", "deny"] as const) {
    for (const confirm of ["auto", "always", "never"] as const) {
      const rules = { ...FAULT_RULES, confirm };
      const worse = histories.flatMap((before) =>
        outcomes.filter((next) => nearness([...before, next], mode, rules) > nearness(before, mode, rules)),
      );
      t.same(worse, [], `${mode}, confirm: ${confirm}`);
    }
  }
});
