/** When a check stands behind another on a connection to an upstream, and when it does not. */
import t from "tap";
import { HEAD } from "./pipelining-rows.ts";
import { scene, warm } from "./pipelining-scene.ts";
import { resultOf, ticks } from "./tagged-checks.ts";

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

  await t.test("not behind an answer that closes the connection, or is a stream", async (t) => {
    const rows = [
      { head: "HTTP/1.1 200 OK\r\nX-Tag: a\r\nConnection: close\r\nContent-Length: 1\r\n\r\n", rest: "a" },
      { head: `${HEAD}Content-Length: 100000\r\n\r\n${"a".repeat(99_999)}`, rest: "a" },
    ];
    for (const { head, rest } of rows) {
      const made = await scene(t);
      const { ask, upstream } = made;
      await warm(made);
      const first = ask("a");
      await upstream.until(2);
      upstream.got[1]?.socket.write(head);
      if (head.length > 1_000) await first;
      await ticks();
      const second = ask("b");
      await ticks();
      t.equal(upstream.got.length, 2);
      upstream.got[1]?.socket.write(rest);
      t.equal(await resultOf("a", await first), "own");
      await upstream.until(3);
      made.answer(2);
      t.equal(await resultOf("b", await second), "own");
    }
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
