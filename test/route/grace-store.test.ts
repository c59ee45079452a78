import { randomBytes } from "node:crypto";
import t from "tap";
import type { Check, Decided } from "../../src/core/types.ts";
import { createGraceStore } from "../../src/route/grace-store.ts";
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

function allow(user: string): Decided {
  return { kind: "allow", answer: answer(200, ["X-User", user]) };
}

const VERDICTS = {
  "a challenge": { kind: "challenge", answer: answer(302) },
  "a refusal": { kind: "deny", answer: answer(403) },
  "a pass without a user": { kind: "allow", answer: answer(200) },
} as const satisfies Record<string, Decided>;

function scene() {
  const clock = { now: 1_000 };
  const store = createGraceStore({ now: () => clock.now, randomBytes });
  const grace = store.create();
  /** Observes a check that is answered at once. */
  const observe = (of: Check, verdict: Decided, route = grace) =>
    route.observe(of, verdict, RULES, clock.now);
  const tick = (milliseconds = 1) => {
    clock.now += milliseconds;
  };
  return { clock, store, grace, observe, tick };
}

t.test("an allow is had again by the same client, and by no other", async (t) => {
  const { grace, store, observe } = scene();
  observe(client("eve"), allow("eve"));
  t.same(grace.recall(client("eve"), RULES), ["X-User", "eve"]);
  t.equal(grace.recall(client("bob"), RULES), null);
  t.equal(store.create().recall(client("eve"), RULES), null, "nor on another route");
});

t.test("as long as its time, counted from the last allow", async (t) => {
  const { clock, grace, observe } = scene();
  observe(client("eve"), allow("eve"));
  clock.now += MINUTE;
  t.ok(grace.recall(client("eve"), RULES));
  clock.now += 1;
  t.equal(grace.recall(client("eve"), RULES), null, "to recall it is no allow");
  observe(client("eve"), allow("eve"));
  t.ok(grace.recall(client("eve"), RULES));
  t.equal(grace.recall(client("eve"), { ...RULES, milliseconds: -1 }), null, "a reload may shorten it");
});

t.test("what the upstream says next", async (t) => {
  const rows = [
    { verdict: "a challenge", kept: false },
    { verdict: "a refusal", kept: false },
    { verdict: "a pass without a user", kept: true },
  ] as const;
  for (const { verdict, kept } of rows) {
    const { grace, observe } = scene();
    observe(client("eve"), allow("eve"));
    observe(client("eve"), VERDICTS[verdict]);
    t.equal(grace.recall(client("eve"), RULES) !== null, kept, verdict);
  }
});

t.test("the room is bounded, and the oldest allow makes room", async (t) => {
  const { grace, observe } = scene();
  for (let i = 0; i < 10_001; i += 1) observe(client(`${i}`), allow(`${i}`));
  t.equal(grace.recall(client("0"), RULES), null);
  t.ok(grace.recall(client("1"), RULES));
  t.ok(grace.recall(client("10000"), RULES));
});

t.test("in bytes as well, over all routes", async (t) => {
  const { grace, store, observe } = scene();
  const long = "x".repeat(16_000);
  observe(client("first"), allow("first"));
  const other = store.create();
  for (let i = 0; i < 1_048; i += 1) observe(client(`${i}`), allow(long), other);
  t.ok(grace.recall(client("first"), RULES));
  observe(client("one more"), allow(long), other);
  t.equal(grace.recall(client("first"), RULES), null);
});

t.test("an identity that is too long is not kept, and the one before it is gone", async (t) => {
  const { grace, observe } = scene();
  observe(client("eve"), allow("eve"));
  observe(client("eve"), allow("x".repeat(17_000)));
  t.equal(grace.recall(client("eve"), RULES), null);
});

t.test("regression: a late allow brings nothing back that was refused meanwhile", async (t) => {
  const { clock, grace, observe, tick } = scene();
  const begin = clock.now;
  tick();
  observe(client("eve"), VERDICTS["a challenge"]);
  tick();
  grace.observe(client("eve"), allow("eve"), RULES, begin);
  t.equal(grace.recall(client("eve"), RULES), null);
  grace.observe(client("bob"), allow("bob"), RULES, begin);
  t.ok(grace.recall(client("bob"), RULES), "another client's does");
  observe(client("eve"), allow("eve"));
  t.ok(grace.recall(client("eve"), RULES), "and so does a new one");
});

t.test("an allow is as old as its check, and a late one replaces none that is newer", async (t) => {
  const { clock, grace, observe, tick } = scene();
  const begin = clock.now;
  tick(MINUTE);
  observe(client("eve"), allow("new"));
  grace.observe(client("eve"), allow("old"), RULES, begin);
  t.same(grace.recall(client("eve"), RULES), ["X-User", "new"]);
  tick();
  grace.observe(client("bob"), allow("bob"), RULES, begin);
  t.equal(grace.recall(client("bob"), RULES), null, "too old already");
});

t.test("regression: what a reload no longer names is not given back", async (t) => {
  const { grace } = scene();
  const rules = { ...RULES, identityHeaders: new Set(["x-user", "x-groups"]) };
  const verdict = { kind: "allow", answer: answer(200, ["X-User", "eve", "X-Groups", "a"]) } as const;
  grace.observe(client("eve"), verdict, rules, 1_000);
  t.same(grace.recall(client("eve"), RULES), ["X-User", "eve"]);
  const renamed = { ...RULES, usernameHeader: "x-name", identityHeaders: new Set(["x-name"]) };
  t.equal(grace.recall(client("eve"), renamed), null, "nor anything, where no user is named any more");
});

t.test("cleared, it has let nobody in, also by a check that was on its way", async (t) => {
  const { clock, grace, observe, tick } = scene();
  observe(client("eve"), allow("eve"));
  const begin = clock.now;
  tick();
  grace.clear();
  t.equal(grace.recall(client("eve"), RULES), null);
  grace.observe(client("eve"), allow("eve"), RULES, begin);
  t.equal(grace.recall(client("eve"), RULES), null);
  tick();
  observe(client("eve"), allow("eve"));
  t.ok(grace.recall(client("eve"), RULES));
});
