import t, { type Test } from "tap";
import type { Upstream } from "../../src/core/snapshot.ts";
import type { Pooled } from "../../src/upstream/pooled-connection.ts";
import { ConnectionTake } from "../../src/upstream/take-connection.ts";
import { ANYONE, HELD, type Held, OTHER, type PoolScene, poolScene } from "../support/held-connections.ts";
import { eventually } from "../support/processes.ts";
import { rawUpstream } from "../support/raw-upstream.ts";

async function scene(t: Test, changes: Partial<Upstream> = {}, host = "127.0.0.1"): Promise<PoolScene> {
  const { port } = await rawUpstream(t, () => {});
  return poolScene(t, [{ host, port }], changes);
}

/** One that wants a connection. */
interface Taking {
  readonly take: ConnectionTake<Held>;
  /** What it was told, and which connection it got. */
  readonly said: string[];
  got(): Held | null;
}

function taking({ pool }: PoolScene, mayShare = false): Taking {
  const said: string[] = [];
  let got: Held | null = null;
  const take = new ConnectionTake({
    kind: HELD,
    ...{ pool, mayShare },
    asker: ANYONE,
    answers: pool.answers,
    taker: {
      opening: () => said.push("opening"),
      taken: (connection) => {
        said.push("taken");
        got = connection;
      },
      notTaken: (why) => said.push(why.kind),
    },
  });
  return { take, said, got: () => got };
}

function until({ said }: Taking, last: string): Promise<string> {
  return eventually(
    () => `it is not ${last} but ${said.join()}`,
    () => (said.at(-1) === last ? last : null),
  );
}

function closeAll(...connections: readonly (Pooled | null)[]): void {
  for (const connection of connections) connection?.close();
}

t.test("how a connection is taken", async (t) => {
  const rows = [
    { name: "one is opened, where there is room", maxConnections: 2, free: null, told: "opening taken" },
    {
      name: "an idle one anywhere is taken, where there is none",
      ...{ maxConnections: 1, free: HELD, told: "taken" },
    },
    {
      name: "an idle one of the other path makes room",
      ...{ maxConnections: 1, free: OTHER, told: "opening taken" },
    },
  ];
  for (const { name, maxConnections, free, told } of rows) {
    const made = await scene(t, { maxConnections });
    const held = free === null ? null : await made.opened(free);
    held?.free();
    const one = taking(made);
    one.take.begin(made.endpoint);
    await until(one, "taken");
    t.equal(one.said.join(" "), told, name);
    t.equal(one.take.wait, "none", `${name}: no wait`);
    t.equal(held?.isClosed ?? false, free === OTHER, name);
    closeAll(one.got(), held);
  }
});

t.test("an endpoint that others leave no place gets one of theirs, and no second", async (t) => {
  for (const isFree of [true, false]) {
    const ports = [(await rawUpstream(t, () => {})).port, (await rawUpstream(t, () => {})).port] as const;
    const [first, second] = ports.map((port) => ({ host: "127.0.0.1", port }));
    if (!first || !second) throw new Error("there are fewer");
    const made = poolScene(t, [first, second], { maxConnections: 3 });
    const other = made.endpoints.all[1] ?? null;
    const held = await Promise.all([1, 2, 3].map(() => made.opened(HELD)));
    if (isFree) for (const connection of held) connection.free();
    const [one, two] = [taking(made), taking(made)];
    one.take.begin(other);
    two.take.begin(other);
    if (!isFree) for (const connection of held) connection.free();
    await Promise.all([until(one, "taken"), until(two, "taken")]);
    t.equal(one.got()?.record.endpoint, other, "it is asked");
    t.ok(two.got()?.record.endpoint === made.endpoint, "the others keep what they have");
    t.equal(held.filter(({ isClosed }) => isClosed).length, 1);
    closeAll(one.got(), two.got(), ...held);
  }
});

t.test("a fresh connection is opened or waited for, though one is idle", async (t) => {
  const made = await scene(t, { maxConnections: 1 });
  const held = await made.opened(HELD);
  held.free();
  const one = taking(made);
  one.take.beginFresh(made.endpoint, false);
  await until(one, "taken");
  t.not(one.got(), held);
  t.equal(held.isClosed, true, "it makes room");
  const two = taking(made);
  two.take.beginFresh(made.endpoint, false);
  t.same(two.said, [], "in the queue");
  one.got()?.free();
  t.equal(one.got()?.isClosed, true, "a used one is no use");
  await until(two, "taken");
  closeAll(two.got());
});

t.test("one that fails says why", async (t) => {
  const made = await scene(t, {}, "127.0.0.2");
  const one = taking(made);
  one.take.begin(made.endpoint);
  await until(one, "failure");
  t.same(one.said, ["opening", "failure"]);
});

t.test("how a check has waited", async (t) => {
  type Step = "answer" | "free" | "close" | "behind";
  const rows: readonly { name: string; steps: readonly Step[]; opened?: boolean; is: string }[] = [
    { name: "in the queue, and no one was answered", steps: [], is: "unasked" },
    { name: "in the queue, while others were answered", steps: ["answer"], is: "busy" },
    { name: "in the queue, and then one was free", steps: ["free"], is: "none" },
    {
      name: "in the queue, others were answered, and then one was free",
      steps: ["answer", "free"],
      is: "busy",
    },
    { name: "its turn came, and others were answered after that", steps: ["free", "answer"], is: "none" },
    { name: "one is opened for it after the wait", steps: ["close"], is: "unasked" },
    { name: "one is opened, and others were answered meanwhile", steps: ["answer", "close"], is: "busy" },
    { name: "one was opened for it", steps: ["close"], opened: true, is: "none" },
    {
      name: "one was opened for it, after others were answered",
      ...{ steps: ["answer", "close"], opened: true, is: "busy" },
    },
    { name: "it is asked behind others", steps: ["free", "behind"], is: "unasked" },
    { name: "it is asked behind others, who are answered", steps: ["free", "behind", "answer"], is: "busy" },
  ];
  for (const { name, steps, opened = false, is } of rows) {
    const made = await scene(t, { maxConnections: 1 });
    const held = await made.opened(HELD);
    const one = taking(made);
    one.take.begin(made.endpoint);
    t.same(one.said, [], `${name}: it waits`);
    const does: Record<Step, () => void> = {
      answer: () => held.answer(),
      free: () => held.free(),
      close: () => held.close(),
      behind: () => one.take.standBehind(),
    };
    for (const step of steps) does[step]();
    if (opened) await until(one, "taken");
    t.equal(one.take.wait, is, name);
    one.take.cancel();
    closeAll(one.got());
  }

  const made = await scene(t);
  const one = taking(made);
  one.take.begin(made.endpoint);
  t.equal(one.take.wait, "unasked", "while the first connection is opened");
  await until(one, "taken");
  one.got()?.answer();
  t.equal(one.take.wait, "none");
  closeAll(one.got());
});

t.test("one that is cancelled is told nothing more", async (t) => {
  await t.test("in the queue", async (t) => {
    const made = await scene(t, { maxConnections: 1 });
    const held = await made.opened(HELD);
    const one = taking(made);
    one.take.begin(made.endpoint);
    one.take.cancel();
    held.free();
    t.same(one.said, []);
    t.equal(made.pool.takeIdle(HELD, made.endpoint, true), held);
  });

  await t.test("while its connection is opened, which another may do then", async (t) => {
    const made = await scene(t, { maxConnections: 1 });
    const [one, two] = [taking(made), taking(made)];
    one.take.begin(made.endpoint);
    two.take.begin(made.endpoint);
    one.take.cancel();
    one.take.cancel();
    await until(two, "taken");
    t.same([one.said, two.said], [["opening"], ["opening", "taken"]]);
    t.equal(made.endpoint.inFlight, 0);
    closeAll(two.got());
  });

  await t.test("once it has one", async (t) => {
    const made = await scene(t, { maxConnections: 1 });
    const one = taking(made);
    one.take.begin(made.endpoint);
    await until(one, "taken");
    one.take.cancel();
    t.equal(one.got()?.isClosed, false, "which is no business of the take any more");
    t.equal(made.pool.mayOpen, false, "and holds its place");
    closeAll(one.got());
  });
});

t.test("who may share takes a busy connection, and who may not does not", async (t) => {
  for (const mayShare of [true, false]) {
    const made = await scene(t, { maxConnections: 1 });
    const held = await made.opened(HELD);
    const one = taking(made, mayShare);
    one.take.begin(made.endpoint);
    held.share();
    t.same(one.said, mayShare ? ["taken"] : [], `${mayShare}`);
    one.take.cancel();
  }
});

t.test("a failed connection ends the waits of those that have seen no answer", async (t) => {
  const made = await scene(t, { maxConnections: 1 }, "127.0.0.2");
  const [one, two] = [taking(made), taking(made)];
  one.take.begin(made.endpoint);
  two.take.begin(made.endpoint);
  await until(one, "failure");
  t.same(two.said, ["failure"]);
});

t.test(
  "where a bad server was met of late, a check waits a moment for a busy connection that has answered",
  async (t) => {
    const rows = [
      { name: "a verdict just now", doubt: true, age: 0, waits: true },
      { name: "a verdict a second ago", doubt: true, age: 1_000, waits: false },
      { name: "no doubt", doubt: false, age: 0, waits: false },
    ];
    for (const { name, doubt, age, waits } of rows) {
      const made = await scene(t, { maxConnections: 4 });
      const { pool, endpoint, clock } = made;
      const busy = await made.opened(HELD);
      pool.noteVerdict(busy.record, clock.now, true, false, null);
      clock.now += age;
      if (doubt) made.endpoints.suspected(endpoint);
      const one = taking(made);
      one.take.begin(endpoint);
      t.same(one.said, waits ? [] : ["opening"], name);
      if (!waits) {
        await until(one, "taken");
        closeAll(one.got(), busy);
        continue;
      }
      pool.noteVerdict(busy.record, clock.now, true, false, null);
      busy.free();
      t.same([one.said, one.got()], [["taken"], busy], name);

      const late = taking(made);
      late.take.begin(endpoint);
      late.take.look(5_000);
      late.take.look(5_019);
      t.same(late.said, [], "its answer may take 20 ms");
      late.take.look(5_020);
      await until(late, "taken");
      t.not(late.got(), busy, "then a fresh one is opened");

      const gone = taking(made);
      gone.take.begin(endpoint);
      gone.take.cancel();
      busy.free();
      t.same(gone.said, [], "one that has left is not called");
      closeAll(late.got(), busy);
    }
  },
);
