/** How long a check may stand behind others, and what it is when the time is over. */
import t, { type Test } from "tap";
import { upstreamAt } from "../support/raw-upstream.ts";
import { type Asker, asker, resultOf } from "./tagged-checks.ts";
import { answerTo, type TaggedUpstream, taggedUpstream } from "./tagged-upstream.ts";

const READ = 5_000;
const TOTAL = 8_000;

interface Shared extends Asker {
  readonly upstream: TaggedUpstream;
  /** Of a, b and c, which share a connection. */
  readonly results: readonly Promise<string>[];
  answer(index: number): void;
}

/** On the one connection there may be. What they get is the test's to send. */
async function shared(t: Test, timeouts = { connect: 3_000, read: READ, total: TOTAL }): Promise<Shared> {
  const upstream = await taggedUpstream(t);
  const made = asker(t, upstreamAt(upstream.port, { maxConnections: 1, pipelining: 4, timeouts }));
  const answer = (index: number): void => {
    const got = upstream.got[index];
    got?.socket.write(answerTo(got.tag));
  };
  const warm = made.ask("warm");
  await upstream.until(1);
  answer(0);
  await warm;
  const results = [..."abc"].map(async (tag) => resultOf(tag, await made.ask(tag)));
  await upstream.until(4);
  return { ...made, upstream, results, answer };
}

t.test("a read timeout in front is that check's own; the others are asked anew", async (t) => {
  const { upstream, results, answer, pass } = await shared(t);
  await pass(READ + 100);
  t.equal(await results[0], "read_timeout");
  await upstream.until(5);
  answer(4);
  await upstream.until(6);
  answer(5);
  t.same(await Promise.all(results), ["read_timeout", "own", "own"]);
  t.same(upstream.asked().slice(1), ["a@1", "b@1", "c@1", "b@2", "c@3"]);
});

t.test("the read timeout of those behind begins with their turn", async (t) => {
  const long = { connect: 3_000, read: READ, total: 60_000 };
  const { upstream, results, answer, pass } = await shared(t, long);
  await pass(READ - 500);
  answer(1);
  t.equal(await results[0], "own");
  await pass(READ - 500);
  answer(2);
  t.equal(await results[1], "own");
  await pass(READ + 100);
  t.equal(await results[2], "read_timeout", "its own answer was waited for");
  t.equal(upstream.got.length, 4, "nobody was asked twice");
});

t.test("bytes of the answer in front are no bytes for those behind, nor lateness", async (t) => {
  const { upstream, results, answer, pass } = await shared(t);
  upstream.got[1]?.socket.write("HTTP/1.1 200 OK\r\n");
  await pass(READ - 500);
  upstream.got[1]?.socket.write("X-Tag: a\r\nContent-Length: 1\r\n\r\na");
  t.equal(await results[0], "own");
  await pass(2_000);
  answer(2);
  answer(3);
  t.same(await Promise.all(results), ["own", "own", "own"]);
});

t.test("the total timeout", async (t) => {
  const patient = { connect: 3_000, read: 60_000, total: TOTAL };
  await t.test("behind, where nobody was answered: a fault only once a probe says so", async (t) => {
    const { results, pass } = await shared(t, patient);
    await pass(TOTAL + 100);
    t.same(await Promise.all(results), ["total_timeout", "total_timeout, unasked", "total_timeout, unasked"]);
  });

  await t.test("behind or in front by now, where others were answered: the upstream is busy", async (t) => {
    const { results, answer, pass } = await shared(t, patient);
    await pass(TOTAL - 500);
    answer(1);
    t.equal(await results[0], "own");
    await pass(600);
    t.same(await Promise.all(results), ["own", "busy", "busy"]);
  });

  await t.test("of those asked anew: their time is not begun again", async (t) => {
    const { upstream, results, pass } = await shared(t);
    await pass(READ + 100);
    t.equal(await results[0], "read_timeout");
    await upstream.until(5);
    await pass(TOTAL - READ);
    t.same(await Promise.all(results), ["read_timeout", "total_timeout, unasked", "total_timeout, unasked"]);
  });
});

t.test("a breaker that opens releases all of them", async (t) => {
  const { results, waiting } = await shared(t);
  waiting.each((release) => release());
  t.same(await Promise.all(results), ["released", "released", "released"]);
});
