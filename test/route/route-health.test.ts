/** The breaker of a route, and its trials. */
import { mock } from "node:test";
import t from "tap";
import type { Outcome } from "../../src/core/types.ts";
import { answering, failing } from "../support/check-world.ts";
import { answer, check, FAULT_RULES, streamedBody } from "../support/fixtures.ts";
import {
  admitted,
  bring,
  bringMany,
  type Exchange,
  FINE,
  fault,
  from,
  hostsOf,
  isConfirmed,
  judged,
  never,
  observe,
  openAfterProbe,
  openWithoutProbe,
  prove,
  questioned,
  SUSPECT,
  scene,
  settled,
  verdict,
} from "../support/health-scene.ts";
import { upstreamAt } from "../support/raw-upstream.ts";

t.test("all who wonder at the same time share one probe", async (t) => {
  const made = scene(t);
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  made.upstream = () => promise;
  const waiting = Array.from({ length: 50 }, (_, index) => isConfirmed(made, from(`a${index}`)));
  observe(made, admitted(made), fault("reset"));
  await settled();
  t.equal(made.probes.length, 1);
  resolve(answering(answer(503)));
  t.same(new Set(await Promise.all(waiting)), new Set([true]));
  t.equal(made.probes.length, 1);
  t.same(made.results, ["fault"]);
});

t.test("probes have connections of their own, always the same ones", async (t) => {
  const made = scene(t);
  await isConfirmed(made, check());
  await made.advance(2_000);
  await isConfirmed(made, check());
  t.same(made.asked[0], { ...upstreamAt(9), maxConnections: 6 });
  t.equal(made.asked[1], made.asked[0]);
});

t.test("how long a finding holds", async (t) => {
  const rows = [
    { name: "fine", outcome: FINE, holds: 2_000, confirmed: false },
    { name: "suspect", outcome: answering(answer(500)), holds: 1_000, confirmed: true },
    { name: "fault", outcome: failing("refused"), holds: 1_000, confirmed: true },
  ];
  for (const { name, outcome, holds, confirmed } of rows) {
    await t.test(name, async (t) => {
      const made = scene(t);
      made.upstream = () => outcome;
      t.equal(await isConfirmed(made, check()), confirmed);
      await made.advance(holds - 1);
      t.equal(await isConfirmed(made, check()), confirmed);
      t.equal(made.probes.length, 1, "to the last millisecond");
      await made.advance(1);
      made.upstream = () => (confirmed ? FINE : failing("reset"));
      t.equal(await isConfirmed(made, check()), !confirmed, "then the upstream is asked anew");
      t.equal(made.probes.length, 2);
    });
  }
});

t.test("a probe result holds from the end of the probe, not from its begin", async (t) => {
  const made = scene(t);
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  made.upstream = () => promise;
  const first = isConfirmed(made, check());
  await made.advance(5_000);
  resolve(failing("read_timeout"));
  t.equal(await first, true);
  await made.advance(900);
  t.equal(await isConfirmed(made, check()), true);
  t.equal(made.probes.length, 1);
});

t.test("a probe that our own limits kept from asking confirms nothing and holds for nobody", async (t) => {
  for (const kind of ["overload", "unsendable", "hurried", "released", "busy"] as const) {
    const made = scene(t);
    made.upstream = () => ({ kind });
    t.equal(await judged(made), null, kind);
    t.equal(await judged(made), null, kind);
    t.equal(made.probes.length, 2, kind);
    await bringMany(made, 50, fault("reset"));
    t.same(made.states, [], `${kind}: opens nothing`);
    t.same(made.results, [], `${kind}: is no result`);
    made.health.close();
    mock.timers.reset();
  }
});

t.test("what opens the breaker", async (t) => {
  const { reset, refused } = { reset: fault("reset"), refused: fault("refused") };
  const rows = [
    { name: "row 1 by itself", given: refused, probe: FINE, states: ["open refused"] },
    { name: "row 2 with a probe at fault", given: reset, probe: failing("reset"), states: ["open reset"] },
    {
      name: "row 2 with 503 for the probe",
      given: reset,
      probe: answering(answer(503)),
      states: ["open reset"],
    },
    {
      name: "a connect timeout, which a crowd may cause, with a probe at fault",
      given: fault("connect_timeout"),
      probe: failing("connect_timeout"),
      states: ["open connect_timeout"],
    },
    { name: "not row 2 with a probe that is fine", given: reset, probe: FINE, states: [] },
    { name: "nor a connect timeout", given: fault("connect_timeout"), probe: FINE, states: [] },
    { name: "nor with one that is suspect", given: reset, probe: answering(answer(500)), states: [] },
    {
      name: "nor with one that is answered otherwise",
      given: reset,
      probe: answering(answer(403)),
      states: [],
    },
    { name: "not row 3", given: SUSPECT, probe: failing("refused"), states: [] },
    { name: "not a dead login", given: fault("login_down"), probe: failing("refused"), states: [] },
    { name: "not what says nothing", given: null, probe: failing("refused"), states: [] },
  ];
  for (const { name, given, probe, states } of rows) {
    const made = scene(t);
    await prove(made);
    made.upstream = () => probe;
    await bringMany(made, 4, given);
    t.same(made.states, [], `${name}: not at four`);
    await bring(made, given);
    t.same(made.states, states, name);
    if (states.length === 0) await bringMany(made, 100, given);
    t.same(made.states, states, `${name}: however many`);
    made.health.close();
    mock.timers.reset();
  }
});

t.test("a probe that is not proven opens the breaker by silence alone, before any answer", async (t) => {
  const silent: Outcome = { kind: "failure", reason: "read_timeout", silent: true };
  const rows = [
    { name: "refused", probe: failing("refused"), isAnswered: false, opens: true },
    { name: "not a byte", probe: silent, isAnswered: false, opens: true },
    { name: "refused, once a check was answered", probe: failing("refused"), isAnswered: true, opens: false },
    { name: "not a byte, once a check was answered", probe: silent, isAnswered: true, opens: false },
    { name: "a timeout after some bytes", probe: failing("read_timeout"), isAnswered: false, opens: false },
    {
      name: "503, which a wrong host may get",
      probe: answering(answer(503)),
      isAnswered: false,
      opens: false,
    },
    { name: "a reset", probe: failing("reset"), isAnswered: false, opens: false },
  ];
  for (const { name, probe, isAnswered, opens } of rows) {
    const made = scene(t);
    made.upstream = () => probe;
    if (isAnswered) await bring(made, verdict("deny"));
    await made.advance(2_000);
    await bringMany(made, opens ? 5 : 50, fault("reset"));
    t.same(made.states, opens ? ["open reset"] : [], name);
    made.health.close();
    mock.timers.reset();
  }
});

t.test("row 2 opens nothing where any check was answered meanwhile", async (t) => {
  for (const cookie of [true, false]) {
    const made = scene(t);
    await prove(made);
    made.upstream = () => failing("reset");
    const asked = Array.from({ length: 20 }, () => ({ asking: admitted(made), of: questioned(made) }));
    await made.advance(100);
    await bring(made, verdict("allow"), cookie ? check({ headers: ["Cookie", "a=1"] }) : check());
    for (const { asking, of } of asked) made.health.observe(asking, of, fault("reset"), made.now());
    await settled();
    t.same(made.states, [], cookie ? "with a cookie" : "without");
    made.health.close();
    mock.timers.reset();
  }
});

t.test("confirm: never counts row 2 without a probe", async (t) => {
  const made = scene(t, { fault: { ...FAULT_RULES, confirm: "never" } });
  await bringMany(made, 5, fault("reset"));
  t.same(made.states, ["open reset"]);
  t.same(made.probes, []);
});

t.test("a verdict starts the count anew; a suspect, a cleared fault and nothing do not", async (t) => {
  const kinds = ["allow", "challenge", "deny"] as const;
  for (const kind of kinds) {
    const made = scene(t);
    await bringMany(made, 4, fault("refused"));
    await bring(made, verdict(kind));
    await bringMany(made, 4, fault("refused"));
    t.same(made.states, [], kind);
    made.health.close();
    mock.timers.reset();
  }
  for (const given of [SUSPECT, fault("reset"), null]) {
    const made = scene(t);
    await bringMany(made, 4, fault("refused"));
    await bring(made, given);
    await bring(made, fault("refused"));
    t.same(made.states, ["open refused"], given?.kind ?? "nothing");
    made.health.close();
    mock.timers.reset();
  }
});

t.test("opening releases the checks that wait, each once, and refuses those that come", async (t) => {
  const made = scene(t);
  let released = 0;
  const asking = Array.from({ length: 20 }, () => admitted(made));
  for (const { waiting } of asking) waiting.add(() => (released += 1));
  await bringMany(made, 4, fault("refused"));
  t.equal(released, 0);
  await bring(made, fault("refused"));
  t.equal(released, 20);
  t.equal(made.health.admit(check()).kind, "refused");
  for (const late of asking) observe(made, late, null);
  for (const late of asking) observe(made, late, fault("refused"));
  for (const late of asking) observe(made, late, verdict("allow"));
  t.same(made.states, ["open refused"], "what they bring now changes nothing");
});

t.test("where a probe once worked, probes look for recovery", async (t) => {
  const made = await openAfterProbe(t);
  await made.advance(2_000);
  t.equal(made.probes.length, 1, "not before the interval");
  t.equal(made.health.admit(check()).kind, "refused", "nor a client at the very moment a trial is due");
  await made.advance(50);
  t.equal(made.probes.length, 2);
  t.equal(made.health.admit(check()).kind, "refused", "no client is asked to try");
  await made.advance(3_900);
  t.equal(made.probes.length, 2, "a bad one doubles the wait");
  await made.advance(150);
  t.equal(made.probes.length, 3);
  await made.advance(8_050);
  t.equal(made.probes.length, 4);
  for (const count of [5, 6, 7]) {
    await made.advance(30_050);
    t.equal(made.probes.length, count, "up to maxInterval, and as long again for a check to come");
  }
  made.upstream = () => FINE;
  await made.advance(30_050);
  t.equal(made.states.at(-1), "open", "one good one is not enough");
  t.equal(made.health.admit(check()).kind, "refused");
  await made.advance(2_050);
  t.equal(made.states.at(-1), "closed");
  t.equal(made.health.admit(check()).kind, "ask");
  t.same([...new Set(hostsOf(made.probes))], ["taught"]);
  const count = made.probes.length;
  await made.advance(60_000);
  t.equal(made.probes.length, count, "no probe without a suspicion");
});

t.test("a merely suspect answer to a probe shows an upstream that can be asked", async (t) => {
  const made = await openAfterProbe(t);
  made.upstream = () => answering(answer(400));
  await made.advance(6_000);
  t.equal(made.states.at(-1), "closed");
});

t.test("the stream of a probe's answer is not read", async (t) => {
  const made = scene(t);
  const { body, cancelled } = streamedBody("endless");
  made.upstream = () => answering(answer(200, [], body));
  t.equal(await isConfirmed(made, check()), false);
  t.equal(cancelled(), 1);
});

t.test("while no probe ever worked, one live check per interval tries", async (t) => {
  const made = scene(t);
  made.upstream = () => failing("refused");
  const earlier = admitted(made);
  await bringMany(made, 5, fault("refused"));
  await made.advance(1_975);
  t.equal(made.health.admit(check()).kind, "refused", "not before the interval");
  await made.advance(50);
  const trial = admitted(made);
  t.equal(trial.isTrial, true);
  t.equal(made.health.admit(check()).kind, "refused", "one at a time");
  t.not(trial.waiting, earlier.waiting, "a later opening must not release it");
  observe(made, trial, fault("refused"));
  t.equal(made.states.at(-1), "open refused");
  await made.advance(3_975);
  t.equal(made.health.admit(check()).kind, "refused", "a bad one doubles the wait");
  await made.advance(50);
  await bring(made, verdict("deny"));
  await made.advance(2_000);
  await bring(made, verdict("allow"));
  t.equal(made.states.at(-1), "closed");
});

t.test("a live trial", async (t) => {
  const slow = { kind: "suspect", reason: "bare_400", answer: answer(400) } as const;
  const rows = [
    { name: "suspect: the upstream can be asked", given: slow, probe: failing("refused"), wait: 2_000 },
    { name: "a dead login too", given: fault("login_down"), probe: failing("refused"), wait: 2_000 },
    { name: "row 2, the probe at fault", given: fault("reset"), probe: failing("reset"), wait: 4_000 },
    { name: "row 2, the probe suspect", given: fault("reset"), probe: answering(answer(500)), wait: 2_000 },
  ];
  for (const { name, given, probe, wait } of rows) {
    const made = await openWithoutProbe(t);
    made.upstream = () => probe;
    await made.advance(2_000);
    await bring(made, given);
    await made.advance(wait - 1);
    t.equal(made.health.admit(check()).kind, "refused", `${name}: not before ${wait}`);
    await made.advance(1);
    t.match(made.health.admit(check()), { kind: "ask", isTrial: true }, name);
    made.health.close();
    mock.timers.reset();
  }
});

t.test("a live trial that says nothing makes room for the next", async (t) => {
  const made = await openWithoutProbe(t);
  made.upstream = () => ({ kind: "overload" });
  await made.advance(2_000);
  await bring(made, null);
  await made.advance(2_000);
  t.match(made.health.admit(check()), { kind: "ask", isTrial: true });
});

t.test("a lost trial expires, and comes too late then", async (t) => {
  const made = await openWithoutProbe(t);
  await made.advance(2_000);
  const lost = admitted(made);
  await made.advance(23_999);
  t.equal(made.health.admit(check()).kind, "refused");
  await made.advance(1);
  const second = admitted(made);
  t.equal(second.isTrial, true);
  const before = made.states.length;
  observe(made, lost, verdict("allow"));
  observe(made, lost, fault("refused"));
  observe(made, lost, null);
  t.equal(made.states.length, before);
});

t.test("a wrong probe holds no route open", async (t) => {
  for (const outcome of [failing("read_timeout"), answering(answer(503))]) {
    const made = await openWithoutProbe(t);
    made.upstream = () => outcome;
    await made.advance(2_000);
    await bring(made, verdict("allow"));
    await made.advance(2_000);
    await bring(made, verdict("allow"));
    t.equal(made.states.at(-1), "closed");
    made.health.close();
    mock.timers.reset();
  }
});

t.test("regression: a breaker closes though no check comes and no probe has ever passed", async (t) => {
  const made = await openWithoutProbe(t);
  const before = made.probes.length;
  made.upstream = () => FINE;
  await made.advance(16_999);
  t.equal(made.probes.length, before, "a check is given its time to come");
  await made.advance(30_000);
  t.equal(made.states.at(-1), "closed");
  const [probe] = made.probes.slice(before);
  const headers = [
    ...["X-Forwarded-Method", "GET", "X-Forwarded-Uri", "/", "X-Forwarded-Proto", "https"],
    ...["X-Forwarded-For", "192.0.2.1", "X-Real-IP", "192.0.2.1", "User-Agent", "sparekey/1"],
  ];
  t.same(probe?.headers, headers, "it says nothing of any client");
});

t.test("regression: a refusal of what was only guessed closes no breaker", async (t) => {
  for (const status of [400, 403, 404, 500]) {
    const made = await openWithoutProbe(t);
    made.upstream = () => answering(answer(status, [], status === 400 ? "no such app" : ""));
    await made.advance(120_000);
    t.equal(made.states.at(-1), "open", String(status));
    t.ok(made.probes.length > 2, "though it is asked again");
    made.health.close();
    mock.timers.reset();
  }
});

t.test(
  "a client whose check hangs as the live trial holds no route open where the probe is fine",
  async (t) => {
    const made = await openWithoutProbe(t);
    made.upstream = () => FINE;
    await made.advance(2_000);
    const trial = admitted(made);
    await made.advance(5_000);
    observe(made, trial, fault("read_timeout"));
    t.equal(admitted(made).isTrial, true, "the probe beside it was a good trial");
    await settled();
    t.equal(made.states.at(-1), "closed", "and that beside the next check is the second");
    t.equal(made.recovered(), 1, "the upstream is to be asked by few at first");
  },
);

t.test("closing ends the wait for the next trial", async (t) => {
  const made = await openAfterProbe(t);
  made.health.close();
  await made.advance(60_000);
  t.equal(made.probes.length, 1);
});

t.test("closing ends a trial on its way, for good", async (t) => {
  const made = await openAfterProbe(t);
  made.upstream = (_request, gone) =>
    gone.aborted
      ? { kind: "abandoned", isLate: false }
      : new Promise((resolve) => {
          gone.addEventListener("abort", () => resolve({ kind: "abandoned", isLate: false }));
        });
  await made.advance(2_050);
  const sent = made.probes.length;
  made.health.close();
  await made.advance(60_000);
  t.equal(made.probes.length, sent);
});

// These tests are about hostile clients and bad moments.

t.test("our own overload does not make trials hammer the upstream", async (t) => {
  const made = await openAfterProbe(t);
  made.upstream = () => ({ kind: "overload" });
  const before = made.probes.length;
  await made.advance(20_000);
  t.ok(made.probes.length - before <= 11, `${made.probes.length - before} probes in 20 s`);
});

t.test(
  "who was refused teaches no probe: an unknown host is fine with an upstream that is broken",
  async (t) => {
    const made = scene(t);
    // The session store is full, and a client asks for an unknown host with a URI that cannot be parsed.
    const broken: Exchange = ({ headers }) =>
      headers.includes("unknown") ? answering(answer(400, [], "{}")) : answering(answer(400));
    made.upstream = broken;
    t.equal(await isConfirmed(made, from("unknown")), false);
    await made.advance(2_000);
    t.equal(await isConfirmed(made, from("app.example")), true, "the others' suspicion is confirmed");
  },
);

t.test("a probe that was proven once and is wrong now holds no route open", async (t) => {
  const made = scene(t);
  await prove(made);
  await bringMany(made, 5, fault("refused"));
  // The host of the probe is gone, and every other is served as ever.
  made.upstream = () => answering(answer(503));
  for (let second = 0; second < 120; second += 1) {
    const trial = made.health.admit(check());
    if (trial.kind === "ask" && trial.isTrial) observe(made, trial, verdict("allow"));
    await made.advance(1_000);
  }
  t.equal(made.health.admit(check()).kind, "ask", "the upstream is back for two minutes");
});

t.test(
  "a client with a session cannot teach a probe that fails, and so open the breaker for all",
  async (t) => {
    const made = scene(t);
    await prove(made);
    made.upstream = ({ headers }) => (headers.includes("odd") ? answering(answer(503)) : FINE);
    for (let round = 0; round < 5; round += 1) {
      await bring(made, verdict("allow"), from("odd"));
      await made.advance(2_000);
    }
    t.equal(await isConfirmed(made, from("odd")), false, "the probe that is proven still works");
    await bringMany(made, 10, fault("reset"));
    t.same(made.states, []);
  },
);

t.test("clients that hang up as the live trial hold no route open where the probe is fine", async (t) => {
  const made = await openWithoutProbe(t);
  made.upstream = () => FINE;
  await made.advance(2_000);
  for (let round = 0; round < 20; round += 1) {
    const trial = made.health.admit(check());
    await made.advance(4_000);
    if (trial.kind === "ask" && trial.isTrial) observe(made, trial, null);
    await made.advance(50);
  }
  t.equal(made.states.at(-1), "closed", "the upstream is back for 80 s");
});

t.test("a probe that hangs for ever is waited for, and opens nothing meanwhile", async (t) => {
  const made = scene(t);
  made.upstream = never;
  await bringMany(made, 50, fault("reset"));
  await made.advance(5_000);
  t.same(made.states, []);
  t.equal(made.probes.length, 1);
});

t.test("regression: a host that a client of its own taught last confirms nothing on its own", async (t) => {
  const made = scene(t);
  await prove(made, "challenge", "honest");
  await bring(made, verdict("challenge"), from("evil"));
  made.upstream = ({ headers }) => answering(answer(headers.includes("evil") ? 500 : 302));
  t.equal(await isConfirmed(made, from("evil")), false);
});
