import t from "tap";
import { headerValues } from "../../src/core/headers.ts";
import type { Decision, FallbackMode, FaultReason, Outcome } from "../../src/core/types.ts";
import {
  answering,
  decisionOf,
  FALLBACKS,
  failing,
  MODES,
  run,
  type World,
  world,
} from "../support/check-world.ts";
import { answer, basic, check, FAULT_RULES, streamedBody, textOf } from "../support/fixtures.ts";

/** `SOURCE STATUS VERDICT` for every mode. */
type Expected = Readonly<Record<FallbackMode, string>>;

function inEveryMode(summary: string): Expected {
  return { allow: summary, "basic-auth": summary, deny: summary, none: summary };
}

function fallenBack(none: string): Expected {
  return {
    allow: "fallback 200 allow",
    "basic-auth": "fallback 401 challenge",
    deny: "fallback 503 deny",
    none,
  };
}

interface Row {
  readonly name: string;
  readonly outcome: Outcome;
  /** The decisions when a probe confirms the fault, and when it clears the upstream. */
  readonly confirmed: Expected;
  readonly cleared: Expected;
  /** The modes in which a probe is sent. */
  readonly probed: readonly FallbackMode[];
  readonly reason: FaultReason | null;
  readonly observed: string;
}

const POLICIES = ["allow", "basic-auth", "deny"] as const;
const JSON_400 = answer(400, ["Content-Type", "application/json"], "{}");

const VERDICTS: readonly Row[] = [
  { name: "200", given: answer(200), summary: "200 allow" },
  { name: "202", given: answer(202), summary: "202 allow" },
  { name: "302", given: answer(302), summary: "302 challenge" },
  { name: "401", given: answer(401), summary: "401 challenge" },
  { name: "403", given: answer(403), summary: "403 deny" },
  { name: "404", given: answer(404), summary: "404 deny" },
  { name: "JSON 400", given: JSON_400, summary: "400 deny" },
  { name: "400 with a cookie", given: answer(400, ["Set-Cookie", "a=1"]), summary: "400 deny" },
].map(({ name, given, summary }) => ({
  name,
  outcome: answering(given),
  confirmed: inEveryMode(`upstream ${summary}`),
  cleared: inEveryMode(`upstream ${summary}`),
  probed: [],
  reason: null,
  observed: summary.slice(4),
}));

/** Only the upstream can cause it, so no probe is sent. */
const CANNOT_BE_REACHED: readonly Row[] = (
  [
    ["refused", 502],
    ["unreachable", 502],
    ["dns", 502],
    ["tls", 502],
  ] as const
).map(([reason, status]) => ({
  name: `row 1: ${reason}`,
  outcome: failing(reason),
  confirmed: fallenBack(`fallback ${status} error`),
  cleared: fallenBack(`fallback ${status} error`),
  probed: [],
  reason,
  observed: `fault ${reason}`,
}));

/** The upstream mostly causes it. That is enough for a login or a refusal, but not for an open door. */
const WITHOUT_ANSWER: readonly Row[] = (
  [
    ["reset", 502],
    ["malformed", 502],
    ["too_large", 502],
    ["read_timeout", 504],
    ["total_timeout", 504],
  ] as const
).map(([reason, status]) => ({
  name: `row 2: ${reason}`,
  outcome: failing(reason),
  confirmed: fallenBack(`fallback ${status} error`),
  cleared: { ...fallenBack(`fallback ${status} error`), allow: `upstream ${status} error` },
  probed: ["allow"],
  reason,
  observed: `fault ${reason}`,
}));

/** It was never sent: checks of other clients may have filled our queue, or the upstream's. */
const NEVER_SENT: readonly Row[] = (
  [
    { name: "row 2: connect_timeout", outcome: failing("connect_timeout"), reason: "connect_timeout" },
    {
      name: "row 2: no connection was free in time",
      outcome: { kind: "failure", reason: "total_timeout", unasked: true },
      reason: "total_timeout",
    },
  ] as const
).map((row) => ({
  ...row,
  confirmed: fallenBack("fallback 504 error"),
  cleared: { ...inEveryMode("upstream 504 error"), none: "fallback 504 error" },
  probed: POLICIES,
  observed: `fault ${row.reason}`,
}));

const FAULT_STATUSES: readonly Row[] = ([502, 503, 504] as const).map((status) => ({
  name: `row 2: ${status}`,
  outcome: answering(answer(status)),
  confirmed: fallenBack(`upstream ${status} error`),
  cleared: { ...fallenBack(`upstream ${status} error`), allow: `upstream ${status} error` },
  probed: ["allow"],
  reason: `status_${status}`,
  observed: `fault status_${status}`,
}));

/** The upstream or the client can cause it. */
const SUSPECTS: readonly Row[] = (
  [
    ["bare_400", 400],
    ["status_500", 500],
    ["status_501", 501],
  ] as const
).map(([reason, status]) => ({
  name: `row 3: ${reason}`,
  outcome: answering(answer(status)),
  confirmed: fallenBack(`upstream ${status} error`),
  cleared: inEveryMode(`upstream ${status} error`),
  probed: POLICIES,
  reason,
  observed: `suspect ${reason}`,
}));

const ROWS = [
  ...VERDICTS,
  ...CANNOT_BE_REACHED,
  ...WITHOUT_ANSWER,
  ...NEVER_SENT,
  ...FAULT_STATUSES,
  ...SUSPECTS,
];

for (const mode of MODES) {
  for (const finding of ["confirmed", "cleared"] as const) {
    t.test(`what becomes of every outcome: ${mode}, ${finding}`, async (t) => {
      for (const row of ROWS) {
        const { name, outcome } = row;
        const made = world(outcome, {
          route: { fallback: FALLBACKS[mode] },
          confirms: finding === "confirmed",
        });
        const asked = check();
        const decision = await decisionOf(made, asked);
        t.equal(`${decision.source} ${decision.reply.status} ${decision.verdict}`, row[finding][mode], name);
        t.same(made.recorded, recordOf(row, mode, finding, decision), `${name}: recorded`);
        t.same(made.observed, [row.observed], `${name}: observed once`);
        t.same(made.confirmations, row.probed.includes(mode) ? [asked] : [], `${name}: probed`);
        t.equal(made.context.state.inFlight, 0, `${name}: nothing left in flight`);
        const logins = mode === "basic-auth" && decision.source === "fallback" ? 1 : 0;
        t.equal(made.attempts.length, logins, `${name}: logins`);
        const mark = decision.source === "fallback" && mode !== "none" ? [mode] : [];
        t.same(headerValues(decision.reply.headers, "x-auth-fallback"), mark, `${name}: X-Auth-Fallback`);
        if (decision.source === "fallback") t.equal(decision.fallback?.reason, row.reason, `${name}: reason`);
      }
    });
  }
}

function recordOf(
  { outcome, reason, probed, observed }: Row,
  mode: FallbackMode,
  finding: "confirmed" | "cleared",
  { source }: Decision,
): readonly string[] {
  const isProbed = probed.includes(mode);
  const isFault = isProbed ? finding === "confirmed" : observed.startsWith("fault");
  return [
    ...(outcome.kind === "answer" ? [`answer ${outcome.answer.status} 5ms`] : []),
    ...(isProbed ? [`suspect ${reason} ${finding}`] : []),
    ...(isFault ? [`fault ${reason}`] : []),
    // The login takes 100 ms of the clock.
    `check ${source} ${source === "fallback" && mode === "basic-auth" ? 105 : 5}ms`,
  ];
}

t.test(
  "what is our own doing, or the client's, says nothing of the upstream and never falls back",
  async (t) => {
    for (const mode of MODES) {
      for (const { kind, status } of [
        { kind: "overload", status: 503 },
        { kind: "unsendable", status: 400 },
      ] as const) {
        const made = world({ kind }, { route: { fallback: FALLBACKS[mode] }, confirms: true });
        const { source, reply } = await decisionOf(made);
        t.equal(`${source} ${reply.status}`, `shed ${status}`, `${mode}, ${kind}`);
        t.same(headerValues(reply.headers, "x-auth-fallback"), [], `${mode}, ${kind}: no fallback`);
        t.same(made.recorded, ["check shed 5ms"], `${mode}, ${kind}: recorded`);
        t.same(made.observed, ["nothing"], `${mode}, ${kind}: observed`);
        t.same(made.confirmations, [], `${mode}, ${kind}: no probe`);
      }
    }
  },
);

t.test(
  "regression: what our own limits kept a probe from asking clears nobody, and nobody falls back",
  async (t) => {
    for (const mode of ["allow", "basic-auth", "deny"] as const) {
      for (const outcome of [failing("reset"), answering(answer(500))]) {
        const fault = { ...FAULT_RULES, confirm: "always" } as const;
        const made = world(outcome, { route: { fallback: FALLBACKS[mode], fault }, confirms: null });
        const { source, reply } = await decisionOf(made);
        t.equal(`${source} ${reply.status}`, "shed 503", mode);
        t.notOk(
          made.recorded.some((line) => line.startsWith("suspect") || line.startsWith("fault")),
          mode,
        );
      }
    }
  },
);

t.test("confirm", async (t) => {
  const rows = [
    { confirm: "always", mode: "basic-auth", outcome: failing("reset"), probed: true },
    { confirm: "always", mode: "deny", outcome: answering(answer(503)), probed: true },
    { confirm: "always", mode: "allow", outcome: failing("read_timeout"), probed: true },
    { confirm: "always", mode: "deny", outcome: answering(answer(500)), probed: true },
    { confirm: "always", mode: "deny", outcome: failing("refused"), probed: false, summary: "fallback 503" },
    { confirm: "always", mode: "none", outcome: failing("reset"), probed: false, summary: "fallback 502" },
    { confirm: "never", mode: "allow", outcome: failing("reset"), probed: false, summary: "fallback 200" },
    {
      confirm: "never",
      mode: "allow",
      outcome: answering(answer(503)),
      probed: false,
      summary: "fallback 200",
    },
    {
      confirm: "never",
      mode: "allow",
      outcome: answering(answer(500)),
      probed: false,
      summary: "upstream 500",
    },
    {
      confirm: "never",
      mode: "deny",
      outcome: answering(answer(400)),
      probed: false,
      summary: "upstream 400",
    },
  ] as const;
  for (const row of rows) {
    const { confirm, mode, outcome } = row;
    const name = `${confirm}, ${mode}, ${wordsFor(outcome)}`;
    const settings = { fallback: FALLBACKS[mode], fault: { ...FAULT_RULES, confirm } };
    for (const confirms of [true, false]) {
      const made = world(outcome, { route: settings, confirms });
      const { source, reply } = await decisionOf(made);
      t.equal(made.confirmations.length, row.probed ? 1 : 0, `${name}: probed`);
      if (row.probed) t.equal(source, confirms ? "fallback" : "upstream", `${name}: as the probe says`);
      else t.equal(`${source} ${reply.status}`, row.summary, `${name}: whatever a probe would say`);
    }
  }
});

function wordsFor(outcome: Outcome): string {
  return outcome.kind === "answer" ? String(outcome.answer.status) : outcome.kind;
}

t.test("an open breaker: the upstream is not asked, and the check falls back", async (t) => {
  for (const mode of MODES) {
    const made = world(answering(answer(200)), { route: { fallback: FALLBACKS[mode] }, isOpen: true });
    const decision = await decisionOf(made);
    t.match(decision, { source: "fallback", fallback: { reason: "breaker_open" } }, mode);
    t.equal(decision.reply.status, { allow: 200, "basic-auth": 401, deny: 503, none: 502 }[mode], mode);
    t.same(made.requests, [], `${mode}: not asked`);
    t.same(made.observed, [], `${mode}: nothing to observe`);
    t.same(made.confirmations, [], `${mode}: no probe`);
    t.same(made.recorded, [`check fallback ${mode === "basic-auth" ? 100 : 0}ms`], `${mode}: recorded`);
    t.equal(made.context.state.inFlight, 0, mode);
  }
});

t.test("our own limit comes before an open breaker: a flood never opens the door", async (t) => {
  const scene = { route: { fallback: FALLBACKS.allow, maxInFlight: 1 }, inFlight: 1, isOpen: true };
  t.equal((await decisionOf(world(failing("refused"), scene))).source, "shed");
});

t.test("a check that waits when the breaker opens is released, and falls back like the others", async (t) => {
  for (const mode of MODES) {
    const made = world({ kind: "released" }, { route: { fallback: FALLBACKS[mode] } });
    t.match(await decisionOf(made), { source: "fallback", fallback: { reason: "breaker_open" } }, mode);
    t.same(made.observed, ["nothing"], `${mode}: it says nothing of the upstream`);
    t.equal(made.waitings[0], made.asking.waiting, `${mode}: it waited where its admission said`);
    t.equal(made.context.state.inFlight, 0, mode);
  }
});

t.test("a challenge whose login is down, a redirect or a 401", async (t) => {
  const fallback = { allow: 200, "basic-auth": 401, deny: 503 };
  const challenges = MODES.flatMap((mode) => [302, 401].map((status) => ({ mode, status })));
  for (const { mode, status } of challenges) {
    const name = `${mode}, ${status}`;
    const { body, cancelled } = streamedBody("a long page");
    const made = world(answering(answer(status, ["Location", "/login"], body)), {
      route: { fallback: FALLBACKS[mode], fault: { ...FAULT_RULES, confirm: "always" } },
      areLoginsUp: false,
    });
    const { source, reply, fallback: fallen } = await decisionOf(made);
    const expected = mode === "none" ? `upstream ${status}` : `fallback ${fallback[mode]}`;
    t.equal(`${source} ${reply.status}`, expected, name);
    if (source === "fallback") t.equal(fallen?.reason, "login_down", name);
    t.same(made.observed, ["fault login_down"], `${name}: observed`);
    t.same(made.confirmations, [], `${name}: the login page was asked; a probe adds nothing`);
    t.equal(cancelled(), mode === "none" ? 0 : 1, `${name}: its body`);
  }
  for (const given of [answer(200), answer(403)]) {
    const made = world(answering(given), { route: { fallback: FALLBACKS.allow }, areLoginsUp: false });
    t.equal((await decisionOf(made)).source, "upstream", `a ${given.status} needs no login page`);
  }
});

t.test("a client that is sent to a login that is down has no session, so no grace either", async (t) => {
  const grace = { milliseconds: 60_000, usernameHeader: "x-user", identityHeaders: new Set(["x-user"]) };
  const made = world(answering(answer(302)), {
    route: { fallback: { mode: "deny", grace, page: null } },
    areLoginsUp: false,
    kept: ["X-User", "eve"],
  });
  t.equal((await decisionOf(made)).reply.status, 503);
  t.ok(made.graceObserved.includes("challenge"), "and its grace is gone");
});

t.test("our own limit", async (t) => {
  for (const mode of MODES) {
    const limit = { fallback: FALLBACKS[mode], maxInFlight: 2 };
    const full = world(answering(answer(200)), { route: limit, inFlight: 2 });
    const shed = await decisionOf(full);
    t.equal(`${shed.source} ${shed.reply.status}`, "shed 503", `${mode}: full`);
    t.same(full.requests, [], `${mode}: the upstream is not asked`);
    t.same(full.observed, [], `${mode}: and no trial is wasted`);
    t.same(full.attempts, [], `${mode}: nor is a password`);
    t.same(full.recorded, ["check shed 0ms"], `${mode}: recorded`);
    t.equal(full.context.state.inFlight, 2, `${mode}: the others are still in flight`);
    t.same(headerValues(shed.reply.headers, "x-auth-fallback"), [], `${mode}: no fallback`);

    const last = world(answering(answer(200)), { route: limit, inFlight: 1 });
    t.equal((await decisionOf(last)).source, "upstream", `${mode}: one place left`);
    t.equal(last.context.state.inFlight, 1, `${mode}: which is free again`);
  }
});

t.test("checks in flight are counted while the upstream is asked", async (t) => {
  const answers = Array.from({ length: 3 }, () => Promise.withResolvers<Outcome>());
  let asked = 0;
  const made = world(() => answers[asked++]?.promise ?? Promise.resolve(failing("reset")), {
    route: { maxInFlight: 3 },
  });
  const running = answers.map(() => run(made));
  t.equal(made.context.state.inFlight, 3);
  t.equal((await decisionOf(made)).source, "shed", "a fourth one is shed");
  answers[1]?.resolve(failing("reset"));
  await running[1];
  t.equal(made.context.state.inFlight, 2);
  answers[0]?.resolve({ kind: "abandoned", isLate: false });
  answers[2]?.resolve(answering(answer(200)));
  await Promise.all(running);
  t.equal(made.context.state.inFlight, 0);
});

t.test("the verdict is relayed as it came", async (t) => {
  const { body, cancelled } = streamedBody("long");
  const headers = [
    "set-cookie",
    "a=1",
    "X-authentik-username",
    "eve",
    "Connection",
    "x",
    "X-Auth-Fallback",
    "allow",
  ];
  const { reply } = await decisionOf(world(answering(answer(200, headers, body))));
  t.same(reply.headers, ["set-cookie", "a=1", "X-authentik-username", "eve"]);
  t.equal(reply.statusText, "As It Came");
  t.equal(reply.body, body);
  t.equal(cancelled(), 0, "its body is for the gateway to read");
});

t.test("the stream of an answer that is replaced is cancelled, once; of a relayed one never", async (t) => {
  const scenes = MODES.flatMap((mode) =>
    [500, 503].flatMap((status) => [true, false].map((confirms) => ({ mode, status, confirms }))),
  );
  for (const { mode, status, confirms } of scenes) {
    const { body, cancelled } = streamedBody("a long error page");
    const given = answering(answer(status, ["X-Of", "upstream"], body));
    const scene = { route: { fallback: FALLBACKS[mode] }, confirms };
    const { source, reply } = await decisionOf(world(given, scene));
    const relayed = source === "upstream";
    const name = `${mode}, ${status}, ${confirms ? "confirmed" : "cleared"}`;
    t.equal(cancelled(), relayed ? 0 : 1, `${name}: ${relayed ? "relayed" : "cancelled"}`);
    t.equal(reply.body === body, relayed, `${name}: its body`);
    t.same(headerValues(reply.headers, "x-of"), relayed ? ["upstream"] : [], `${name}: its headers`);
  }
});

t.test("what goes to the upstream", async (t) => {
  await t.test("method, target as received, and the headers by the rules", async (t) => {
    const headers = [
      "host",
      "app.example",
      "Connection",
      "close",
      "X_Forwarded_For",
      "x",
      "X-Forwarded-For",
      "y",
    ];
    const made = world(answering(answer(200)));
    await run(made, check({ method: "PROPFIND", target: "/auth?a=%2F&a", headers }));
    const [request] = made.requests;
    const { trying, ...asked } = request ?? { trying: null };
    t.match(trying, { kind: "check", fault: FAULT_RULES });
    t.same(asked, {
      method: "PROPFIND",
      target: "/auth?a=%2F&a",
      headers: ["host", "app.example", "X-Forwarded-For", "y"],
      body: null,
      repeatable: true,
    });
    t.equal(made.requests.length, 1);
  });

  await t.test("a body with its length, on a route that carries it", async (t) => {
    const body = bytesOf("words");
    const made = world(answering(answer(200)), { route: { fallback: { mode: "none" } } });
    await run(made, check({ method: "GET", headers: ["Content-Length", "5"], body }));
    t.equal(made.requests[0]?.body, body);
    t.same(made.requests[0]?.headers, ["Content-Length", "5"]);
    t.equal(made.requests[0]?.repeatable, false, "and is not sent twice");
  });

  await t.test("no length without its body", async (t) => {
    const made = world(answering(answer(200)));
    await run(made, check({ headers: ["Content-Length", "5", "Host", "a"] }));
    t.same(made.requests[0]?.headers, ["Host", "a"]);
  });

  await t.test(
    "the client whose budget further attempts use is the address that it is limited by",
    async (t) => {
      const rows = [
        { name: "as the gateway names it", headers: ["X-Forwarded-For", "192.0.2.1"], client: "192.0.2.1" },
        { name: "a whole network", headers: ["X-Forwarded-For", "2001:db8::1"], client: "2001:db8:0:0::/64" },
        { name: "none", headers: [], client: "unknown" },
      ];
      for (const { name, headers, client } of rows) {
        const made = world(answering(answer(200)));
        await run(made, check({ headers }));
        const trying = made.requests[0]?.trying;
        t.equal(trying?.kind === "check" && trying.client(), client, name);
      }
    },
  );

  const repeatable = [
    { mode: "basic-auth", method: "POST", repeatable: true },
    { mode: "allow", method: "DELETE", repeatable: true },
    { mode: "deny", method: "GET", repeatable: true },
    { mode: "none", method: "GET", repeatable: true },
    { mode: "none", method: "HEAD", repeatable: true },
    { mode: "none", method: "OPTIONS", repeatable: true },
    { mode: "none", method: "POST", repeatable: false },
    { mode: "none", method: "DELETE", repeatable: false },
    { mode: "none", method: "get", repeatable: false },
  ] as const;
  for (const row of repeatable) {
    const made = world(answering(answer(200)), { route: { fallback: FALLBACKS[row.mode] } });
    await run(made, check({ method: row.method }));
    t.equal(made.requests[0]?.repeatable, row.repeatable, `${row.mode} ${row.method}: repeatable`);
    const trying = row.mode === "none" ? "once" : "check";
    t.equal(made.requests[0]?.trying.kind, trying, `${row.mode}: a plain proxy's request may redeem a code`);
  }
});

/** Each part of this check has a mark, which a reply that reflects the part would contain. */
const MARKED = check({
  method: "MARKED",
  target: "/marked?marked=<marked>",
  headers: [
    ...[
      "Host",
      "marked.example",
      "marked",
      "marked",
      "X-Auth-Fallback",
      "marked",
      "X-authentik-username",
      "marked",
    ],
    ...[
      "X-Forwarded-Host",
      "marked",
      "X-Forwarded-Uri",
      "/marked",
      "User-Agent",
      "<marked>",
      "Cookie",
      "marked=1",
    ],
    ...[
      "Authorization",
      basic("marked", "marked"),
      "X-Request-Id",
      "marked",
      "Origin",
      "https://marked.example",
    ],
  ],
});
const CONDITIONAL = [
  ...["If-Match", '"x"', "If-None-Match", "*", "If-Modified-Since", "Thu, 01 Jan 2099 00:00:00 GMT"],
  ...["If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:00 GMT", "If-Range", '"x"', "Range", "bytes=0-0"],
];

t.test("a reply of ours depends on nothing a client says besides its password", async (t) => {
  for (const mode of MODES) {
    for (const outcome of [failing("reset"), { kind: "overload" }, { kind: "unsendable" }] as const) {
      const name = `${mode}, ${outcome.kind}`;
      const made = (): World =>
        world(outcome, { route: { fallback: FALLBACKS[mode] }, login: { kind: "bad" } });
      const plain = await decisionOf(made());
      const { reply } = await decisionOf(made(), MARKED);
      t.same(reply, plain.reply, `${name}: nothing reflected`);
      t.notMatch(JSON.stringify(reply.headers) + textOf(reply), /marked/i, name);
      const conditional = await decisionOf(made(), check({ headers: CONDITIONAL }));
      t.same(conditional, plain, `${name}: conditional headers change nothing`);
    }
  }
  const login = { kind: "ok", user: "eve" } as const;
  const plain = await decisionOf(world(failing("reset"), { login }));
  t.same(await decisionOf(world(failing("reset"), { login }), check({ headers: CONDITIONAL })), plain);
});

async function* bytesOf(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}
