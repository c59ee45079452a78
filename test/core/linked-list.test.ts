import t from "tap";
import { LinkedList, type Place } from "../../src/core/linked-list.ts";

interface Named {
  readonly name: string;
}

function listOf(names: string): { list: LinkedList<Named>; places: Place<Named>[] } {
  const list = new LinkedList<Named>();
  return { list, places: [...names].map((name) => list.add({ name })) };
}

function namesIn(list: LinkedList<Named>): string {
  let names = "";
  list.each(({ name }) => {
    names += name;
  });
  return names;
}

t.test("who leaves", async (t) => {
  for (const [leaving, left] of [
    [[], "abcd"],
    [[0], "bcd"],
    [[3], "abc"],
    [[1, 2], "ad"],
    [[2, 1], "ad"],
    [[0, 0], "bcd"],
    [[3, 2, 1, 0], ""],
    [[0, 1, 2, 3], ""],
  ] as const) {
    const { list, places } = listOf("abcd");
    for (const index of leaving) list.leave(places[index] as Place<Named>);
    t.equal(namesIn(list), left, `of abcd: ${leaving}`);
    t.equal(list.first?.name ?? "", left.slice(0, 1));
    list.add({ name: "e" });
    t.equal(namesIn(list), `${left}e`, "who comes is last");
  }
});

t.test("the first is taken out", async (t) => {
  const { list, places } = listOf("abc");
  t.equal(list.shift()?.name, "a");
  list.leave(places[0] as Place<Named>);
  t.equal(namesIn(list), "bc");
  t.equal(list.shift()?.name, "b");
  t.equal(list.shift()?.name, "c");
  t.equal(list.shift(), null);
});

t.test("who leaves while all are visited", async (t) => {
  for (const [visited, leaving, seen] of [
    ["b", [1], "abcd"],
    ["b", [2], "abd"],
    ["b", [1, 2], "abd"],
    ["a", [1, 2, 3], "a"],
    ["d", [0, 3], "abcd"],
    ["c", [0, 1], "abcd"],
  ] as const) {
    const { list, places } = listOf("abcd");
    let names = "";
    list.each(({ name }) => {
      names += name;
      if (name === visited) for (const index of leaving) list.leave(places[index] as Place<Named>);
    });
    t.equal(names, seen, `at ${visited}: ${leaving}`);
  }
});

t.test("what has left holds on to nothing", async (t) => {
  const { list, places } = listOf("abc");
  const [, place] = places;
  list.leave(place as Place<Named>);
  t.same(place, { item: null, before: null, after: null });
});
