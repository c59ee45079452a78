import t from "tap";
import { type AttemptOutcome, evidenceRow, isTimeout, leastTrusted } from "../../src/core/attempts.ts";
import { classify } from "../../src/core/classify.ts";
import type { FaultRules } from "../../src/core/snapshot.ts";
import { type Treatment, treatmentOf } from "../../src/core/treatment.ts";
import type { FailureReason, FallbackMode } from "../../src/core/types.ts";
import { answer, FAULT_RULES } from "../support/fixtures.ts";

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
  { name: "no connection in time", outcome: failure("connect_timeout"), row: 1, timeout: true },
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
    t.equal(evidenceRow(outcome, FAULT_RULES), row, name);
    t.equal(isTimeout(outcome), timeout, name);
  }
});

t.test("the evidence is the least trusted of the attempts, whichever came first", async (t) => {
  const bad = ROWS.filter(({ row }) => row > 0);
  for (const a of bad) {
    for (const b of bad) {
      const both = leastTrusted(a.outcome, b.outcome, FAULT_RULES);
      t.equal(evidenceRow(both, FAULT_RULES), Math.max(a.row, b.row), `${a.name}, then ${b.name}`);
      if (a.row === b.row && b.outcome !== UNASKED) t.equal(both, a.outcome, `${a.name} came first`);
    }
  }
});

const STRICTNESS: Readonly<Record<Treatment, number>> = { relay: 0, confirm: 1, "fall-back": 2 };

/** How near a check is to a fallback after these attempts. A verdict wins, whatever the others brought. */
function nearness(attempts: readonly AttemptOutcome[], mode: FallbackMode, rules: FaultRules): number {
  if (attempts.some((one) => evidenceRow(one, rules) === 0)) return STRICTNESS.relay;
  const evidence = attempts.reduce((a, b) => leastTrusted(a, b, rules));
  return STRICTNESS[treatmentOf(classify(evidence, rules), mode, rules.confirm)];
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
