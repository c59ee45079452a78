/** The data path where an answer is a verdict by its status, but not one that this upstream gives when it is well. */
import t from "tap";
import { headerValues } from "../../src/core/headers.ts";
import type { FaultRules, GraceRules } from "../../src/core/snapshot.ts";
import type { Answer, FallbackMode } from "../../src/core/types.ts";
import { answering, decisionOf, FALLBACKS, MODES, world } from "../support/check-world.ts";
import { answer, check, FAULT_RULES, streamedBody } from "../support/fixtures.ts";

const POLICIES = ["allow", "basic-auth", "deny"] as const;
const EXPECTING: FaultRules = {
  ...FAULT_RULES,
  expect: {
    challenge: { headers: ["set-cookie"], location: null, cookie: null },
    allow: { headers: ["x-user"] },
  },
};
const FALLEN: Readonly<Record<FallbackMode, string>> = {
  allow: "fallback 200 allow",
  "basic-auth": "fallback 401 challenge",
  deny: "fallback 503 deny",
  none: "",
};

interface Row {
  readonly name: string;
  readonly given: Answer;
  readonly isProvenHost?: boolean;
  readonly reason: string;
  /** What it is by its status. */
  readonly verdict: "allow" | "challenge" | "deny";
}

const ROWS: readonly Row[] = [
  { name: "an allow that names nobody", given: answer(200), reason: "unexpected", verdict: "allow" },
  { name: "a challenge without its cookie", given: answer(302), reason: "unexpected", verdict: "challenge" },
  {
    name: "a 404 on a host whose probe is proven",
    given: answer(404),
    isProvenHost: true,
    reason: "status_404",
    verdict: "deny",
  },
  {
    name: "a 400 with words on a host whose probe is proven",
    given: answer(400, [], "no app for hostname"),
    isProvenHost: true,
    reason: "status_400",
    verdict: "deny",
  },
];

for (const { name, given, isProvenHost = false, reason, verdict } of ROWS) {
  const relayed = `upstream ${given.status} ${verdict}`;
  const scene = (mode: FallbackMode, fault = EXPECTING) => ({
    route: { fallback: FALLBACKS[mode], fault },
    isProvenHost,
  });

  t.test(`${name}: a probe tells whether it is one`, async (t) => {
    for (const mode of POLICIES) {
      const rows = [
        { confirms: true, summary: FALLEN[mode], judged: [`suspect ${reason} confirmed`, `fault ${reason}`] },
        { confirms: false, summary: relayed, judged: [`suspect ${reason} cleared`] },
        { confirms: null, summary: "shed 503 deny", judged: [] },
      ];
      for (const { confirms, summary, judged } of rows) {
        const made = world(answering(given), { ...scene(mode), confirms });
        const decision = await decisionOf(made);
        t.equal(
          `${decision.source} ${decision.reply.status} ${decision.verdict}`,
          summary,
          `${mode}, ${confirms}`,
        );
        t.same(made.recorded.slice(1, -1), judged, `${mode}, ${confirms}: recorded`);
        t.same(made.observed, [`suspect ${reason}`], `${mode}, ${confirms}: no verdict for the breaker`);
        t.equal(made.confirmations.length, 1, `${mode}, ${confirms}: one probe`);
      }
    }
  });

  t.test(`regression: ${name} is relayed as what it is where nothing is confirmed`, async (t) => {
    const rows = [
      ...POLICIES.map((mode) => ({
        name: `${mode}, confirm: never`,
        mode,
        confirm: "never" as const,
        extra: {},
      })),
      { name: "none", mode: "none" as const, confirm: "auto" as const, extra: {} },
      ...MODES.map((mode) => ({
        ...{ name: `${mode}, override`, mode, confirm: "auto" as const },
        extra: { override: "upstream" as const },
      })),
    ];
    for (const { name, mode, confirm, extra } of rows) {
      const made = world(answering(given), {
        ...scene(mode, { ...EXPECTING, confirm }),
        ...extra,
        confirms: true,
      });
      const decision = await decisionOf(made);
      t.equal(`${decision.source} ${decision.reply.status} ${decision.verdict}`, relayed, name);
      t.same(made.confirmations, [], `${name}: no probe`);
    }
  });
}

t.test("the stream of an answer that cannot be told is cancelled, and never relayed", async (t) => {
  const { body, cancelled } = streamedBody("somebody's page");
  const made = world(answering(answer(200, [], body)), { route: { fault: EXPECTING }, confirms: null });
  t.equal((await decisionOf(made)).reply.status, 503);
  t.equal(cancelled(), 1);
});

t.test(
  "regression: an allow that lacks a required header is refused at once, whatever a probe would say",
  async (t) => {
    for (const mode of MODES) {
      for (const confirms of [true, false, null]) {
        for (const override of [null, "upstream"] as const) {
          const name = `${mode}, ${confirms}, ${override}`;
          const { body, cancelled } = streamedBody("an app's page");
          const made = world(answering(answer(200, [], body)), {
            route: { fallback: FALLBACKS[mode], fault: EXPECTING, requireHeaders: ["x-user"] },
            confirms,
            ...(override && { override }),
          });
          const decision = await decisionOf(made);
          t.equal(
            `${decision.source} ${decision.reply.status} ${decision.verdict}`,
            "upstream 403 deny",
            name,
          );
          t.same(made.confirmations, [], `${name}: no probe`);
          t.equal(cancelled(), 1, `${name}: its body`);
        }
      }
    }
  },
);

t.test("an allow that a probe cleared is an allow in all that follows", async (t) => {
  const own = "Bearer of-the-app";
  const made = world(answering(answer(200)), {
    route: { fallback: { mode: "deny", grace: GRACE, page: null }, fault: EXPECTING },
    confirms: false,
  });
  const { reply } = await decisionOf(made, check({ headers: ["Host", "app", "Authorization", own] }));
  t.same(headerValues(reply.headers, "authorization"), [own], "the app gets the client's own Authorization");
  t.same(made.graceObserved, ["allow"], "grace sees it");
});

const GRACE: GraceRules = {
  milliseconds: 60_000,
  usernameHeader: "x-user",
  identityHeaders: new Set(["x-user"]),
};

t.test("a challenge to a client whose allow is remembered", async (t) => {
  const session = check({ headers: ["Host", "app", "Cookie", "session=1"] });
  const kept = ["X-User", "eve"];
  const rows = [
    {
      name: "confirmed: its session was lost with the database, and grace lets it pass",
      ...{ asked: session, kept, confirms: true, summary: "grace 200 allow", grace: [], probes: 1 },
    },
    {
      name: "cleared: its session has ended",
      ...{
        asked: session,
        kept,
        confirms: false,
        summary: "upstream 302 challenge",
        grace: ["challenge"],
        probes: 1,
      },
    },
    {
      name: "not to be told",
      ...{ asked: session, kept, confirms: null, summary: "shed 503 deny", grace: [], probes: 1 },
    },
    {
      name: "nothing is remembered",
      ...{
        asked: session,
        kept: null,
        confirms: true,
        summary: "upstream 302 challenge",
        grace: ["challenge"],
        probes: 0,
      },
    },
    {
      name: "a client without a cookie has no session to lose",
      ...{
        asked: check(),
        kept,
        confirms: true,
        summary: "upstream 302 challenge",
        grace: ["challenge"],
        probes: 0,
      },
    },
  ];
  for (const { name, asked, kept, confirms, summary, grace, probes } of rows) {
    const made = world(answering(answer(302)), {
      route: { fallback: { mode: "deny", grace: GRACE, page: null } },
      confirms,
      ...(kept && { kept }),
    });
    const { source, reply, verdict } = await decisionOf(made, asked);
    t.equal(`${source} ${reply.status} ${verdict}`, summary, name);
    t.same(made.graceObserved, grace, `${name}: what grace sees`);
    t.equal(made.confirmations.length, probes, `${name}: probes`);
    t.same(made.observed, [probes === 1 ? "suspect unexpected" : "challenge"], `${name}: observed`);
  }
});

t.test("a challenge to a client without grace is one", async (t) => {
  const session = check({ headers: ["Host", "app", "Cookie", "session=1"] });
  for (const mode of MODES) {
    const made = world(answering(answer(302)), {
      route: { fallback: FALLBACKS[mode] },
      confirms: true,
      kept: ["X-User", "eve"],
    });
    t.equal((await decisionOf(made, session)).source, "upstream", mode);
  }
});

t.test(
  "regression: a 200 that the config calls a fault lets nobody in that a probe has cleared",
  async (t) => {
    const match = [{ status: 200, header: null, body: "Internal error" }];
    const fault = { ...FAULT_RULES, match, confirm: "always" } as const;
    for (const mode of MODES) {
      for (const override of [null, "upstream"] as const) {
        const made = world(answering(answer(200, [], "Internal error")), {
          route: { fallback: FALLBACKS[mode], fault },
          confirms: false,
          ...(override && { override }),
        });
        const { reply, verdict } = await decisionOf(made);
        const expected = mode === "none" ? "200 error" : "502 error";
        t.equal(`${reply.status} ${verdict}`, expected, `${mode}, ${override}`);
      }
    }
  },
);
