import t, { type Test } from "tap";
import type { Address, Upstream } from "../../src/core/snapshot.ts";
import type { Endpoint } from "../../src/upstream/endpoint.ts";
import type { Pool } from "../../src/upstream/pool.ts";
import type { ConnectionRecord, Pooled } from "../../src/upstream/pooled-connection.ts";
import type { Resolver } from "../../src/upstream/resolver.ts";
import type { Waiter } from "../../src/upstream/wait-queue.ts";
import { ANYONE, HELD, Held, OTHER, type PoolScene, poolScene } from "../support/held-connections.ts";
import { eventually } from "../support/processes.ts";
import { rawUpstream } from "../support/raw-upstream.ts";
import { silentPort } from "../support/silent-port.ts";
import { unstalled } from "../support/unstalled.ts";

const LOCAL = "127.0.0.1";

/** A pool of one endpoint that accepts all connections. */
async function scene(t: Test, changes: Partial<Upstream> = {}): Promise<PoolScene> {
  const { port } = await rawUpstream(t, () => {});
  return poolScene(t, [{ host: LOCAL, port }], changes);
}

/** A pool of two endpoints that accept all connections. */
async function pair(
  t: Test,
  changes: Partial<Upstream> = {},
): Promise<PoolScene & { readonly other: Endpoint }> {
  const [one, two] = [await rawUpstream(t, () => {}), await rawUpstream(t, () => {})];
  const made = poolScene(
    t,
    [
      { host: LOCAL, port: one.port },
      { host: LOCAL, port: two.port },
    ],
    changes,
  );
  const [, other] = made.endpoints.all;
  if (!other) throw new Error("there is one endpoint only");
  return { ...made, endpoint: made.endpoint, other };
}

/** So many connections, freed in their order. */
async function idle({ opened }: PoolScene, count: number): Promise<Held[]> {
  const all = await Promise.all(Array.from({ length: count }, () => opened(HELD)));
  for (const connection of all) connection.free();
  return all;
}

const USUAL = { hasCookie: true, isChallenge: false, isSlow: false };
const SLOW = { ...USUAL, isSlow: true };
const CHALLENGE = { ...USUAL, hasCookie: false, isChallenge: true };

function note(pool: Pool, record: ConnectionRecord, verdict: typeof USUAL, now: number): void {
  pool.noteVerdict(record, now, verdict.hasCookie, verdict.isChallenge, verdict.isSlow ? now : null);
}

function takeAll(pool: Pool, endpoint: Endpoint, hasCookie = true): Held[] {
  const taken: Held[] = [];
  for (;;) {
    const connection = pool.takeIdle(HELD, endpoint, hasCookie);
    if (connection === null) return taken;
    taken.push(connection);
  }
}

/** Waits in the queue and says what became of that. */
function waiter(
  said: string[],
  name: string,
  {
    mayShare = false,
    answers = 0,
    fits = true,
  }: { mayShare?: boolean; answers?: number; fits?: boolean } = {},
): Waiter {
  return {
    ...{ client: null, mayShare, answers, needsFresh: false },
    fits: () => fits,
    take: () => said.push(`${name} takes`),
    fail: ({ kind }) => said.push(`${name} fails: ${kind}`),
    open: () => said.push(`${name} opens`),
  };
}

t.test("the last used is taken first, unless it is not usable any more", async (t) => {
  const made = await scene(t);
  const { pool, endpoint, opened } = made;
  const [a, b, c] = await idle(made, 3);
  (await opened(OTHER)).free();
  if (!a || !b || !c) throw new Error("there are fewer");
  c.usable = false;
  t.same(takeAll(pool, endpoint), [b, a]);
  t.not(pool.takeIdle(OTHER, endpoint, true), null, "each path has its own");
});

t.test("one that was slow is taken last, until it is as fast as the others", async (t) => {
  const made = await scene(t);
  const { pool, endpoint, clock } = made;
  const [a, b, c] = await idle(made, 3);
  if (!a || !b || !c) throw new Error("there are fewer");
  note(pool, a.record, USUAL, clock.now);
  takeAll(pool, endpoint);
  for (const [connection, verdict] of [
    [a, USUAL],
    [b, USUAL],
    [c, SLOW],
  ] as const) {
    note(pool, connection.record, verdict, clock.now);
    connection.free();
  }
  t.same(takeAll(pool, endpoint), [b, a, c]);
  note(pool, c.record, USUAL, clock.now);
  for (const connection of [a, b, c]) connection.free();
  t.same(takeAll(pool, endpoint), [c, b, a]);
});

t.test(
  "after a suspect, a check without a cookie takes a connection that has challenged one since",
  async (t) => {
    const made = await scene(t);
    const { pool, endpoint, clock } = made;
    const [a, b, c] = await idle(made, 3);
    if (!a || !b || !c) throw new Error("there are fewer");
    note(pool, c.record, CHALLENGE, clock.now);
    clock.now += 1;
    pool.noteSuspect();
    t.equal(pool.takeIdle(HELD, endpoint, false), null, "a challenge before it is no proof");
    clock.now += 1;
    note(pool, a.record, CHALLENGE, clock.now);
    t.equal(pool.takeIdle(HELD, endpoint, false), a);
    a.free();
    t.equal(pool.takeIdle(HELD, endpoint, true), a, "with a cookie it is the last used");
    t.equal(pool.takeIdle(HELD, endpoint, true), c);
    clock.now += 599_997;
    t.equal(pool.takeIdle(HELD, endpoint, false), null);
    clock.now += 1_002;
    t.equal(pool.takeIdle(HELD, endpoint, false), b, "and after 10 minutes it is anyone");
  },
);

t.test("which connections are proven", async (t) => {
  const rows = [
    { name: "a verdict just now", verdict: USUAL, age: 0, hasCookie: true, is: true },
    { name: "within a second", verdict: USUAL, age: 999, hasCookie: true, is: true },
    { name: "a second ago", verdict: USUAL, age: 1_000, hasCookie: true, is: false },
    { name: "none", verdict: null, age: 0, hasCookie: true, is: false },
    { name: "after a suspect, with a cookie", verdict: USUAL, suspects: [0], hasCookie: true, is: true },
    { name: "after a suspect, not challenged", verdict: USUAL, suspects: [-1], hasCookie: false, is: false },
    { name: "challenged since the suspect", verdict: CHALLENGE, suspects: [-1], hasCookie: false, is: true },
    { name: "challenged before it", verdict: CHALLENGE, suspects: [1], hasCookie: false, is: false },
    {
      name: "challenged between two of a row",
      ...{ verdict: CHALLENGE, suspects: [-1, 599_000], hasCookie: false, is: true },
    },
    {
      name: "challenged before the first of another row",
      ...{ verdict: CHALLENGE, suspects: [-1, 600_000], hasCookie: false, is: false },
    },
  ];
  for (const { name, verdict, suspects = [], age = 0, hasCookie, is } of rows) {
    const made = await scene(t);
    const { pool, endpoint, clock } = made;
    const [held] = await idle(made, 1);
    const begin = clock.now;
    const suspect = (at: number): void => {
      clock.now = begin + at;
      pool.noteSuspect();
    };
    for (const at of suspects.filter((one) => one < 0)) suspect(at);
    if (held && verdict) note(pool, held.record, verdict, begin);
    for (const at of suspects.filter((one) => one >= 0)) suspect(at);
    clock.now = Math.max(clock.now, begin) + age;
    const taken = pool.takeProven(HELD, endpoint, hasCookie);
    t.equal(taken, is ? held : null, name);
  }
});

t.test("one that is free anywhere is taken or closed where no more may be opened", async (t) => {
  const { pool, endpoint, other, opened } = await pair(t, { maxConnections: 2 });
  const [a, b] = [await opened(HELD, other), await opened(HELD, other)];
  t.equal(pool.mayOpen, false);
  t.equal(pool.takeAnyIdle(HELD), null);
  t.equal(pool.makeRoom(), false);
  a.free();
  b.free();
  t.equal(pool.takeIdle(HELD, endpoint, true), null, "there is none of this endpoint");
  t.equal(pool.takeAnyIdle(OTHER), null, "nor one of the other path");
  t.equal(pool.takeAnyIdle(HELD), b);
  b.free();
  t.equal(pool.makeRoom(), true);
  t.same([a.isClosed, b.isClosed, pool.mayOpen], [true, false, true], "the one that was used longest ago");
});

t.test("regression: a full pool of probes leaves the connections of checks alone", async (t) => {
  const made = await scene(t);
  const { pool, endpoint, opened, beside } = made;
  const probes = beside({ maxConnections: 1 });
  const [kept] = await idle(made, 1);
  await opened(HELD, endpoint, probes);
  t.equal(probes.mayOpen, false);
  t.equal(probes.takeAnyIdle(HELD), null);
  t.equal(probes.makeRoom(), false);
  t.equal(kept?.isClosed, false);
  t.equal(pool.takeIdle(HELD, endpoint, true), kept);
});

t.test(
  "the place of a connection without a verdict is for the next attempt, and else passed on",
  async (t) => {
    const { pool, endpoint, opened } = await scene(t, { maxConnections: 1 });
    const said: string[] = [];
    const held = await opened(HELD);
    pool.joinQueue(waiter(said, "a"));
    pool.vacate(held);
    t.same([held.isClosed, pool.mayOpen, said], [true, true, []]);
    const next = await opened(HELD);
    pool.passOn();
    t.same(said, [], "it was taken");
    pool.vacate(next);
    pool.passOn();
    t.same(said, ["a opens"]);

    const shared = await opened(HELD);
    shared.hasOthers = true;
    pool.vacate(shared);
    t.same([shared.isClosed, pool.mayOpen], [false, false], "others are asked on it too");
    shared.hasOthers = false;
    shared.free();
    t.equal(shared.isClosed, true, "it ends with their answers");
    t.same(takeAll(pool, endpoint), []);
  },
);

t.test("a wait ends in its turn", async (t) => {
  const rows: readonly {
    name: string;
    waiters: (said: string[]) => Waiter[];
    steps: string;
    is: string[];
  }[] = [
    {
      name: "each takes one that is freed",
      waiters: (said) => [waiter(said, "a"), waiter(said, "b")],
      steps: "free free free",
      is: ["a takes", "b takes"],
    },
    {
      name: "one that ends makes room to open another",
      waiters: (said) => [waiter(said, "a"), waiter(said, "b")],
      steps: "close",
      is: ["a opens"],
    },
    {
      name: "one that does not fit makes room too",
      waiters: (said) => [waiter(said, "a", { fits: false }), waiter(said, "b")],
      steps: "free",
      is: ["a opens"],
    },
    {
      name: "one that is spent makes room too",
      waiters: (said) => [waiter(said, "a")],
      steps: "spend free",
      is: ["a opens"],
    },
  ];
  for (const { name, waiters, steps, is } of rows) {
    const { pool, opened } = await scene(t, { maxConnections: 1 });
    const held = await opened(HELD);
    const said: string[] = [];
    for (const one of waiters(said)) pool.joinQueue(one);
    for (const step of steps.split(" ")) {
      if (step === "free") held.free();
      if (step === "close") held.close();
      if (step === "spend") held.record.isSpent = true;
    }
    t.same(said, is, name);
  }
});

t.test("who leaves the queue gets nothing, and the connection stays for others", async (t) => {
  const { pool, endpoint, opened } = await scene(t, { maxConnections: 1 });
  const held = await opened(HELD);
  const said: string[] = [];
  const place = pool.joinQueue(waiter(said, "a"));
  pool.leaveQueue(place);
  held.free();
  t.same(said, []);
  t.equal(pool.takeIdle(HELD, endpoint, true), held);
});

t.test("a dial that is cancelled leaves its place and its endpoint to others", async (t) => {
  const { pool, endpoint } = await scene(t, { maxConnections: 1 });
  const said: string[] = [];
  const dial = pool.open(HELD, endpoint, ANYONE, () => t.fail("it was cancelled"));
  t.same([pool.mayOpen, endpoint.inFlight], [false, 1]);
  pool.joinQueue(waiter(said, "a"));
  dial.cancel();
  t.same([pool.mayOpen, endpoint.inFlight, said], [true, 0, ["a opens"]]);
});

t.test("a connection that cannot be opened fails those that have seen no answer since", async (t) => {
  const { port } = await rawUpstream(t, () => {});
  const made = poolScene(t, [{ host: "127.0.0.2", port }], { maxConnections: 2 });
  const { pool, endpoint } = made;
  const said: string[] = [];
  const results = await new Promise<string>((done) => {
    pool.open(HELD, endpoint, ANYONE, ({ kind }) => done(kind));
    pool.joinQueue(waiter(said, "heard", { answers: -1 }));
    pool.joinQueue(waiter(said, "unheard"));
    pool.joinQueue(waiter(said, "unheard too"));
  });
  t.equal(results, "failure");
  t.same(said, ["unheard fails: failure", "unheard too fails: failure", "heard opens"]);
  t.equal(endpoint.inFlight, 0);
});

t.test("answers are counted, whatever becomes of their connections", async (t) => {
  const { pool, opened } = await scene(t);
  const held = await opened(HELD);
  t.equal(pool.answers, 0);
  held.answer();
  held.close();
  held.answer();
  t.equal(pool.answers, 2);
});

t.test("a busy connection with a turn is shared, where no other is to be had", async (t) => {
  const rows = [
    { name: "it takes who may share", maxConnections: 1, waiters: [true, true], is: ["0 takes", "1 takes"] },
    { name: "in the order of the queue", maxConnections: 1, waiters: [false, true], is: [] },
    { name: "not while more may be opened", maxConnections: 2, waiters: [true], is: [] },
  ];
  for (const { name, maxConnections, waiters, is } of rows) {
    const { pool, opened } = await scene(t, { maxConnections });
    const held = await opened(HELD);
    const said: string[] = [];
    for (const [index, mayShare] of waiters.entries()) pool.joinQueue(waiter(said, `${index}`, { mayShare }));
    held.share();
    t.same(said, is, name);
  }

  await t.test("not while one is idle", async (t) => {
    const { pool, endpoint, opened } = await scene(t, { maxConnections: 2 });
    const [busy, other] = [await opened(HELD), await opened(HELD)];
    const said: string[] = [];
    other.free();
    pool.joinQueue(waiter(said, "a", { mayShare: true }));
    busy.share();
    t.same(said, []);
    pool.takeIdle(HELD, endpoint, true);
    pool.joinQueue(waiter(said, "b"));
    t.same(said, ["a takes"]);
  });

  await t.test("one whose turn is taken waits for the next", async (t) => {
    const { pool, opened } = await scene(t, { maxConnections: 1 });
    const held = await opened(HELD);
    held.share();
    held.hasTurn = false;
    const said: string[] = [];
    pool.joinQueue(waiter(said, "a", { mayShare: true }));
    t.same(said, []);
    held.share();
    t.same(said, ["a takes"]);
  });
});

/** A name whose addresses a test changes. */
function named(): { readonly resolve: Resolver; readonly addresses: string[] } {
  const addresses = [LOCAL];
  return { addresses, resolve: async () => [...addresses] };
}

t.test("regression: connections of an endpoint that has left are not counted as idle", async (t) => {
  const { port } = await rawUpstream(t, () => {});
  const { resolve, addresses } = named();
  const server: Address = { host: "outpost", port };
  const made = poolScene(t, [server], { maxConnections: 2 }, resolve);
  const { pool, endpoints, opened, clock } = made;
  await endpoints.ready();
  const [first] = endpoints.all;
  const [freed, busy] = [await opened(HELD), await opened(HELD)];
  freed.free();
  addresses.splice(0, 1, "127.0.0.2");
  clock.now += 60_001;
  await endpoints.ready();
  t.equal(first?.hasLeft, true);
  t.same([freed.isClosed, busy.isClosed], [true, false]);
  const third = pool.open(HELD, null, ANYONE, () => {});
  const said: string[] = [];
  t.equal(pool.mayOpen, false);
  pool.joinQueue(waiter(said, "a", { mayShare: true }));
  busy.share();
  t.same(said, ["a takes"], "no idle one keeps it from being shared");
  third.cancel();
  busy.free();
  t.equal(busy.isClosed, true, "it ends with its answer");
});

t.test("once closed, idle connections end at once, and the others with their answers", async (t) => {
  const made = await scene(t);
  const { pool, endpoint, opened } = made;
  const [free, busy] = [await opened(HELD), await opened(HELD)];
  free.free();
  pool.close();
  t.same([free.isClosed, busy.isClosed], [true, false]);
  busy.free();
  t.equal(busy.isClosed, true);
  t.same(takeAll(pool, endpoint), []);
});

t.test("the third slow answer in a row closes a connection", async (t) => {
  const rows = [
    { name: "two", verdicts: [SLOW, SLOW], isClosed: false },
    { name: "three", verdicts: [SLOW, SLOW, SLOW], isClosed: true },
    { name: "not in a row", verdicts: [SLOW, SLOW, USUAL, SLOW], isClosed: false },
  ];
  for (const { name, verdicts, isClosed } of rows) {
    const { pool, clock, opened } = await scene(t);
    const held = await opened(HELD);
    const before = Array.from({ length: 8 }, () => USUAL);
    for (const verdict of [...before, ...verdicts]) note(pool, held.record, verdict, clock.now);
    held.free();
    t.equal(held.isClosed, isClosed, name);
  }
});

/** So many connections that are asked. */
async function asked({ opened }: PoolScene, count: number): Promise<Held[]> {
  const all = await Promise.all(Array.from({ length: count }, () => opened(HELD)));
  for (const { record } of all) record.asker = ANYONE;
  return all;
}

function answered(connection: Held): void {
  connection.record.asker = null;
  connection.free();
}

t.test("after an outage, few checks are in flight at first", async (t) => {
  const made = await scene(t, { maxConnections: 64 });
  const { pool, endpoint, clock } = made;
  const [first, ...others] = await asked(made, 12);
  for (const connection of others) answered(connection);
  pool.recovered();
  const taken = takeAllAsked(pool, endpoint);
  t.equal(taken.length, 7, "eight with the one that is asked");
  t.same([pool.mayOpen, pool.hasPlace, pool.makeRoom()], [false, false, false]);
  t.equal(pool.takeAnyIdle(HELD), null);
  t.equal(pool.takeProven(HELD, endpoint, true), null);
  const said: string[] = [];
  for (const name of ["a", "b", "c"]) {
    const take = (connection: Pooled): void => {
      connection.record.asker = ANYONE;
      said.push(`${name} takes`);
    };
    pool.joinQueue({ ...waiter(said, name), take });
  }
  if (first) answered(first);
  t.same(said, ["a takes"], "one that has its answer makes way for the next");
  clock.now += 1_000;
  t.equal(pool.hasPlace, true, "it doubles each second");
  pool.passOn();
  t.same(said.sort(), ["a takes", "b opens", "c opens"]);
  clock.now += 3_000;
  if (first) note(pool, first.record, USUAL, clock.now);
  t.equal(takeAllAsked(pool, endpoint).length, 4, "and then it is over");
  for (const connection of [first, ...others]) connection?.close();
});

function takeAllAsked(pool: Pool, endpoint: Endpoint): Held[] {
  const taken: Held[] = [];
  for (let one = pool.takeIdle(HELD, endpoint, true); one; one = pool.takeIdle(HELD, endpoint, true)) {
    one.record.asker = ANYONE;
    taken.push(one);
  }
  return taken;
}

t.test("where connections are not opened in time, an endpoint that answers has fewer checks", async (t) => {
  const silent = await silentPort();
  t.teardown(() => silent.end());
  const rows = [
    { name: "it answers", age: 999, asker: ANYONE, limit: 4 },
    { name: "it does not", age: 1_000, asker: ANYONE, limit: 8 },
    { name: "a probe's connection", age: 0, asker: { ...ANYONE, isProbe: true }, limit: 8 },
  ];
  for (const { name, age, asker, limit } of rows) {
    const timeouts = { connect: 60, read: 1_000, total: 1_000 };
    const { pool, endpoint, clock } = poolScene(t, [{ host: LOCAL, port: silent.port }], {
      ...{ maxConnections: 8, timeouts },
    });
    endpoint.answeredAt = clock.now - age;
    const open = () =>
      new Promise<string>((done) => pool.open(HELD, endpoint, asker, ({ kind }) => done(kind)));
    t.equal(await unstalled(open, (kind) => kind === "overload"), "failure", name);
    let opening = 0;
    const dials: { cancel(): void }[] = [];
    for (; pool.mayOpen; opening += 1) dials.push(pool.open(HELD, endpoint, ANYONE, () => {}));
    t.equal(opening, limit, name);
    for (const dial of dials) dial.cancel();
  }
});

t.test("a check goes elsewhere where its endpoint may have no more", async (t) => {
  const made = await pair(t, { maxConnections: 64 });
  const { pool, endpoint, other, endpoints } = made;
  t.equal(pool.withRoom(endpoint, true), endpoint);
  pool.recovered();
  await asked(made, 8);
  t.same([pool.withRoom(endpoint, true), pool.withRoom(other, true)], [other, other]);
  t.equal(pool.mayOpen, true);
  endpoints.failed(other, "refused", "all");
  t.equal(pool.withRoom(endpoint, true), other, "though it is ejected");
});

t.test("what verdicts say of endpoints", async (t) => {
  const rows = [
    { name: "an endpoint that is slow while another answers", verdict: SLOW, told: ["ejected"] },
    { name: "one as fast as ever", verdict: USUAL, told: [] },
  ];
  for (const { name, verdict, told } of rows) {
    const { pool, endpoint, other, clock, changes, opened } = await pair(t);
    const [suspect, well] = [await opened(HELD, endpoint), await opened(HELD, other)];
    note(pool, suspect.record, USUAL, clock.now);
    for (let times = 0; times < 3; times += 1) {
      clock.now += 10;
      note(pool, well.record, USUAL, clock.now);
      note(pool, suspect.record, verdict, clock.now);
    }
    t.same(
      changes.map(({ kind }) => kind),
      told,
      name,
    );
    t.same([endpoint.answeredAt, suspect.record.verdictAt], [clock.now, clock.now], name);
  }

  const { pool, clock, opened } = await scene(t);
  const held = await opened(HELD);
  note(pool, held.record, USUAL, clock.now);
  t.equal(held.record.challengedAt, Number.NEGATIVE_INFINITY);
  note(pool, held.record, CHALLENGE, clock.now);
  t.equal(held.record.challengedAt, clock.now);
});

/** When a connection is old, without jitter. */
const OLD = 300_001;

/** The connection that is idle besides `known`, once there is one. */
async function freshBeside(endpoint: Endpoint, known: Pooled): Promise<Held> {
  return eventually(
    () => "no other connection is opened",
    () => {
      const other = endpoint.idle.find((connection) => connection !== known);
      return other instanceof Held ? other : null;
    },
  );
}

t.test("an old connection is replaced, once a fresh one is proven", async (t) => {
  const made = await scene(t);
  const { pool, endpoint, clock, opened } = made;
  const old = await opened(HELD);
  clock.now += OLD - 1;
  old.free();
  t.equal(endpoint.inFlight, 0, "it is not old yet");
  pool.takeIdle(HELD, endpoint, true);
  clock.now += 1;
  old.free();
  t.equal(endpoint.inFlight, 1, "a fresh one is opened");
  const fresh = await freshBeside(endpoint, old);
  t.equal(endpoint.inFlight, 0);
  t.equal(old.isClosed, false, "the fresh one is not proven yet");
  t.equal(pool.takeIdle(HELD, endpoint, true), fresh, "the next check proves it");
  note(pool, fresh.record, USUAL, clock.now);
  fresh.free();
  t.same([old.isClosed, fresh.isClosed], [true, false]);
  t.same(takeAll(pool, endpoint), [fresh]);
});

t.test("an old connection that is busy when the fresh one is proven ends with its answer", async (t) => {
  const { pool, endpoint, clock, opened } = await scene(t);
  const old = await opened(HELD);
  clock.now += OLD;
  old.free();
  const fresh = await freshBeside(endpoint, old);
  t.same(takeAll(pool, endpoint), [fresh, old]);
  note(pool, fresh.record, USUAL, clock.now);
  t.equal(old.isClosed, false);
  old.free();
  t.equal(old.isClosed, true);
});

t.test("an old connection stays where the fresh one brings no verdict", async (t) => {
  const { pool, endpoint, clock, opened } = await scene(t);
  const old = await opened(HELD);
  clock.now += OLD;
  old.free();
  const fresh = await freshBeside(endpoint, old);
  pool.takeIdle(HELD, endpoint, true);
  pool.vacate(fresh);
  pool.noteFailure();
  t.same([old.isClosed, fresh.isClosed], [false, true]);
  t.same(takeAll(pool, endpoint), [old]);
});

t.test("when an old connection is not replaced", async (t) => {
  const rows = [
    { name: "a minute after a failure it is", quiet: 60_000, maxConnections: 2, opens: 1 },
    { name: "a failure within the last minute", quiet: 59_999, maxConnections: 2, opens: 0 },
    { name: "no more may be opened", quiet: 60_000, maxConnections: 1, opens: 0 },
  ];
  for (const { name, quiet, maxConnections, opens } of rows) {
    const { pool, endpoint, clock, opened } = await scene(t, { maxConnections });
    const old = await opened(HELD);
    clock.now += OLD;
    pool.noteFailure();
    clock.now += quiet;
    old.free();
    t.equal(endpoint.inFlight, opens, name);
    if (opens > 0) (await freshBeside(endpoint, old)).close();
  }

  await t.test("while another is being replaced", async (t) => {
    const { endpoint, clock, opened } = await scene(t);
    const [a, b] = [await opened(HELD), await opened(HELD)];
    clock.now += OLD;
    a.free();
    b.free();
    t.equal(endpoint.inFlight, 1);
    await eventually(
      () => "no connection is opened",
      () => (endpoint.idle.length === 3 ? true : null),
    );
  });
});
