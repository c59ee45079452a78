/** Through the recorder, as checks and breakers report. */
import t from "tap";
import type { BreakerState } from "../../src/core/breaker.ts";
import type { Route } from "../../src/core/snapshot.ts";
import type { FallbackChange, FallbackReason, OverrideMode } from "../../src/core/types.ts";
import { fallbackMessages } from "../../src/notify/fallback-messages.ts";
import { createLogger } from "../../src/observe/log/logger.ts";
import { createRecorder } from "../../src/observe/recorder.ts";
import { countedProcess } from "./counted-process.ts";
import { allowedBy, checkWith, fromUpstream, loginDecision, routeWith, SHED } from "./samples.ts";

const SSO = routeWith("sso", "basic-auth");
const BOTS = routeWith("bots", "allow");

function scene() {
  const clock = { now: 0 };
  const changes: FallbackChange[] = [];
  const now = (): number => clock.now;
  const metrics = countedProcess([SSO, BOTS], { now });
  const recorder = createRecorder({
    records: metrics.records,
    logger: createLogger({ level: "error", write: () => {}, now }),
    access: () => "off",
    clientOf: () => null,
    now,
    report: fallbackMessages({ notify: (change) => changes.push(change), now, later: () => {} }),
  });
  const isActive = async (): Promise<boolean> =>
    (await metrics.text()).includes('sparekey_fallback_active{route="bots"} 1');
  return { clock, changes, metrics, recorder, isActive };
}
type Scene = ReturnType<typeof scene>;
type Step = (scene: Scene) => void;

const fallback: Step = ({ recorder }) => recorder.check(BOTS, checkWith(), allowedBy("allow", "reset"), 1);
const openFallback: Step = ({ recorder }) =>
  recorder.check(BOTS, checkWith(), allowedBy("allow", "breaker_open"), 1);
const overridden: Step = ({ recorder }) =>
  recorder.check(BOTS, checkWith(), { ...allowedBy("allow", "override"), source: "override" }, 1);
const passed: Step = ({ recorder }) => recorder.check(BOTS, checkWith(), fromUpstream(200, "allow"), 1);
const shed: Step = ({ recorder }) => recorder.check(BOTS, checkWith(), SHED, 1);
const override =
  (mode: OverrideMode | null): Step =>
  ({ recorder }) =>
    recorder.override("bots", mode);
const login =
  (reason: FallbackReason): Step =>
  ({ recorder }) =>
    recorder.check(SSO, checkWith(), loginDecision({ kind: "missing" }, reason), 1);
const loginAfter =
  (milliseconds: number): Step =>
  ({ recorder }) =>
    recorder.check(SSO, checkWith(), loginDecision({ kind: "ok", user: "eve" }, "status_503"), milliseconds);
const probe =
  (result: "ok" | "fault"): Step =>
  ({ recorder }) =>
    recorder.probe(SSO, result);
const loginBreaker: Step = ({ recorder }) => recorder.breaker(SSO, "open", "reset");
const tick: Step = ({ recorder }) => recorder.tick();
const breaker =
  (state: BreakerState, reason: FallbackReason | null = null): Step =>
  ({ recorder }) =>
    recorder.breaker(BOTS, state, reason);
const reload =
  (...routes: readonly Route[]): Step =>
  ({ metrics }) =>
    metrics.useRoutes(routes);

/** `[seconds, step]`; the words: `began MODE REASON`, `ended MODE REASON after N`. */
const rows: readonly {
  readonly name: string;
  readonly steps: readonly (readonly [number, Step])[];
  readonly words: readonly string[];
}[] = [
  {
    name: "nothing but passes",
    steps: [
      [0, passed],
      [1, shed],
      [2, tick],
    ],
    words: [],
  },
  {
    name: "one fallback and a quiet minute",
    steps: [
      [0, fallback],
      [0, fallback],
      [59, tick],
      [60, tick],
      [61, tick],
    ],
    words: ["began allow reset", "ended allow reset after 0"],
  },
  {
    name: "regression: a login still verified when an override has ended begins nothing",
    steps: [
      [0, override("fallback")],
      [5, override(null)],
      [6, overridden],
      [7, tick],
    ],
    words: ["began allow override", "ended allow override after 5"],
  },
  {
    name: "regression: a probe may meet it before the check that asked has fallen back",
    steps: [
      [0, probe("fault")],
      [1, loginAfter(1_500)],
    ],
    words: ["began basic-auth status_503"],
  },
  {
    name: "or shortly before it came, while the finding holds",
    steps: [
      [0, probe("fault")],
      [1, loginAfter(100)],
    ],
    words: ["began basic-auth status_503"],
  },
  {
    name: "not long before",
    steps: [
      [0, probe("fault")],
      [3, loginAfter(100)],
    ],
    words: [],
  },
  {
    name: "nor where the last probe was fine",
    steps: [
      [0, probe("fault")],
      [0, probe("ok")],
      [1, loginAfter(1_500)],
    ],
    words: [],
  },
  {
    name: "regression: an override holds the route in fallback, checks or none",
    steps: [
      [0, override("fallback")],
      [5, overridden],
      [300, tick],
      [301, override(null)],
      [302, tick],
    ],
    words: ["began allow override", "ended allow override after 301"],
  },
  {
    name: "regression: an outage that goes on after an override is news",
    steps: [
      [0, override("fallback")],
      [10, override(null)],
      [11, fallback],
    ],
    words: ["began allow override", "ended allow override after 10", "began allow reset"],
  },
  {
    name: "so is a breaker that is open behind it",
    steps: [
      [0, override("fallback")],
      [5, breaker("open", "dns")],
      [10, override(null)],
    ],
    words: ["began allow override", "ended allow override after 10", "began allow breaker_open"],
  },
  {
    name: "an override to the upstream is none",
    steps: [
      [0, override("upstream")],
      [100, tick],
      [200, override(null)],
    ],
    words: [],
  },
  {
    name: "regression: one check of a client's own that breaks off tells nobody",
    steps: [
      [0, login("reset")],
      [1, login("status_503")],
      [2, probe("ok")],
      [100, tick],
    ],
    words: [],
  },
  {
    name: "until a probe meets it too",
    steps: [
      [0, login("read_timeout")],
      [5, probe("fault")],
      [6, probe("fault")],
      [60, tick],
    ],
    words: ["began basic-auth read_timeout", "ended basic-auth read_timeout after 0"],
  },
  {
    name: "or the breaker opens",
    steps: [
      [0, login("reset")],
      [5, loginBreaker],
    ],
    words: ["began basic-auth reset"],
  },
  {
    name: "what no client can cause is told at once",
    steps: [
      [0, login("reset")],
      [1, login("refused")],
    ],
    words: ["began basic-auth reset"],
  },
  {
    name: "a probe that fails outside a period is none",
    steps: [
      [0, probe("fault")],
      [1, tick],
    ],
    words: [],
  },
  {
    name: "each fallback prolongs it",
    steps: [
      [0, fallback],
      [50, fallback],
      [100, fallback],
      [159, tick],
      [160, tick],
    ],
    words: ["began allow reset", "ended allow reset after 100"],
  },
  {
    name: "no tick between two periods",
    steps: [
      [0, fallback],
      [70, fallback],
    ],
    words: ["began allow reset", "ended allow reset after 0", "began allow reset"],
  },
  {
    name: "the breaker opens within a period",
    steps: [
      [0, fallback],
      [1, breaker("open", "refused")],
      [1, openFallback],
      [2, breaker("half-open")],
    ],
    words: ["began allow reset"],
  },
  {
    name: "the breaker opens first, then checks fall back",
    steps: [
      [0, breaker("open", "refused")],
      [0, openFallback],
      [1, openFallback],
    ],
    words: ["began allow refused"],
  },
  {
    name: "the breaker opens and no check comes",
    steps: [
      [0, breaker("open", "dns")],
      [100, tick],
      [200, breaker("half-open")],
      [201, breaker("closed")],
      [202, tick],
      [203, tick],
    ],
    words: ["began allow dns", "ended allow dns after 201"],
  },
  {
    name: "a trial that fails changes nothing",
    steps: [
      [0, breaker("open", "dns")],
      [2, breaker("half-open")],
      [3, breaker("open", "reset")],
      [4, tick],
    ],
    words: ["began allow dns"],
  },
  {
    name: "the quiet minute passes while the breaker is open",
    steps: [
      [0, fallback],
      [1, breaker("open", "refused")],
      [100, tick],
      [200, breaker("closed")],
      [201, tick],
    ],
    words: ["began allow reset", "ended allow reset after 200"],
  },
  {
    name: "the breaker closes within the quiet minute",
    steps: [
      [0, breaker("open", "refused")],
      [10, openFallback],
      [30, breaker("closed")],
      [69, tick],
      [70, tick],
    ],
    words: ["began allow refused", "ended allow refused after 30"],
  },
  {
    name: "it closes and opens again between two ticks",
    steps: [
      [0, breaker("open", "dns")],
      [1, breaker("closed")],
      [1, breaker("open", "refused")],
    ],
    words: ["began allow dns", "ended allow dns after 1", "began allow refused"],
  },
  {
    name: "a period is over before the breaker opens",
    steps: [
      [0, fallback],
      [70, breaker("open", "refused")],
    ],
    words: ["began allow reset", "ended allow reset after 0", "began allow refused"],
  },
  {
    name: "a reload that keeps the route",
    steps: [
      [0, fallback],
      [1, reload(BOTS)],
      [2, tick],
      [60, tick],
    ],
    words: ["began allow reset", "ended allow reset after 0"],
  },
  {
    name: "a reload that removes the route",
    steps: [
      [0, breaker("open", "dns")],
      [9, tick],
      [9, reload(SSO)],
      [10, tick],
      [11, tick],
      [12, fallback],
    ],
    words: ["began allow dns", "ended allow dns after 9"],
  },
  {
    name: "removed and back between two ticks",
    steps: [
      [0, fallback],
      [1, reload(SSO)],
      [1, reload(SSO, BOTS)],
      [2, tick],
    ],
    words: ["began allow reset", "ended allow reset after 0"],
  },
  {
    name: "regression: removed and back, and in fallback again, between two ticks",
    steps: [
      [0, breaker("open", "dns")],
      [1, reload(SSO)],
      [1, reload(SSO, BOTS)],
      [2, fallback],
      [3, tick],
    ],
    words: ["began allow dns", "ended allow dns after 0", "began allow reset"],
  },
  {
    name: "checks of a removed route",
    steps: [
      [0, reload(SSO)],
      [1, fallback],
      [2, breaker("open", "dns")],
    ],
    words: [],
  },
];

for (const { name, steps, words } of rows) {
  t.test(name, async (t) => {
    const made = scene();
    for (const [at, step] of steps) {
      made.clock.now = at * 1_000;
      step(made);
    }
    t.same(made.changes.map(wordsFor), words);
  });
}

t.test("after each tick the last change says what the gauge says", async (t) => {
  const made = scene();
  const steps = [
    fallback,
    breaker("open", "dns"),
    openFallback,
    breaker("half-open"),
    breaker("closed"),
    passed,
  ];
  let seed = 7;
  for (let round = 0; round < 400; round += 1) {
    seed = (seed * 48_271) % 2_147_483_647;
    made.clock.now += (seed % 5) * 9_000;
    steps[seed % steps.length]?.(made);
    tick(made);
    const last = made.changes.at(-1);
    t.equal(await made.isActive(), last?.event === "fallback_began");
  }
  t.ok(made.changes.length > 20);
  t.ok(made.changes.every(({ event }, index) => event === (index % 2 ? "fallback_ended" : "fallback_began")));
});

t.test("routes are apart, and the mode is what the first check met", async (t) => {
  const { clock, changes, recorder } = scene();
  recorder.check(SSO, checkWith(), loginDecision({ kind: "missing" }, "bare_400"), 1);
  recorder.check(BOTS, checkWith(), allowedBy("deny", "refused"), 1);
  clock.now = 60_000;
  recorder.tick();
  t.same(
    changes.map((change) => `${change.route} ${wordsFor(change)}`),
    [
      "sso began basic-auth bare_400",
      "bots began deny refused",
      "sso ended basic-auth bare_400 after 0",
      "bots ended deny refused after 0",
    ],
  );
});

function wordsFor(change: FallbackChange): string {
  const how = `${change.mode} ${change.reason}`;
  return change.event === "fallback_began" ? `began ${how}` : `ended ${how} after ${change.seconds}`;
}

t.test("no change of an endpoint becomes a message: its address is internal", async (t) => {
  const { changes, recorder } = scene();
  const endpoint = "10.0.3.7:9000";
  recorder.endpoint(BOTS, { kind: "ejected", endpoint, from: "all", reason: "refused" });
  recorder.endpoint(BOTS, { kind: "restored", endpoint, from: "all", seconds: 12 });
  recorder.endpoint(BOTS, { kind: "joined", endpoint });
  t.same(changes, []);
});
