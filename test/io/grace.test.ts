import { randomBytes } from "node:crypto";
import t from "tap";
import type { Check, Verdict } from "../../src/core/types.ts";
import { createGraceStore } from "../../src/io/grace.ts";
import { answer, check } from "../support/fixtures.ts";

const MINUTE = 60_000;
const RULES = {
  milliseconds: MINUTE,
  usernameHeader: "x-user",
  identityHeaders: new Set(["x-user"]),
};

function client(name: string): Check {
  return check({ headers: ["X-Forwarded-Host", "a.example", "Cookie", `session=${name}`] });
}

function allow(user: string): Verdict {
  return { kind: "allow", answer: answer(200, ["X-User", user]) };
}

const VERDICTS = {
  "a challenge": { kind: "challenge", answer: answer(302) },
  "a refusal": { kind: "deny", answer: answer(403) },
  "a pass without a user": { kind: "allow", answer: answer(200) },
  "a fault": { kind: "fault", reason: "reset", answer: null },
  "a suspect": { kind: "suspect", reason: "status_500", answer: answer(500) },
} as const satisfies Record<string, Verdict>;

function scene() {
  const clock = { now: 1_000 };
  const store = createGraceStore({ now: () => clock.now, randomBytes });
  return { clock, store, grace: store.create() };
}

t.test("an allow is had again by the same client, and by no other", async (t) => {
  const { grace, store } = scene();
  grace.observe(client("eve"), allow("eve"), RULES);
  t.same(grace.recall(client("eve"), RULES), ["X-User", "eve"]);
  t.equal(grace.recall(client("bob"), RULES), null);
  t.equal(store.create().recall(client("eve"), RULES), null, "nor on another route");
});

t.test("as long as its time, counted from the last allow", async (t) => {
  const { clock, grace } = scene();
  grace.observe(client("eve"), allow("eve"), RULES);
  clock.now += MINUTE;
  t.ok(grace.recall(client("eve"), RULES));
  clock.now += 1;
  t.equal(grace.recall(client("eve"), RULES), null, "to recall it is no allow");
  grace.observe(client("eve"), allow("eve"), RULES);
  t.ok(grace.recall(client("eve"), RULES));
  t.equal(grace.recall(client("eve"), { ...RULES, milliseconds: -1 }), null, "a reload may shorten it");
});

t.test("what the upstream says next", async (t) => {
  const rows = [
    { verdict: "a challenge", kept: false },
    { verdict: "a refusal", kept: false },
    { verdict: "a pass without a user", kept: true },
    { verdict: "a fault", kept: true },
    { verdict: "a suspect", kept: true },
  ] as const;
  for (const { verdict, kept } of rows) {
    const { grace } = scene();
    grace.observe(client("eve"), allow("eve"), RULES);
    grace.observe(client("eve"), VERDICTS[verdict], RULES);
    t.equal(grace.recall(client("eve"), RULES) !== null, kept, verdict);
  }
});

t.test("the room is bounded, and the oldest allow makes room", async (t) => {
  const { grace } = scene();
  for (let i = 0; i < 10_001; i += 1) grace.observe(client(`${i}`), allow(`${i}`), RULES);
  t.equal(grace.recall(client("0"), RULES), null);
  t.ok(grace.recall(client("1"), RULES));
  t.ok(grace.recall(client("10000"), RULES));
});

t.test("in bytes as well, over all routes", async (t) => {
  const { grace, store } = scene();
  const long = "x".repeat(16_000);
  grace.observe(client("first"), allow("first"), RULES);
  const other = store.create();
  for (let i = 0; i < 1_048; i += 1) other.observe(client(`${i}`), allow(long), RULES);
  t.ok(grace.recall(client("first"), RULES));
  other.observe(client("one more"), allow(long), RULES);
  t.equal(grace.recall(client("first"), RULES), null);
});

t.test("an identity that is too long is not kept, and the one before it is gone", async (t) => {
  const { grace } = scene();
  grace.observe(client("eve"), allow("eve"), RULES);
  grace.observe(client("eve"), allow("x".repeat(17_000)), RULES);
  t.equal(grace.recall(client("eve"), RULES), null);
});
