import t from "tap";
import type { FaultRules } from "../../src/core/snapshot.ts";
import { isClientProof, isUnreachable, type Treatment, treatmentOf } from "../../src/core/treatment.ts";
import type {
  FallbackMode,
  FallbackReason,
  FaultReason,
  SuspectReason,
  Verdict,
} from "../../src/core/types.ts";
import { answer, FAULT_RULES } from "../support/fixtures.ts";

const CONFIRM = ["auto", "always", "never"] as const;
const MODES = ["allow", "basic-auth", "deny", "none"] as const;
const ROW_1 = ["refused", "unreachable", "dns", "tls"] as const;
const ROW_2 = ["read_timeout", "total_timeout", "reset", "malformed", "too_large"] as const;
const SHORT: Readonly<Record<string, Treatment>> = { f: "fall-back", c: "confirm", r: "relay" };

function fault(reason: FaultReason, answered: boolean): Verdict {
  return { kind: "fault", reason, answer: answered ? answer(503) : null };
}

function suspect(reason: SuspectReason): Verdict {
  return { kind: "suspect", reason, answer: answer(500) };
}

/** The modes are in the order allow, basic-auth, deny, none; f: fall back, c: confirm, r: relay. */
const TABLE: readonly {
  readonly name: string;
  readonly verdicts: readonly Verdict[];
  readonly expected: Readonly<Record<FaultRules["confirm"], string>>;
}[] = [
  {
    name: "row 1",
    verdicts: ROW_1.map((reason) => fault(reason, false)),
    expected: { auto: "ffff", always: "ffff", never: "ffff" },
  },
  {
    name: "row 2 without an answer",
    verdicts: ROW_2.map((reason) => fault(reason, false)),
    expected: { auto: "cfff", always: "cccf", never: "ffff" },
  },
  {
    name: "row 2, never sent: checks of other clients may have filled a queue",
    verdicts: [
      fault("connect_timeout", false),
      { kind: "fault", reason: "total_timeout", unasked: true, answer: null },
    ],
    expected: { auto: "cccf", always: "cccf", never: "ffff" },
  },
  {
    name: "row 2 with an answer",
    verdicts: [fault("status_502", true), fault("status_503", true)],
    expected: { auto: "cffr", always: "cccr", never: "fffr" },
  },
  {
    name: "row 3",
    verdicts: [suspect("status_500"), suspect("bare_400"), suspect("unexpected"), suspect("status_404")],
    expected: { auto: "cccr", always: "cccr", never: "rrrr" },
  },
  {
    name: "a dead login",
    verdicts: [fault("login_down", true)],
    expected: { auto: "fffr", always: "fffr", never: "fffr" },
  },
  {
    name: "a verdict",
    verdicts: (["allow", "challenge", "deny"] as const).map((kind) => ({ kind, answer: answer(200) })),
    expected: { auto: "rrrr", always: "rrrr", never: "rrrr" },
  },
];

t.test("the evidence table", async (t) => {
  for (const { name, verdicts, expected } of TABLE) {
    for (const verdict of verdicts) {
      for (const confirm of CONFIRM) {
        const treatments = MODES.map((mode) => treatmentOf(verdict, mode, confirm));
        const wanted = [...expected[confirm]].map((letter) => SHORT[letter]);
        t.same(
          treatments,
          wanted,
          `${name}, ${confirm}: ${"reason" in verdict ? verdict.reason : verdict.kind}`,
        );
      }
    }
  }
});

t.test("without a probe, nothing a client can cause opens an `allow` route", async (t) => {
  const mode: FallbackMode = "allow";
  for (const confirm of ["auto", "always"] as const) {
    const bySilence = (["connect_timeout", ...ROW_2] as const).map((reason) => fault(reason, false));
    for (const verdict of [...bySilence, suspect("status_500"), suspect("unexpected")]) {
      t.equal(treatmentOf(verdict, mode, confirm), "confirm");
    }
  }
});

t.test("row 1 and no other reason", async (t) => {
  for (const reason of ROW_1) t.equal(isUnreachable(reason), true, reason);
  const others: readonly FaultReason[] = [
    ...["connect_timeout", ...ROW_2, "status_500", "status_502", "bare_400"],
    ...["unexpected", "login_down", "abandoned"],
  ] as readonly FaultReason[];
  for (const reason of others) t.equal(isUnreachable(reason), false, reason);
});

t.test("what proves that the upstream is broken, and is not the check's own doing", async (t) => {
  const fault = { ...FAULT_RULES, match: [{ status: 403, header: "x-error", body: null }] };
  const rows: readonly { name: string; reasons: readonly FallbackReason[]; auto: string }[] = [
    { name: "row 1", reasons: ROW_1, auto: "yyy" },
    { name: "row 2", reasons: [...ROW_2, "status_503", "status_403"], auto: "ynn" },
    { name: "row 3, which a probe has confirmed", reasons: ["status_500", "bare_400"], auto: "yyy" },
    { name: "row 3, by what is expected", reasons: ["unexpected", "status_404"], auto: "yyy" },
    { name: "row 4, which a probe has confirmed", reasons: ["abandoned"], auto: "yyy" },
    {
      name: "a connection that never came, which a probe has confirmed",
      reasons: ["connect_timeout"],
      auto: "yyy",
    },
    { name: "a dead login", reasons: ["login_down"], auto: "yyy" },
    { name: "a crowd", reasons: ["overload"], auto: "nnn" },
  ];
  for (const { name, reasons, auto } of rows) {
    for (const reason of reasons) {
      for (const [index, mode] of (["allow", "basic-auth", "deny"] as const).entries()) {
        t.equal(isClientProof(reason, mode, fault), auto[index] === "y", `${name}: ${reason}, ${mode}`);
      }
    }
  }
  for (const reason of ROW_2) {
    t.equal(
      isClientProof(reason, "deny", { ...fault, confirm: "always" }),
      true,
      `${reason}, always confirmed`,
    );
  }
});
