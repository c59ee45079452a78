import t from "tap";
import type { AttemptOutcome } from "../../src/core/attempts.ts";
import type { Trying } from "../../src/core/types.ts";
import { Findings } from "../../src/upstream/findings.ts";
import { tryingOf } from "../support/fixtures.ts";

const CHECK: Trying = tryingOf();
const REFUSED: AttemptOutcome = { kind: "failure", reason: "refused" };
const RESET: AttemptOutcome = { kind: "failure", reason: "reset" };
const SHED = { kind: "overload" } as const;
const SILENT = { kind: "failure", reason: "read_timeout" } as const;

t.test("what a check comes to", async (t) => {
  const rows = [
    { name: "nothing at all", steps: (_: Findings) => {}, outcome: SHED },
    { name: "nothing said", steps: (all: Findings) => all.saidNothing(RESET), outcome: RESET },
    {
      name: "the least trusted",
      steps: (all: Findings) => {
        all.failed(REFUSED, CHECK);
        all.failed(RESET, CHECK);
      },
      outcome: RESET,
    },
    {
      name: "evidence before our own limits",
      steps: (all: Findings) => {
        all.failed(REFUSED, CHECK);
        all.saidNothing(SHED);
      },
      outcome: REFUSED,
    },
    {
      name: "silence that made way, then refused",
      steps: (all: Findings) => {
        all.madeWay();
        all.failed(REFUSED, CHECK);
      },
      outcome: SILENT,
    },
    { name: "silence that made way alone", steps: (all: Findings) => all.madeWay(), outcome: SHED },
  ];
  for (const { name, steps, outcome } of rows) {
    const findings = new Findings();
    steps(findings);
    t.same(findings.outcome(CHECK), outcome, name);
  }
  const once = new Findings();
  once.failed(REFUSED, { kind: "once" });
  once.failed(RESET, { kind: "once" });
  t.same(once.outcome({ kind: "once" }), RESET, "what is asked once comes to its last attempt");
});
