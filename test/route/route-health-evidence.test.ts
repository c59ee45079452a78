/** What a route learns for its probes, what they are judged by, and checks that nobody waits for any more. */
import { mock } from "node:test";
import t from "tap";
import type { Check, Judgement, Outcome, ProvenVerdict, Undecided, Verdict } from "../../src/core/types.ts";
import { RouteHealth } from "../../src/route/route-health.ts";
import { answering, failing } from "../support/check-world.ts";
import { answer, check, PROBE_RULES, route } from "../support/fixtures.ts";
import {
  admitted,
  bring,
  bringMany,
  FINE,
  fault,
  from,
  hostsOf,
  isConfirmed,
  judged,
  never,
  openAfterProbe,
  openWithoutProbe,
  prove,
  questioned,
  type Scene,
  SUSPECT,
  scene,
  settled,
  verdict,
} from "../support/health-scene.ts";

t.test("a probe is learned from checks that passed or were challenged, and no others", async (t) => {
  const rows: readonly { name: string; given: Verdict | null; isLearned: boolean }[] = [
    { name: "an allow", given: verdict("allow"), isLearned: true },
    { name: "a challenge", given: verdict("challenge"), isLearned: true },
    { name: "a refusal", given: verdict("deny"), isLearned: false },
    { name: "a suspect", given: SUSPECT, isLearned: false },
    { name: "row 1", given: fault("refused"), isLearned: false },
    { name: "row 2", given: fault("reset"), isLearned: false },
    { name: "a dead login", given: fault("login_down"), isLearned: false },
    { name: "nothing", given: null, isLearned: false },
  ];
  for (const { name, given, isLearned } of rows) {
    const made = scene(t);
    made.upstream = () => answering(answer(given?.kind === "challenge" ? 302 : 200));
    await bring(made, given, from("app"));
    t.equal(made.health.isProvenHost(from("app")), isLearned, name);
    t.same(made.proofs, isLearned ? [given?.kind] : [], `${name}: told`);
    if (isLearned) t.same(hostsOf(made.probes), ["app"], `${name}: by a probe of its own`);
    made.health.close();
    mock.timers.reset();
  }
});

t.test("preflights and odd methods teach nothing", async (t) => {
  const made = scene(t);
  const asked = from("app");
  await bring(made, verdict("allow"), { ...asked, method: "OPTIONS" });
  await made.advance(50);
  await bring(made, verdict("allow"), {
    ...asked,
    headers: [...asked.headers, "Access-Control-Request-Method", "GET"],
  });
  t.same(made.probes, []);
});

t.test("one check of 50 ms is learned from", async (t) => {
  const made = scene(t);
  made.upstream = () => answering(answer(403));
  await bring(made, verdict("allow"), from("a"));
  await bring(made, verdict("allow"), from("b"));
  t.same(hostsOf(made.probes), ["a"]);
  await made.advance(50);
  await bring(made, verdict("allow"), from("b"));
  t.same(hostsOf(made.probes), ["a", "b"]);
});

t.test("proof is won in quiet times alone", async (t) => {
  await t.test("not when the breaker opens while the probe is on its way", async (t) => {
    const made = scene(t);
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    made.upstream = () => promise;
    await bring(made, verdict("allow"), from("app"));
    await bringMany(made, 5, fault("refused"));
    resolve(FINE);
    await settled();
    t.same([made.states, made.proofs], [["open refused"], []]);
  });

  await t.test("not while faults are counted", async (t) => {
    const made = scene(t);
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    made.upstream = () => promise;
    await bring(made, verdict("allow"), from("app"));
    await bring(made, fault("refused"));
    resolve(FINE);
    await settled();
    t.same(made.proofs, []);
  });

  await t.test("not within a minute after something was confirmed", async (t) => {
    const made = scene(t);
    made.upstream = () => answering(answer(500));
    t.equal(await isConfirmed(made, check()), true);
    made.upstream = () => FINE;
    await made.advance(59_975);
    await bring(made, verdict("allow"), from("app"));
    t.same([made.probes.length, made.proofs], [1, []]);
    await made.advance(50);
    await bring(made, verdict("allow"), from("app"));
    t.same([made.probes.length, made.proofs], [2, ["allow"]]);
  });

  await t.test("a suspicion that was cleared does not disturb it", async (t) => {
    const made = scene(t);
    t.equal(await isConfirmed(made, check()), false);
    await bring(made, verdict("allow"), from("app"));
    t.same(made.proofs, ["allow"]);
  });
});

t.test("what was learned before a reload of the same upstream is used at once", async (t) => {
  const before = scene(t);
  await prove(before, "challenge");
  const health = new RouteHealth(route(), before.deps, before.health.templates);
  t.same(health.standing, { proven: "challenge", refused: null });
  t.equal(health.isProvenHost(from("taught")), true);
  health.close();
});

t.test(
  "no bad probe confirms while a check of the same kind got its verdict within the last second",
  async (t) => {
    const session = check({ headers: ["Cookie", "a=1"] });
    const rows: readonly {
      readonly name: string;
      readonly proven: ProvenVerdict;
      readonly came: Check;
      readonly given: "allow" | "challenge" | "deny";
      readonly asked: Check;
      /** A suspect answer where it is left out. */
      readonly of?: ReturnType<typeof fault>;
      readonly expected: Judgement | null;
    }[] = [
      {
        name: "of the same kind",
        proven: "allow",
        came: check(),
        given: "allow",
        asked: check(),
        expected: null,
      },
      {
        name: "of the other kind",
        proven: "allow",
        came: session,
        given: "allow",
        asked: check(),
        expected: "confirmed",
      },
      {
        name: "a refusal, which asks no store",
        proven: "allow",
        came: check(),
        given: "deny",
        asked: check(),
        expected: "confirmed",
      },
      {
        name: "a challenge without a cookie",
        proven: "challenge",
        came: check(),
        given: "challenge",
        asked: check(),
        expected: null,
      },
      {
        ...{ name: "a pass without a cookie, where challenges are proven: no session was looked up" },
        ...{ proven: "challenge", came: check(), given: "allow", asked: check(), expected: "confirmed" },
      },
      {
        ...{ name: "a challenge with a cookie: its session may be lost" },
        ...{ proven: "challenge", came: session, given: "challenge", asked: session, expected: "confirmed" },
      },
      {
        name: "a pass with a cookie",
        proven: "challenge",
        came: session,
        given: "allow",
        asked: session,
        of: fault("reset"),
        expected: null,
      },
      {
        ...{ name: "a pass with a cookie, beside a suspect answer: that one lacks its challenge" },
        ...{ proven: "challenge", came: session, given: "allow", asked: session, expected: "confirmed" },
      },
    ];
    for (const { name, proven, came, given, asked, expected, of } of rows) {
      const made = scene(t);
      await prove(made, proven);
      made.upstream = () => answering(answer(500));
      await bring(made, verdict(given), came);
      await made.advance(999);
      t.equal(await judged(made, asked, of), expected, name);
      await made.advance(1);
      t.equal(await judged(made, asked, of), "confirmed", `${name}: a second later`);
      made.health.close();
      mock.timers.reset();
    }
  },
);

t.test("regression: after a restart in an outage an `allow` route opens by silence alone", async (t) => {
  const silent: Outcome = { kind: "failure", reason: "read_timeout", silent: true };
  const rows: readonly { name: string; probe: Outcome; allow: Judgement | null; deny: Judgement | null }[] = [
    { name: "not a byte", probe: silent, allow: "confirmed", deny: "confirmed" },
    { name: "refused", probe: failing("refused"), allow: "confirmed", deny: "confirmed" },
    { name: "503", probe: answering(answer(503)), allow: null, deny: "confirmed" },
    { name: "a bare 400", probe: answering(answer(400)), allow: null, deny: "confirmed" },
    { name: "a challenge", probe: answering(answer(302)), allow: "cleared", deny: "cleared" },
  ];
  for (const { name, probe, allow, deny } of rows) {
    const made = scene(t);
    made.upstream = () => probe;
    t.equal(await judged(made, check(), fault("reset"), "allow"), allow, `${name}: allow`);
    t.equal(await judged(made, check(), fault("reset"), "deny"), deny, `${name}: deny`);
    await bring(made, verdict("deny"));
    await made.advance(2_000);
    const unlessConfirmed = allow === "confirmed" ? null : allow;
    t.equal(
      await judged(made, check(), fault("reset"), "allow"),
      unlessConfirmed,
      `${name}: allow, once answered`,
    );
    made.health.close();
    mock.timers.reset();
  }
});

t.test("a proven host that is answered otherwise", async (t) => {
  await t.test("alone: it confirms row 3, and opens nothing", async (t) => {
    for (const outcome of [FINE, answering(answer(403)), answering(answer(404, [], "words"))]) {
      const made = scene(t);
      await prove(made, "challenge");
      made.upstream = () => outcome;
      t.equal(await judged(made, check(), SUSPECT, "allow"), "confirmed", "row 3");
      await made.advance(2_000);
      t.equal(await judged(made, check(), fault("reset"), "allow"), "cleared", "row 2");
      await bringMany(made, 50, fault("reset"));
      t.same(made.states, []);
      made.health.close();
      mock.timers.reset();
    }
  });

  await t.test("alone, for five minutes and to three addresses: it is learned anew", async (t) => {
    const made = scene(t);
    await prove(made, "challenge");
    made.upstream = () => FINE;
    for (const minutes of [0, 2, 4]) {
      t.equal(await isConfirmed(made, check()), true, `after ${minutes} min`);
      await made.advance(120_000);
    }
    t.equal(await isConfirmed(made, check()), true, "what was proven still held for this one");
    await settled();
    t.same(made.proofs, ["challenge", null]);
    await made.advance(60_000);
    await bring(made, verdict("allow"), from("taught"));
    t.same(made.proofs, ["challenge", null, "allow"]);
  });

  await t.test("beside one that is answered as ever: it is proven no longer", async (t) => {
    const made = scene(t, { probe: { ...PROBE_RULES, hosts: ["one", "two"] } });
    made.upstream = () => answering(answer(302));
    await bring(made, verdict("challenge"), from("app"));
    await made.advance(2_000);
    made.upstream = ({ headers }) => answering(answer(headers.includes("two") ? 200 : 302));
    t.equal(await isConfirmed(made, check()), false);
    await settled();
    t.same(
      ["one", "two"].map((host) => made.health.isProvenHost(from(host))),
      [true, false],
    );
  });
});

t.test("a probe that an upstream with logins refuses is told as wrong", async (t) => {
  const made = scene(t);
  made.upstream = () => answering(answer(404, [], "no app for hostname"));
  await bring(made, verdict("allow"), from("app"));
  t.same(made.health.standing, { proven: null, refused: 404 });
  made.upstream = () => FINE;
  await made.advance(10_000);
  await bring(made, verdict("allow"), from("app"));
  t.same(made.health.standing, { proven: "allow", refused: null });
});

t.test(
  "a suspicion that a client brings about again is cleared without a probe for ever longer",
  async (t) => {
    const made = scene(t);
    await prove(made);
    const before = made.probes.length;
    const asks = async (client: string, given: Undecided = SUSPECT): Promise<number> => {
      const sent = made.probes.length;
      t.equal(await made.health.judge(questioned(made, check(), client), given, "deny"), "cleared");
      return made.probes.length - sent;
    };
    for (const hold of [2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]) {
      t.equal(await asks("a"), 1, `a probe, which clears for ${hold} ms`);
      await made.advance(hold - 25);
      t.equal(await asks("a"), 0, `none within ${hold} ms`);
      await made.advance(25);
    }
    t.equal(made.probes.length - before, 7, "7 probes in three minutes");
    t.equal(await asks("a"), 1);
    await made.advance(2_000);
    t.equal(await asks("a"), 0, "the very same");
    t.equal(await asks("b"), 1, "another client's is judged by minInterval");
    await made.advance(2_000);
    t.equal(
      await asks("a", { kind: "suspect", reason: "bare_400", answer: answer(400) }),
      1,
      "another kind too",
    );
    await made.advance(2_000);
    t.equal(await asks("a", fault("reset")), 1, "a fault is none of that");
  },
);

t.test("after a bad probe nothing is cleared any more", async (t) => {
  const made = scene(t);
  await prove(made);
  const ask = () => made.health.judge(questioned(made, check(), "a"), SUSPECT, "deny");
  for (let round = 0; round < 4; round += 1) {
    t.equal(await ask(), "cleared");
    await made.advance(8_000);
  }
  made.upstream = () => answering(answer(500));
  t.equal(await isConfirmed(made, check()), true, "another client's");
  t.equal(await ask(), "confirmed");
});

t.test("what was found before a silence began says nothing of it, but a moment before", async (t) => {
  for (const { given, waited, probes } of [
    { given: fault("read_timeout"), waited: 1_500, probes: 2 },
    { given: fault("read_timeout"), waited: 500, probes: 1 },
    { given: fault("reset"), waited: 1_500, probes: 1 },
    { given: SUSPECT, waited: 1_500, probes: 1 },
  ]) {
    const made = scene(t);
    await judged(made);
    await made.advance(100);
    const asked = questioned(made);
    await made.advance(waited);
    await made.health.judge(asked, given, "deny");
    t.equal(made.probes.length, probes, `${given.reason} after ${waited} ms`);
    made.health.close();
    mock.timers.reset();
  }
});

t.test("whether an upstream is known to be broken", async (t) => {
  const made = scene(t);
  await prove(made);
  const isKnownBad = () => made.health.isKnownBad(check(), "allow");
  t.equal(isKnownBad(), false, "nothing was found");
  made.upstream = () => failing("reset");
  await judged(made);
  t.equal(isKnownBad(), true, "a probe was bad");
  t.equal(made.probes.length, 2, "it asks none itself");
  await made.advance(975);
  t.equal(isKnownBad(), true);
  await made.advance(25);
  t.equal(isKnownBad(), false, "that holds no longer");
  await judged(made);
  t.equal(isKnownBad(), true);
  await bring(made, verdict("allow"));
  t.equal(isKnownBad(), false, "a check was answered");
});

t.test("an early probe", async (t) => {
  const session = check({ headers: ["Cookie", "a=1"] });
  const rows = [
    {
      name: "where nothing was answered since the check began",
      came: null,
      took: 0,
      asked: check(),
      probes: 1,
    },
    {
      name: "none where one of its kind was, at the usual speed",
      came: check(),
      took: 10,
      asked: check(),
      probes: 0,
    },
    { name: "where one of its kind was, slowly", came: check(), took: 500, asked: check(), probes: 1 },
    { name: "where one of the other kind was", came: session, took: 10, asked: check(), probes: 1 },
    {
      name: "none for one with a cookie, where such a one was",
      came: session,
      took: 10,
      asked: session,
      probes: 0,
    },
  ];
  for (const { name, came, took, asked, probes } of rows) {
    const made = scene(t);
    await prove(made);
    for (const hasCookie of [session, check()]) {
      const usual = questioned(made, hasCookie);
      await made.advance(10);
      made.health.observe(admitted(made), usual, verdict("allow"), made.now());
    }
    await made.advance(2_000);
    const waits = questioned(made, asked);
    await made.advance(600);
    if (came !== null) {
      const other = { ...questioned(made, came), begin: made.now() - took };
      made.health.observe(admitted(made), other, verdict("allow"), made.now());
    }
    const before = made.probes.length;
    made.upstream = never;
    made.health.late(waits);
    t.equal(made.probes.length - before, probes, name);
    made.health.close();
    mock.timers.reset();
  }
});

t.test("an early probe ends with the check's own read, and there is one at a time", async (t) => {
  const made = scene(t);
  await prove(made);
  const waits = questioned(made);
  await made.advance(1_200);
  made.upstream = never;
  made.health.late(waits);
  made.health.late(questioned(made));
  t.equal(made.probes.length, 2);
  t.match(made.probes[1]?.trying, { kind: "probe", holds: "allow", patience: 3_800 });
});

t.test("no early probe where the check's time is up, or the breaker is not closed", async (t) => {
  const made = scene(t);
  await prove(made);
  const waits = questioned(made);
  await made.advance(5_000);
  made.health.late(waits);
  t.equal(made.probes.length, 1);
  await bringMany(made, 5, fault("refused"));
  made.health.late(questioned(made));
  t.equal(made.probes.length, 1);
});

t.test("while checks wait, a good finding older than a second is asked anew", async (t) => {
  const made = scene(t);
  await prove(made);
  const waits = questioned(made);
  made.health.late(waits);
  await made.advance(1_000);
  made.health.late(waits);
  t.equal(made.probes.length, 2);
  await made.advance(25);
  made.health.late(waits);
  t.equal(made.probes.length, 3);
});

t.test("an early probe is made of what is not proven where nothing is", async (t) => {
  const made = scene(t);
  made.health.late(questioned(made, from("app")));
  t.same(hostsOf(made.probes), ["app"]);
});

/** Checks that their gateway gave up on after a second. */
async function giveUp(
  made: Scene,
  count: number,
  meanwhile: () => Promise<void> = async () => {},
): Promise<void> {
  const waiting = Array.from({ length: count }, () => ({ asking: admitted(made), of: questioned(made) }));
  await made.advance(1_000);
  await meanwhile();
  for (const { asking, of } of waiting) made.health.gaveUp(asking, of);
  await settled();
}

t.test("row 4: checks that their gateway gave up on open the breaker once a probe confirms", async (t) => {
  const rows = [
    { name: "a probe without an answer", probe: failing("read_timeout"), states: ["open abandoned"] },
    { name: "503 for the probe", probe: answering(answer(503)), states: ["open abandoned"] },
    { name: "a probe that is fine: its clients are impatient", probe: FINE, states: [] },
    { name: "a probe that is suspect", probe: answering(answer(500)), states: [] },
    { name: "a probe that is not answered yet", probe: null, states: [] },
  ];
  for (const { name, probe, states } of rows) {
    const made = scene(t);
    await prove(made);
    made.upstream = probe === null ? never : () => probe;
    await giveUp(made, 4);
    t.same(made.states, [], `${name}: not at four`);
    await giveUp(made, 1);
    t.same(made.states, states, name);
    made.health.close();
    mock.timers.reset();
  }
});

t.test("row 4 never opens the breaker when any check was answered meanwhile", async (t) => {
  const session = check({ headers: ["Cookie", "a=1"] });
  for (const { name, asked, given } of [
    { name: "of the same kind", asked: check(), given: "allow" },
    { name: "of the other kind", asked: session, given: "allow" },
  ] as const) {
    const made = scene(t);
    await prove(made);
    made.upstream = () => failing("read_timeout");
    await giveUp(made, 50, () => bring(made, verdict(given), asked));
    t.same(made.states, [], name);
    made.health.close();
    mock.timers.reset();
  }
});

t.test(
  "row 4 without a proven probe opens the breaker by silence alone, while nothing was answered",
  async (t) => {
    const silent: Outcome = { kind: "failure", reason: "read_timeout", silent: true };
    for (const { name, probe, states } of [
      { name: "not a byte", probe: silent, states: ["open abandoned"] },
      { name: "503", probe: answering(answer(503)), states: [] },
    ]) {
      const made = scene(t);
      made.upstream = () => probe;
      await giveUp(made, 20);
      t.same(made.states, states, name);
      made.health.close();
      mock.timers.reset();
    }
  },
);

t.test("a live trial that its gateway gave up on is decided by the probe beside it", async (t) => {
  const made = await openWithoutProbe(t);
  made.upstream = () => FINE;
  await made.advance(2_000);
  const trial = admitted(made);
  made.health.gaveUp(trial, questioned(made));
  await made.advance(2_000);
  t.equal(admitted(made).isTrial, true, "after the interval, not after twice as long");
});

t.test("the last waiting check is answered within its read and a second", async (t) => {
  const rows = [
    { name: "it came just now: no longer than read", later: 0, patience: 5_000 },
    { name: "it has waited for long", later: 3_000, patience: 3_000 },
    { name: "its read is over: a second, in which silence says something", later: 5_000, patience: 1_000 },
    { name: "all of its time is over", later: 8_000, patience: 1_000 },
  ];
  for (const { name, later, patience } of rows) {
    const made = scene(t);
    const asked = questioned(made);
    await made.advance(later);
    await made.health.judge(asked, SUSPECT, "deny");
    t.match(made.probes[0]?.trying, { kind: "probe", patience }, name);
    made.health.close();
    mock.timers.reset();
  }
});

t.test("a probe for a person is the trial of an open breaker", async (t) => {
  const made = await openAfterProbe(t);
  t.same(await made.health.probeNow(), { kind: "fault", reason: "refused" });
  made.upstream = () => FINE;
  await made.advance(1_000);
  t.same(await Promise.all([made.health.probeNow(), made.health.probeNow()]), [
    { kind: "fine", passed: true },
    { kind: "fine", passed: true },
  ]);
  await made.health.probeNow();
  t.equal(made.states.at(-1), "closed");
});
