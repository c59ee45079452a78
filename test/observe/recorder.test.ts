import t from "tap";
import type { EndpointChange } from "../../src/core/endpoint.ts";
import type { LogLevel, LogOptions } from "../../src/core/snapshot.ts";
import type { Decision, ProbeStanding } from "../../src/core/types.ts";
import type { Event } from "../../src/observe/event.ts";
import { logEvent } from "../../src/observe/log/events.ts";
import { createLogger } from "../../src/observe/log/logger.ts";
import { createRecorder, type Recorder } from "../../src/observe/recorder.ts";
import { countedProcess } from "./counted-process.ts";
import { allowedBy, checkWith, fromUpstream, loginDecision, routeWith, SHED } from "./samples.ts";

const SSO = routeWith("sso", "basic-auth");
const BOTS = routeWith("bots", "allow");

function scene(access: LogOptions["access"], level: LogLevel = "info") {
  const clock = { now: 0 };
  const lines: Record<string, unknown>[] = [];
  const events: Event[] = [];
  const process = countedProcess([SSO, BOTS], { now: () => clock.now });
  const write = (line: string): void => {
    const { time: _time, ...rest } = JSON.parse(line);
    lines.push(rest);
  };
  const logger = createLogger({ level, write, now: () => 0 });
  const recorder = createRecorder({
    records: process.records,
    logger,
    access: () => access,
    clientOf: () => "10.0.0.7",
    now: () => clock.now,
    report: (event) => {
      logEvent(logger, event);
      events.push(event);
    },
  });
  const linesAbout = (msg: string) => lines.filter((line) => line.msg === msg);
  return { clock, lines, linesAbout, events, metrics: process, recorder };
}

const DENIED = fromUpstream(403, "deny");
const OPEN = allowedBy("allow", "refused");

t.test("lines about single checks", async (t) => {
  const rows: readonly {
    access: LogOptions["access"];
    level?: LogLevel;
    decisions: readonly Decision[];
    sources: readonly string[];
  }[] = [
    { access: "off", decisions: [DENIED, OPEN, SHED], sources: [] },
    { access: "sampled", decisions: [DENIED, DENIED], sources: [] },
    { access: "sampled", decisions: [DENIED, OPEN, OPEN], sources: ["fallback"] },
    { access: "sampled", decisions: [SHED, SHED, OPEN], sources: ["shed"] },
    { access: "all", decisions: [DENIED, DENIED], sources: ["upstream", "upstream"] },
    { access: "all", decisions: [DENIED, OPEN, OPEN, DENIED], sources: ["upstream", "fallback", "upstream"] },
    { access: "all", level: "warn", decisions: [DENIED, OPEN], sources: [] },
  ];
  for (const { access, level, decisions, sources } of rows) {
    t.test(`${access}: ${decisions.map(({ source }) => source).join(", ")}`, async (t) => {
      const { recorder, linesAbout } = scene(access, level);
      for (const decision of decisions) recorder.check(BOTS, checkWith(), decision, 1);
      t.same(
        linesAbout("check").map((line) => line.source),
        sources,
      );
    });
  }
});

t.test("one line a second and route says how many it left out", async (t) => {
  const { clock, recorder, linesAbout } = scene("sampled");
  for (; clock.now < 2500; clock.now += 10) {
    recorder.check(BOTS, checkWith(), OPEN, 1);
    recorder.check(SSO, checkWith(), loginDecision({ kind: "missing" }), 1);
  }
  const lines = linesAbout("check");
  for (const route of ["bots", "sso"]) {
    t.same(
      lines.filter((line) => line.route === route).map((line) => line.omitted),
      [0, 99, 99],
    );
  }
});

t.test("fields", async (t) => {
  const { recorder, lines } = scene("all");
  const headers = ["Host", "sparekey", "X-Forwarded-Host", "app.example.com"];
  recorder.check(SSO, checkWith(headers, "HEAD"), fromUpstream(302, "challenge"), 1.23456);
  recorder.check(SSO, checkWith(), loginDecision({ kind: "missing" }, "status_503"), 2);
  t.same(lines, [
    {
      level: "info",
      msg: "check",
      route: "sso",
      source: "upstream",
      verdict: "challenge",
      status: 302,
      ms: 1.235,
      method: "HEAD",
      host: "app.example.com",
      client: "10.0.0.7",
    },
    { level: "warn", msg: "fallback begins", route: "sso", mode: "basic-auth", reason: "status_503" },
    {
      level: "info",
      msg: "check",
      route: "sso",
      source: "fallback",
      verdict: "challenge",
      mode: "basic-auth",
      reason: "status_503",
      result: "challenged",
      status: 401,
      ms: 2,
      method: "GET",
      host: null,
      client: "10.0.0.7",
      omitted: 0,
    },
  ]);
});

t.test("a forbidden emergency login says why", async (t) => {
  for (const why of ["outside_allow_from", "no_address", "no_users"] as const) {
    const { recorder, lines } = scene("sampled");
    recorder.check(SSO, checkWith(), loginDecision({ kind: "forbidden", why }), 2);
    t.match(lines.at(-1), { msg: "check", result: "denied", forbidden: why });
  }
});

t.test("no secret and no long text of a client is logged", async (t) => {
  const { clock, recorder, lines } = scene("all", "debug");
  const headers = [
    "Cookie",
    "session=cookie-secret",
    "Authorization",
    "Basic basic-secret",
    "Proxy-Authorization",
    "proxy-secret",
    "X-Forwarded-Uri",
    "/?token=uri-secret",
    "X-Forwarded-Host",
    `${"h".repeat(400)}tail`,
  ];
  const decisions = [
    DENIED,
    SHED,
    OPEN,
    loginDecision({ kind: "bad" }),
    loginDecision({ kind: "ok", user: "eve" }),
  ];
  for (const decision of decisions) {
    clock.now += 1000;
    recorder.check(SSO, checkWith(headers), decision, 1);
  }
  const text = JSON.stringify(lines);
  t.equal(lines.filter(({ msg }) => msg === "check").length, decisions.length);
  t.notMatch(text, "secret");
  t.notMatch(text, "tail");
  t.notMatch(text, "h".repeat(256));
});

t.test("a fallback period is one line at its begin and one at its end", async (t) => {
  const { clock, recorder, lines } = scene("off");
  for (const now of [0, 100, 30_000]) {
    clock.now = now;
    recorder.check(BOTS, checkWith(), OPEN, 1);
    recorder.tick();
  }
  clock.now = 89_999;
  recorder.tick();
  t.same(lines, [{ level: "warn", msg: "fallback begins", route: "bots", mode: "allow", reason: "refused" }]);
  clock.now = 90_000;
  recorder.tick();
  recorder.tick();
  t.same(lines.slice(1), [
    { level: "info", msg: "fallback ended", route: "bots", seconds: 30, checks: 3, omitted: 0 },
  ]);
});

t.test("a period that no tick has ended ends when the next one begins", async (t) => {
  const { clock, recorder, lines } = scene("off");
  recorder.check(BOTS, checkWith(), OPEN, 1);
  clock.now = 70_000;
  recorder.check(BOTS, checkWith(), OPEN, 1);
  t.same(
    lines.map(({ msg }) => msg),
    ["fallback begins", "fallback ended", "fallback begins"],
  );
});

t.test("a breaker is one line when it leaves closed and one when it is back", async (t) => {
  const { clock, recorder, lines } = scene("off", "debug");
  const steps = [
    { at: 0, state: "closed", reason: null },
    { at: 1000, state: "open", reason: "refused" },
    { at: 1000, state: "open", reason: "refused" },
    { at: 3000, state: "half-open", reason: null },
    { at: 4000, state: "open", reason: "status_503" },
    { at: 8000, state: "half-open", reason: null },
    { at: 9250, state: "closed", reason: null },
    { at: 9300, state: "closed", reason: null },
  ] as const;
  for (const { at, state, reason } of steps) {
    clock.now = at;
    recorder.breaker(BOTS, state, reason);
  }
  t.same(lines, [
    { level: "warn", msg: "breaker opened", route: "bots", reason: "refused" },
    { level: "warn", msg: "fallback begins", route: "bots", mode: "allow", reason: "refused" },
    { level: "debug", msg: "breaker half-open", route: "bots", reason: null },
    { level: "debug", msg: "breaker open again", route: "bots", reason: "status_503" },
    { level: "debug", msg: "breaker half-open", route: "bots", reason: null },
    { level: "info", msg: "breaker closed", route: "bots", seconds: 8.25 },
    { level: "info", msg: "fallback ended", route: "bots", seconds: 8.25, checks: 0, omitted: 0 },
  ]);
});

t.test("a fallback period outlasts an open breaker, and only the breaker of its route", async (t) => {
  const { clock, recorder, lines } = scene("off");
  recorder.check(BOTS, checkWith(), OPEN, 1);
  recorder.check(SSO, checkWith(), loginDecision({ kind: "missing" }), 1);
  recorder.breaker(BOTS, "open", "refused");
  const endings = (): readonly unknown[] =>
    lines.filter(({ msg }) => msg === "fallback ended").map(({ route }) => route);

  clock.now = 200_000;
  recorder.tick();
  t.same(endings(), ["sso"]);
  recorder.check(BOTS, checkWith(), allowedBy("allow", "breaker_open"), 1);
  recorder.breaker(BOTS, "half-open", null);
  clock.now = 300_000;
  recorder.tick();
  t.same(endings(), ["sso"]);
  recorder.breaker(BOTS, "closed", null);
  recorder.tick();
  t.same(lines.at(-1), {
    level: "info",
    msg: "fallback ended",
    route: "bots",
    seconds: 300,
    checks: 2,
    omitted: 0,
  });
  t.equal(lines.filter(({ msg }) => msg === "fallback begins").length, 2);
});

t.test("a period that was over before the breaker opened is not drawn out by it", async (t) => {
  const { clock, recorder, lines } = scene("off");
  recorder.check(BOTS, checkWith(), OPEN, 1);
  clock.now = 70_000;
  recorder.breaker(BOTS, "open", "refused");
  recorder.check(BOTS, checkWith(), OPEN, 1);
  t.same(
    lines.map(({ msg }) => msg),
    ["fallback begins", "fallback ended", "breaker opened", "fallback begins"],
  );
});

t.test("emergency logins: a line a minute for each user and route", async (t) => {
  const { clock, metrics, recorder, linesAbout } = scene("off");
  for (; clock.now <= 60_000; clock.now += 1000) {
    recorder.check(SSO, checkWith(), loginDecision({ kind: "ok", user: "eve" }), 1);
    recorder.check(SSO, checkWith(), loginDecision({ kind: "bad" }), 1);
  }
  recorder.check(SSO, checkWith(), loginDecision({ kind: "ok", user: "adam" }), 1);
  const line = (user: string) => ({
    level: "warn",
    msg: "emergency login",
    route: "sso",
    user,
    client: "10.0.0.7",
  });
  t.same(linesAbout("emergency login"), [line("eve"), line("eve"), line("adam")]);

  clock.now += 60_000;
  recorder.tick();
  t.equal(metrics.recordOf("sso").lines.logins.size, 0, "and they are forgotten");
});

t.test("counts what the data path reports", async (t) => {
  const { metrics, recorder } = scene("off");
  recorder.check(BOTS, checkWith(), OPEN, 4);
  recorder.answer(BOTS, 200, 3);
  recorder.fault(BOTS, "dns");
  recorder.suspect(BOTS, "reset", "cleared");
  recorder.probe(BOTS, "ok");
  recorder.abandoned(BOTS);
  recorder.proven(BOTS, { proven: "allow", refused: null });
  recorder.attempt(BOTS, "retry");
  recorder.attempt(BOTS, "hedge");
  recorder.attempt(BOTS, "hedge");
  recorder.breaker(BOTS, "open", "dns");
  const text = await metrics.text();
  t.match(text, 'sparekey_checks_total{route="bots",source="fallback",verdict="allow"} 1');
  t.match(text, 'sparekey_upstream_answers_total{route="bots",code="200"} 1');
  t.match(text, 'sparekey_faults_total{route="bots",reason="dns"} 1');
  t.match(text, 'sparekey_suspects_total{route="bots",reason="reset",finding="cleared"} 1');
  t.match(text, 'sparekey_probes_total{route="bots",result="ok"} 1');
  t.match(text, 'sparekey_abandoned_total{route="bots"} 1');
  t.match(text, 'sparekey_probe_proven{route="bots"} 1');
  t.match(text, 'sparekey_retries_total{route="bots",kind="retry"} 1');
  t.match(text, 'sparekey_retries_total{route="bots",kind="hedge"} 2');
  t.match(text, 'sparekey_breaker_state{route="bots",state="open"} 1');
  t.match(text, 'sparekey_breaker_state{route="bots",state="closed"} 0');
  t.match(text, 'sparekey_fallback_active{route="bots"} 1');
});

t.test("a route that a reload removed is passed over", async (t) => {
  const { metrics, recorder, lines } = scene("all");
  metrics.useRoutes([SSO]);
  recorder.check(BOTS, checkWith(), OPEN, 1);
  recorder.answer(BOTS, 200, 1);
  recorder.fault(BOTS, "dns");
  recorder.suspect(BOTS, "reset", "cleared");
  recorder.probe(BOTS, "fault");
  recorder.abandoned(BOTS);
  recorder.proven(BOTS, { proven: "allow", refused: 400 });
  recorder.login(BOTS, "failed", "10.0.0.7");
  recorder.attempt(BOTS, "retry");
  recorder.endpoint(BOTS, { kind: "joined", endpoint: "10.0.3.7:9000" });
  recorder.breaker(BOTS, "open", "dns");
  t.same(lines, []);
  t.notMatch(await metrics.text(), 'route="bots"');
});

t.test("what people should know of a route's probe is a line", async (t) => {
  const line = (level: string, msg: string, data = {}) => ({ level, msg, route: "sso", ...data });
  const proven = line("info", "probe proven", { verdict: "challenge" });
  const lost = line("warn", "probe no longer proven");
  const refused = (status: number) =>
    line("warn", "probes are refused: set probe.hosts to a host that the upstream knows", { status });
  const rows: readonly {
    name: string;
    /** The second, and the standing from then on. */
    standings: readonly (readonly [number, ProbeStanding])[];
    lines: readonly object[];
  }[] = [
    { name: "nothing", standings: [[0, { proven: null, refused: null }]], lines: [] },
    { name: "gained", standings: [[0, { proven: "challenge", refused: null }]], lines: [proven] },
    {
      name: "said again",
      standings: [
        [0, { proven: "challenge", refused: null }],
        [1, { proven: "challenge", refused: null }],
      ],
      lines: [proven],
    },
    {
      name: "a better verdict",
      standings: [
        [0, { proven: "challenge", refused: null }],
        [1, { proven: "allow", refused: null }],
      ],
      lines: [proven],
    },
    {
      name: "lost and gained",
      standings: [
        [0, { proven: "challenge", refused: null }],
        [1, { proven: null, refused: null }],
        [2, { proven: "challenge", refused: null }],
      ],
      lines: [proven, lost, proven],
    },
    { name: "refused", standings: [[0, { proven: null, refused: 400 }]], lines: [refused(400)] },
    {
      name: "refused otherwise",
      standings: [
        [0, { proven: null, refused: 400 }],
        [1, { proven: null, refused: 404 }],
      ],
      lines: [refused(400), refused(404)],
    },
    {
      name: "refused now and then",
      standings: [
        [0, { proven: null, refused: 400 }],
        [1, { proven: null, refused: null }],
        [599, { proven: null, refused: 400 }],
        [600, { proven: null, refused: null }],
        [600, { proven: null, refused: 400 }],
      ],
      lines: [refused(400), refused(400)],
    },
  ];
  for (const { name, standings, lines: expected } of rows) {
    const { clock, recorder, lines } = scene("off");
    for (const [second, standing] of standings) {
      clock.now = second * 1_000;
      recorder.proven(SSO, standing);
    }
    t.same(lines, expected, name);
  }
});

t.test("logins that fail are a line, when they begin to and when they end", async (t) => {
  const login = { ...routeWith("login", "none"), loginOf: "authentik" } as const;
  const rows: readonly {
    name: string;
    after: (recorder: Recorder) => void;
    seconds: number;
    wentWell: boolean;
  }[] = [
    {
      name: "one goes well",
      after: (recorder) => recorder.login(login, "ok", "z"),
      seconds: 60,
      wentWell: true,
    },
    { name: "nobody comes any more", after: () => {}, seconds: 600, wentWell: false },
  ];
  for (const { name, after, seconds, wentWell } of rows) {
    const { clock, recorder, lines, metrics } = scene("off", "info");
    metrics.useRoutes([login]);
    for (const client of ["a", "b", "c", "a"]) recorder.login(login, "failed", client);
    recorder.tick();
    t.same(lines, [], `${name}: four are no sign`);
    recorder.login(login, "failed", "b");
    for (clock.now = 0; clock.now < 60_000; clock.now += 1_000) recorder.tick();
    const begun = { level: "warn", msg: "logins fail", route: "login", failed: 5, addresses: 3 };
    t.same(lines, [begun], name);
    t.same(metrics.report().routes[0]?.failingLogins, { failed: 5, addresses: 3 });
    after(recorder);
    for (; clock.now < 700_000; clock.now += 1_000) recorder.tick();
    const ended = {
      level: "info",
      msg: "logins no longer fail",
      route: "login",
      seconds,
      went_well: wentWell,
    };
    t.same(lines, [begun, ended], name);
    t.equal(metrics.report().routes[0]?.failingLogins, null);
  }
});

t.test("each change of an endpoint is a line with its address", async (t) => {
  const endpoint = "10.0.3.7:9000";
  const rows: readonly { change: EndpointChange; line: Readonly<Record<string, unknown>> }[] = [
    {
      change: { kind: "ejected", endpoint, from: "cookieless", reason: "bare_400" },
      line: { level: "warn", msg: "endpoint ejected", from: "cookieless", reason: "bare_400" },
    },
    {
      change: { kind: "restored", endpoint, from: "all", seconds: 12.3 },
      line: { level: "info", msg: "endpoint restored", from: "all", seconds: 12.3 },
    },
    { change: { kind: "joined", endpoint }, line: { level: "info", msg: "endpoint joined" } },
    { change: { kind: "left", endpoint }, line: { level: "info", msg: "endpoint left" } },
  ];
  for (const { change, line } of rows) {
    const { recorder, lines, events } = scene("off");
    recorder.endpoint(SSO, change);
    t.same(lines, [{ ...line, route: "sso", endpoint }], change.kind);
    t.same(events, [{ kind: "endpoint", route: "sso", change }], change.kind);
  }
});

t.test("what is logged of a route is reported, whatever the log's level", async (t) => {
  const { clock, recorder, lines, events } = scene("off", "error");
  recorder.breaker(SSO, "open", "refused");
  recorder.breaker(SSO, "half-open", null);
  recorder.check(SSO, checkWith(), loginDecision({ kind: "ok", user: "eve" }), 1);
  recorder.check(SSO, checkWith(), loginDecision({ kind: "ok", user: "eve" }), 1);
  clock.now = 30_000;
  recorder.breaker(SSO, "closed", null);
  clock.now = 90_001;
  recorder.tick();
  t.same(lines, []);
  const ofSso = { route: "sso", mode: "basic-auth", reason: "refused" } as const;
  t.same(events, [
    { kind: "breaker_opened", route: "sso", reason: "refused" },
    { kind: "fallback_began", ...ofSso },
    { kind: "fallback_proven", ...ofSso },
    { kind: "breaker_trial", route: "sso", state: "half-open", reason: null },
    { kind: "emergency_login", route: "sso", user: "eve", client: "10.0.0.7" },
    { kind: "breaker_closed", route: "sso", seconds: 30 },
    { kind: "fallback_ended", ...ofSso, seconds: 30, checks: 2, omitted: 0, isProven: true },
  ]);
});
