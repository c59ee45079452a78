/** The receivers are real. Only the clock and its timers are made by hand. */
import { pipeline } from "node:stream";
import t, { type Test } from "tap";
import type { NotifyTarget } from "../../src/core/snapshot.ts";
import type { FallbackChange, NotifyEvent } from "../../src/core/types.ts";
import { createNotifier } from "../../src/notify/notifier.ts";
import { logEvent } from "../../src/observe/log/events.ts";
import { createLogger } from "../../src/observe/log/logger.ts";
import { createUpstreams } from "../../src/upstream/upstreams.ts";
import { eventually } from "../support/processes.ts";
import { upstreamAt } from "../support/raw-upstream.ts";
import { type Received, type Receiver, startReceiver } from "../support/receiver.ts";

const SHORT = { connect: 200, read: 200, total: 200 };

function targetAt(port: number, changes: Partial<NotifyTarget> = {}): NotifyTarget {
  const upstream = upstreamAt(port, { timeouts: SHORT, maxConnections: 2, answerBytes: null });
  return { upstream, target: "/hooks/path-secret?key=query-secret", headers: [], ...changes };
}

interface Timer {
  readonly due: number;
  readonly run: () => void;
}

function scene(t: Test) {
  let now = 1_000_000;
  const timers = new Set<Timer>();
  const events: NotifyEvent[] = [];
  const lines: string[] = [];
  const logger = createLogger({ level: "debug", write: (line) => lines.push(line), now: () => 0 });
  const notifier = createNotifier({
    upstreams: createUpstreams({ now: () => performance.now(), asksInBytes: () => false }),
    userAgent: "sparekey/1.2.3",
    instance: "here",
    now: () => now,
    unixNow: () => Date.UTC(2026, 0, 1),
    random: () => 0,
    later: (milliseconds, run) => {
      const timer = { due: now + milliseconds, run };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    report: (event) => {
      logEvent(logger, event);
      if (event.kind === "notify") events.push(event.delivery);
    },
  });
  t.teardown(() => notifier.close());

  /** Waits for the next timer, because the exchange before it goes over real sockets. */
  const nextTimer = (): Promise<Timer> =>
    eventually(
      () => "nothing is planned",
      () => [...timers].toSorted((a, b) => a.due - b.due)[0] ?? null,
    );
  /** Lets the time before the next try pass. Resolves with that time. */
  const nextTry = async (): Promise<number> => {
    const timer = await nextTimer();
    const waited = timer.due - now;
    now = timer.due;
    timers.delete(timer);
    timer.run();
    return waited;
  };
  /** Lets one try follow the other until `condition`. */
  const until = async (what: string, condition: () => boolean): Promise<readonly number[]> => {
    const waits: number[] = [];
    await eventually(
      () => `${what}: ${JSON.stringify(events)}`,
      async () => {
        if (condition()) return true;
        if (timers.size > 0) waits.push(await nextTry());
        return null;
      },
    );
    return waits;
  };
  const words = (): readonly string[] => events.map(wordsFor);
  return { notifier, events, lines, timers, nextTry, until, words };
}

function wordsFor(event: NotifyEvent): string {
  const { kind, entry } = event;
  if (kind === "failing") return `${entry} failing ${event.reason}`;
  return `${entry} ${kind}${kind === "given_up" ? ` ${event.reason}` : ""} lost ${event.lost}`;
}

function began(route: string): FallbackChange {
  return { event: "fallback_began", route, mode: "deny", reason: "refused" };
}

function routesOf(received: readonly Received[]): readonly string[] {
  return received.map(({ body }) => String(JSON.parse(body).route));
}

function names(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `r${index + 1}`);
}

/** A port on which nothing listens. */
const NOBODY = 9;

t.test("messages come in order, as POSTs of JSON, and nothing is said of it", async (t) => {
  const receiver = await startReceiver(t);
  const { notifier, until, words } = scene(t);
  notifier.use([targetAt(receiver.port, { headers: ["Authorization", "Bearer value-secret"] })]);
  for (const route of names(20)) notifier.notify(began(route));
  t.equal(receiver.received.length, 0, "nothing is sent before notify returns");
  await until("all come", () => receiver.received.length === 20);
  t.same(routesOf(receiver.received), names(20));
  t.match(receiver.received[0], {
    method: "POST",
    target: "/hooks/path-secret?key=query-secret",
    headers: {
      host: `127.0.0.1:${receiver.port}`,
      "user-agent": "sparekey/1.2.3",
      "content-type": "application/json",
      authorization: "Bearer value-secret",
    },
  });
  t.match(JSON.parse(receiver.received[0]?.body ?? ""), {
    instance: "here",
    time: "2026-01-01T00:00:00.000Z",
  });
  t.same(words(), []);
});

const PASSING = [
  { name: "500", fail: (r: Parameters<Answer>[0]) => r.writeHead(500).end("no"), reason: "status_500" },
  { name: "429", fail: (r: Parameters<Answer>[0]) => r.writeHead(429).end(), reason: "status_429" },
  { name: "a hang", fail: () => {}, reason: "read_timeout|total_timeout" },
  { name: "a cut", fail: (r: Parameters<Answer>[0]) => r.destroy(), reason: "reset" },
] as const;
type Answer = NonNullable<Parameters<typeof startReceiver>[1]>;

for (const { name, fail, reason } of PASSING) {
  t.test(`tried again after ${name}, in order`, async (t) => {
    const receiver = await startReceiver(t, (response, _request, count) => {
      if (count <= 3) fail(response);
      else response.end("ok");
    });
    const { notifier, until, words } = scene(t);
    notifier.use([targetAt(receiver.port)]);
    for (const route of ["a", "b"]) notifier.notify(began(route));
    const waits = await until("both come", () => receiver.received.length === 5 && words().length === 2);
    t.same(routesOf(receiver.received), ["a", "a", "a", "a", "b"]);
    t.same(waits.slice(0, 4), [0, 1_000, 5_000, 25_000]);
    t.match(words(), [new RegExp(`^0 failing (${reason})$`), "0 working lost 0"]);
  });
}

t.test("nobody listens: tried for 10 minutes, then given up; one line each", async (t) => {
  const { notifier, until, words } = scene(t);
  notifier.use([targetAt(NOBODY)]);
  notifier.notify(began("a"));
  const waits = await until("it is given up", () => words().length === 2);
  t.same(words(), ["0 failing refused", "0 given_up refused lost 1"]);
  t.same(waits.slice(0, 6), [0, 1_000, 5_000, 25_000, 60_000, 60_000]);
  const total = waits.reduce((sum, wait) => sum + wait, 0);
  t.ok(total > 9 * 60_000 && total <= 10 * 60_000, `${total} ms`);

  notifier.notify(began("b"));
  await until("the next one is given up", () => words().length === 3);
  t.equal(words()[2], "0 given_up refused lost 1", "that it fails was said before");
});

t.test("what is old goes together; what is newer is still tried", async (t) => {
  const { notifier, until, nextTry, words } = scene(t);
  notifier.use([targetAt(NOBODY)]);
  for (const route of ["a", "b", "c"]) notifier.notify(began(route));
  for (let tries = 0; tries < 5; tries += 1) await nextTry();
  notifier.notify(began("d"));
  await until("the old ones are given up", () => words().length === 2);
  await until("so is the newer one", () => words().length === 3);
  t.same(words().slice(1), ["0 given_up refused lost 3", "0 given_up refused lost 1"]);
});

const REFUSALS = [301, 302, 307, 308, 400, 401, 403, 404, 410] as const;
for (const status of REFUSALS) {
  t.test(`${status} is not tried again, nor followed, and the next message is`, async (t) => {
    const elsewhere = await startReceiver(t);
    const receiver = await startReceiver(t, (response, _request, count) => {
      const head = { Location: `${elsewhere.url}/hooks` };
      response.writeHead(count === 1 ? status : 200, head).end();
    });
    const { notifier, until, words, timers } = scene(t);
    notifier.use([targetAt(receiver.port)]);
    for (const route of ["a", "b"]) notifier.notify(began(route));
    await until("both are settled", () => words().length === 2);
    t.same(routesOf(receiver.received), ["a", "b"]);
    t.same(words(), [`0 given_up status_${status} lost 1`, "0 working lost 0"]);
    t.equal(elsewhere.received.length, 0);
    t.equal(timers.size, 0, "nothing is planned");
  });
}

t.test("the queue is bounded: the oldest go, but for the one on its way, and are counted", async (t) => {
  const receiver = await startReceiver(t, (response, _request, count) => {
    if (count > 1) response.end();
  });
  const { notifier, nextTry, until, words } = scene(t);
  notifier.use([targetAt(receiver.port)]);
  notifier.notify(began("r1"));
  await nextTry();
  await receiver.first(1);
  for (const route of names(100).slice(1)) notifier.notify(began(route));
  await until("all that is left comes", () => receiver.received.length === 65);
  t.same(routesOf(receiver.received), ["r1", "r1", ...names(100).slice(37)]);
  await until("it says so", () => words().length === 2);
  t.equal(words()[1], "0 working lost 36");
});

t.test("a slow target holds up no other target", async (t) => {
  const slow = await startReceiver(t, () => {});
  const quick = await startReceiver(t);
  const { notifier, nextTry } = scene(t);
  const patient = upstreamAt(slow.port, { timeouts: { connect: 60_000, read: 60_000, total: 60_000 } });
  notifier.use([targetAt(slow.port, { upstream: patient }), targetAt(quick.port)]);
  notifier.notify(began("a"));
  await nextTry();
  await nextTry();
  await slow.first(1);
  notifier.notify(began("b"));
  await quick.first(1);
  await nextTry();
  t.same(routesOf(await quick.first(2)), ["a", "b"]);
  t.equal(slow.received.length, 1);
});

t.test("an answer without end is enough, and is cut", async (t) => {
  const receiver = await startReceiver(t, (response) => {
    pipeline(endless, response, () => {});
  });
  const { notifier, until, words } = scene(t);
  notifier.use([targetAt(receiver.port)]);
  for (const route of ["a", "b"]) notifier.notify(began(route));
  await until("both come", () => receiver.received.length === 2);
  await noConnections(receiver);
  t.same(words(), []);
});

t.test(
  "a reload: a target that stays keeps its messages, with new headers; one that goes loses them",
  async (t) => {
    const receiver = await startReceiver(t, (response, _request, count) => {
      response.writeHead(count === 1 ? 503 : 200).end();
    });
    const { notifier, until, words } = scene(t);
    notifier.use([targetAt(NOBODY), targetAt(receiver.port, { headers: ["X-Key", "old"] })]);
    notifier.notify(began("a"));
    await until("both fail", () => words().length === 2);
    notifier.use([targetAt(receiver.port, { headers: ["X-Key", "new"] })]);
    await until("it comes", () => receiver.received.length === 2);
    t.same(
      receiver.received.map(({ headers }) => headers["x-key"]),
      ["old", "new"],
    );
    await until("it says so", () => words().length === 4);
    t.same(words().toSorted(), [
      "0 failing refused",
      "0 given_up removed lost 1",
      "0 working lost 0",
      "1 failing status_503",
    ]);
  },
);

t.test("a reload aborts the message on its way to a target that goes", async (t) => {
  const receiver = await startReceiver(t, () => {});
  const { notifier, nextTry, words } = scene(t);
  const patient = upstreamAt(receiver.port, { timeouts: { connect: 60_000, read: 60_000, total: 60_000 } });
  notifier.use([targetAt(receiver.port, { upstream: patient })]);
  notifier.notify(began("a"));
  await nextTry();
  await receiver.first(1);
  notifier.use([]);
  notifier.notify(began("b"));
  await noConnections(receiver);
  t.same(words(), ["0 given_up removed lost 1"]);
});

t.test("the end: waiting messages are tried once more, in order", async (t) => {
  const receiver = await startReceiver(t, (response, _request, count) => {
    response.writeHead(count === 1 ? 503 : 200).end();
  });
  const { notifier, until, words } = scene(t);
  notifier.use([targetAt(receiver.port), targetAt(NOBODY)]);
  for (const route of ["a", "b", "c"]) notifier.notify(began(route));
  await until("both fail", () => words().length === 2);
  await notifier.drain(1_000);
  t.same(routesOf(receiver.received), ["a", "a", "b", "c"]);
  t.same(words().slice(2), ["0 working lost 0", "1 given_up ending lost 3"]);
});

t.test("the end does not wait for a target that hangs", async (t) => {
  const receiver = await startReceiver(t, () => {});
  const { notifier, nextTry, words } = scene(t);
  const patient = upstreamAt(receiver.port, { timeouts: { connect: 60_000, read: 60_000, total: 60_000 } });
  notifier.use([targetAt(receiver.port, { upstream: patient })]);
  for (const route of ["a", "b"]) notifier.notify(began(route));
  await nextTry();
  await receiver.first(1);
  const drained = notifier.drain(1_000);
  t.equal(await nextTry(), 1_000);
  await drained;
  await noConnections(receiver);
  t.same(words(), ["0 given_up ending lost 2"]);
});

t.test("with nothing to tell the end is at once", async (t) => {
  const { notifier, words, timers } = scene(t);
  notifier.use([targetAt(NOBODY)]);
  await notifier.drain(1_000);
  t.equal(timers.size, 0);
  t.same(words(), []);
});

t.test("no line shows more of a target than its origin", async (t) => {
  const receiver = await startReceiver(t, (response, _request, count) => {
    response.writeHead(count === 1 ? 500 : count === 2 ? 403 : 200).end("body-secret");
  });
  const { notifier, until, words, lines } = scene(t);
  const headers = ["Authorization", "Bearer value-secret"];
  notifier.use([targetAt(receiver.port, { headers })]);
  for (const route of ["a", "b", "c"]) notifier.notify(began(route));
  await until("all is said", () => words().length === 3);
  notifier.notify(began("d"));
  notifier.close();
  t.equal(lines.length, 4);
  t.notMatch(lines.join("\n"), /secret/);
  t.same(JSON.parse(lines[1] ?? ""), {
    time: "1970-01-01T00:00:00.000Z",
    level: "error",
    msg: "notify: messages given up",
    target: receiver.url,
    entry: 0,
    reason: "status_403",
    lost: 1,
  });
});

function* endless(): Iterable<Buffer> {
  for (;;) yield Buffer.alloc(65_536);
}

async function noConnections(receiver: Receiver): Promise<void> {
  await eventually(
    () => "a connection is left",
    async () => ((await receiver.connections()) === 0 ? true : null),
  );
}
