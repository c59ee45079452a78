/** What becomes of checks and probes that wait: the same rows for both paths. */
import t, { type Test } from "tap";
import { LinkedList } from "../../src/core/linked-list.ts";
import type { Upstream } from "../../src/core/snapshot.ts";
import type { Outcome, Trying, UpstreamRequest } from "../../src/core/types.ts";
import { createUpstreams, type Upstreams } from "../../src/upstream/upstreams.ts";
import { checkOf } from "../support/both-checks.ts";
import { FAULT_RULES, tryingOf } from "../support/fixtures.ts";
import { eventually } from "../support/processes.ts";
import { rawUpstream, upstreamAt } from "../support/raw-upstream.ts";
import { unstalled } from "../support/unstalled.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const CHALLENGE = "HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n";
const DENY = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";

interface World {
  readonly upstreams: Upstreams;
  check(upstream: Upstream, changes?: CheckChanges): Promise<Outcome>;
  probe(upstream: Upstream, changes?: Partial<Extract<Trying, { kind: "probe" }>>): Promise<Outcome>;
}

interface CheckChanges extends Partial<Omit<Extract<Trying, { kind: "check" }>, "client">> {
  readonly client?: string;
  readonly hasCookie?: boolean;
  readonly repeatable?: boolean;
  readonly gone?: AbortSignal;
}

function world(t: Test, isFast: boolean): World {
  const upstreams = createUpstreams({ now: () => performance.now(), asksInBytes: () => isFast });
  t.teardown(() => upstreams.close());
  return {
    upstreams,
    check: (upstream, { client = "c", hasCookie = true, repeatable = true, gone, ...trying } = {}) =>
      upstreams.exchange(
        upstream,
        {
          check: checkOf(isFast, hasCookie ? ["Host", "a", "Cookie", "s=1"] : ["Host", "a"]),
          staysHere: () => false,
          ...{ repeatable, begin: performance.now() },
          trying: tryingOf({ client: () => client, ...trying }),
        },
        gone ?? new AbortController().signal,
        new LinkedList(),
      ),
    probe: (upstream, changes = {}) => {
      const request: UpstreamRequest = {
        ...{ method: "GET", target: "/auth", headers: ["Host", "a"], body: null, repeatable: true },
        trying: { kind: "probe", fault: FAULT_RULES, holds: null, patience: null, ...changes },
      };
      return upstreams.ask(upstream, request, new AbortController().signal, new LinkedList());
    },
  };
}

function resultOf(outcome: Outcome): string {
  if (outcome.kind === "answer") return `status ${outcome.answer.status}`;
  if (outcome.kind === "abandoned") return outcome.isLate ? "abandoned late" : "abandoned";
  if (outcome.kind !== "failure") return outcome.kind;
  const { reason, silent, unasked } = outcome;
  return [reason, ...(silent ? ["silent"] : []), ...(unasked ? ["unasked"] : [])].join(" ");
}

/** A server that answers one check at a time, each after 10 ms, like one with a single thread. */
async function oneAtATime(t: Test): Promise<{ readonly port: number; served(): number }> {
  let served = 0;
  let last = Promise.resolve();
  const { port } = await rawUpstream(t, (socket) => {
    last = last.then(async () => {
      await new Promise((resolve) => setTimeout(resolve, 10));
      served += 1;
      socket.write(OK);
    });
  });
  return { port, served: () => served };
}

/** A deadline that a stall of this process has taken. */
const isStalled = ({ kind }: Outcome): boolean => kind === "overload";

function suite(t: Test, isFast: boolean): void {
  t.test("a gateway that leaves is evidence once a hedge would have been sent", async (t) => {
    const silent = await rawUpstream(t, () => {});
    const { check } = world(t, isFast);
    const target = upstreamAt(silent.port);
    for (const { after, result } of [
      { after: 100, result: "abandoned" },
      { after: 1_050, result: "abandoned late" },
    ]) {
      const gone = new AbortController();
      const asked = check(target, { gone: gone.signal });
      setTimeout(() => gone.abort(), after);
      t.equal(resultOf(await asked), result);
    }
    t.equal(resultOf(await check(target, { gone: AbortSignal.abort() })), "abandoned", "at once");
  });

  t.test("it is told that a check waits unusually long, and again while it waits", async (t) => {
    const upstream = await rawUpstream(t, (socket, head) => head.includes("Cookie") && socket.write(OK));
    const { check } = world(t, isFast);
    const target = upstreamAt(upstream.port, { timeouts: { connect: 500, read: 1_600, total: 3_000 } });
    // The median is far below 10 ms, so a hedge is sent after 100 ms.
    for (let count = 0; count < 5; count += 1) await check(target);
    for (const { repeatable, first } of [
      { repeatable: true, first: 200 },
      { repeatable: false, first: 100 },
    ]) {
      const began = performance.now();
      const told: number[] = [];
      const late = (): void => void told.push(performance.now() - began);
      t.equal(resultOf(await check(target, { hasCookie: false, repeatable, late })), "read_timeout silent");
      t.equal(told.length, 2);
      const [one = 0, two = 0] = told;
      t.ok(one >= first && two - one >= 950, told.join());
    }
    let told = 0;
    await check(target, { late: () => (told += 1) });
    t.equal(told, 0, "not where there is an answer");
  });

  t.test("a check ends before its gateway leaves", async (t) => {
    const silent = await rawUpstream(t, () => {});
    const { check } = world(t, isFast);
    const began = performance.now();
    t.equal(resultOf(await check(upstreamAt(silent.port), { patience: 300 })), "hurried");
    const took = performance.now() - began;
    t.ok(took >= 270, `${took} ms`);
  });

  t.test("but not the stream of its answer", async (t) => {
    const long = await rawUpstream(t, (socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 70001\r\n\r\n${"x".repeat(70_000)}`);
      setTimeout(() => socket.write("y"), 150);
    });
    const { check } = world(t, isFast);
    const outcome = await check(upstreamAt(long.port), { patience: 120 });
    if (outcome.kind !== "answer" || outcome.answer.body.kind !== "stream") throw new Error("no stream");
    let length = 0;
    for await (const chunk of outcome.answer.body.chunks) length += chunk.length;
    t.equal(length, 70_001);
  });

  t.test("a probe ends at its own deadline, whatever the upstream's are", async (t) => {
    const silent = await rawUpstream(t, () => {});
    const dripping = await rawUpstream(t, (socket) => {
      socket.write("HTTP/1.1 200 OK\r\nX-Drip: ");
      const drip = setInterval(() => socket.write("x"), 20);
      socket.once("close", () => clearInterval(drip));
    });
    const slow = await rawUpstream(t, (socket) => void setTimeout(() => socket.write(OK), 300));
    const { probe } = world(t, isFast);
    const short = { connect: 500, read: 100, total: 150 };
    const rows = [
      { name: "silent", port: silent.port, patience: 250, result: "read_timeout silent" },
      { name: "dripping", port: dripping.port, patience: 250, result: "read_timeout" },
      { name: "slower than the upstream may be", port: slow.port, patience: 900, result: "status 200" },
    ];
    for (const { name, port, patience, result } of rows) {
      const target = upstreamAt(port, { timeouts: short });
      const began = performance.now();
      const outcome = await unstalled(() => probe(target, { patience }), isStalled);
      t.equal(resultOf(outcome), result, name);
      t.ok(performance.now() - began >= 250, name);
    }
  });

  t.test("a probe that is answered oddly is repeated, and the proven verdict wins", async (t) => {
    const rows = [
      { name: "proven at last", holds: "challenge", says: [OK, DENY, CHALLENGE], heads: 3, result: 302 },
      { name: "proven at once", holds: "challenge", says: [CHALLENGE], heads: 1, result: 302 },
      { name: "never", holds: "challenge", says: [OK, DENY, OK, CHALLENGE], heads: 3, result: 200 },
      { name: "an allow may become a challenge", holds: "allow", says: [CHALLENGE], heads: 1, result: 302 },
      { name: "but no refusal", holds: "allow", says: [DENY, DENY, OK], heads: 3, result: 200 },
      { name: "nothing is proven", holds: null, says: [DENY, OK], heads: 1, result: 403 },
    ] as const;
    for (const { name, holds, says, heads, result } of rows) {
      const upstream = await rawUpstream(t, (socket, _head, count) =>
        socket.write(says[count - 1] ?? CHALLENGE),
      );
      const { probe } = world(t, isFast);
      t.equal(resultOf(await probe(upstreamAt(upstream.port), { holds })), `status ${result}`, name);
      t.equal(upstream.heads.length, heads, name);
      t.equal(upstream.connections(), heads, `${name}: each over a fresh connection`);
    }
  });

  t.test("a timeout is busy where checks of others were answered as slowly meanwhile", async (t) => {
    const rows = [
      { name: "others as slow", ms: 500, client: "other", hasCookie: true, result: "busy" },
      { name: "others far faster", ms: 20, client: "other", hasCookie: true, result: "read_timeout silent" },
      { name: "only its own", ms: 500, client: "own", hasCookie: true, result: "read_timeout silent" },
      { name: "another kind", ms: 500, client: "other", hasCookie: false, result: "read_timeout silent" },
    ];
    for (const { name, ms, client, hasCookie, result } of rows) {
      const outcome = await unstalled(async () => {
        let isFirst = true;
        const upstream = await rawUpstream(t, (socket) => {
          if (!isFirst) setTimeout(() => socket.write(OK), ms);
          isFirst = false;
        });
        const { check } = world(t, isFast);
        const target = upstreamAt(upstream.port, { timeouts: { connect: 500, read: 700, total: 2_000 } });
        const asked = check(target, { client: "own", repeatable: false });
        await check(target, { client, hasCookie });
        return asked;
      }, isStalled);
      t.equal(resultOf(outcome), result, name);
    }
  });

  t.test("so is a probe's, over connections of its own", async (t) => {
    for (const { name, ms, hasCookie, result } of [
      { name: "its own kind", ms: 450, hasCookie: false, result: "busy" },
      { name: "the other kind", ms: 450, hasCookie: true, result: "busy" },
      { name: "far faster", ms: 20, hasCookie: true, result: "read_timeout silent" },
    ]) {
      const outcome = await unstalled(async () => {
        const upstream = await rawUpstream(t, (socket, _head, count) => {
          if (count > 1) setTimeout(() => socket.write(OK), ms);
        });
        const { check, probe } = world(t, isFast);
        const target = upstreamAt(upstream.port);
        const asked = probe({ ...target, maxConnections: 1 }, { patience: 600 });
        await eventually(
          () => "the probe is not asked",
          () => upstream.heads[0] ?? null,
        );
        await check(target, { hasCookie });
        return asked;
      }, isStalled);
      t.equal(resultOf(outcome), result, name);
    }
  });

  t.test("so is a handshake's", async (t) => {
    for (const { client, result } of [
      { client: "other", result: "busy" },
      { client: "own", result: "connect_timeout silent" },
    ]) {
      const outcome = await unstalled(async () => {
        // It says nothing to a handshake.
        const upstream = await rawUpstream(t, (socket) => void setTimeout(() => socket.write(OK), 400));
        const { check } = world(t, isFast);
        const plain = upstreamAt(upstream.port);
        const tls: Upstream = {
          ...{ ...plain, protocol: "https:" },
          timeouts: { connect: 600, read: 5_000, total: 5_000 },
        };
        const asked = check(tls, { client: "own" });
        await check(plain, { client });
        return asked;
      }, isStalled);
      t.equal(resultOf(outcome), result, client);
    }
  });

  t.test("a check that gets no connection is busy where others were answered, else unasked", async (t) => {
    for (const { answers, result } of [
      { answers: true, result: "busy" },
      { answers: false, result: "total_timeout unasked" },
    ]) {
      const outcome = await unstalled(async () => {
        const upstream = await rawUpstream(t, (socket) => {
          if (answers) setTimeout(() => socket.write(OK), 150);
        });
        const { check } = world(t, isFast);
        const timeouts = { connect: 500, read: 5_000, total: 500 };
        const target = upstreamAt(upstream.port, { maxConnections: 1, timeouts });
        const all = Array.from({ length: 5 }, () => check(target, { repeatable: false }));
        return (await Promise.all(all)).at(-1) ?? ({ kind: "unsendable" } as const);
      }, isStalled);
      t.equal(resultOf(outcome), result);
    }
  });

  t.test("one client's crowd costs another one few services", async (t) => {
    for (const { parallel, pipelining } of [
      { parallel: 16, pipelining: 1 },
      { parallel: 64, pipelining: 1 },
      { parallel: 64, pipelining: 2 },
    ]) {
      const { check } = world(t, isFast);
      const { port, served } = await oneAtATime(t);
      const target = upstreamAt(port, { maxConnections: 1, pipelining });
      let isFlooding = true;
      const flood = async (): Promise<void> => {
        while (isFlooding) t.equal(resultOf(await check(target, { client: "flood" })), "status 200");
      };
      const all = Array.from({ length: parallel }, flood);
      await eventually(
        () => "there is no flood",
        () => (served() >= 4 ? true : null),
      );
      const waits: number[] = [];
      for (let count = 0; count < 10; count += 1) {
        const before = served();
        t.equal(resultOf(await check(target, { client: "bystander" })), "status 200");
        waits.push(served() - before);
      }
      isFlooding = false;
      await Promise.all(all);
      // One is being served when it comes, and it is served itself.
      t.ok(Math.max(...waits) <= 3 + pipelining, `${parallel} checks: ${waits}`);
    }
  });

  t.test("a full queue sheds the newest of the longest, and no bystander", async (t) => {
    const upstream = await rawUpstream(t, (socket, _head, count) => {
      if (count > 1) socket.write(OK);
      else setTimeout(() => socket.write(OK), 300);
    });
    const { check } = world(t, isFast);
    const target = upstreamAt(upstream.port, { maxConnections: 1 });
    const flood = Array.from({ length: 1_100 }, () =>
      check(target, { client: "flood", repeatable: false }).then(resultOf),
    );
    const bystander = check(target, { client: "bystander", repeatable: false });
    t.equal(resultOf(await bystander), "status 200");
    const results = await Promise.all(flood);
    t.equal(results.indexOf("overload"), 1_024, "the newest are shed");
    t.equal(results.filter((result) => result === "overload").length, 76);
    t.same(new Set(results), new Set(["status 200", "overload"]));
  });

  t.test("while others wait, no client has more than half of the connections", async (t) => {
    let most = 0;
    let now = 0;
    const upstream = await rawUpstream(t, (socket, head) => {
      const isFlood = head.includes("Cookie");
      if (isFlood) now += 1;
      most = Math.max(most, now);
      setTimeout(() => {
        if (isFlood) now -= 1;
        socket.write(OK);
      }, 20);
    });
    const { check } = world(t, isFast);
    const target = upstreamAt(upstream.port, { maxConnections: 4 });
    const flood = Array.from({ length: 40 }, () => check(target, { client: "flood" }));
    const others = Array.from({ length: 40 }, () => check(target, { client: "other", hasCookie: false }));
    await eventually(
      () => "nobody else is asked",
      () => (upstream.heads.some((head) => !head.includes("Cookie")) ? true : null),
    );
    await new Promise((resolve) => setTimeout(resolve, 40));
    most = 0;
    await Promise.race([Promise.all(flood.slice(0, 20)), Promise.all(others.slice(0, 20))]);
    t.ok(most <= 2, `${most} of 4`);
    for (const outcome of await Promise.all([...flood, ...others])) t.equal(resultOf(outcome), "status 200");
  });

  t.test("a check waits in the queue for two seconds at most", async (t) => {
    const silent = await rawUpstream(t, () => {});
    const { check } = world(t, isFast);
    const target = upstreamAt(silent.port, { maxConnections: 1 });
    const gone = new AbortController();
    const first = check(target, { repeatable: false, gone: gone.signal });
    const began = performance.now();
    const queued = await check(target);
    t.equal(resultOf(queued), "total_timeout unasked");
    const took = performance.now() - began;
    t.ok(took >= 2_000 && took < 3_000, `${took} ms`);
    gone.abort();
    await first;
  });

  t.test("after an outage, the upstream gets eight checks at first, and all are answered", async (t) => {
    let now = 0;
    let most = 0;
    const upstream = await rawUpstream(t, (socket) => {
      now += 1;
      most = Math.max(most, now);
      setTimeout(() => {
        now -= 1;
        socket.write(OK);
      }, 20);
    });
    const { check, upstreams } = world(t, isFast);
    const target = upstreamAt(upstream.port);
    const many = () => Promise.all(Array.from({ length: 60 }, () => check(target)));
    upstreams.recovered(target);
    await many();
    t.ok(most > 16, `${most}: one that nobody has asked has nothing to recover from`);
    most = 0;
    upstreams.recovered(target);
    for (const outcome of await many()) t.equal(resultOf(outcome), "status 200");
    t.ok(most <= 16, `${most} at a time`);
  });

  t.test("a refusal for a proven host is asked anew", async (t) => {
    const upstream = await rawUpstream(t, (socket, _head, count) =>
      socket.write(count === 1 ? "HTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n" : OK),
    );
    const { check } = world(t, isFast);
    t.equal(resultOf(await check(upstreamAt(upstream.port), { isProvenHost: () => true })), "status 200");
  });
}

for (const isFast of [true, false])
  t.test(isFast ? "in bytes" : "over undici", async (t) => suite(t, isFast));
