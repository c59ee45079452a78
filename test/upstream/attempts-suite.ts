/** What becomes of a check where one of several servers is bad: the same rows for both paths. */
import { connect as connectTcp, createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Test } from "tap";
import type { AttemptKind } from "../../src/core/endpoint.ts";
import { LinkedList } from "../../src/core/linked-list.ts";
import type { Upstream } from "../../src/core/snapshot.ts";
import type { Check, Outcome } from "../../src/core/types.ts";
import { createUpstreams, type Upstreams } from "../../src/upstream/upstreams.ts";
import { tryingOf } from "../support/fixtures.ts";
import { eventually } from "../support/processes.ts";
import { type RawUpstream, rawUpstream, upstreamAt } from "../support/raw-upstream.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const CHALLENGE = "HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n";

/** How a server is bad, and what a check that only such servers got comes to. */
export const BAD = [
  { name: "503", answer: says("HTTP/1.1 503 Bad\r\nContent-Length: 0\r\n\r\n"), alone: "status 503" },
  { name: "500", answer: says("HTTP/1.1 500 Bad\r\nContent-Length: 0\r\n\r\n"), alone: "status 500" },
  { name: "empty 400", answer: says("HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n"), alone: "status 400" },
  { name: "reset", answer: (socket: Socket) => void socket.resetAndDestroy(), alone: "reset" },
  { name: "closed", answer: (socket: Socket) => void socket.end(), alone: "reset" },
  { name: "malformed", answer: says("SSH-2.0-OpenSSH_9.2\r\n\r\n"), alone: "malformed" },
  {
    name: "cut short",
    answer: (socket: Socket) => void socket.end("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"),
    alone: "reset",
  },
  { name: "silent", answer: () => {}, alone: "read_timeout" },
] as const;

function says(bytes: string): (socket: Socket) => void {
  return (socket) => void socket.write(bytes);
}

/** One answer is measured in each tick of the deadlines' clock. */
const A_TICK_MS = 12;

export interface World {
  readonly upstreams: Upstreams;
  /** Further attempts, in order. */
  readonly attempts: AttemptKind[];
  /** Changes of endpoints: "ejected refused", "restored". */
  readonly changes: string[];
  ask(upstream: Upstream, changes?: AskChanges): Promise<Outcome>;
}

export interface AskChanges {
  readonly headers?: readonly string[];
  readonly repeatable?: boolean;
  readonly client?: string;
  readonly once?: true;
  readonly gone?: AbortSignal;
}

/** Makes a check of these headers that goes the one way or the other. */
export type MakeCheck = (headers: readonly string[]) => Check;

function world(t: Test, makeCheck: MakeCheck): World {
  const attempts: AttemptKind[] = [];
  const changes: string[] = [];
  const upstreams = createUpstreams({
    now: () => performance.now(),
    asksInBytes: () => true,
    onAttempt: (_upstream, kind) => attempts.push(kind),
    onEndpoint: (_upstream, change) => {
      changes.push("reason" in change ? `${change.kind} ${change.from} ${change.reason}` : change.kind);
    },
  });
  t.teardown(() => upstreams.close());
  return {
    upstreams,
    attempts,
    changes,
    ask: (
      upstream,
      { headers = ["Host", "a", "Cookie", "s=1"], repeatable = true, client = "c", once, gone } = {},
    ) =>
      upstreams.exchange(
        upstream,
        {
          check: makeCheck(headers),
          staysHere: () => false,
          repeatable,
          begin: performance.now(),
          trying: once ? { kind: "once" } : tryingOf({ client: () => client }),
        },
        gone ?? new AbortController().signal,
        new LinkedList(),
      ),
  };
}

export function resultOf(outcome: Outcome): string {
  if (outcome.kind === "answer") return `status ${outcome.answer.status}`;
  return outcome.kind === "failure" ? outcome.reason : outcome.kind;
}

const TIMEOUTS = { connect: 1_000, read: 1_500, total: 2_500 };

function listOf(servers: readonly { readonly port: number }[], changes: Partial<Upstream> = {}): Upstream {
  const [first, ...more] = servers.map(({ port }) => ({ host: "127.0.0.1", port }));
  return upstreamAt(0, { ...(first && { servers: [first, ...more] }), timeouts: TIMEOUTS, ...changes });
}

/** One address in front of several servers: each new connection leads to the next of `order`, over and over. */
async function balancer(t: Test, order: readonly { readonly port: number }[]): Promise<number> {
  let next = 0;
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    const behind = connectTcp(order[next++ % order.length]?.port ?? 0, "127.0.0.1");
    for (const [one, other] of [
      [socket, behind],
      [behind, socket],
    ] as const) {
      sockets.add(one);
      one.on("error", () => other.resetAndDestroy());
      one.on("close", () => other.destroy());
      one.pipe(other);
    }
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

const well = (t: Test): Promise<RawUpstream> =>
  rawUpstream(t, (socket, head) => socket.write(/\r\ncookie: /i.test(head) ? OK : CHALLENGE));

/** One that refuses connections from `stop` to `start`. */
async function restartable(t: Test) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).on("data", () => socket.write(OK));
  });
  const listen = (port: number): Promise<void> =>
    new Promise((resolve) => {
      server.listen(port, "127.0.0.1", resolve);
    });
  await listen(0);
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      for (const socket of sockets) socket.destroy();
      server.close(() => resolve());
    });
  t.teardown(stop);
  return { port, stop, start: () => listen(port) };
}

export function attemptsSuite(t: Test, makeCheck: MakeCheck): void {
  const make = (t: Test): World => world(t, makeCheck);

  t.test("one bad server of a list costs nobody anything, and soon is not asked", async (t) => {
    for (const { name, answer } of BAD) {
      await t.test(name, async (t) => {
        const [bad, good] = await Promise.all([rawUpstream(t, answer), well(t)]);
        const { ask, changes, attempts, upstreams } = make(t);
        const target = listOf([bad, good]);
        for (let round = 0; changes.length === 0 && round < 60; round += 1)
          t.equal(resultOf(await ask(target)), "status 200");
        t.match(changes[0], /^ejected all /);
        // On a busy machine the good one may get a hedge too.
        t.ok(attempts.length >= 3, `${attempts.length} failures were made good`);
        t.same(new Set(attempts), new Set([name === "silent" ? "hedge" : "retry"]));
        t.equal(upstreams.endpoints(target).filter(({ ejected }) => ejected).length, 1);
        const before = bad.heads.length;
        for (let count = 0; count < 5; count += 1) t.equal(resultOf(await ask(target)), "status 200");
        t.equal(bad.heads.length, before, "it is not asked any more");
      });
    }
  });

  t.test("a server with a long page of an error is soon not asked either", async (t) => {
    const page = "x".repeat(70_000);
    const bad = await rawUpstream(
      t,
      says(`HTTP/1.1 503 Bad\r\nContent-Length: ${page.length}\r\n\r\n${page}`),
    );
    const { ask, changes } = make(t);
    const target = listOf([bad, await well(t)]);
    for (let count = 0; changes.length === 0 && count < 60; count += 1) {
      const outcome = await ask(target);
      if (outcome.kind === "answer" && outcome.answer.body.kind === "stream")
        for await (const _ of outcome.answer.body.chunks);
    }
    t.same(changes, ["ejected all status_503"]);
    // On a busy machine a hedge may open one more.
    t.ok(bad.connections() >= Math.max(bad.heads.length, 3), "none of its connections is used again");
  });

  t.test("behind one address, every second connection leads to a bad server", async (t) => {
    for (const { name, answer } of BAD) {
      await t.test(name, async (t) => {
        const [bad, good] = await Promise.all([rawUpstream(t, answer), well(t)]);
        const { ask } = make(t);
        const target = upstreamAt(await balancer(t, [bad, good]), { timeouts: TIMEOUTS });
        for (let count = 0; count < 10; count += 1) t.equal(resultOf(await ask(target)), "status 200");
        t.equal(bad.heads.length, 1, "the connection that answered is used from then on");
      });
    }
  });

  t.test(
    "where all servers are bad, the check comes to what they brought, after three attempts at most",
    async (t) => {
      for (const { name, answer, alone } of BAD) {
        await t.test(name, async (t) => {
          const bad = await Promise.all([rawUpstream(t, answer), rawUpstream(t, answer)]);
          const { ask } = make(t);
          const began = performance.now();
          t.equal(resultOf(await ask(listOf(bad))), alone);
          t.equal(
            bad.reduce((sum, { heads }) => sum + heads.length, 0),
            name === "silent" ? 2 : 3,
          );
          t.ok(performance.now() - began < TIMEOUTS.read + 1_000, "`read` counts from the first attempt");
        });
      }
    },
  );

  t.test("the least trusted of the attempts is the evidence", async (t) => {
    const [reset, suspect] = await Promise.all([
      rawUpstream(t, (socket) => socket.resetAndDestroy()),
      rawUpstream(t, says("HTTP/1.1 500 Bad\r\nContent-Length: 0\r\n\r\n")),
    ]);
    t.equal(resultOf(await make(t).ask(listOf([reset, suspect]))), "status 500");
  });

  t.test("so is silence, though its attempt made way for the next one", async (t) => {
    for (const maxConnections of [1, 8]) {
      const silent = createServer((socket) => {
        t.teardown(() => socket.destroy());
        silent.close();
      });
      const port = await new Promise<number>((resolve) => {
        silent.listen(0, "127.0.0.1", () => {
          const address = silent.address();
          resolve(typeof address === "object" && address !== null ? address.port : 0);
        });
      });
      const outcome = await make(t).ask(listOf([{ port }], { maxConnections }));
      t.equal(resultOf(outcome), "read_timeout", "not refused, as its last attempts");
    }
  });

  t.test("what must not be sent twice is not, and what says nothing may be", async (t) => {
    const rows = [
      { name: "not repeatable", changes: { repeatable: false }, heads: 1 },
      { name: "a plain proxy", changes: { once: true }, heads: 1 },
    ] as const;
    for (const { name, changes } of rows) {
      const bad = await Promise.all(
        [1, 2].map(() => rawUpstream(t, says("HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n"))),
      );
      const made = make(t);
      t.equal(resultOf(await made.ask(listOf(bad), changes)), "status 503", name);
      t.equal(
        bad.reduce((sum, { heads }) => sum + heads.length, 0),
        1,
        name,
      );
      t.same(made.attempts, [], name);
    }
    const silent = await rawUpstream(t, () => {});
    const made = make(t);
    const target = listOf([silent, await well(t)]);
    for (const changes of [{ repeatable: false }, { once: true }] as const) {
      const results = new Set<string>();
      for (let count = 0; results.size < 2 && count < 20; count += 1)
        results.add(resultOf(await made.ask(target, changes)));
      t.same(results, new Set(["status 200", "read_timeout"]), "no hedge");
    }
  });

  t.test("a hedge that wins ends the slow attempt, whose connection is closed", async (t) => {
    const closed: number[] = [];
    const slow = await rawUpstream(t, (socket, _head, count) => {
      socket.once("close", () => closed.push(count));
    });
    const { ask, attempts } = make(t);
    const target = listOf([slow, await well(t)]);
    while (slow.heads.length === 0) t.equal(resultOf(await ask(target)), "status 200");
    t.same(attempts, ["hedge"]);
    await eventually(
      () => "the slow connection stays open",
      () => (closed.length === 1 ? true : null),
    );
  });

  t.test("where all connections are taken, a hedge takes the place of its own first attempt", async (t) => {
    let isFirst = true;
    const upstream = await rawUpstream(t, (socket) => {
      if (!isFirst) socket.write(OK);
      isFirst = false;
    });
    const { ask, attempts } = make(t);
    const target = listOf([upstream], { maxConnections: 1 });
    t.equal(resultOf(await ask(target)), "status 200");
    t.same(attempts, ["hedge"]);
    t.equal(upstream.connections(), 2, "never two on one connection");
  });

  t.test("a suspect of checks without a cookie keeps its endpoint for all others", async (t) => {
    const full = await rawUpstream(t, (socket, head) =>
      socket.write(/\r\ncookie: /i.test(head) ? OK : "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n"),
    );
    const { ask, changes } = make(t);
    const target = listOf([full, await well(t)]);
    const cookieless = { headers: ["Host", "a"] };
    for (let count = 0; changes.length === 0 && count < 60; count += 1)
      t.equal(resultOf(await ask(target, cookieless)), "status 302");
    t.same(changes, ["ejected cookieless bare_400"]);
    const before = full.heads.length;
    for (let count = 0; full.heads.length === before && count < 60; count += 1)
      t.equal(resultOf(await ask(target)), "status 200");
    t.ok(full.heads.length > before, "sessions still go there");
    t.same(changes, ["ejected cookieless bare_400"]);
  });

  t.test("what fails at every endpoint is the client's own doing, and ejects nobody", async (t) => {
    const odd = () =>
      rawUpstream(t, (socket, head) =>
        socket.write(/%zz/.test(head) ? "HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n" : OK),
      );
    const { ask, changes } = make(t);
    const target = listOf(await Promise.all([odd(), odd()]));
    for (let count = 0; count < 10; count += 1)
      t.equal(
        resultOf(await ask(target, { headers: ["Host", "a", "Cookie", "s=1", "X-Forwarded-Uri", "/%zz"] })),
        "status 500",
      );
    t.same(changes, []);
  });

  t.test(
    "a client whose attempts all come to nothing has a part of the budget, and leaves the rest",
    async (t) => {
      const odd = await rawUpstream(t, (socket, head) =>
        socket.write(/%zz/.test(head) ? "HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n" : OK),
      );
      const { ask, attempts } = make(t);
      const target = listOf([odd]);
      for (let count = 0; count < 60; count += 1)
        await ask(target, { headers: ["Host", "a", "X-Forwarded-Uri", "/%zz"] });
      t.ok(attempts.length >= 25 && attempts.length < 35, `${attempts.length} of 120`);
      const before = attempts.length;
      await ask(target, { headers: ["Host", "a", "X-Forwarded-Uri", "/%zz"], client: "other" });
      t.equal(attempts.length, before + 2);
    },
  );

  t.test("regression: an endpoint that could not be reached is asked again once it can be", async (t) => {
    const rows = [
      { name: "by checks", changes: {}, parallel: 1, maxConnections: 8 },
      { name: "by a plain proxy's requests", changes: { once: true }, parallel: 1, maxConnections: 8 },
      { name: "though another has all places", changes: {}, parallel: 3, maxConnections: 2 },
    ] as const;
    for (const { name, changes, parallel, maxConnections } of rows) {
      await t.test(name, async (t) => {
        const [down, good] = await Promise.all([restartable(t), well(t)]);
        await down.stop();
        const made = make(t);
        const target = listOf([down, good], { maxConnections });
        const askSome = async (): Promise<void> => {
          const all = await Promise.all(Array.from({ length: parallel }, () => made.ask(target, changes)));
          for (const outcome of all) t.equal(resultOf(outcome), "status 200");
        };
        for (let count = 0; made.changes.length === 0 && count < 60; count += 1) await askSome();
        t.same(made.changes, ["ejected all refused"]);
        await down.start();
        await eventually(
          () => `only ${made.changes.join(", ")}`,
          async () => {
            await askSome();
            return made.changes.includes("restored") ? true : null;
          },
        );
      });
    }
  });

  t.test("a hedge that finds no place costs nothing of the budget", async (t) => {
    const upstream = await rawUpstream(t, (socket, head) => {
      if (/%zz/.test(head)) return socket.write("HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n");
      return /hang/.test(head) ? null : socket.write(OK);
    });
    const { ask, attempts } = make(t);
    // A connection that checks may share is not cut for a hedge.
    const target = listOf([upstream], { maxConnections: 16, pipelining: 2 });
    for (let count = 0; count < 5; count += 1) await ask(target);
    const hung = Array.from({ length: 16 }, (_, index) =>
      ask(target, { headers: ["Host", "a", "X-Forwarded-Uri", "/hang"], client: `c${index}` }),
    );
    for (const outcome of await Promise.all(hung)) t.equal(resultOf(outcome), "read_timeout");
    t.same(attempts, []);
    await ask(target, { headers: ["Host", "a", "X-Forwarded-Uri", "/%zz"] });
    t.same(attempts, ["retry", "retry"]);
  });

  t.test("a challenge that takes longer than an allow is not slow", async (t) => {
    const challengesSlowly = (): Promise<RawUpstream> =>
      rawUpstream(t, (socket, head) => {
        if (/\r\ncookie: /i.test(head)) return socket.write(OK);
        return setTimeout(() => socket.write(CHALLENGE), 60);
      });
    const { ask, changes } = make(t);
    const target = listOf(await Promise.all([challengesSlowly(), challengesSlowly()]));
    for (let round = 0; round < 4; round += 1) {
      for (let count = 0; count < 20; count += 1) await Promise.all([ask(target), sleep(A_TICK_MS)]);
      for (let count = 0; count < 6; count += 1) await ask(target, { headers: ["Host", "a"] });
    }
    t.same(changes, []);
  });

  t.test("what one pause makes slow counts once, so a pause of this process ejects nobody", async (t) => {
    const { ask, changes } = make(t);
    const target = listOf(await Promise.all([well(t), well(t)]));
    const twelve = () => Promise.all(Array.from({ length: 12 }, () => ask(target)));
    await twelve();
    for (let count = 0; count < 32; count += 1) await Promise.all([ask(target), sleep(A_TICK_MS)]);
    const all = twelve();
    const until = performance.now() + 80;
    while (performance.now() < until);
    await all;
    t.same(changes, []);
  });

  t.test("a gateway that goes away ends all attempts, and ejects nobody", async (t) => {
    const silent = await Promise.all([1, 2].map(() => rawUpstream(t, () => {})));
    const { ask, attempts, changes } = make(t);
    const gone = new AbortController();
    const asked = ask(listOf(silent), { gone: gone.signal });
    await eventually(
      () => "no hedge",
      () => (attempts.length > 0 ? true : null),
    );
    gone.abort();
    t.equal(resultOf(await asked), "abandoned");
    t.same(changes, []);
  });
}
