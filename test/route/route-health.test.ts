import { mock } from "node:test";
import t, { type Test } from "tap";
import type { Route, Upstream } from "../../src/core/snapshot.ts";
import type { Asking, Check, Gone, Outcome, UpstreamRequest, Verdict } from "../../src/core/types.ts";
import { RouteHealth } from "../../src/route/route-health.ts";
import { answering, failing } from "../support/check-world.ts";
import { answer, check, FAULT_RULES, PROBE_RULES, route, streamedBody } from "../support/fixtures.ts";
import { upstreamAt } from "../support/raw-upstream.ts";

type Exchange = (request: UpstreamRequest, gone: Gone) => Outcome | Promise<Outcome>;

interface Scene {
  readonly health: RouteHealth;
  /** What the upstream and the login page answer to a probe. */
  upstream: Exchange;
  login: Exchange;
  readonly probes: readonly UpstreamRequest[];
  readonly looks: readonly UpstreamRequest[];
  readonly asked: readonly Upstream[];
  /** The states of the breaker in order, such as `open refused`, `half-open`, `closed`. */
  readonly states: readonly string[];
  readonly results: readonly string[];
  /** Moves the clock and every timer, and lets everything that follows settle. */
  advance(ms: number): Promise<void>;
}

const FINE = answering(answer(200));
const LOGIN = { upstream: upstreamAt(10), target: "/-/health/ready/" };
const STEP_MS = 25;

function scene(t: Test, changes: Partial<Route> = {}): Scene {
  let clock = 1_000_000;
  const probes: UpstreamRequest[] = [];
  const looks: UpstreamRequest[] = [];
  const asked: Upstream[] = [];
  const states: string[] = [];
  const results: string[] = [];
  mock.timers.enable({ apis: ["setTimeout"] });
  const health = new RouteHealth(route(changes), {
    ask: async (upstream, request, gone) => {
      asked.push(upstream);
      const isLook = upstream === LOGIN.upstream;
      (isLook ? looks : probes).push(request);
      return isLook ? made.login(request, gone) : made.upstream(request, gone);
    },
    record: {
      probe: (_route, result) => results.push(result),
      breaker: (_route, state, reason) => states.push(reason === null ? state : `${state} ${reason}`),
    },
    now: () => clock,
    random: () => 0,
    userAgent: "sparekey/1",
  });
  t.teardown(() => {
    health.close();
    mock.timers.reset();
  });
  const advance = async (ms: number): Promise<void> => {
    await settled();
    for (let passed = 0; passed < ms; passed += STEP_MS) {
      const step = Math.min(STEP_MS, ms - passed);
      clock += step;
      mock.timers.tick(step);
      await settled();
    }
  };
  const made: Scene = {
    ...{ health, probes, looks, asked, states, results, advance },
    ...{ upstream: () => FINE, login: () => FINE },
  };
  return made;
}

/** Waits until everything has settled that needs no timer. */
function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

function admitted({ health }: Scene): Asking {
  const admission = health.admit(check());
  if (admission.kind === "refused") throw new Error("refused");
  return admission;
}

/** A check is admitted, and gets `verdict`. */
async function bring(made: Scene, verdict: Verdict | null, asked: Check = check()): Promise<void> {
  made.health.observe(admitted(made), asked, verdict);
  await settled();
}

async function bringMany(made: Scene, count: number, verdict: Verdict | null): Promise<void> {
  for (let brought = 0; brought < count; brought += 1) await bring(made, verdict);
}

function fault(reason: "refused" | "read_timeout" | "reset" | "login_down"): Verdict {
  return { kind: "fault", reason, answer: null };
}

function verdict(kind: "allow" | "challenge" | "deny"): Verdict {
  return { kind, answer: answer(200) };
}

const SUSPECT: Verdict = { kind: "suspect", reason: "status_500", answer: answer(500) };

function from(host: string): Check {
  return check({ headers: ["Host", host] });
}

function hostsOf(requests: readonly UpstreamRequest[]): readonly (string | undefined)[] {
  return requests.map(({ headers }) => headers[headers.indexOf("Host") + 1]);
}

const never: Exchange = () => new Promise(() => {});

async function isConfirmed({ health }: { readonly health: RouteHealth }, asked: Check): Promise<boolean> {
  return (await health.judge(asked)) === "confirmed";
}

t.test("all who wonder at the same time share one probe", async (t) => {
  const made = scene(t);
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  made.upstream = () => promise;
  const waiting = Array.from({ length: 50 }, (_, index) => isConfirmed(made, from(`a${index}`)));
  made.health.observe(admitted(made), check(), fault("reset"));
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
  for (const kind of ["overload", "unsendable", "abandoned", "released"] as const) {
    const made = scene(t);
    made.upstream = () => ({ kind });
    t.equal(await made.health.judge(check()), null, kind);
    t.equal(await made.health.judge(check()), null, kind);
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
    { name: "not row 2 with a probe that is fine", given: reset, probe: FINE, states: [] },
    { name: "nor with one that is suspect", given: reset, probe: answering(answer(500)), states: [] },
    { name: "not row 3", given: SUSPECT, probe: failing("refused"), states: [] },
    { name: "not a dead login", given: fault("login_down"), probe: failing("refused"), states: [] },
    { name: "not what says nothing", given: null, probe: failing("refused"), states: [] },
  ];
  for (const { name, given, probe, states } of rows) {
    const made = scene(t);
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
  for (const late of asking) made.health.observe(late, check(), null);
  for (const late of asking) made.health.observe(late, check(), fault("refused"));
  for (const late of asking) made.health.observe(late, check(), verdict("allow"));
  t.same(made.states, ["open refused"], "what they bring now changes nothing");
});

/** The upstream has answered a probe, then it cannot be reached. */
async function openAfterProbe(t: Test, changes: Partial<Route> = {}): Promise<Scene> {
  const made = scene(t, changes);
  await bring(made, verdict("allow"), from("taught"));
  t.equal(await isConfirmed(made, check()), false);
  made.upstream = () => failing("refused");
  await bringMany(made, 5, fault("refused"));
  return made;
}

async function openWithoutProbe(t: Test, changes: Partial<Route> = {}): Promise<Scene> {
  const made = scene(t, changes);
  made.upstream = () => failing("refused");
  await bringMany(made, 5, fault("refused"));
  return made;
}

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
  made.health.observe(trial, check(), fault("refused"));
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
  made.health.observe(lost, check(), verdict("allow"));
  made.health.observe(lost, check(), fault("refused"));
  made.health.observe(lost, check(), null);
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
  const headers = ["Host", "app.example", "X-Forwarded-Uri", "/", "User-Agent", "sparekey/1"];
  t.same(probe?.headers, headers, "guessed from the last check in question");
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
    made.health.observe(trial, check(), fault("read_timeout"));
    await made.advance(3_000);
    t.equal(made.states.at(-1), "closed", "a probe was the second trial");
  },
);

t.test("the login page", async (t) => {
  const probe = { ...PROBE_RULES, loginHealth: LOGIN };
  await t.test("is not asked where none is set", async (t) => {
    const made = scene(t);
    t.equal(await made.health.isLoginUp(), true);
    t.same([made.looks, made.probes], [[], []]);
  });

  await t.test("is asked once for all, without a word of a client", async (t) => {
    const made = scene(t, { probe });
    t.same(
      new Set(await Promise.all(Array.from({ length: 9 }, () => made.health.isLoginUp()))),
      new Set([true]),
    );
    const headers = ["Host", "127.0.0.1:10", "User-Agent", "sparekey/1"];
    t.same(made.looks, [
      {
        method: "GET",
        target: "/-/health/ready/",
        headers,
        body: null,
        repeatable: true,
        trying: { kind: "once" },
      },
    ]);
    await made.advance(1_999);
    await made.health.isLoginUp();
    t.equal(made.looks.length, 1, "a good result holds minInterval");
    await made.advance(1);
    made.login = () => answering(answer(503));
    t.equal(await made.health.isLoginUp(), false);
    await made.advance(999);
    made.login = () => FINE;
    t.equal(await made.health.isLoginUp(), false, "a bad one 1 s");
    await made.advance(1);
    await made.health.isLoginUp();
    await settled();
    t.equal(await made.health.isLoginUp(), true);
  });

  await t.test("that hangs holds up the first check only", async (t) => {
    const made = scene(t, { probe });
    const looks: ((outcome: Outcome) => void)[] = [];
    made.login = () => new Promise((resolve) => looks.push(resolve));
    const told = async (end: Outcome | null = null): Promise<boolean | "waits"> => {
      const asked = made.health.isLoginUp();
      await settled();
      if (end) looks.shift()?.(end);
      return end ? asked : Promise.race([asked, settled().then(() => "waits" as const)]);
    };
    t.equal(await told(), "waits", "nothing is known yet");
    t.equal(await told(failing("read_timeout")), false);
    for (let round = 1; round <= 3; round += 1) {
      await made.advance(1_200);
      t.equal(await told(), false, "still down, while it is looked at again");
      await made.advance(60_000);
      t.equal(await told(), false, "however long that look takes");
      t.equal(made.looks.length, 1 + round, "one look at a time");
      looks.shift()?.(failing("read_timeout"));
      await settled();
    }
    await made.advance(1_000);
    t.equal(await told(), false);
    looks.shift()?.(FINE);
    await settled();
    t.equal(await told(), true, "up as soon as a look says so");

    await made.advance(2_000);
    t.equal(await told(), "waits", "a good result is not used after its time");
    t.equal(await told(failing("read_timeout")), false);
    await made.advance(6_000);
    t.equal(await told(), "waits", "nor is a bad one that ended 5 s ago");
    t.equal(await told({ kind: "overload" }), true);
    t.equal(await told(), "waits", "nor one that could not be made");
  });

  await t.test("found down a moment ago lets no probe confirm a fault", async (t) => {
    const made = scene(t, { probe });
    made.upstream = () => answering(answer(302));
    made.login = () => failing("refused");
    t.equal(await made.health.isLoginUp(), false);
    await made.advance(1_000);
    made.login = () => FINE;
    t.equal(await isConfirmed(made, check()), false);
  });

  await t.test("is up with a 2xx only; unknown is no reason to fall back", async (t) => {
    const rows = [
      { outcome: answering(answer(204)), isUp: true },
      { outcome: answering(answer(302)), isUp: false },
      { outcome: answering(answer(404)), isUp: false },
      { outcome: answering(answer(500)), isUp: false },
      { outcome: failing("refused"), isUp: false },
      { outcome: failing("read_timeout"), isUp: false },
      { outcome: { kind: "overload" }, isUp: true },
    ] as const;
    for (const { outcome, isUp } of rows) {
      const made = scene(t, { probe });
      made.login = () => outcome;
      t.equal(await made.health.isLoginUp(), isUp, JSON.stringify(outcome));
      made.health.close();
      mock.timers.reset();
    }
  });

  await t.test("counts for a probe that is redirected to it", async (t) => {
    for (const { status, confirmed } of [
      { status: 302, confirmed: true },
      { status: 200, confirmed: false },
      { status: 401, confirmed: false },
    ]) {
      const made = scene(t, { probe });
      made.upstream = () => answering(answer(status));
      made.login = () => failing("refused");
      t.equal(await isConfirmed(made, check()), confirmed, String(status));
      await bringMany(made, 20, fault("reset"));
      t.same(made.states, [], `${status}: and opens nothing`);
      made.health.close();
      mock.timers.reset();
    }
  });
});

t.test("a probe is learned from checks that passed or were challenged, and no others", async (t) => {
  const made = scene(t);
  const seen: (string | undefined)[] = [];
  const asked = async (given: Verdict | null, host: string): Promise<void> => {
    await bring(made, given, from(host));
    await made.advance(2_000);
    await isConfirmed(made, from("own"));
    seen.push(hostsOf(made.probes).at(-1));
  };
  await asked(null, "nothing");
  await asked(verdict("allow"), "allowed");
  await asked(verdict("deny"), "denied");
  await asked(SUSPECT, "suspect");
  await asked(fault("refused"), "refused");
  await asked(fault("reset"), "reset");
  await asked(fault("login_down"), "login-down");
  await asked(verdict("challenge"), "challenged");
  t.same(seen, ["own", ...Array(6).fill("allowed"), "challenged"]);
});

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
      ? { kind: "abandoned" }
      : new Promise((resolve) => {
          gone.addEventListener("abort", () => resolve({ kind: "abandoned" }));
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

t.test("a probe that first works while the breaker is open takes over the trials", async (t) => {
  const made = scene(t);
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  made.upstream = () => promise;
  const confirmed = isConfirmed(made, check());
  await bringMany(made, 5, fault("refused"));
  await made.advance(3_000);
  resolve(FINE);
  t.equal(await confirmed, false);
  made.upstream = () => FINE;
  await made.advance(60_000);
  t.equal(
    made.health.admit(check()).kind,
    "ask",
    "neither probe nor live check tries: it stays open for ever",
  );
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

t.test("an old probe does not unlearn what a newer check taught", async (t) => {
  const made = scene(t);
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  made.upstream = () => promise;
  const first = isConfirmed(made, from("guessed"));
  await bring(made, verdict("allow"), from("taught"));
  resolve(FINE);
  await first;
  await made.advance(2_000);
  await isConfirmed(made, check());
  t.same(hostsOf(made.probes), ["guessed", "guessed", "taught"]);
});

t.test("a probe that worked once and is wrong now holds no route open", async (t) => {
  const made = scene(t);
  await bring(made, verdict("allow"), from("taught"));
  await isConfirmed(made, check());
  // The check passes with its session. Without a session, this host answers 503.
  await bring(made, verdict("allow"), from("odd"));
  await bringMany(made, 5, fault("refused"));
  made.upstream = ({ headers }) => (headers.includes("odd") ? answering(answer(503)) : FINE);
  await made.advance(120_000);
  t.equal(made.health.admit(check()).kind, "ask", "the upstream is back for two minutes");
});

t.test(
  "a client with a session cannot teach a probe that fails, and so open the breaker for all",
  async (t) => {
    const made = scene(t);
    made.upstream = ({ headers }) => (headers.includes("odd") ? answering(answer(503)) : FINE);
    await bring(made, verdict("allow"), from("taught"));
    t.equal(await isConfirmed(made, check()), false);
    await made.advance(2_000);
    await bring(made, verdict("allow"), from("odd"));
    t.equal(await isConfirmed(made, from("odd")), false, "the probe that worked still works");
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
    if (trial.kind === "ask" && trial.isTrial) made.health.observe(trial, check(), null);
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
  await bring(made, verdict("allow"), from("honest"));
  await bring(made, verdict("allow"), from("evil"));
  made.upstream = ({ headers }) => (headers.includes("evil") ? answering(answer(500)) : FINE);
  t.equal(await isConfirmed(made, from("evil")), false);
});
