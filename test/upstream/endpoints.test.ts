import t, { type Test } from "tap";
import type { EndpointChange } from "../../src/core/endpoint.ts";
import type { Address } from "../../src/core/snapshot.ts";
import type { Endpoint } from "../../src/upstream/endpoint.ts";
import { Endpoints } from "../../src/upstream/endpoints.ts";
import { type ConnectionKind, ConnectionRecord, type Pooled } from "../../src/upstream/pooled-connection.ts";
import { createResolver } from "../../src/upstream/resolver.ts";

const FILES = Object.assign(new Error("EMFILE"), { code: "EMFILE" });
const NO_NAME = new Error("ENOTFOUND");
const DNS = { kind: "failure", reason: "dns" } as const;
const OVERLOAD = { kind: "overload" } as const;

interface Lookup {
  readonly name: string;
  found(...addresses: string[]): Promise<void>;
  failed(error: Error): Promise<void>;
}

/** What is waiting has its turn. */
const turn = (): Promise<void> => new Promise((done) => setImmediate(done));

/** `hosts`: names and addresses; all have port 9000. */
function scene(t: Test, ...hosts: string[]) {
  const clock = { now: 1_000_000 };
  /** What `random` gives, one after another, and then zeros. */
  const chances: number[] = [];
  const lookups: Lookup[] = [];
  const changes: EndpointChange[] = [];
  const servers: Address[] = hosts.map((host) => ({ host, port: 9_000 }));
  const endpoints = new Endpoints(servers, {
    resolve: (name) =>
      new Promise((resolve, reject) => {
        lookups.push({
          name,
          found: (...addresses) => {
            resolve(addresses);
            return turn();
          },
          failed: (error) => {
            reject(error);
            return turn();
          },
        });
      }),
    now: () => clock.now,
    random: () => chances.shift() ?? 0,
    onChange: (change) => changes.push(change),
  });
  t.teardown(() => endpoints.close());
  const known = (): string => endpoints.all.map(({ address }) => address).join(" ");
  /** The endpoint with this address. */
  const at = (address: string): Endpoint => {
    const found = endpoints.all.find((endpoint) => endpoint.address === address);
    if (!found) throw new Error(`${address} is not known`);
    return found;
  };
  const changed = (): EndpointChange[] => changes.splice(0);
  return { endpoints, clock, chances, lookups, known, at, changed };
}

type Scene = ReturnType<typeof scene>;

const A = "192.0.2.1";
const B = "192.0.2.2";
const C = "192.0.2.3";

/** Lets no timer run by itself. */
function heldTimers(t: Test) {
  const timers: { readonly wait: number; readonly run: () => void }[] = [];
  t.intercept(globalThis, "setTimeout", {
    value: (run: () => void, wait: number) => {
      timers.push({ wait: Math.round(wait), run });
      const timer = { unref: () => timer };
      return timer;
    },
  });
  return timers;
}

const KIND: ConnectionKind<Pooled> = {
  reading: "stream",
  create: () => {
    throw new Error("no connection is opened here");
  },
  isOne: (connection): connection is Pooled => connection !== null,
};

/** An idle connection to `endpoint`, which says whether it was closed. */
function idleAt(endpoint: Endpoint): { isClosed: boolean } {
  const connection = {
    record: new ConnectionRecord(endpoint, KIND, 0),
    usable: true,
    hasTurn: false,
    hasOthers: false,
    isClosed: false,
    close: () => {
      connection.isClosed = true;
    },
  };
  endpoint.idle.push(connection);
  return connection;
}

t.test("addresses need no lookup", async (t) => {
  const { endpoints, lookups, known } = scene(t, A, "2001:db8::1");
  t.equal(endpoints.ready(), null);
  endpoints.use();
  t.equal(lookups.length, 0);
  t.equal(known(), `${A} 2001:db8::1`);
  t.same(endpoints.statuses, [
    { endpoint: `${A}:9000`, ejected: null },
    { endpoint: "[2001:db8::1]:9000", ejected: null },
  ]);
});

t.test("what the first lookups of names come to", async (t) => {
  const cases: readonly {
    name: string;
    hosts: readonly string[];
    answers: Record<string, readonly string[] | Error>;
    is: object | null;
    known: string;
  }[] = [
    { name: "one address", hosts: ["a"], answers: { a: [A] }, is: null, known: A },
    { name: "several addresses", hosts: ["a"], answers: { a: [A, B] }, is: null, known: `${A} ${B}` },
    { name: "an address twice", hosts: ["a"], answers: { a: [A, A] }, is: null, known: A },
    { name: "no such name", hosts: ["a"], answers: { a: NO_NAME }, is: DNS, known: "" },
    { name: "our own limits", hosts: ["a"], answers: { a: FILES }, is: OVERLOAD, known: "" },
    {
      name: "two names",
      hosts: ["a", "b"],
      answers: { a: [A], b: [B] },
      is: null,
      known: `${A} ${B}`,
    },
    {
      name: "the other name hangs",
      hosts: ["a", "b"],
      answers: { b: [B] },
      is: null,
      known: B,
    },
    {
      name: "the other name does not exist",
      hosts: ["a", "b"],
      answers: { a: NO_NAME, b: [B] },
      is: null,
      known: B,
    },
    {
      name: "neither name exists",
      hosts: ["a", "b"],
      answers: { a: NO_NAME, b: NO_NAME },
      is: DNS,
      known: "",
    },
    {
      name: "one does not exist, and our own limits end the other lookup",
      hosts: ["a", "b"],
      answers: { a: NO_NAME, b: FILES },
      is: OVERLOAD,
      known: "",
    },
  ];
  for (const { name, hosts, answers, is, known: addresses } of cases) {
    const { endpoints, lookups, known, changed } = scene(t, ...hosts);
    const ready = endpoints.ready();
    for (const lookup of lookups.slice()) {
      const answer = answers[lookup.name];
      if (answer instanceof Error) await lookup.failed(answer);
      else if (answer) await lookup.found(...answer);
    }
    t.same(await ready, is, name);
    t.equal(known(), addresses, `${name}: what is known`);
    t.same(changed(), [], `${name}: the first addresses are no news`);
  }
});

t.test("a name has one lookup at a time, and a new one after a failure", async (t) => {
  const { endpoints, lookups } = scene(t, "outpost");
  const both = [endpoints.ready(), endpoints.ready()];
  endpoints.use();
  t.equal(lookups.length, 1);
  await lookups[0]?.failed(NO_NAME);
  t.same(await Promise.all(both), [DNS, DNS]);
  const again = endpoints.ready();
  t.equal(lookups.length, 2);
  await lookups[1]?.found(A);
  t.equal(await again, null);
  t.equal(endpoints.ready(), null, "and none while its addresses are young");
});

t.test("addresses that join and leave", async (t) => {
  const all = scene(t, "outpost");
  const { endpoints, lookups, known, at, changed, clock } = all;
  const relooked = async (): Promise<Lookup | undefined> => {
    clock.now += 60_001;
    void endpoints.ready();
    return lookups.at(-1);
  };
  void endpoints.ready();
  await lookups[0]?.found(A, B);
  const [a, b] = [at(A), at(B)];
  const [ofA, ofB] = [idleAt(a), idleAt(b)];

  await (await relooked())?.found(C, B);
  t.equal(known(), `${B} ${C}`);
  t.same(changed(), [
    { kind: "joined", endpoint: `${C}:9000` },
    { kind: "left", endpoint: `${A}:9000` },
  ]);
  t.equal(at(B), b, "what is known of one that stays is kept");
  t.same([a.hasLeft, ofA.isClosed], [true, true], "one that left is drained");
  t.same([b.hasLeft, ofB.isClosed], [false, false]);

  await (await relooked())?.found(B, C);
  t.same(changed(), [], "their order says nothing");
  await (await relooked())?.failed(NO_NAME);
  t.equal(known(), `${B} ${C}`, "a lookup that fails changes nothing");
  t.same(changed(), []);

  await (await relooked())?.found(A, B);
  t.not(at(A), a, "one that is back is a new one");
});

t.test("the addresses of one name say nothing about those of another, or about a given one", async (t) => {
  const { endpoints, lookups, known, changed, clock } = scene(t, "a", "b", C);
  void endpoints.ready();
  await lookups[0]?.found(A);
  await lookups[1]?.found(B);
  t.equal(known(), `${C} ${A} ${B}`);
  clock.now += 60_001;
  void endpoints.ready();
  await lookups[2]?.found("192.0.2.9");
  t.equal(known(), `${C} ${B} 192.0.2.9`);
  t.same(
    changed().map(({ kind, endpoint }) => `${kind} ${endpoint}`),
    ["joined 192.0.2.9:9000", `left ${A}:9000`],
  );
});

t.test("known addresses outlive a name server, and one that finds nothing", async (t) => {
  const clock = { now: 0 };
  const answers: (readonly string[] | Error)[] = [[A], [], NO_NAME];
  const resolve = createResolver(
    () => clock.now,
    (_name, done) => {
      const answer = answers.shift() ?? NO_NAME;
      const error = answer instanceof Error ? answer : null;
      const found = answer instanceof Error ? [] : answer.map((address) => ({ address, family: 4 }));
      setImmediate(() => done(error, found));
    },
  );
  const endpoints = new Endpoints([{ host: "outpost", port: 9_000 }], {
    ...{ resolve, now: () => clock.now, random: () => 0 },
    onChange: ({ kind }) => t.fail(kind),
  });
  for (let day = 0; day < 4; day += 1) {
    t.equal(await endpoints.ready(), null, `day ${day}`);
    t.same(
      endpoints.all.map(({ address }) => address),
      [A],
    );
    clock.now += 86_400_000;
  }
  t.equal(answers.length, 0);
});

t.test(
  "addresses older than a minute are looked up first, but a silent name server is not waited for",
  async (t) => {
    const { endpoints, clock, lookups, known } = scene(t, "outpost");
    void endpoints.ready();
    await lookups[0]?.found(A);
    clock.now += 60_000;
    t.equal(endpoints.ready(), null);
    t.equal(lookups.length, 1);
    clock.now += 1;
    const moved = endpoints.ready();
    t.equal(lookups.length, 2);
    await lookups[1]?.found(B);
    t.equal(await moved, null);
    t.equal(known(), B);

    clock.now += 60_001;
    const begin = performance.now();
    t.equal(await endpoints.ready(), null);
    const waited = performance.now() - begin;
    t.ok(waited > 450 && waited < 5_000, `it was waited for ${waited} ms`);
    t.equal(known(), B);
    t.equal(lookups.length, 3);
  },
);

t.test("names are looked up every 5 s, a fifth more or less, while the upstream is used", async (t) => {
  const timers = heldTimers(t);
  const { endpoints, lookups, chances } = scene(t, "outpost");
  t.equal(timers.length, 0, "nothing before it is used");
  chances.push(0);
  endpoints.use();
  endpoints.use();
  t.same([lookups.length, timers.map(({ wait }) => wait)], [1, [4_000]]);
  await lookups[0]?.found(A);
  chances.push(1);
  timers[0]?.run();
  t.same([lookups.length, timers.map(({ wait }) => wait)], [2, [4_000, 6_000]]);
  await lookups[1]?.found(A);
  timers[1]?.run();
  t.same([lookups.length, timers.length], [2, 2], "it was not used since");
  endpoints.use();
  t.same([lookups.length, timers.length], [3, 3], "it is used again");
  timers[2]?.run();
  t.equal(lookups.length, 3, "a lookup that hangs is waited for");
});

t.test("once closed, no lookup begins, and one that ends late changes nothing", async (t) => {
  const timers = heldTimers(t);
  const { endpoints, lookups, clock, known, changed } = scene(t, "outpost");
  endpoints.use();
  await lookups[0]?.found(A);
  clock.now += 60_001;
  void endpoints.ready();
  endpoints.close();
  await lookups[1]?.found(B);
  t.equal(known(), A);
  t.same(changed(), []);
  timers[0]?.run();
  endpoints.use();
  t.equal(lookups.length, 2);
});

t.test("regression: a check that waits for the first lookup has its endpoint, closed or not", async (t) => {
  const { endpoints, lookups, known } = scene(t, "outpost");
  const ready = endpoints.ready();
  endpoints.close();
  await lookups[0]?.found(A);
  t.equal(await ready, null);
  t.equal(known(), A);
});

/** The endpoints A, B and C, with a failure of those that are to be ejected, in their order. */
function three(t: Test, ejected: Record<string, "all" | "cookieless"> = {}): Scene {
  const made = scene(t, A, B, C);
  for (const [address, from] of Object.entries(ejected)) eject(made, address, from);
  made.changed();
  return made;
}

function eject({ endpoints, at, chances }: Scene, address: string, from: "all" | "cookieless"): void {
  chances.push(0.5);
  endpoints.failed(at(address), "refused", from);
}

t.test("the first choice: of two at random, the one with fewer checks in flight", async (t) => {
  const rows = [
    { name: "none is busier: the first drawn", draws: [0, 0], inFlight: [0, 0, 0], is: A },
    { name: "none is busier: the first drawn again", draws: [0.5, 0], inFlight: [2, 2, 2], is: B },
    { name: "the first drawn is busier", draws: [0, 0], inFlight: [1, 0, 0], is: B },
    { name: "the second drawn is busier", draws: [0, 0], inFlight: [0, 1, 0], is: A },
    { name: "the second draw is of the others alone", draws: [0, 0.5], inFlight: [1, 1, 0], is: C },
    { name: "one that is not drawn", draws: [0, 0], inFlight: [2, 1, 0], is: B },
    { name: "the last of the list", draws: [0.999, 0.999], inFlight: [0, 0, 1], is: B },
    { name: "the last of the list, with the next", draws: [0.999, 0], inFlight: [0, 0, 1], is: A },
  ];
  for (const { name, draws, inFlight, is } of rows) {
    const { endpoints, chances, at } = three(t);
    for (const [index, address] of [A, B, C].entries()) at(address).inFlight = inFlight[index] ?? 0;
    chances.push(...draws);
    t.equal(endpoints.first(false, true)?.address, is, name);
  }
  t.equal(scene(t, "outpost").endpoints.first(false, true), null, "none is known");
});

t.test("the first choice, where some are ejected", async (t) => {
  const rows = [
    { name: "one", ejected: { [A]: "all" }, hasCookie: true, is: [B, C] },
    { name: "two", ejected: { [A]: "all", [C]: "all" }, hasCookie: true, is: [B] },
    { name: "for checks without a cookie", ejected: { [A]: "cookieless" }, hasCookie: false, is: [B, C] },
    { name: "for others", ejected: { [A]: "cookieless" }, hasCookie: true, is: [A, B, C] },
    {
      name: "each for some reason: the one that others still ask",
      ejected: { [A]: "cookieless", [B]: "all", [C]: "all" },
      hasCookie: false,
      is: [A],
    },
  ] as const;
  for (const { name, ejected, hasCookie, is } of rows) {
    const { endpoints, chances } = three(t, ejected);
    const seen = new Set<string | undefined>();
    for (const draw of [0, 0.34, 0.67, 0.99]) {
      chances.push(draw, 0);
      seen.add(endpoints.first(hasCookie, true)?.address);
      chances.splice(0);
    }
    t.same([...seen].sort(), is, name);
  }
});

t.test("trials", async (t) => {
  const rows = [
    { name: "not before it is due", after: 999, mayTry: true, hasCookie: true, is: B },
    { name: "one that is due", after: 1_000, mayTry: true, hasCookie: true, is: A },
    { name: "not with a check that may not try", after: 1_000, mayTry: false, hasCookie: true, is: B },
  ];
  for (const { name, after, mayTry, hasCookie, is } of rows) {
    const { endpoints, clock } = three(t, { [A]: "all" });
    clock.now += after;
    t.equal(endpoints.first(hasCookie, mayTry)?.address, is, name);
  }

  await t.test("one at a time, and another once it is lost", async (t) => {
    const { endpoints, clock } = three(t, { [A]: "all" });
    clock.now += 1_000;
    t.equal(endpoints.first(true, true)?.address, A);
    t.equal(endpoints.first(true, true)?.address, B);
    clock.now += 1_999;
    t.equal(endpoints.first(true, true)?.address, B);
    clock.now += 1;
    t.equal(endpoints.first(true, true)?.address, A);
  });

  await t.test("one that works brings it back, and a failed one does not", async (t) => {
    const { endpoints, clock, at, changed, chances } = three(t, { [A]: "all" });
    endpoints.worked(at(A), true);
    t.same(changed(), [], "a late answer is no trial");
    clock.now += 1_000;
    endpoints.first(true, true);
    chances.push(0.5);
    endpoints.failed(at(A), "read_timeout", "all");
    t.same(changed(), []);
    t.match(endpoints.statuses[0], {
      ejected: { from: "all", reason: "read_timeout", since: 1_000_000 },
    });
    clock.now += 1_999;
    t.equal(endpoints.first(true, true)?.address, B);
    clock.now += 1;
    t.equal(endpoints.first(true, true)?.address, A);
    clock.now += 9_500;
    endpoints.worked(at(A), true);
    t.same(changed(), [{ kind: "restored", endpoint: `${A}:9000`, from: "all", seconds: 13 }]);
    t.equal(endpoints.statuses[0]?.ejected, null);
  });

  await t.test("for checks without a cookie, those try alone", async (t) => {
    const { endpoints, clock, at, changed, chances } = three(t, { [A]: "cookieless" });
    clock.now += 1_000;
    chances.push(0.5, 0);
    t.equal(endpoints.first(true, true)?.address, B, "with a cookie it is one of three");
    t.equal(endpoints.first(false, true)?.address, A);
    endpoints.worked(at(A), true);
    t.same(changed(), [], "an answer to another says nothing of logins");
    endpoints.worked(at(A), false);
    t.match(changed(), [{ kind: "restored", from: "cookieless" }]);
  });
});

t.test("the next choice", async (t) => {
  const rows = [
    { name: "one in use that was not tried", ejected: {}, tried: [A, B], is: C },
    { name: "rather than an ejected one", ejected: { [B]: "all" }, tried: [A], is: C },
    { name: "an ejected one rather than a tried one", ejected: { [B]: "all" }, tried: [A, C], is: B },
    { name: "all tried: any of them", ejected: {}, tried: [A, B, C], is: A },
    { name: "ejected for a check like this", ejected: { [B]: "cookieless" }, tried: [A], is: C },
    { name: "none was tried", ejected: {}, tried: [], is: A },
  ] as const;
  for (const { name, ejected, tried, is } of rows) {
    const { endpoints, at } = three(t, ejected);
    t.equal(endpoints.next(false, tried.map(at))?.address, is, name);
  }
  const { endpoints, at, chances } = three(t);
  at(B).inFlight = 1;
  chances.push(0, 0);
  t.equal(endpoints.next(false, [at(A)])?.address, C, "of two, the one with fewer checks in flight");
  t.equal(scene(t, "outpost").endpoints.next(false, []), null, "none is known");
});

t.test("the order in which connections are opened", async (t) => {
  const rows = [
    { name: "at random", ejected: {}, first: null, is: [C, A, B] },
    { name: "the chosen one first", ejected: {}, first: B, is: [B, C, A] },
    { name: "ejected ones last", ejected: { [C]: "all" }, first: null, is: [A, B, C] },
    { name: "unless one is chosen", ejected: { [C]: "all" }, first: C, is: [C, A, B] },
    { name: "ejected for this check", ejected: { [C]: "cookieless" }, first: null, is: [A, B, C] },
  ] as const;
  for (const { name, ejected, first, is } of rows) {
    const { endpoints, at, chances } = three(t, ejected);
    chances.push(0.2, 0.3, 0.1);
    const order = endpoints.dialOrder(first && at(first), false).map(({ address }) => address);
    t.same(order, is, name);
  }
  for (const [hosts, is] of [
    [[A], [A, A, A]],
    [
      [A, B],
      [A, B, A, B],
    ],
    [
      [A, B, C, "192.0.2.4"],
      [A, B, C, "192.0.2.4"],
    ],
  ] as const) {
    const order = scene(t, ...hosts).endpoints.dialOrder(null, true);
    t.same(
      order.map(({ address }) => address),
      is,
      `${hosts.length}: as many sockets as a retransmitted SYN needs`,
    );
  }
  t.same(scene(t, "outpost").endpoints.dialOrder(null, true), []);
});

t.test("a probe asks the endpoint that was in doubt last", async (t) => {
  const { endpoints, at, clock } = three(t);
  t.equal(endpoints.inQuestion(), null);
  endpoints.failed(at(B), "read_timeout", "all");
  t.equal(endpoints.inQuestion(), at(B), "one failure is enough");
  clock.now += 10;
  endpoints.suspected(at(C));
  t.equal(endpoints.inQuestion(), at(C), "the latest");
  clock.now += 10;
  endpoints.failed(at(A), "slow", "all");
  t.equal(endpoints.inQuestion(), at(C), "a slow one has answered");
  clock.now += 10_000;
  t.equal(endpoints.inQuestion(), null, "that was long ago");
});

t.test("slow verdicts of attempts that were under way together count once", (t) => {
  const { endpoints, at, clock, changed } = three(t);
  at(B).answeredAt = clock.now;
  const slowly = (times: number): number => {
    const began = clock.now;
    clock.now += 100;
    for (let count = 0; count < times; count += 1) endpoints.slow(at(A), began);
    return changed().length;
  };
  t.same([slowly(5), slowly(1), slowly(1)], [0, 0, 1], "the third in a row ejects");
  t.end();
});

t.test("what is told of failures and verdicts", async (t) => {
  const ofA = { endpoint: `${A}:9000`, from: "all" } as const;
  type Step = (made: Scene) => void;
  const fails =
    (address: string, reason: "refused" | "reset" | "slow", from: "all" | "cookieless" = "all"): Step =>
    ({ endpoints, at }) =>
      endpoints.failed(at(address), reason, from);
  const answers =
    (address: string): Step =>
    ({ at, clock }) => {
      at(address).answeredAt = clock.now;
    };
  const works =
    (address: string): Step =>
    ({ endpoints, at }) =>
      endpoints.worked(at(address), true);
  const cases: readonly { name: string; steps: readonly Step[]; is: readonly object[] }[] = [
    {
      name: "refused: at once",
      steps: [fails(A, "refused")],
      is: [{ kind: "ejected", ...ofA, reason: "refused" }],
    },
    {
      name: "refused again: once is enough",
      steps: [fails(A, "refused"), fails(A, "refused")],
      is: [{ kind: "ejected", ...ofA, reason: "refused" }],
    },
    { name: "two failures", steps: [answers(B), fails(A, "reset"), fails(A, "reset")], is: [] },
    {
      name: "three, while another answers",
      steps: [fails(A, "reset"), fails(A, "reset"), answers(B), fails(A, "slow")],
      is: [{ kind: "ejected", ...ofA, reason: "slow" }],
    },
    {
      name: "three, while no other answers",
      steps: [answers(A), fails(A, "reset"), fails(A, "reset"), fails(A, "reset")],
      is: [],
    },
    {
      name: "a verdict between them",
      steps: [answers(B), fails(A, "reset"), fails(A, "reset"), works(A), fails(A, "reset")],
      is: [],
    },
    {
      name: "the last one is never ejected",
      steps: [fails(A, "refused"), fails(B, "refused"), fails(C, "refused")],
      is: [
        { kind: "ejected", ...ofA, reason: "refused" },
        { kind: "ejected", ...ofA, endpoint: `${B}:9000`, reason: "refused" },
      ],
    },
    {
      name: "for checks without a cookie alone",
      steps: [fails(A, "refused", "cookieless")],
      is: [{ kind: "ejected", ...ofA, from: "cookieless", reason: "refused" }],
    },
    {
      name: "the last one for checks without a cookie",
      steps: [fails(A, "refused"), fails(B, "refused", "cookieless"), fails(C, "refused", "cookieless")],
      is: [
        { kind: "ejected", ...ofA, reason: "refused" },
        { kind: "ejected", endpoint: `${B}:9000`, from: "cookieless", reason: "refused" },
      ],
    },
  ];
  for (const { name, steps, is } of cases) {
    const made = three(t);
    for (const step of steps) step(made);
    t.same(made.changed(), is, name);
  }

  await t.test("the status names what concerns most checks", async (t) => {
    const { endpoints, at, clock } = three(t);
    endpoints.failed(at(A), "refused", "cookieless");
    const since = clock.now;
    t.same(endpoints.statuses[0], {
      endpoint: `${A}:9000`,
      ejected: { from: "cookieless", reason: "refused", since },
    });
    clock.now += 7;
    endpoints.failed(at(A), "unreachable", "all");
    t.same(endpoints.statuses[0]?.ejected, { from: "all", reason: "unreachable", since: since + 7 });
  });
});

t.test("regression: of one that has left nothing more is told", async (t) => {
  const { endpoints, lookups, at, changed, clock } = scene(t, "outpost");
  void endpoints.ready();
  await lookups[0]?.found(A, B, C);
  const [a, b] = [at(A), at(B)];
  endpoints.failed(b, "refused", "all");
  clock.now += 60_001;
  t.equal(endpoints.first(true, true), b, "on trial");
  void endpoints.ready();
  await lookups[1]?.found(C);
  t.equal(changed().at(-1)?.kind, "left");
  endpoints.failed(a, "refused", "all");
  endpoints.worked(b, true);
  t.same(changed(), []);
});
