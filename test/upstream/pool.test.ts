import type { Socket } from "node:net";
import t, { type Test } from "tap";
import type { Peer } from "../../src/upstream/connect.ts";
import { createPools, type Pool, type Taken } from "../../src/upstream/pool.ts";
import type { ConnectionEvents, ConnectionKind, Pooled } from "../../src/upstream/pooled-connection.ts";
import { createResolver } from "../../src/upstream/resolver.ts";
import { rawUpstream, upstreamAt } from "../support/raw-upstream.ts";

/** A connection that a test frees by hand. */
class Held implements Pooled {
  readonly hasTurn = false;
  readonly peer: Peer;
  readonly #socket: Socket;
  readonly #events: ConnectionEvents;

  constructor(socket: Socket, peer: Peer, events: ConnectionEvents) {
    this.peer = peer;
    this.#socket = socket;
    this.#events = events;
    socket.once("close", () => events.closed(this));
  }

  get usable(): boolean {
    return !this.#socket.destroyed;
  }

  free(): void {
    this.#events.free(this);
  }

  answer(): void {
    this.#events.answered();
  }

  close(): void {
    this.#socket.destroy();
  }
}

const KIND: ConnectionKind<Held> = {
  reading: "stream",
  create: (socket, peer, _upstream, events) => new Held(socket, peer, events),
  isOne: (connection) => connection instanceof Held,
};

async function scene(t: Test, maxConnections: number): Promise<Pool> {
  const { port } = await rawUpstream(t, () => {});
  const pools = createPools(createResolver(() => performance.now()));
  t.teardown(() => pools.close());
  return pools.of(upstreamAt(port, { maxConnections }));
}

const take = (pool: Pool, signal = new AbortController().signal): Promise<Taken<Held>> =>
  pool.take(KIND, null, signal);

async function taken(taking: Promise<Taken<Held>>): Promise<Held> {
  const found = await taking;
  if (found.kind !== "taken") throw new Error(`not taken but ${found.kind}`);
  return found.connection;
}

t.test("the last used is taken first, unless it is not usable any more", async (t) => {
  const pool = await scene(t, 3);
  const [a, b, c] = await Promise.all([taken(take(pool)), taken(take(pool)), taken(take(pool))]);
  for (const connection of [a, b, c]) connection.free();
  c.close();
  t.equal(pool.takeIdle(KIND), b);
  t.equal(pool.takeIdle(KIND), a);
  t.equal(pool.takeIdle(KIND), null);
  for (const connection of [a, b]) connection.close();
});

t.test("a wait ends in its turn", async (t) => {
  const pool = await scene(t, 1);
  const first = await taken(take(pool));
  const waits = [take(pool), take(pool)];
  first.free();
  t.same(await waits[0], { kind: "taken", connection: first, queued: false });
  first.answer();
  first.close();
  const second = await waits[1];
  t.match(second, { kind: "taken", queued: true }, "another was answered meanwhile");
  if (second?.kind === "taken") second.connection.close();
});

t.test("a wait that is interrupted", async (t) => {
  for (const [answers, kind] of [
    [0, "interrupted"],
    [1, "overload"],
  ] as const) {
    const pool = await scene(t, 1);
    const first = await taken(take(pool));
    const interrupt = new AbortController();
    const wait = take(pool, interrupt.signal);
    if (answers > 0) first.answer();
    interrupt.abort();
    t.same(await wait, { kind }, `${answers} answers meanwhile`);
    first.free();
    t.equal(pool.takeIdle(KIND), first, "it left the queue");
    first.close();
  }
});
