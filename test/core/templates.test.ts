import t from "tap";
import { configuredSubject, NOBODY, type ProbeSubject } from "../../src/core/dialect.ts";
import { createTemplates, type Template, type Templates, unprovenSubject } from "../../src/core/templates.ts";
import type { ProvenVerdict } from "../../src/core/types.ts";

const CONFIGURED = configuredSubject("configured.example");

function subject(host: string): ProbeSubject {
  return { host, authority: "auth.example", proto: "https" };
}

function scene(...configured: readonly ProbeSubject[]) {
  const templates = createTemplates(configured);
  let clock = 0;
  const learn = (host: string, verdict: ProvenVerdict, client = "192.0.2.1"): readonly Template[] =>
    templates.learn({ subject: subject(host), verdict, client }, clock);
  /** Challenged to so many client addresses. */
  const challenged = (host: string, addresses: number): readonly Template[] =>
    Array.from({ length: addresses }, (_, index) => `192.0.2.${index}`).flatMap((client) =>
      learn(host, "challenge", client),
    );
  return {
    templates,
    learn,
    challenged,
    /** A check taught the host, and its probe got the same kind of verdict. */
    prove: (host: string, verdict: ProvenVerdict, addresses = 1): void => {
      clock += 3_600_000;
      const due = verdict === "challenge" ? challenged(host, addresses) : learn(host, verdict);
      for (const one of due) templates.proved(one, verdict);
    },
    advance: (milliseconds: number) => {
      clock += milliseconds;
    },
    deciding: (host: string | null) => hostsOf(templates.deciding(host)),
    now: () => clock,
  };
}

function hostsOf(templates: readonly Template[]): readonly (string | null)[] {
  return templates.map(({ subject }) => subject.host);
}

/** The only template that decides for a check of `host`. */
function only(templates: Templates, host: string | null): Template {
  const [one, ...more] = templates.deciding(host);
  if (one === undefined || more.length > 0) throw new Error("there is not one");
  return one;
}

t.test("nothing decides before anything is proven", async (t) => {
  const { templates, deciding, learn } = scene(CONFIGURED);
  learn("app.example", "challenge");
  for (const host of [null, "app.example", "configured.example"]) {
    t.same(deciding(host), []);
    t.equal(templates.isProven(host), false);
  }
  t.equal(templates.proven, null);
});

t.test("the first host that was proven decides for checks whose own host is not", async (t) => {
  for (const verdict of ["challenge", "allow"] as const) {
    const { templates, deciding, prove } = scene();
    prove("first.example", verdict);
    for (const host of ["first.example", "other.example", null])
      t.same(deciding(host), ["first.example"], verdict);
    t.equal(templates.proven, verdict);
    t.equal(templates.isProven("first.example"), true, verdict);
    t.equal(templates.isProven("other.example"), false, verdict);
    prove("second.example", verdict);
    t.same(deciding("second.example"), ["first.example"], `${verdict}: one check does not replace it`);
  }
});

t.test("a check's own host decides once it was challenged to three client addresses", async (t) => {
  const rows = [
    { name: "three", clients: ["a", "b", "c"], own: true },
    { name: "two", clients: ["a", "b"], own: false },
    { name: "one, again and again", clients: ["a", "a", "a", "a"], own: false },
  ];
  for (const { name, clients, own } of rows) {
    const { templates, deciding, prove, learn } = scene();
    prove("first.example", "challenge");
    const due = clients.flatMap((client) => learn("own.example", "challenge", client));
    t.same(hostsOf(due), own ? ["own.example"] : [], `${name}: its probe`);
    for (const one of due) templates.proved(one, "challenge");
    t.same(deciding("own.example"), [own ? "own.example" : "first.example"], name);
    t.same(deciding("other.example"), ["first.example"], `${name}: for others the first one`);
  }
});

t.test("allows do not count for a check's own host", async (t) => {
  const { prove, learn, deciding } = scene();
  prove("first.example", "allow");
  for (const client of ["a", "b", "c", "d"]) t.same(learn("own.example", "allow", client), []);
  t.same(deciding("own.example"), ["first.example"]);
});

t.test("configured hosts decide for every check, and beside its own", async (t) => {
  const second = configuredSubject("second.example");
  const { templates, deciding, learn, challenged, now, advance } = scene(CONFIGURED, second);
  const due = learn("first.example", "challenge");
  t.same(hostsOf(due), ["configured.example", "second.example", "first.example"], "any check has all proven");
  for (const one of due) templates.proved(one, "challenge");
  t.same(deciding("first.example"), ["configured.example", "second.example"], "in place of the first");
  t.same(deciding(null), ["configured.example", "second.example"]);
  advance(3_600_000);
  for (const one of challenged("own.example", 3)) templates.proved(one, "challenge");
  t.same(deciding("own.example"), ["configured.example", "second.example", "own.example"]);
  t.same(deciding("configured.example"), ["configured.example", "second.example"], "each once");
  t.same(templates.learn({ subject: CONFIGURED, verdict: "challenge", client: "a" }, now()), []);
});

t.test("of two configured hosts the one that is proven decides", async (t) => {
  const { templates, deciding, learn } = scene(CONFIGURED, configuredSubject("wrong.example"));
  const [right] = learn("app.example", "challenge");
  if (right) templates.proved(right, "challenge");
  t.same(deciding("app.example"), ["configured.example"]);
});

t.test("a host is proven by a probe of its own that got the same kind of verdict", async (t) => {
  const rows: readonly {
    readonly name: string;
    readonly taught: ProvenVerdict;
    readonly got: ProvenVerdict;
    readonly proven: ProvenVerdict | null;
  }[] = [
    { name: "a challenge, as taught", taught: "challenge", got: "challenge", proven: "challenge" },
    { name: "an allow, as taught", taught: "allow", got: "allow", proven: "allow" },
    {
      name: "a challenge where a session was passed: it shows sessions at work",
      taught: "allow",
      got: "challenge",
      proven: "challenge",
    },
    { name: "an allow where others are challenged", taught: "challenge", got: "allow", proven: null },
  ];
  for (const { name, taught, got, proven } of rows) {
    const { templates, learn } = scene();
    for (const one of learn("app.example", taught)) templates.proved(one, got);
    t.equal(templates.proven, proven, name);
  }
  for (const taught of ["challenge", "allow"] as const) {
    for (const got of ["challenge", "allow"] as const) {
      const { templates, learn } = scene(CONFIGURED);
      const [configured] = learn("app.example", taught);
      if (configured) templates.proved(configured, got);
      t.equal(templates.proven, got, `a configured host holds what it got: ${got} after ${taught}`);
    }
  }
});

t.test("a challenge shows more than an allow, whichever came first", async (t) => {
  const orders: readonly (readonly ProvenVerdict[])[] = [
    ["allow", "challenge"],
    ["challenge", "allow"],
  ];
  for (const order of orders) {
    const { templates, learn } = scene();
    const due = order.flatMap((verdict) => learn("app.example", verdict));
    for (const one of due) templates.proved(one, "allow");
    t.equal(templates.proven, null, `${order.join(", then ")}: a probe that is passed does not prove it`);
  }
});

t.test("where a challenge is proven, a host that is passed decides nothing", async (t) => {
  await t.test("it replaces the first host that was passed, after one check", async (t) => {
    const { templates, deciding, prove } = scene();
    prove("open.example", "allow");
    t.equal(templates.proven, "allow");
    prove("app.example", "challenge");
    t.equal(templates.proven, "challenge");
    for (const host of ["open.example", "app.example", null]) t.same(deciding(host), ["app.example"]);
  });

  await t.test("and no host that is passed replaces it", async (t) => {
    const { templates, deciding, prove } = scene();
    prove("app.example", "challenge");
    prove("open.example", "allow");
    t.same(deciding("open.example"), ["app.example"]);
    t.equal(templates.proven, "challenge");
  });

  await t.test("a configured one neither", async (t) => {
    const { templates, deciding, learn, challenged } = scene(CONFIGURED);
    const [configured] = learn("x.example", "challenge");
    if (configured) templates.proved(configured, "allow");
    t.same(deciding("app.example"), ["configured.example"]);
    for (const one of challenged("app.example", 3)) templates.proved(one, "challenge");
    t.same(deciding("app.example"), ["app.example"]);
  });
});

t.test(
  "a proof that fails is tried again after 10 s, and then after twice as long, up to an hour",
  async (t) => {
    const { templates, learn, advance } = scene();
    t.equal(learn("app.example", "challenge").length, 1);
    for (const seconds of [10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 3_600, 3_600]) {
      advance(seconds * 1_000 - 1);
      t.same(learn("app.example", "challenge"), [], `not before ${seconds} s`);
      advance(1);
      t.same(hostsOf(learn("app.example", "challenge")), ["app.example"], `${seconds} s`);
    }
    advance(3_600_000);
    for (const one of learn("app.example", "challenge")) templates.proved(one, "challenge");
    advance(7_200_000);
    t.same(learn("app.example", "challenge"), [], "what is proven needs no other proof");
  },
);

t.test(
  "a proven host that is answered otherwise beside one that is answered as ever is proven no longer",
  async (t) => {
    const { templates, deciding, prove, advance, learn } = scene(CONFIGURED);
    prove("own.example", "challenge", 3);
    const [configured, own] = templates.deciding("own.example");
    t.same([configured?.subject.host, own?.subject.host], ["configured.example", "own.example"]);
    if (configured) templates.unprove(configured);
    t.same(deciding("own.example"), ["own.example"]);
    advance(3_600_000);
    t.same(hostsOf(learn("own.example", "challenge")), ["configured.example"], "and is to be proven anew");
  },
);

t.test(
  "a lone one is learned anew after five minutes of like answers to three client addresses",
  async (t) => {
    const rows = [
      { name: "long, to three", span: 300_000, clients: ["a", "b", "c"], forgotten: true },
      { name: "long, to more", span: 900_000, clients: ["a", "b", "c", "d"], forgotten: true },
      { name: "not for as long", span: 299_999, clients: ["a", "b", "c"], forgotten: false },
      { name: "to two", span: 900_000, clients: ["a", "b", "a"], forgotten: false },
    ];
    for (const { name, span, clients, forgotten } of rows) {
      const { templates, prove } = scene();
      prove("app.example", "challenge");
      const one = only(templates, null);
      const begin = 1_000_000;
      for (const [index, client] of clients.entries()) {
        templates.answeredOtherwise(one, client, begin + (span * index) / (clients.length - 1));
      }
      t.equal(templates.isProven("app.example"), !forgotten, name);
    }
  },
);

t.test("an answer as ever in between begins the five minutes anew", async (t) => {
  const { templates, prove } = scene();
  prove("app.example", "challenge");
  const one = only(templates, null);
  for (const client of ["a", "b", "c"]) templates.answeredOtherwise(one, client, 0);
  templates.answeredAsProven(one);
  for (const client of ["a", "b"]) templates.answeredOtherwise(one, client, 300_000);
  templates.answeredOtherwise(one, "a", 599_999);
  t.equal(templates.isProven("app.example"), true);
  templates.answeredOtherwise(one, "c", 600_000);
  t.equal(templates.isProven("app.example"), false);
});

t.test(
  "a host that is learned anew may be proven as something else, and needs its addresses again",
  async (t) => {
    const { templates, deciding, prove, challenged, advance } = scene();
    prove("app.example", "challenge", 3);
    templates.unprove(only(templates, "app.example"));
    t.same(deciding("app.example"), []);
    prove("app.example", "allow");
    t.equal(templates.proven, "allow");
    advance(10_000);
    t.same(
      hostsOf(challenged("app.example", 1)),
      ["app.example"],
      "one check is enough for a challenge again",
    );
  },
);

t.test("where the first host is forgotten, the next proven one takes its place", async (t) => {
  const { templates, deciding, prove } = scene();
  prove("first.example", "challenge");
  prove("own.example", "challenge", 3);
  templates.unprove(only(templates, null));
  for (const host of ["own.example", "first.example", null]) t.same(deciding(host), ["own.example"]);
  t.equal(templates.proven, "challenge");
});

t.test("256 hosts are remembered, and attackers' hosts never push out proven ones", async (t) => {
  const { deciding, prove, learn } = scene();
  prove("first.example", "challenge");
  prove("own.example", "challenge", 3);
  for (let index = 0; index < 1_000; index += 1)
    learn(`evil-${index}.example`, "challenge", `client ${index}`);
  t.same(deciding("own.example"), ["own.example"]);
  t.same(deciding("evil-999.example"), ["first.example"]);
});

t.test("where 256 hosts are proven, no other one is remembered", async (t) => {
  const { templates, prove } = scene();
  for (let index = 0; index < 256; index += 1) prove(`app-${index}.example`, "challenge", 3);
  prove("late.example", "challenge", 3);
  t.equal(templates.isProven("late.example"), false);
  t.equal(templates.isProven("app-0.example"), true);
  t.equal(templates.isProven("app-255.example"), true);
});

t.test("a host that was challenged to two addresses keeps its place while there is room", async (t) => {
  const { templates, prove, learn, challenged } = scene();
  prove("first.example", "challenge");
  challenged("own.example", 2);
  for (let index = 0; index < 254; index += 1) learn(`app-${index}.example`, "challenge");
  const due = learn("own.example", "challenge", "the third");
  for (const one of due) templates.proved(one, "challenge");
  t.equal(templates.isProven("own.example"), true);
});

t.test("a check without a host teaches the probe that names none", async (t) => {
  const { templates } = scene();
  const [one] = templates.learn({ subject: NOBODY, verdict: "allow", client: "a" }, 0);
  if (one) templates.proved(one, "allow");
  t.same(templates.deciding(null)[0]?.subject, NOBODY);
  t.equal(templates.isProven(null), true);
});

t.test("a probe when no host is proven", async (t) => {
  const own = subject("own.example");
  t.equal(unprovenSubject([CONFIGURED], own), CONFIGURED);
  t.equal(unprovenSubject([CONFIGURED], null), CONFIGURED);
  t.equal(unprovenSubject([], own), own);
  t.equal(unprovenSubject([], null), NOBODY);
});
