/** What becomes of checks that share a connection to an upstream, when all goes well and when one goes wrong. */
import t from "tap";
import { eventually } from "../support/processes.ts";
import { HEAD, ROWS, type Row } from "./pipelining-rows.ts";
import { answer, scene, warm } from "./pipelining-scene.ts";
import { resultOf } from "./tagged-checks.ts";
import type { Got } from "./tagged-upstream.ts";

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
