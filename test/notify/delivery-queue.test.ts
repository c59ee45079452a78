/** The clock, the timers and the receiver are made by hand here. notifier.test.ts uses real receivers. */
import t from "tap";
import type { Gone, NotifyEvent, Outcome, UpstreamRequest } from "../../src/core/types.ts";
import { DeliveryQueue } from "../../src/notify/delivery-queue.ts";
import { answering, failing } from "../support/check-world.ts";
import { answer, streamedBody } from "../support/fixtures.ts";
import { upstreamAt } from "../support/raw-upstream.ts";

interface Sent {
  readonly request: UpstreamRequest;
  readonly gone: Gone;
  answer(outcome: Outcome): Promise<void>;
}

const target = (headers: readonly string[] = []) => ({ upstream: upstreamAt(9), target: "/hook", headers });
const OK = answering(answer(204));
const DOWN = failing("refused");

function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

function scene() {
  let now = 1_000_000;
  const timers: { readonly due: number; readonly run: () => void }[] = [];
  const sent: Sent[] = [];
  const events: string[] = [];
  const say = ({ entry, origin: _, kind, ...rest }: NotifyEvent) =>
    events.push([entry, kind, ...Object.values(rest)].join(" "));
  const queue = new DeliveryQueue(target(), 0, {
    ask: (_upstream, request, gone) => {
      const { promise, resolve } = Promise.withResolvers<Outcome>();
      const settle = (outcome: Outcome): Promise<void> => {
        resolve(outcome);
        return settled();
      };
      sent.push({ request, gone, answer: settle });
      gone.addEventListener("abort", () => resolve({ kind: "abandoned", isLate: false }));
      return promise;
    },
    onEvent: say,
    userAgent: "sparekey/1",
    now: () => now,
    random: () => 0,
    later: (milliseconds, run) => {
      const timer = { due: now + milliseconds, run };
      timers.push(timer);
      return () => void timers.splice(timers.indexOf(timer), 1);
    },
  });
  /** Lets the time pass that the next try waits for. Resolves with that time, or null when nothing is planned. */
  const next = async (): Promise<number | null> => {
    const timer = timers.shift();
    if (timer === undefined) return null;
    const waited = timer.due - now;
    now = timer.due;
    timer.run();
    await settled();
    return waited;
  };
  /** Answers the last request. */
  const answerLast = async (outcome: Outcome): Promise<void> => sent.at(-1)?.answer(outcome);
  const texts = async (): Promise<readonly string[]> => {
    const bodies: string[] = [];
    for (const { request } of sent)
      for await (const chunk of request.body ?? []) bodies.push(Buffer.from(chunk).toString());
    return bodies;
  };
  return { queue, sent, events, timers, next, answerLast, texts };
}

const outcomes = [
  { name: "200", outcome: answering(answer(200)), says: [], again: null },
  { name: "299", outcome: answering(answer(299)), says: [], again: null },
  {
    name: "a redirect is not followed",
    outcome: answering(answer(302)),
    says: ["0 given_up status_302 1"],
    again: null,
  },
  { name: "404", outcome: answering(answer(404)), says: ["0 given_up status_404 1"], again: null },
  { name: "429", outcome: answering(answer(429)), says: ["0 failing status_429"], again: 1_000 },
  { name: "500", outcome: answering(answer(500)), says: ["0 failing status_500"], again: 1_000 },
  { name: "nobody listens", outcome: DOWN, says: ["0 failing refused"], again: 1_000 },
  {
    name: "no connection is free",
    outcome: { kind: "overload" },
    says: ["0 failing overload"],
    again: 1_000,
  },
] as const;
for (const { name, outcome, says, again } of outcomes) {
  t.test(`a message whose answer is: ${name}`, async (t) => {
    const { queue, events, sent, next, answerLast } = scene();
    queue.push("a");
    t.equal(sent.length, 0, "push returns before anything is sent");
    t.equal(await next(), 0);
    await answerLast(outcome);
    t.same(events, says);
    t.equal(await next(), again);
    t.equal(sent.length, again === null ? 1 : 2);
  });
}

t.test("64 wait at most: the oldest goes, and the next that is told says how many went", async (t) => {
  const { queue, events, next, answerLast, texts, sent } = scene();
  for (let count = 0; count < 66; count += 1) queue.push(`m${count}`);
  await next();
  while (sent.length < 64) {
    await answerLast(OK);
    await next();
  }
  await answerLast(OK);
  t.equal(await next(), null);
  const told = await texts();
  t.same([told[0], told.at(-1), told.length], ["m2", "m65", 64]);
  t.same(events, ["0 working 2"]);
});

t.test("the one on its way stays, since it may be there already", async (t) => {
  const { queue, next, answerLast, texts } = scene();
  queue.push("first");
  await next();
  for (let count = 0; count < 64; count += 1) queue.push(`m${count}`);
  await answerLast(DOWN);
  await next();
  await answerLast(OK);
  await next();
  t.same(await texts(), ["first", "first", "m1"]);
});

t.test("a push while a failed one waits does not try it sooner", async (t) => {
  const { queue, timers, next, answerLast } = scene();
  queue.push("a");
  await next();
  await answerLast(DOWN);
  queue.push("b");
  t.equal(timers.length, 1);
  t.equal(await next(), 1_000);
});

t.test("what is given up with the rest is told once, and what comes later begins anew", async (t) => {
  const { queue, events, next, answerLast } = scene();
  queue.push("a");
  queue.push("b");
  let waited = 0;
  for (let wait = await next(); wait !== null; wait = await next()) {
    waited += wait;
    await answerLast(DOWN);
  }
  t.same(events, ["0 failing refused", "0 given_up refused 2"]);
  t.ok(waited > 540_000 && waited <= 600_000, `${waited} ms`);
  queue.push("c");
  t.equal(await next(), 0);
  await answerLast(OK);
  t.equal(events.at(-1), "0 working 0");
});

t.test("a reload: the same message goes on with the new headers, at its new place", async (t) => {
  const { queue, sent, events, next, answerLast } = scene();
  queue.push("a");
  await next();
  queue.retarget(target(["X-Key", "new"]), 3);
  await answerLast(DOWN);
  await next();
  t.notOk(sent[0]?.request.headers.includes("X-Key"));
  t.ok(sent[1]?.request.headers.includes("X-Key"));
  t.same(events, ["3 failing refused"]);
});

t.test("the end: with nothing to tell it is at once", async (t) => {
  const { queue, sent, timers } = scene();
  await queue.finish();
  t.equal(sent.length + timers.length, 0);
});

t.test("the end: what waits is tried now, up to the first that fails", async (t) => {
  const { queue, sent, events, timers, next, answerLast } = scene();
  for (const text of ["a", "b", "c"]) queue.push(text);
  await next();
  await answerLast(DOWN);
  let isOver = false;
  const over = queue.finish().then(() => {
    isOver = true;
  });
  t.equal(sent.length, 2, "without the wait");
  await answerLast(OK);
  t.equal(sent.length, 3);
  t.notOk(isOver);
  await answerLast(DOWN);
  await over;
  t.equal(timers.length, 0, "nothing is planned");
  queue.close("ending");
  t.same(events, ["0 failing refused", "0 working 0", "0 failing refused", "0 given_up ending 2"]);
});

t.test("the end comes while one is on its way: it is not sent twice", async (t) => {
  const { queue, sent, next, answerLast } = scene();
  queue.push("a");
  await next();
  const over = queue.finish();
  t.equal(sent.length, 1);
  await answerLast(OK);
  await over;
  t.equal(sent.length, 1);
});

t.test("close cuts what is on its way, and says once what is lost", async (t) => {
  const { queue, sent, events, timers, next } = scene();
  queue.push("a");
  queue.push("b");
  await next();
  const over = queue.finish();
  queue.close("removed");
  await over;
  t.equal(sent[0]?.gone.aborted, true);
  t.equal(timers.length, 0);
  t.same(events, ["0 given_up removed 2"]);
});

t.test("an answer's body is cut, since nobody reads it", async (t) => {
  const { queue, next, answerLast } = scene();
  const { body, cancelled } = streamedBody("thanks");
  queue.push("a");
  await next();
  await answerLast(answering(answer(200, [], body)));
  t.equal(cancelled(), 1);
});
