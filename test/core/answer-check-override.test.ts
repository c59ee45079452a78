/** The data path while a person has set an override for the route. */
import t from "tap";
import type { GraceRules } from "../../src/core/snapshot.ts";
import type { Outcome } from "../../src/core/types.ts";
import { answering, decisionOf, FALLBACKS, failing, MODES, world } from "../support/check-world.ts";
import { answer, check } from "../support/fixtures.ts";

const GRACE: GraceRules = {
  milliseconds: 60_000,
  usernameHeader: "x-user",
  identityHeaders: new Set(["x-user"]),
};

t.test("override fallback: the upstream is not asked, whatever it and the breaker do", async (t) => {
  const statuses = { allow: 200, "basic-auth": 401, deny: 503, none: 502 };
  for (const mode of MODES) {
    for (const isOpen of [false, true]) {
      const made = world(answering(answer(200)), {
        route: { fallback: FALLBACKS[mode] },
        override: "fallback",
        isOpen,
      });
      const decision = await decisionOf(made);
      t.match(decision, { source: "override", fallback: { mode, reason: "override" } }, mode);
      t.equal(decision.reply.status, statuses[mode], mode);
      t.same([made.requests, made.observed, made.confirmations], [[], [], []], `${mode}: nothing asked`);
    }
  }
});

t.test("override fallback: our own limit still comes first", async (t) => {
  const scene = { route: { fallback: FALLBACKS.allow, maxInFlight: 1 }, inFlight: 1 } as const;
  t.equal((await decisionOf(world(failing("refused"), { ...scene, override: "fallback" }))).source, "shed");
});

t.test("override fallback: no grace, which the person did not choose", async (t) => {
  const made = world(answering(answer(200)), {
    route: { fallback: { mode: "deny", grace: GRACE, page: null } },
    kept: ["X-User", "eve"],
    override: "fallback",
  });
  t.equal((await decisionOf(made)).reply.status, 503);
});

const ASKED: readonly { name: string; outcome: Outcome; summary: string }[] = [
  { name: "a 200", outcome: answering(answer(200)), summary: "upstream 200 allow" },
  {
    name: "a login redirect, not looked at",
    outcome: answering(answer(302)),
    summary: "upstream 302 challenge",
  },
  { name: "a refusal", outcome: answering(answer(403)), summary: "upstream 403 deny" },
  { name: "a bare 400", outcome: answering(answer(400)), summary: "override 400 error" },
  { name: "a 500", outcome: answering(answer(500)), summary: "override 500 error" },
  { name: "a 503", outcome: answering(answer(503)), summary: "override 503 error" },
  { name: "refused", outcome: failing("refused"), summary: "override 502 error" },
  { name: "silence", outcome: failing("read_timeout"), summary: "override 504 error" },
];

t.test("override upstream: what came goes back, also past an open breaker; nothing falls back", async (t) => {
  for (const mode of MODES) {
    for (const { name, outcome, summary } of ASKED) {
      const made = world(outcome, {
        route: { fallback: FALLBACKS[mode] },
        override: "upstream",
        isOpen: true,
        confirms: true,
        areLoginsUp: false,
      });
      const { source, reply, verdict, fallback } = await decisionOf(made);
      t.equal(`${source} ${reply.status} ${verdict}`, summary, `${mode}: ${name}`);
      t.equal(fallback, null, `${mode}: ${name}`);
      t.equal(made.requests.length, 1, `${mode}: ${name}: asked once`);
      t.same([made.observed, made.confirmations], [[], []], `${mode}: ${name}: the breaker learns nothing`);
    }
  }
});

t.test("override upstream: a 2xx still needs its required headers", async (t) => {
  const made = world(answering(answer(200)), {
    route: { requireHeaders: ["x-authentik-username"] },
    override: "upstream",
  });
  t.equal((await decisionOf(made)).reply.status, 403);
});

t.test("regression: override upstream: what the upstream says counts for grace", async (t) => {
  const made = world(answering(answer(302)), {
    route: { fallback: { mode: "deny", grace: GRACE, page: null } },
    override: "upstream",
  });
  await decisionOf(made);
  t.same(made.graceObserved, ["challenge"]);
});

t.test("override upstream: an exchange that is not judged learns of no opening", async (t) => {
  const made = world(answering(answer(200)), { override: "upstream" });
  await decisionOf(made, check());
  t.not(made.waitings[0], made.asking.waiting);
});
