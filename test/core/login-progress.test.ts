import t from "tap";
import {
  createLoginHistory,
  createLoginProgress,
  type FailingLogins,
  type LoginStep,
  loginStep,
} from "../../src/core/login-progress.ts";
import type { Answer, LoginEnd, Outcome } from "../../src/core/types.ts";
import { answering, failing, run, world } from "../support/check-world.ts";
import { answer, check } from "../support/fixtures.ts";

const START = "/outpost.goauthentik.io/start";
const CALLBACK = "/outpost.goauthentik.io/callback";
const FINISHED = `${CALLBACK}?X-authentik-auth-callback=true&code=c0de&state=5tate`;
const TO_APP = ["Location", "https://app.example.com/"];
const SESSION = ["Set-Cookie", "authentik_proxy_5ba4e1c2=s"];

t.test("what a request is to a login", async (t) => {
  const rows: readonly { name: string; target: string; answer: Answer | null; is: LoginStep | null }[] = [
    {
      name: "the session is saved",
      target: FINISHED,
      answer: answer(302, [...TO_APP, ...SESSION]),
      is: "ends well",
    },
    {
      name: "by another redirect",
      target: FINISHED,
      answer: answer(303, [...SESSION, ...TO_APP]),
      is: "ends well",
    },
    { name: "no session is saved", target: FINISHED, answer: answer(302, TO_APP), is: "ends badly" },
    { name: "2026.8, its store full", target: FINISHED, answer: answer(500, SESSION), is: "ends badly" },
    { name: "others, their store full", target: FINISHED, answer: answer(400), is: "ends badly" },
    { name: "no answer", target: FINISHED, answer: null, is: "ends badly" },
    { name: "a page", target: FINISHED, answer: answer(200), is: null },
    { name: "made up: no code", target: `${CALLBACK}?state=5tate`, answer: answer(400), is: null },
    { name: "made up: no state", target: `${CALLBACK}?code=c0de`, answer: answer(400), is: null },
    {
      name: "made up: an empty code",
      target: `${CALLBACK}?code=&state=5tate`,
      answer: answer(400),
      is: null,
    },
    {
      name: "made up: only the flag",
      target: `${CALLBACK}?X-authentik-auth-callback=true`,
      answer: answer(400),
      is: null,
    },
    { name: "nothing at all", target: CALLBACK, answer: answer(400), is: null },
    {
      name: "the start",
      target: `${START}?rd=https%3A%2F%2Fapp.example.com`,
      answer: answer(302),
      is: "begins",
    },
    {
      name: "another path",
      target: "/outpost.goauthentik.io/sign_out?code=c&state=s",
      answer: answer(500),
      is: null,
    },
    { name: "a longer path", target: `${CALLBACK}/?code=c&state=s`, answer: answer(500), is: null },
  ];
  for (const { name, target, answer, is } of rows) t.equal(loginStep(check({ target }), answer), is, name);
});

t.test("how logins end", async (t) => {
  const rows: readonly {
    name: string;
    /** The second, the client, what it does, and what that counts as. */
    steps: readonly (readonly [number, string | null, LoginStep, readonly LoginEnd[]])[];
  }[] = [
    {
      name: "well, and badly",
      steps: [
        [0, "a", "begins", []],
        [1, "a", "ends well", ["ok"]],
        [2, "b", "ends badly", ["failed"]],
      ],
    },
    {
      name: "sent to the start again",
      steps: [
        [0, "a", "ends well", ["ok"]],
        [9, "a", "begins", ["loop"]],
      ],
    },
    {
      name: "sent to it after ten seconds",
      steps: [
        [0, "a", "ends well", ["ok"]],
        [10, "a", "begins", []],
      ],
    },
    {
      name: "another client",
      steps: [
        [0, "a", "ends well", ["ok"]],
        [1, "b", "begins", []],
        [2, "b", "ends well", ["ok"]],
      ],
    },
    {
      name: "round and round, where the check leads to the callback at once",
      steps: [
        [0, "a", "ends well", ["ok"]],
        [1, "a", "ends well", ["loop", "ok"]],
        [2, "a", "ends badly", ["loop", "failed"]],
        [3, "a", "ends badly", ["failed"]],
      ],
    },
    {
      name: "one loop for one login, by the start and the callback",
      steps: [
        [0, "a", "ends well", ["ok"]],
        [1, "a", "begins", ["loop"]],
        [2, "a", "ends well", ["ok"]],
        [3, "a", "begins", ["loop"]],
      ],
    },
    {
      name: "clients that the gateway does not name are not told apart",
      steps: [
        [0, null, "ends well", ["ok"]],
        [1, null, "begins", []],
        [2, null, "ends badly", ["failed"]],
      ],
    },
  ];
  for (const { name, steps } of rows) {
    const progress = createLoginProgress();
    for (const [second, client, step, ends] of steps)
      t.same(progress.take(step, client, second * 1_000), ends, `${name}: second ${second}`);
  }
});

t.test("of finished logins, 1,024 are remembered, and the oldest go", async (t) => {
  const progress = createLoginProgress();
  for (let client = 0; client < 1_025; client += 1) progress.take("ends well", `c${client}`, 0);
  t.same(progress.take("begins", "c0", 1), []);
  t.same(progress.take("begins", "c1", 1), ["loop"]);
});

const MINUTE = 60_000;

/** Five failures from three addresses. */
const FIVE_OF_THREE = ["a", "b", "c", "a", "b"].map((client) => [0, client, "failed"] as const);

t.test("logins fail when five failed from three addresses, and none went well", async (t) => {
  const rows: readonly {
    name: string;
    /** The minute, the client, and how the login ended. */
    ends: readonly (readonly [number, string | null, LoginEnd])[];
    at: number;
    is: FailingLogins | null;
  }[] = [
    { name: "none yet", ends: [], at: 0, is: null },
    { name: "five of three", ends: FIVE_OF_THREE, at: 0, is: { failed: 5, addresses: 3 } },
    { name: "to the last", ends: FIVE_OF_THREE, at: 9.99, is: { failed: 5, addresses: 3 } },
    { name: "ten minutes later", ends: FIVE_OF_THREE, at: 10, is: null },
    { name: "four", ends: FIVE_OF_THREE.slice(0, 4), at: 0, is: null },
    {
      name: "two addresses, however often",
      ends: Array.from({ length: 50 }, (_, n) => [0, n % 2 === 0 ? "a" : "b", "failed"] as const),
      at: 0,
      is: null,
    },
    {
      name: "clients that are not named are one address",
      ends: [...FIVE_OF_THREE.slice(0, 2), ...Array(9).fill([0, null, "failed"])],
      at: 0,
      is: { failed: 7, addresses: 3 },
    },
    { name: "one went well since", ends: [...FIVE_OF_THREE, [1, "z", "ok"]], at: 1, is: null },
    { name: "one went well before", ends: [[0, "z", "ok"], ...FIVE_OF_THREE], at: 9.99, is: null },
    {
      name: "the last good one is ten minutes ago",
      ends: [[-1, "z", "ok"], ...FIVE_OF_THREE],
      at: 9,
      is: { failed: 5, addresses: 3 },
    },
    {
      name: "a loop went well before",
      ends: [...FIVE_OF_THREE, [1, "z", "loop"]],
      at: 1,
      is: { failed: 5, addresses: 3 },
    },
    {
      name: "some are too old",
      ends: [
        [0, "a", "failed"],
        [5, "a", "failed"],
        [5, "b", "failed"],
        [5, "c", "failed"],
        [5, "c", "failed"],
      ],
      at: 11,
      is: null,
    },
  ];
  for (const { name, ends, at, is } of rows) {
    const history = createLoginHistory();
    for (const [minute, client, end] of ends) history.add(end, client, minute * MINUTE);
    t.same(history.failing(at * MINUTE), is, name);
  }
});

t.test("a client with many failures does not push out the others", async (t) => {
  const history = createLoginHistory();
  for (const client of ["b", "c"]) history.add("failed", client, 0);
  for (let count = 0; count < 5_000; count += 1) history.add("failed", "a", count);
  t.same(history.failing(5_000), { failed: 7, addresses: 3 });
  for (let client = 0; client < 5_000; client += 1) history.add("failed", `x${client}`, 5_000);
  t.same(history.failing(5_000), { failed: 1_024, addresses: 1_024 }, "and they are bounded");
});

t.test("the data path counts them, and decides as ever", async (t) => {
  const plain = { loginOf: "authentik", fallback: { mode: "none" } } as const;
  const client = ["X-Forwarded-For", "2001:db8:1:2:3::4"];
  const wellDone = answering(answer(302, [...TO_APP, ...SESSION]));
  const rows: readonly {
    name: string;
    outcome: Outcome;
    route?: object;
    target?: string;
    headers?: readonly string[];
    logins: readonly string[];
  }[] = [
    { name: "well", outcome: wellDone, logins: ["login ok of 2001:db8:1:2::/64"] },
    { name: "badly", outcome: answering(answer(500)), logins: ["login failed of 2001:db8:1:2::/64"] },
    { name: "without an answer", outcome: failing("reset"), logins: ["login failed of 2001:db8:1:2::/64"] },
    { name: "of whom nobody knows", outcome: wellDone, headers: [], logins: ["login ok of null"] },
    { name: "the client left", outcome: { kind: "abandoned", isLate: false }, logins: [] },
    { name: "our own limits", outcome: { kind: "overload" }, logins: [] },
    { name: "another page", outcome: wellDone, target: "/outpost.goauthentik.io/ping", logins: [] },
    { name: "a route without logins", outcome: wellDone, route: { loginOf: null }, logins: [] },
  ];
  for (const { name, outcome, route = {}, target = FINISHED, headers = client, logins } of rows) {
    const made = world(outcome, { route: { ...plain, ...route } });
    const decision = await run(made, check({ target, headers }));
    t.same(
      made.recorded.filter((line) => line.startsWith("login")),
      logins,
      name,
    );
    if (outcome === wellDone) t.equal(decision?.reply.status, 302, `${name}: the reply`);
  }
});
