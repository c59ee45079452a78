import t from "tap";
import { headerValues } from "../src/core/headers.ts";
import type { Decision, FallbackMode, Outcome } from "../src/core/types.ts";
import {
  answering,
  decisionOf,
  FALLBACKS,
  failing,
  MODES,
  run,
  type World,
  world,
} from "./support/check-world.ts";
import { answer, basic, check, streamedBody, textOf } from "./support/fixtures.ts";

/** `SOURCE STATUS VERDICT` in every mode. */
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

const JSON_400 = answer(400, ["Content-Type", "application/json"], "{}");

const OUTCOMES: readonly {
  name: string;
  outcome: Outcome;
  expected: Expected;
  recorded: readonly string[];
}[] = [
  ...[
    { name: "200", given: answer(200), summary: "200 allow" },
    { name: "202", given: answer(202), summary: "202 allow" },
    { name: "302", given: answer(302), summary: "302 challenge" },
    { name: "401", given: answer(401), summary: "401 challenge" },
    { name: "403", given: answer(403), summary: "403 deny" },
    { name: "404", given: answer(404), summary: "404 deny" },
    { name: "JSON 400", given: JSON_400, summary: "400 deny" },
    { name: "400 with a cookie", given: answer(400, ["Set-Cookie", "a=1"]), summary: "400 deny" },
    { name: "bare 400, suspect", given: answer(400), summary: "400 error" },
    { name: "500, suspect", given: answer(500), summary: "500 error" },
    {
      name: "501, suspect: a method the bot blocker does not know",
      given: answer(501),
      summary: "501 error",
    },
  ].map(({ name, given, summary }) => ({
    name,
    outcome: answering(given),
    expected: inEveryMode(`upstream ${summary}`),
    recorded: [`answer ${given.status} 5ms`, "check upstream 5ms"],
  })),
  ...[502, 503, 504].map((status) => ({
    name: `${status}, a fault`,
    outcome: answering(answer(status)),
    expected: fallenBack(`upstream ${status} error`),
    recorded: [`answer ${status} 5ms`, `fault status_${status}`, "check fallback 5ms"],
  })),
  ...(["refused", "unreachable", "dns", "tls", "reset", "malformed", "too_large"] as const).map((reason) => ({
    name: reason,
    outcome: failing(reason),
    expected: fallenBack("fallback 502 error"),
    recorded: [`fault ${reason}`, "check fallback 5ms"],
  })),
  ...(["connect_timeout", "read_timeout", "total_timeout"] as const).map((reason) => ({
    name: reason,
    outcome: failing(reason),
    expected: fallenBack("fallback 504 error"),
    recorded: [`fault ${reason}`, "check fallback 5ms"],
  })),
  {
    name: "overload, which is ours",
    outcome: { kind: "overload" },
    expected: inEveryMode("shed 503 deny"),
    recorded: ["check shed 5ms"],
  },
  {
    name: "unsendable, which is the client's",
    outcome: { kind: "unsendable" },
    expected: inEveryMode("shed 400 deny"),
    recorded: ["check shed 5ms"],
  },
];

for (const mode of MODES) {
  t.test(`what becomes of every outcome: ${mode}`, async (t) => {
    for (const { name, outcome, expected, recorded } of OUTCOMES) {
      const made = world(outcome, { route: { fallback: FALLBACKS[mode] } });
      const decision = await decisionOf(made);
      t.equal(`${decision.source} ${decision.reply.status} ${decision.verdict}`, expected[mode], name);
      t.same(made.recorded, expectedRecord(mode, decision, recorded), `${name}: recorded`);
      t.equal(made.context.state.inFlight, 0, `${name}: nothing left in flight`);
      t.equal(
        made.attempts.length,
        mode === "basic-auth" && decision.source === "fallback" ? 1 : 0,
        `${name}: logins`,
      );
      const mark = decision.source === "fallback" && mode !== "none" ? [mode] : [];
      t.same(headerValues(decision.reply.headers, "x-auth-fallback"), mark, `${name}: X-Auth-Fallback`);
    }
  });
}

/** A login takes its time, and an answer of an upstream without a policy is relayed. */
function expectedRecord(
  mode: FallbackMode,
  { source }: Decision,
  recorded: readonly string[],
): readonly string[] {
  if (source === "upstream") return [...recorded.slice(0, -1), "check upstream 5ms"];
  if (source === "fallback" && mode === "basic-auth")
    return [...recorded.slice(0, -1), "check fallback 105ms"];
  return recorded;
}

t.test("a gateway that went away gets nothing, and nothing is counted", async (t) => {
  for (const mode of MODES) {
    const made = world({ kind: "abandoned" }, { route: { fallback: FALLBACKS[mode] } });
    t.equal(await run(made), null, mode);
    t.same(made.recorded, [], mode);
    t.same(made.attempts, [], mode);
    t.equal(made.context.state.inFlight, 0, mode);
  }
});

t.test("our own limit", async (t) => {
  for (const mode of MODES) {
    const limit = { fallback: FALLBACKS[mode], maxInFlight: 2 };
    const full = world(answering(answer(200)), { route: limit, inFlight: 2 });
    const shed = await decisionOf(full);
    t.equal(`${shed.source} ${shed.reply.status}`, "shed 503", `${mode}: full`);
    t.same(full.requests, [], `${mode}: the upstream is not asked`);
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
  answers[0]?.resolve({ kind: "abandoned" });
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

t.test("a fault status with a streamed body", async (t) => {
  for (const mode of MODES) {
    const { body, cancelled } = streamedBody("a long error page");
    const { reply } = await decisionOf(
      world(answering(answer(503, ["X-Of", "upstream"], body)), { route: { fallback: FALLBACKS[mode] } }),
    );
    const relayed = mode === "none";
    t.equal(cancelled(), relayed ? 0 : 1, `${mode}: ${relayed ? "relayed" : "cancelled, once"}`);
    t.equal(reply.body === body, relayed, `${mode}: its body`);
    t.same(headerValues(reply.headers, "x-of"), relayed ? ["upstream"] : [], `${mode}: its headers`);
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
    t.same(made.requests, [
      {
        method: "PROPFIND",
        target: "/auth?a=%2F&a",
        headers: ["host", "app.example", "X-Forwarded-For", "y"],
        body: null,
        repeatable: true,
      },
    ]);
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
  }
});

/** A check all of whose parts would be found in a reply that reflects any of them. */
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
