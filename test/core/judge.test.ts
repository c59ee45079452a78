import t from "tap";
import { isBroken, judgementOf, meaningsOf, type Probed, type Question } from "../../src/core/judge.ts";
import { type Finding, findingOf, NOTHING_FOUND } from "../../src/core/probe.ts";
import type { FallbackMode, Judgement, Outcome } from "../../src/core/types.ts";
import { answering, failing } from "../support/check-world.ts";
import { answer, FAULT_RULES } from "../support/fixtures.ts";

const MODES: readonly FallbackMode[] = ["allow", "basic-auth", "deny"];
const finding = (outcome: Outcome): Finding => findingOf(outcome, FAULT_RULES);

const CHALLENGE = finding(answering(answer(302)));
const ALLOW = finding(answering(answer(200)));
const REFUSAL = finding(answering(answer(404, [], "words")));
const SUSPECT = finding(answering(answer(500)));
const FAULT = finding(answering(answer(503)));
const RESET = finding(failing("reset"));
const REFUSED = finding(failing("refused"));
const SILENT = finding({ kind: "failure", reason: "read_timeout", silent: true });

const proven = (...findings: readonly Finding[]): readonly Probed[] =>
  findings.map((one) => ({ proven: "challenge", finding: one }));
const passed = (one: Finding): readonly Probed[] => [{ proven: "allow", finding: one }];
const unproven = (one: Finding): readonly Probed[] => [{ proven: null, finding: one }];

/** c: cleared, b: confirmed, -: nothing can be said. */
const JUDGEMENTS: Readonly<Record<string, Judgement | null>> = { c: "cleared", b: "confirmed", "-": null };

/** In the order row 2, row 3. */
const PROVEN: readonly {
  name: string;
  round: readonly Probed[];
  alone: string;
  beside: string;
  broken: boolean;
}[] = [
  { name: "as ever", round: proven(CHALLENGE), alone: "cc", beside: "cc", broken: false },
  { name: "an allow that is one", round: passed(ALLOW), alone: "cc", beside: "cc", broken: false },
  {
    name: "an allow that became a challenge",
    round: passed(CHALLENGE),
    alone: "cc",
    beside: "cc",
    broken: false,
  },
  {
    name: "a challenge that became an allow",
    round: proven(ALLOW),
    alone: "cb",
    beside: "c-",
    broken: false,
  },
  {
    name: "a challenge that became a refusal",
    round: proven(REFUSAL),
    alone: "cb",
    beside: "c-",
    broken: false,
  },
  {
    name: "an allow that became a refusal",
    round: passed(REFUSAL),
    alone: "cb",
    beside: "c-",
    broken: false,
  },
  { name: "row 3", round: proven(SUSPECT), alone: "bb", beside: "--", broken: false },
  { name: "row 2", round: proven(RESET), alone: "bb", beside: "--", broken: true },
  { name: "a fault status", round: passed(FAULT), alone: "bb", beside: "--", broken: true },
  { name: "row 1", round: proven(REFUSED), alone: "bb", beside: "--", broken: true },
  { name: "nothing", round: proven(NOTHING_FOUND), alone: "--", beside: "--", broken: false },
  { name: "one as ever of two", round: proven(FAULT, CHALLENGE), alone: "cc", beside: "cc", broken: false },
  {
    name: "one as ever, one otherwise",
    round: proven(ALLOW, CHALLENGE),
    alone: "cc",
    beside: "cc",
    broken: false,
  },
  { name: "both bad", round: proven(FAULT, REFUSED), alone: "bb", beside: "--", broken: true },
  { name: "one bad, one otherwise", round: proven(FAULT, ALLOW), alone: "bb", beside: "--", broken: true },
  {
    name: "one bad, of one nothing",
    round: proven(NOTHING_FOUND, FAULT),
    alone: "bb",
    beside: "--",
    broken: true,
  },
  {
    name: "one otherwise, of one nothing",
    round: proven(NOTHING_FOUND, ALLOW),
    alone: "cb",
    beside: "c-",
    broken: false,
  },
];

t.test("proven probes, alone and beside a verdict of the last second", async (t) => {
  for (const { name, round, alone, beside, broken } of PROVEN) {
    for (const mode of MODES) {
      for (const isAnswered of [true, false]) {
        const judged = (row: 2 | 3, hasVerdict: boolean) =>
          judgementOf(round, { row, mode, isAnswered, hasVerdict });
        const of = `${name}: ${mode}, ${isAnswered ? "answered" : "never answered"}`;
        t.same(
          [judged(2, false), judged(3, false)],
          [...alone].map((one) => JUDGEMENTS[one]),
          of,
        );
        t.same(
          [judged(2, true), judged(3, true)],
          [...beside].map((one) => JUDGEMENTS[one]),
          `${of}, a verdict`,
        );
        t.equal(isBroken(round, { isAnswered, isPlainProxy: false }), broken, `${of}: for the breaker`);
      }
    }
  }
});

/** `open`: on an `allow` route that was never answered. `login`: in the other modes. */
const UNPROVEN: readonly { name: string; finding: Finding; open: string; login: string; broken: boolean }[] =
  [
    { name: "a challenge", finding: CHALLENGE, open: "c", login: "c", broken: false },
    { name: "an allow", finding: ALLOW, open: "c", login: "c", broken: false },
    { name: "a refusal: it is of what was guessed", finding: REFUSAL, open: "c", login: "c", broken: false },
    { name: "row 3", finding: SUSPECT, open: "-", login: "b", broken: false },
    {
      name: "a fault status: a wrong probe may get it",
      finding: FAULT,
      open: "-",
      login: "b",
      broken: false,
    },
    { name: "a reset: a wrong probe may get it", finding: RESET, open: "-", login: "b", broken: false },
    { name: "row 1", finding: REFUSED, open: "b", login: "b", broken: true },
    { name: "not a byte", finding: SILENT, open: "b", login: "b", broken: true },
    { name: "nothing", finding: NOTHING_FOUND, open: "-", login: "-", broken: false },
  ];

t.test("a probe that is not proven may be wrong itself", async (t) => {
  const rows = UNPROVEN.flatMap((row) => MODES.flatMap((mode) => [2, 3].map((of) => ({ ...row, mode, of }))));
  for (const { name, finding, open, login, mode, of } of rows) {
    const question: Question = { row: of === 2 ? 2 : 3, mode, isAnswered: false, hasVerdict: false };
    const judged = (changes: Partial<Question>) =>
      judgementOf(unproven(finding), { ...question, ...changes });
    const expected = JUDGEMENTS[mode === "allow" ? open : login] ?? null;
    const unlessConfirmed = expected === "confirmed" ? null : expected;
    t.equal(judged({}), expected, `${name}: row ${of}, ${mode}`);
    const answered = mode === "allow" ? unlessConfirmed : expected;
    t.equal(judged({ isAnswered: true }), answered, `${name}: row ${of}, ${mode}, answered since the start`);
    t.equal(judged({ hasVerdict: true }), unlessConfirmed, `${name}: row ${of}, ${mode}, beside a verdict`);
  }
  for (const { name, finding, broken } of UNPROVEN) {
    t.equal(
      isBroken(unproven(finding), { isAnswered: false, isPlainProxy: false }),
      broken,
      `${name}: for the breaker`,
    );
    t.equal(
      isBroken(unproven(finding), { isAnswered: true, isPlainProxy: false }),
      false,
      `${name}: for the breaker, answered since the start`,
    );
  }
});

t.test("no probe at all says nothing", async (t) => {
  t.equal(judgementOf([], { row: 2, mode: "deny", isAnswered: false, hasVerdict: false }), null);
  const answered = {
    result: { kind: "fault", reason: "status_503" },
    verdict: null,
    isSilence: false,
  } as const;
  t.equal(
    isBroken(unproven(answered), { isAnswered: true, isPlainProxy: true }),
    true,
    "a plain proxy lets nobody in",
  );
  t.equal(isBroken([], { isAnswered: false, isPlainProxy: false }), false);
});

t.test("the meanings of a round leave out what is not proven", async (t) => {
  t.same(meaningsOf([...proven(CHALLENGE, ALLOW, FAULT, NOTHING_FOUND), ...unproven(FAULT)]), [
    ...["as-proven", "otherwise", "bad", "unknown"],
  ]);
});
