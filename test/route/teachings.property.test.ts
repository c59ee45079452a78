/**
 * Whatever clients send while the upstream is well, nobody is let in, and an honest client is told the same in a later
 * outage as if nobody else had been there, whatever they send in that outage too.
 */
import fc from "fast-check";
import t from "tap";
import { type AnswerCheckDeps, answerCheck, type RouteState } from "../../src/core/answer-check.ts";
import { firstHeader } from "../../src/core/headers.ts";
import type { Route } from "../../src/core/snapshot.ts";
import type { Check, Decision, Outcome, RawHeaders } from "../../src/core/types.ts";
import { RouteHealth } from "../../src/route/route-health.ts";
import { answering } from "../support/check-world.ts";
import { answer, basicAuth, check, FAULT_RULES, PROBE_RULES, route } from "../support/fixtures.ts";

const RUNS = Number(process.env.SPAREKEY_TEACHINGS ?? 2_500);

type State = "well" | "store-full" | "answers-500" | "answers-503" | "hangs" | "open-to-all" | "no-cookie";
const OUTAGES = ["store-full", "answers-500", "answers-503", "hangs", "open-to-all", "no-cookie"] as const;

/** What a check says. Every part of it is the client's choice. */
interface Said {
  readonly host: "app" | "other" | "public" | "static" | "unknown" | "odd host" | null;
  readonly method: "GET" | "HEAD" | "OPTIONS" | "POST";
  readonly forwardedMethod: "GET" | "OPTIONS" | "BREW" | null;
  readonly uri: "/" | "/%zz" | "/hang" | "/open/x";
  readonly cookie: "none" | "garbage" | "session";
  readonly isPreflight: boolean;
  readonly client: number;
  /** Milliseconds to the next check. */
  readonly pause: number;
}

const said: fc.Arbitrary<Said> = fc.record({
  host: fc.constantFrom("app", "other", "public", "static", "unknown", "odd host", null),
  method: fc.constantFrom("GET", "HEAD", "OPTIONS", "POST"),
  forwardedMethod: fc.constantFrom("GET", "OPTIONS", "BREW", null),
  uri: fc.constantFrom("/", "/%zz", "/hang", "/open/x"),
  cookie: fc.constantFrom("none", "garbage"),
  isPreflight: fc.boolean(),
  client: fc.integer({ min: 1, max: 5 }),
  pause: fc.constantFrom(0, 1, 60, 2_000, 70_000),
});

const HONEST: Said = {
  ...{ host: "app", method: "GET", forwardedMethod: "GET", uri: "/" },
  ...{ cookie: "none", isPreflight: false, client: 9, pause: 200 },
};

function checkOf(one: Said): Check {
  const headers = [
    ...["Host", "sparekey:9000", "X-Forwarded-Proto", "https", "X-Forwarded-Uri", one.uri],
    ...["X-Forwarded-For", `192.0.2.${one.client}`],
    ...(one.host === null ? [] : ["X-Forwarded-Host", one.host]),
    ...(one.forwardedMethod === null ? [] : ["X-Forwarded-Method", one.forwardedMethod]),
    ...(one.cookie === "none" ? [] : ["Cookie", one.cookie]),
    ...(one.isPreflight ? ["Access-Control-Request-Method", "GET"] : []),
  ];
  return check({ method: one.method, headers });
}

const HUNG: Outcome = { kind: "failure", reason: "read_timeout", silent: true };
const COOKIE = ["Set-Cookie", "authentik_proxy_5ba4e1c2=x"];
const NAMED = ["X-authentik-username", "demo"];

/** An outpost with two apps, an open one, and a host that is redirected elsewhere by a rule. */
function answerOf(method: string, headers: RawHeaders, state: State): Outcome {
  const said = (name: string) => firstHeader(headers, name);
  const host = said("x-forwarded-host");
  const uri = said("x-forwarded-uri") ?? "";
  if (state === "hangs" || uri === "/hang") return HUNG;
  if (state === "answers-503") return answering(answer(503));
  if (uri === "/%zz") return answering(answer(500, [], "configuration error"));
  if (method === "OPTIONS" || said("x-forwarded-method") === "OPTIONS") return answering(answer(200));
  if (host === "public" || uri.startsWith("/open/")) return answering(answer(200));
  if (host === "static") return answering(answer(301, ["Location", "https://elsewhere.example/"]));
  if (host !== "app" && host !== "other") return answering(answer(400, [], '{"error":"no app"}'));
  return answerOfApp(said("cookie") === "session", state);
}

function answerOfApp(hasSession: boolean, state: State): Outcome {
  if (state === "answers-500") return answering(answer(500));
  if (hasSession) return answering(answer(200, NAMED));
  if (state === "store-full") return answering(answer(400));
  if (state === "open-to-all") return answering(answer(200));
  const cookie = state === "no-cookie" ? [] : COOKIE;
  return answering(answer(302, ["Location", "https://auth.example/", ...cookie]));
}

interface Scene {
  ask(said: Said): Promise<Decision | null>;
  /** The upstream is in `state` from now on, and so much time goes by. */
  turn(state: State, milliseconds: number): void;
  close(): void;
}

function scene(changes: Partial<Route>): Scene {
  const subject = route({
    path: { kind: "exact", path: "/auth" },
    fault: {
      ...FAULT_RULES,
      expect: {
        challenge: { headers: [], cookie: "authentik_proxy_", location: null },
        allow: { headers: ["x-authentik-username"] },
      },
    },
    probe: PROBE_RULES,
    ...changes,
  });
  let clock = 1_000_000;
  let state: State = "well";
  const exchange = (method: string, headers: RawHeaders): Outcome => {
    const outcome = answerOf(method, headers, state);
    // Silence takes its time, and nothing else does.
    if (outcome === HUNG) clock += 5_000;
    else clock += 2;
    return outcome;
  };
  const now = () => clock;
  const health = new RouteHealth(
    subject,
    {
      ask: async (_upstream, request) => exchange(request.method, request.headers),
      record: { probe: () => {}, proven: () => {}, breaker: () => {} },
      recovered: () => {},
      now,
      random: () => 0,
      userAgent: "sparekey/1",
    },
    null,
  );
  const deps: AnswerCheckDeps = {
    exchange: async (_upstream, { check }) => exchange(check.method, check.headers),
    logins: { knows: () => false, attempt: async () => ({ kind: "missing" }) },
    record: {
      check: () => {},
      answer: () => {},
      fault: () => {},
      suspect: () => {},
      abandoned: () => {},
      login: () => {},
    },
    now,
  };
  const routeState: RouteState = {
    inFlight: 0,
    health,
    grace: { observe: () => {}, recall: () => null },
    logins: { take: () => [] },
    override: () => null,
  };
  const context = {
    route: subject,
    state: routeState,
    trustedProxies: null,
    gone: new AbortController().signal,
  };
  return {
    ask: async (one) => {
      const decision = await answerCheck(checkOf(one), context, deps);
      clock += one.pause;
      await settled();
      return decision;
    },
    turn: (next, milliseconds) => {
      state = next;
      clock += milliseconds;
    },
    close: () => health.close(),
  };
}

function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

function told(decision: Decision | null): string {
  if (decision === null) return "nothing";
  const { source, verdict, reply, fallback } = decision;
  return `${source} ${verdict} ${reply.status} ${fallback?.result ?? ""}`;
}

/** What was found just before the outage holds no longer. */
const SETTLED_MS = 3_000;

/** What an honest client is told once the outage has begun, again and again. */
async function toldInOutage(
  made: Scene,
  outage: State,
  cookie: Said["cookie"],
  others: readonly Said[] = [],
): Promise<readonly string[]> {
  made.turn(outage, SETTLED_MS);
  for (const other of others) await made.ask(other);
  const all: string[] = [];
  for (let asked = 0; asked < 3; asked += 1)
    all.push(told(await made.ask({ ...HONEST, cookie, pause: 1_500 })));
  return all;
}

const MODES: readonly { readonly name: string; readonly route: Partial<Route> }[] = [
  { name: "allow", route: { fallback: { mode: "allow", onOverload: "shed" } } },
  { name: "basic-auth", route: { fallback: basicAuth() } },
  {
    name: "basic-auth, with a host configured",
    route: { fallback: basicAuth(), probe: { ...PROBE_RULES, hosts: ["app"] } },
  },
  {
    name: "allow, with a wrong host configured",
    route: { fallback: { mode: "allow", onOverload: "shed" }, probe: { ...PROBE_RULES, hosts: ["unknown"] } },
  },
];

for (const { name, route: changes } of MODES) {
  t.test(`${name}: no teaching changes what an honest client is told in an outage`, async (t) => {
    const expected = new Map<string, readonly string[]>();
    const keyOf = (outage: State, cookie: Said["cookie"]) => `${outage} ${cookie}`;
    for (const outage of OUTAGES) {
      for (const cookie of ["none", "session"] as const) {
        const made = scene(changes);
        for (let warm = 0; warm < 3; warm += 1) await made.ask(HONEST);
        expected.set(keyOf(outage, cookie), await toldInOutage(made, outage, cookie));
        made.close();
      }
    }
    const property = fc.asyncProperty(
      fc.array(said, { maxLength: 12 }),
      fc.array(said, { maxLength: 12 }),
      fc.array(said, { maxLength: 6 }),
      fc.constantFrom(...OUTAGES),
      fc.constantFrom("none", "session"),
      async (before, after, during, outage, cookie) => {
        const made = scene(changes);
        try {
          const letIn: string[] = [];
          for (const one of [...before, HONEST, HONEST, HONEST, ...after]) {
            const decision = await made.ask(one);
            if (decision?.source === "fallback" && decision.fallback?.result === "allowed")
              letIn.push(told(decision));
          }
          if (letIn.length > 0) throw new Error(`let in while the upstream is well: ${letIn}`);
          const found = await toldInOutage(made, outage, cookie, during);
          const same = expected.get(keyOf(outage, cookie));
          if (JSON.stringify(found) !== JSON.stringify(same)) throw new Error(`told ${found}, not ${same}`);
        } finally {
          made.close();
        }
      },
    );
    await fc.assert(property, { numRuns: RUNS });
    t.pass(`${RUNS} teachings`);
  });
}
