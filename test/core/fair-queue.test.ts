import t from "tap";
import { type FairPlace, FairQueue } from "../../src/core/fair-queue.ts";

interface Item {
  readonly name: string;
}

interface Queued {
  readonly queue: FairQueue<Item>;
  /** Adds an item of a client, and says which one had to leave. */
  add(client: string | null, name?: string): { place: FairPlace<Item>; lost: string | null };
  /** Serves so many, and says whose they were. */
  serve(count?: number): string;
}

function queued(isHeldBack: (client: string) => boolean = () => false): Queued {
  const queue = new FairQueue<Item>();
  return {
    queue,
    add: (client, name = client ?? "own") => {
      const { place, lost } = queue.add({ name }, client);
      return { place, lost: lost?.name ?? null };
    },
    serve: (count = 1) => {
      const served: string[] = [];
      for (let left = count; left > 0; left -= 1) {
        const next = queue.next(isHeldBack);
        if (next === null) break;
        queue.serve(next);
        served.push(next.item.name);
      }
      return served.join(" ");
    },
  };
}

/** So many items of each client, by turns. */
function addAll({ add }: Queued, clients: string, each: number): void {
  for (let count = 0; count < each; count += 1) for (const client of clients) add(client);
}

t.test("one client is served in its order", async (t) => {
  const made = queued();
  for (const name of ["1", "2", "3"]) made.add("a", name);
  t.equal(made.serve(4), "1 2 3");
  t.equal(made.queue.size, 0);
});

t.test("several are served in turn, however many items each has", async (t) => {
  const made = queued();
  addAll(made, "a", 100);
  addAll(made, "bc", 4);
  for (let round = 0; round < 4; round += 1) {
    const served = made.serve(3);
    t.same(served.split(" ").sort(), ["a", "b", "c"], served);
  }
  t.equal(made.serve(3), "a a a");
});

t.test("a client that comes waits for two services at most", async (t) => {
  for (const clients of ["a", "abcdefghijklmnopqrst"]) {
    for (let before = 0; before < 45; before += 1) {
      const made = queued();
      addAll(made, clients, 10);
      made.serve(before);
      made.add("new");
      t.match(made.serve(2), /new/, `${before} of ${clients}`);
    }
  }
});

t.test("clients that keep coming do not keep those that wait from their turns", async (t) => {
  const made = queued();
  addAll(made, "abc", 2);
  const served: string[] = [];
  for (let count = 0; count < 24; count += 1) {
    made.add(`new ${count}`, "new");
    served.push(made.serve());
  }
  t.equal(served.filter((name) => name !== "new").length, 6, served.join(" "));
});

t.test("who leaves and comes back gains nothing", async (t) => {
  const made = queued();
  addAll(made, "ab", 20);
  const served: string[] = [];
  for (let count = 0; count < 30; count += 1) {
    // One at a time, as if it were a new client.
    if (served.at(-1) !== undefined) made.add("c");
    served.push(made.serve());
  }
  const turns = served.filter((name) => name === "c").length;
  t.ok(turns >= 8 && turns <= 11, `${turns} of 30`);
});

t.test("requests of our own go first", async (t) => {
  const made = queued();
  addAll(made, "ab", 2);
  made.add(null);
  made.add(null);
  t.equal(made.serve(2), "own own");
});

t.test("a client that is held back is passed over while others wait", async (t) => {
  const made = queued((client) => client === "a" || client === "b");
  addAll(made, "ab", 2);
  made.add("c");
  t.equal(made.serve(), "c");
  t.match(made.serve(4), /^(a|b)( (a|b)){3}$/, "not where nobody else waits");
});

t.test("what leaves is not served, and a second time nothing leaves", async (t) => {
  const { queue, add, serve } = queued();
  const { place } = add("a", "1");
  add("a", "2");
  queue.leave(place);
  queue.leave(place);
  t.equal(queue.size, 1);
  t.equal(serve(2), "2");
});

t.test("when there is no more room, the longest queue loses its newest", async (t) => {
  const made = queued();
  for (let count = 0; count < 1_023; count += 1) made.add("flood", `${count}`);
  t.equal(made.add("other").lost, null);
  t.equal(made.add("other").lost, "1022");
  t.equal(made.add("third").lost, "1021");
  t.equal(made.add("flood", "late").lost, "late");
  t.equal(made.queue.size, 1_024);

  const crowd = queued();
  for (let count = 0; count < 1_024; count += 1) crowd.add(`${count}`);
  t.equal(crowd.add("last").lost, "last", "where all are equal, who comes last");
});
