/** Checks that share a connection to an upstream: when they may, and what becomes of all when one goes wrong. */
import t, { type Test } from "tap";
import type { Upstream } from "../../src/core/snapshot.ts";
import { eventually } from "../support/processes.ts";
import { upstreamAt } from "../support/raw-upstream.ts";
import { HEAD, ROWS, type Row } from "./pipelining-rows.ts";
import { type Asker, asker, resultOf, ticks } from "./tagged-checks.ts";
import { answerTo, type Got, type TaggedUpstream, taggedUpstream } from "./tagged-upstream.ts";

interface Scene extends Asker {
  readonly upstream: TaggedUpstream;
  /** Answers the one that came as the `index`th, from 0. */
  answer(index: number): void;
}

/** With `changes`, one connection and at most four checks on it. `onGot` has what comes from `begun` requests on. */
async function scene(
  t: Test,
  changes: Partial<Upstream> = {},
  begun = Number.POSITIVE_INFINITY,
  onGot: (got: Got) => void = answer,
): Promise<Scene> {
  const upstream = await taggedUpstream(t, (got) => {
    if (upstream.got.length > begun) onGot(got);
  });
  const target = upstreamAt(upstream.port, { maxConnections: 1, pipelining: 4, ...changes });
  return {
    ...asker(t, target),
    upstream,
    answer: (index) => {
      const got = upstream.got[index];
      if (got) answer(got);
    },
  };
}

function answer({ tag, socket }: Got): void {
  socket.write(answerTo(tag));
}

/** A check that was answered, so that its connection is one that has answered before. */
async function warm({ ask, upstream, answer }: Scene, tag = "warm"): Promise<void> {
  const index = upstream.got.length;
  const outcome = ask(tag);
  await upstream.until(index + 1);
  answer(index);
  await outcome;
}

t.test("when a check stands behind another", async (t) => {
  await t.test("not on a connection that has not answered yet", async (t) => {
    const { ask, upstream, answer } = await scene(t);
    const outcomes = [ask("a"), ask("b")];
    await upstream.until(1);
    await ticks();
    t.same(upstream.asked(), ["a@1"]);
    answer(0);
    await upstream.until(2);
    answer(1);
    t.same(
      (await Promise.all(outcomes)).map(({ kind }) => kind),
      ["answer", "answer"],
    );
    t.same(upstream.asked(), ["a@1", "b@1"]);
  });

  await t.test("not while another is idle, nor while there is room for one", async (t) => {
    const made = await scene(t, { maxConnections: 3 });
    const { ask, upstream } = made;
    const first = [ask("a"), ask("b")];
    await upstream.until(2);
    made.answer(0);
    made.answer(1);
    await Promise.all(first);
    const outcomes = [ask("c"), ask("d"), ask("e"), ask("f"), ask("g")];
    await upstream.until(7);
    const places = upstream.asked().slice(2);
    t.same(
      places.map((place) => place.slice(2)).sort(),
      ["1", "1", "2", "2", "3"],
      "evenly, but for the fresh one",
    );
    t.same(
      places.filter((place) => place.endsWith("@3")),
      ["e@3"],
    );
    for (let index = 2; index < 7; index += 1) made.answer(index);
    t.same(new Set((await Promise.all(outcomes)).map(({ kind }) => kind)), new Set(["answer"]));
  });

  await t.test("at most as many as `pipelining` says; the next has its turn with each answer", async (t) => {
    const made = await scene(t, { pipelining: 2 });
    const { ask, upstream } = made;
    await warm(made);
    const outcomes = ["a", "b", "c", "d"].map((tag) => ask(tag));
    await upstream.until(3);
    await ticks();
    t.equal(upstream.got.length, 3, "two at a time");
    for (const index of [1, 2, 3, 4]) {
      await upstream.until(Math.min(index + 2, 5));
      made.answer(index);
    }
    t.equal((await Promise.all(outcomes)).length, 4);
    t.same(upstream.asked().slice(1), ["a@1", "b@1", "c@1", "d@1"]);
  });

  await t.test("never with pipelining: 1", async (t) => {
    const made = await scene(t, { pipelining: 1 });
    await warm(made);
    const outcomes = [made.ask("a"), made.ask("b")];
    await made.upstream.until(2);
    await ticks();
    t.equal(made.upstream.got.length, 2);
    made.answer(1);
    await made.upstream.until(3);
    made.answer(2);
    await Promise.all(outcomes);
  });

  await t.test("neither in front of HEAD nor behind it, nor past one that waits for its turn", async (t) => {
    const made = await scene(t);
    const { ask, upstream } = made;
    await warm(made);
    const outcomes = [ask("a"), ask("head", { method: "HEAD" }), ask("b")];
    await upstream.until(2);
    await ticks();
    t.same(upstream.asked(), ["warm@1", "a@1"]);
    made.answer(1);
    await upstream.until(3);
    await ticks();
    t.same(upstream.asked().slice(2), ["head@1"]);
    upstream.got[2]?.socket.write("HTTP/1.1 200 OK\r\nX-Tag: head\r\nContent-Length: 4\r\n\r\n");
    await upstream.until(4);
    t.equal(upstream.asked()[3], "b@2", "its connection is not used again");
    made.answer(3);
    t.same(
      (await Promise.all(outcomes)).map(({ kind }) => kind),
      ["answer", "answer", "answer"],
    );
  });

  await t.test("not where it must not be sent a second time", async (t) => {
    const made = await scene(t);
    await warm(made);
    const outcomes = [made.ask("a"), made.ask("b", { repeatable: false })];
    await made.upstream.until(2);
    await ticks();
    t.equal(made.upstream.got.length, 2);
    made.answer(1);
    await made.upstream.until(3);
    made.answer(2);
    await Promise.all(outcomes);
  });
});

t.test("what four checks on a connection get", async (t) => {
  for (const row of ROWS) {
    await t.test(row.name, async (t) => {
      const made = await scene(t, { headBytes: 10_000, answerBytes: 200_000 }, 5);
      const { ask, upstream } = made;
      await warm(made);
      const tags = [..."abcd"];
      const outcomes = tags.map((tag) => ask(tag));
      await upstream.until(5);
      t.same(upstream.asked().slice(1), ["a@1", "b@1", "c@1", "d@1"], "in their order");
      await send(row, upstream.got[1]);
      const results = await Promise.all(
        outcomes.map(async (outcome, at) => resultOf(tags[at] ?? "", await outcome)),
      );
      t.same(
        results,
        tags.map((tag) => row.results?.[tag] ?? "own"),
      );
      t.same(
        upstream.got
          .slice(5)
          .map(({ tag }) => tag)
          .sort(),
        [...row.anew],
        "asked anew, once",
      );
      const fresh = upstream.got.slice(5).map(({ connection }) => connection);
      t.same(
        [new Set(fresh).size, fresh.includes(1)],
        [row.anew.length, false],
        "each on a fresh one of its own",
      );
      t.equal(await resultOf("e", await ask("e")), "own", "a later one has no part in it");
    });
  }
});

async function send({ sends, ending }: Row, got: Got | undefined): Promise<void> {
  for (const piece of sends) {
    await new Promise((resolve) => {
      got?.socket.write(piece, "latin1", resolve);
    });
  }
  if (ending === "closes") got?.socket.end();
  if (ending === "resets") got?.socket.resetAndDestroy();
}

t.test("a gateway that leaves", async (t) => {
  const rows = [
    { name: "in front", leaves: "a", here: "", anew: "bcd" },
    { name: "between", leaves: "b", here: "a", anew: "cd" },
    { name: "behind", leaves: "d", here: "abc", anew: "" },
  ];
  for (const { name, leaves, here, anew } of rows) {
    await t.test(name, async (t) => {
      const made = await scene(t, {}, 5);
      const { ask, upstream } = made;
      await warm(made);
      const gone = new AbortController();
      const tags = [..."abcd"];
      const outcomes = tags.map((tag) => ask(tag, tag === leaves ? { gone: gone.signal } : {}));
      await upstream.until(5);
      gone.abort();
      for (const index of [1, 2, 3, 4]) made.answer(index);
      const results = await Promise.all(
        outcomes.map(async (outcome, at) => resultOf(tags[at] ?? "", await outcome)),
      );
      t.same(
        results,
        tags.map((tag) => (tag === leaves ? "abandoned" : "own")),
      );
      t.same(
        upstream.got
          .slice(5)
          .map(({ tag }) => tag)
          .sort(),
        [...anew],
      );
      t.equal(here.length + anew.length, 3);
      t.equal(await resultOf("e", await ask("e")), "own");
      t.not(upstream.got.at(-1)?.connection, 1, "nobody is asked on that connection any more");
    });
  }
});

t.test("who is asked anew is not asked a third time", async (t) => {
  const made = await scene(t, {}, 5, ({ socket }) => socket.destroy());
  const { ask, upstream } = made;
  await warm(made);
  const outcomes = [..."abcd"].map((tag) => ask(tag));
  await upstream.until(5);
  upstream.got[1]?.socket.destroy();
  t.same(await Promise.all(outcomes), Array(4).fill({ kind: "failure", reason: "reset" }));
  t.same(
    upstream.got
      .slice(5)
      .map(({ tag }) => tag)
      .sort(),
    [..."abcd"],
  );
});

t.test("a stream that nobody reads holds nobody up", async (t) => {
  const made = await scene(t, { maxConnections: 2 });
  const { ask, upstream } = made;
  const first = [ask("w"), ask("x")];
  await upstream.until(2);
  made.answer(0);
  made.answer(1);
  await Promise.all(first);
  const outcomes = [..."abcd"].map((tag) => ask(tag));
  await upstream.until(6);
  const a = upstream.got.find(({ tag }) => tag === "a");
  const beside = upstream.got.filter(
    ({ tag, connection }) => "bcd".includes(tag) && connection === a?.connection,
  );
  t.ok(beside.length > 0);
  a?.socket.write(`${HEAD}Content-Length: 900000\r\n\r\n${"a".repeat(900_000)}`);
  const stream = await outcomes[0];
  if (stream?.kind !== "answer" || stream.answer.body.kind !== "stream") throw new Error("no stream");
  for (const got of upstream.got.slice(2)) if (got.connection !== a?.connection) answer(got);
  await upstream.until(6 + beside.length);
  for (const got of upstream.got.slice(6)) {
    await eventually(
      () => "asked anew",
      () => (got.socket.destroyed ? null : true),
    );
    answer(got);
  }
  for (const at of [1, 2, 3]) {
    const outcome = await outcomes[at];
    if (outcome) t.equal(await resultOf("abcd"[at] ?? "", outcome), "own");
  }
  t.equal(await resultOf("a", stream), "own", "and it comes whole");
});
