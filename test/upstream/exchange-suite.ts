/** How an upstream is asked once, on either path: the same rows for both. */
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import type { Test } from "tap";
import { LinkedList } from "../../src/core/linked-list.ts";
import type { Upstream } from "../../src/core/snapshot.ts";
import type { Answer, Body, Gone, Outcome, UpstreamRequest, Waiting } from "../../src/core/types.ts";
import { eventually } from "../support/processes.ts";
import { rawUpstream, upstreamAt } from "../support/raw-upstream.ts";
import { unstalled } from "../support/unstalled.ts";

const REQUEST: UpstreamRequest = {
  method: "GET",
  target: "/auth?x=1",
  headers: ["Host", "app.example", "X-Forwarded-Uri", "/a", "x-forwarded-uri", "/b"],
  body: null,
  repeatable: true,
  trying: { kind: "once" },
};
const SHORT = { connect: 200, read: 200, total: 500 };

/** What both exchangers do. */
export interface Asked {
  exchange(upstream: Upstream, request: UpstreamRequest, gone: Gone, waiting: Waiting): Promise<Outcome>;
  use(upstreams: Iterable<Upstream>): void;
}

/** An exchanger for each call, closed with the test. */
export type MakeExchanger = (t: Test) => Asked;

export function ask(
  made: Asked,
  upstream: Upstream,
  request: Partial<UpstreamRequest> = {},
): Promise<Outcome> {
  return made.exchange(upstream, { ...REQUEST, ...request }, new AbortController().signal, new LinkedList());
}

const isShed = ({ kind }: Outcome): boolean => kind === "overload";

function listOf(...servers: readonly { readonly port: number }[]): Upstream {
  const [first, ...more] = servers.map(({ port }) => ({ host: "127.0.0.1", port }));
  return upstreamAt(0, first && { servers: [first, ...more] });
}

export function answerOf(outcome: Outcome): Answer {
  if (outcome.kind !== "answer") throw new Error(`no answer but ${JSON.stringify(outcome)}`);
  return outcome.answer;
}

/** The body's text; "…" at its end says that it broke off. */
async function textOf(body: Body): Promise<string> {
  if (body.kind === "whole") return Buffer.from(body.bytes).toString("latin1");
  let text = "";
  try {
    for await (const chunk of body.chunks) text += Buffer.from(chunk).toString("latin1");
  } catch {
    return `${text}…`;
  }
  return text;
}

export const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const BIG = "x".repeat(100_000);

const ANSWERS = [
  { name: "length", bytes: OK, status: 200, text: "ok" },
  {
    name: "chunked",
    bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    status: 200,
    text: "ok",
  },
  {
    name: "HTTP/1.0, ended by close",
    bytes: "HTTP/1.0 403 Forbidden\r\n\r\nno",
    status: 403,
    text: "no",
    close: true,
  },
  {
    name: "ended by close with an empty body",
    bytes: "HTTP/1.0 200 OK\r\n\r\n",
    status: 200,
    text: "",
    close: true,
  },
  { name: "one 100 first", bytes: `HTTP/1.1 100 Continue\r\n\r\n${OK}`, status: 200, text: "ok" },
  {
    name: "several interim answers first",
    bytes: `HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 x\r\n\r\n${OK}`,
    status: 200,
    text: "ok",
  },
  { name: "204 without a body", bytes: "HTTP/1.1 204 No Content\r\n\r\n", status: 204, text: "" },
  {
    name: "more than 64 KiB, streamed",
    bytes: `HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n${BIG}`,
    status: 200,
    text: BIG,
  },
  {
    name: "more than 64 KiB, then broken off",
    bytes: `HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\n${BIG}`,
    status: 200,
    text: `${BIG}…`,
    close: true,
  },
  {
    name: "a status beyond 599 is no answer",
    bytes: "HTTP/1.1 600 Odd\r\nContent-Length: 0\r\n\r\n",
    failure: "malformed",
  },
  {
    name: "a status below 100 is no answer",
    bytes: "HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n",
    failure: "malformed",
  },
  {
    name: "a transfer coding besides chunked",
    bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    failure: "malformed",
  },
  { name: "not HTTP", bytes: "SSH-2.0-OpenSSH_9.2\r\n", failure: "malformed" },
  {
    name: "both lengths",
    bytes: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    failure: "malformed",
  },
  {
    name: "two lengths",
    bytes: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokk",
    failure: "malformed",
  },
  {
    name: "an upgrade nobody asked for",
    bytes: "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    failure: "malformed",
  },
  {
    name: "a head too large",
    bytes: `HTTP/1.1 200 OK\r\nX: ${"y".repeat(300_000)}\r\n\r\n`,
    failure: "too_large",
  },
  { name: "closed before the answer", bytes: "", failure: "reset", close: true },
  { name: "closed inside the head", bytes: "HTTP/1.1 200 OK\r\nContent-Le", failure: "reset", close: true },
  { name: "closed inside an interim answer", bytes: "HTTP/1.1 100 Cont", failure: "reset", close: true },
  {
    name: "closed inside the body",
    bytes: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
    failure: "reset",
    close: true,
  },
  {
    name: "closed inside a chunk",
    bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nok",
    failure: "reset",
    close: true,
  },
] as const;

async function send(socket: Socket, bytes: string, singly: boolean, close: boolean): Promise<void> {
  socket.setNoDelay(true);
  for (const piece of singly ? bytes : [bytes]) {
    await new Promise((resolve) => {
      socket.write(piece, "latin1", resolve);
    });
  }
  if (close) socket.end();
}

async function closedPort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}

export function exchangeSuite(t: Test, exchanger: MakeExchanger): void {
  for (const pieces of ["in one piece", "byte by byte"] as const) {
    t.test(`an answer ${pieces}`, async (t) => {
      for (const row of ANSWERS) {
        if (pieces === "byte by byte" && row.bytes.length > 1_000) continue;
        await t.test(row.name, async (t) => {
          const upstream = await rawUpstream(t, (socket) => {
            void send(socket, row.bytes, pieces === "byte by byte", "close" in row);
          });
          const outcome = await ask(exchanger(t), upstreamAt(upstream.port));
          if ("failure" in row) {
            t.same(outcome, { kind: "failure", reason: row.failure });
            return;
          }
          const answer = answerOf(outcome);
          t.equal(answer.status, row.status);
          t.equal(await textOf(answer.body), row.text);
        });
      }
    });
  }

  t.test("header lines of an answer keep order, spelling and bytes", async (t) => {
    const upstream = await rawUpstream(t, (socket) => {
      socket.write("HTTP/1.1 200 Fine \xe9\r\nX-a: 1\r\nx-A: \xe9\r\nContent-Length: 0\r\n\r\n", "latin1");
    });
    const answer = answerOf(await ask(exchanger(t), upstreamAt(upstream.port)));
    t.same(answer.headers, ["X-a", "1", "x-A", "\xe9", "Content-Length", "0"]);
  });

  t.test("a kept connection is used again", async (t) => {
    const upstream = await rawUpstream(t, (socket) => socket.write(OK));
    const made = exchanger(t);
    const target = upstreamAt(upstream.port);
    for (let i = 0; i < 3; i += 1) answerOf(await ask(made, target));
    t.equal(upstream.connections(), 1);
  });

  t.test("a Host that undici cannot parse is carried all the same", async (t) => {
    const upstream = await rawUpstream(t, (socket) => socket.write(OK));
    const made = exchanger(t);
    for (const host of ["[", "[::1", "a b", "", "\xe9", "x".repeat(5_000)]) {
      const outcome = await ask(made, upstreamAt(upstream.port), { headers: ["Host", host] });
      t.equal(outcome.kind, "answer", JSON.stringify(host.slice(0, 20)));
    }
  });

  t.test("a reused connection that dies before the first byte", async (t) => {
    const rows = [
      { name: "is tried again on a fresh one", request: {}, kind: "answer", heads: 3 },
      {
        name: "is not, where the request must not be repeated",
        request: { repeatable: false },
        kind: "failure",
        heads: 2,
      },
    ] as const;
    for (const row of rows) {
      await t.test(row.name, async (t) => {
        const upstream = await rawUpstream(t, (socket, _head, count) => {
          if (count === 2) socket.destroy();
          else socket.write(OK);
        });
        const made = exchanger(t);
        const target = upstreamAt(upstream.port);
        answerOf(await ask(made, target));
        t.equal((await ask(made, target, row.request)).kind, row.kind);
        t.equal(upstream.heads.length, row.heads);
      });
    }
  });

  t.test("a connection that dies twice is a fault after the second time", async (t) => {
    const upstream = await rawUpstream(t, (socket, _head, count) => {
      if (count > 1) socket.destroy();
      else socket.write(OK);
    });
    const made = exchanger(t);
    const target = upstreamAt(upstream.port);
    answerOf(await ask(made, target));
    t.same(await ask(made, target), { kind: "failure", reason: "reset" });
    t.equal(upstream.heads.length, 3);
  });

  t.test("a fresh connection that dies before the first byte", async (t) => {
    const dying = () => rawUpstream(t, (socket) => socket.destroy());
    const answering = () => rawUpstream(t, (socket) => socket.write(OK));
    const [down, alsoDown, up] = await Promise.all([dying(), dying(), answering()]);
    const rows = [
      { name: "is a fault where there is nobody else to ask", servers: [down], kind: "failure", heads: [1] },
      { name: "leads to another of a list", servers: [down, up], kind: "answer", heads: [1, 2] },
      { name: "is tried again once only", servers: [down, alsoDown], kind: "failure", heads: [2] },
      {
        name: "is a fault where the request must not be repeated",
        servers: [down, alsoDown],
        request: { repeatable: false },
        kind: "failure",
        heads: [1],
      },
    ];
    const heads = (): number => down.heads.length + alsoDown.heads.length + up.heads.length;
    for (const row of rows) {
      const before = heads();
      const outcome = await ask(exchanger(t), listOf(...row.servers), row.request);
      t.equal(outcome.kind, row.kind, row.name);
      if (outcome.kind === "failure") t.equal(outcome.reason, "reset", row.name);
      t.ok(row.heads.includes(heads() - before), row.name);
    }
  });

  t.test("a reused connection of a list that dies: another server is asked", async (t) => {
    const dying = await rawUpstream(t, (socket, _head, count) => {
      if (count === 1) socket.write(OK);
      else socket.destroy();
    });
    const well = await rawUpstream(t, (socket) => socket.write(OK));
    const made = exchanger(t);
    const target = listOf(dying, well);
    while (dying.heads.length < 2) answerOf(await ask(made, target));
    t.same(
      new Set(well.heads.map((head) => /^host: .*$/im.exec(head)?.[0].toLowerCase())),
      new Set(["host: app.example"]),
      "with the check's own Host",
    );
  });

  t.test("bytes that follow an answer unasked never reach another check", async (t) => {
    const upstream = await rawUpstream(t, (socket, _head, count) => {
      socket.write(count === 1 ? `${OK}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen` : OK);
    });
    const made = exchanger(t);
    const target = upstreamAt(upstream.port);
    for (let i = 0; i < 3; i += 1) {
      t.equal(await textOf(answerOf(await ask(made, target)).body), "ok");
    }
  });

  t.test("a body beyond answerBytes", async (t) => {
    const rows = [
      { name: "inside the first 64 KiB is a failure", answerBytes: 1_000, size: 2_000, outcome: "too_large" },
      {
        name: "announced in the head is a failure",
        answerBytes: 300_000,
        size: 500_000,
        outcome: "too_large",
      },
      {
        name: "in the stream breaks it off",
        answerBytes: 300_000,
        size: 500_000,
        outcome: "stream",
        unannounced: true,
      },
    ] as const;
    for (const row of rows) {
      await t.test(row.name, async (t) => {
        const upstream = await rawUpstream(t, (socket) => {
          const length = "unannounced" in row ? "Connection: close" : `Content-Length: ${row.size}`;
          socket.end(`HTTP/1.1 200 OK\r\n${length}\r\n\r\n${"x".repeat(row.size)}`);
        });
        const outcome = await ask(exchanger(t), upstreamAt(upstream.port, { answerBytes: row.answerBytes }));
        if (row.outcome !== "stream") {
          t.same(outcome, { kind: "failure", reason: row.outcome });
          return;
        }
        const text = await textOf(answerOf(outcome).body);
        t.ok(text.endsWith("…"));
        t.ok(text.length <= row.answerBytes);
      });
    }
  });

  t.test("a length announced for a body that does not follow is not too large", async (t) => {
    const rows = [
      { name: "the answer to HEAD", method: "HEAD", head: "HTTP/1.1 200 OK", status: 200 },
      { name: "a 304", method: "GET", head: "HTTP/1.1 304 Not Modified", status: 304 },
    ] as const;
    for (const { name, method, head, status } of rows) {
      const upstream = await rawUpstream(t, (socket) =>
        socket.write(`${head}\r\nContent-Length: 5000\r\n\r\n`),
      );
      const target = upstreamAt(upstream.port, { answerBytes: 1_000 });
      const answer = answerOf(await ask(exchanger(t), target, { method }));
      t.same([answer.status, await textOf(answer.body)], [status, ""], name);
    }
  });

  t.test("deadlines", async (t) => {
    await t.test(
      "connect: a name server or host that stays silent is covered elsewhere; refused is at once",
      async (t) => {
        const port = await closedPort();
        t.same(await ask(exchanger(t), upstreamAt(port)), { kind: "failure", reason: "refused" });
      },
    );
    await t.test("read: no byte", async (t) => {
      const upstream = await rawUpstream(t, () => {});
      const target = upstreamAt(upstream.port, { timeouts: SHORT });
      const outcome = await unstalled(() => ask(exchanger(t), target), isShed);
      t.same(outcome, { kind: "failure", reason: "read_timeout", silent: true });
    });
    await t.test("total: a drip that keeps the read deadline away", async (t) => {
      const upstream = await rawUpstream(t, (socket) => {
        socket.write("HTTP/1.1 200 OK\r\nX-Drip: ");
        const drip = setInterval(() => socket.write("x"), 20);
        socket.once("close", () => clearInterval(drip));
      });
      const target = upstreamAt(upstream.port, { timeouts: SHORT });
      const outcome = await unstalled(() => ask(exchanger(t), target), isShed);
      t.same(outcome, { kind: "failure", reason: "total_timeout" });
    });
    await t.test(
      "an endless row of interim answers ends at the total deadline or the head limit",
      async (t) => {
        const upstream = await rawUpstream(t, (socket) => {
          const flood = setInterval(() => socket.write("HTTP/1.1 100 Continue\r\n\r\n"), 5);
          socket.once("close", () => clearInterval(flood));
        });
        const target = upstreamAt(upstream.port, { timeouts: SHORT });
        const outcome = await unstalled(() => ask(exchanger(t), target), isShed);
        t.same(outcome, { kind: "failure", reason: "total_timeout" });
      },
    );
    await t.test(
      "regression: interim answers as fast as they are read end at the head limit, whatever their status",
      async (t) => {
        for (const status of [100, 102, 103]) {
          const upstream = await rawUpstream(t, (socket) => {
            const hints = `HTTP/1.1 ${status} x\r\nLink: </a>\r\n\r\n`.repeat(64);
            const flood = (): void => {
              if (!socket.destroyed) socket.write(hints, () => setImmediate(flood));
            };
            flood();
          });
          const target = upstreamAt(upstream.port, { headBytes: 16 * 1024 });
          const outcome = await ask(exchanger(t), target);
          t.match(
            outcome,
            { kind: "failure", reason: status === 100 ? /^(malformed|too_large)$/ : "too_large" },
            `${status}`,
          );
        }
      },
    );
    await t.test("an idle connection has no read deadline", async (t) => {
      const upstream = await rawUpstream(t, (socket) => socket.write(OK));
      const made = exchanger(t);
      const target = upstreamAt(upstream.port, { timeouts: SHORT });
      answerOf(await ask(made, target));
      await new Promise((resolve) => {
        setTimeout(resolve, 3 * SHORT.read);
      });
      answerOf(await ask(made, target));
      t.equal(upstream.connections(), 1);
    });
  });

  t.test("a gateway that goes away", async (t) => {
    await t.test("while the upstream is silent: abandoned, and the connection is closed", async (t) => {
      const upstream = await rawUpstream(t, () => controller.abort());
      const controller = new AbortController();
      const outcome = await exchanger(t).exchange(
        upstreamAt(upstream.port),
        REQUEST,
        controller.signal,
        new LinkedList(),
      );
      t.same(outcome, { kind: "abandoned", isLate: false });
    });
    await t.test("before anything was sent", async (t) => {
      const upstream = await rawUpstream(t, (socket) => socket.write(OK));
      const outcome = await exchanger(t).exchange(
        upstreamAt(upstream.port),
        REQUEST,
        AbortSignal.abort(),
        new LinkedList(),
      );
      t.same(outcome, { kind: "abandoned", isLate: false });
      t.same(upstream.heads, []);
    });
  });

  t.test("waiting in line for a connection", async (t) => {
    await t.test("the next one is served when one is free", async (t) => {
      const upstream = await rawUpstream(t, (socket) => setImmediate(() => socket.write(OK)));
      const made = exchanger(t);
      const target = upstreamAt(upstream.port, { maxConnections: 2 });
      const outcomes = await Promise.all(Array.from({ length: 20 }, () => ask(made, target)));
      t.same(new Set(outcomes.map(({ kind }) => kind)), new Set(["answer"]));
      t.equal(upstream.connections(), 2);
    });
    await t.test("a refusal is passed on to everybody in line", async (t) => {
      const made = exchanger(t);
      const target = upstreamAt(await closedPort(), { maxConnections: 1 });
      const outcomes = await Promise.all(Array.from({ length: 5 }, () => ask(made, target)));
      for (const outcome of outcomes) t.same(outcome, { kind: "failure", reason: "refused" });
    });
    await t.test("no answer at all meanwhile: the upstream is stuck", async (t) => {
      const upstream = await rawUpstream(t, () => {});
      const made = exchanger(t);
      const target = upstreamAt(upstream.port, {
        maxConnections: 1,
        timeouts: { connect: 200, read: 3_000, total: 300 },
      });
      const both = async (): Promise<Outcome> => {
        const [, queued] = await Promise.all([ask(made, target), ask(made, target)]);
        return queued;
      };
      // On a busy machine the first may end a moment earlier, and the second is asked in what is left of its time.
      const isAsked = (outcome: Outcome): boolean => outcome.kind === "failure" && !outcome.unasked;
      const second = await unstalled(both, (outcome) => isShed(outcome) || isAsked(outcome));
      t.same(second, { kind: "failure", reason: "total_timeout", unasked: true });
    });
    await t.test("regression: answers that end their connection count as answers too", async (t) => {
      const upstream = await rawUpstream(t, (socket) => {
        setTimeout(() => socket.end("HTTP/1.0 403 Forbidden\r\n\r\nno"), 40);
      });
      const made = exchanger(t);
      const timeouts = { connect: 400, read: 400, total: 400 };
      const target = upstreamAt(upstream.port, { maxConnections: 1, timeouts });
      const outcomes = await Promise.all(Array.from({ length: 30 }, () => ask(made, target)));
      const kinds = new Set(outcomes.map(({ kind }) => kind));
      t.same(kinds, new Set(["answer", "busy"]), "no time in line is the upstream's fault");
    });
    await t.test("answers to others meanwhile: busy is not broken", async (t) => {
      const upstream = await rawUpstream(t, (socket, head) => {
        if (head.startsWith("GET /slow")) setTimeout(() => socket.write(OK), 60);
      });
      const made = exchanger(t);
      const target = upstreamAt(upstream.port, {
        maxConnections: 1,
        timeouts: { connect: 200, read: 200, total: 200 },
      });
      const slow = Array.from({ length: 9 }, () => ask(made, target, { target: "/slow" }));
      const outcomes = await Promise.all(slow);
      t.same(outcomes.at(-1), { kind: "busy" });
    });
  });

  t.test("regression: a body that ends by close and breaks off by a reset is no whole answer", async (t) => {
    for (const version of ["HTTP/1.0", "HTTP/1.1"]) {
      const upstream = await rawUpstream(t, (socket) => {
        socket.write(`${version} 200 OK\r\nConnection: close\r\n\r\nhalf of`);
        // The half is read before the reset overtakes it.
        setTimeout(() => socket.resetAndDestroy(), 50);
      });
      const outcome = await ask(exchanger(t), upstreamAt(upstream.port));
      t.same(outcome, { kind: "failure", reason: "reset" }, version);
    }
  });

  t.test("regression: a retry in line for a connection is not given a used one", async (t) => {
    // One connection: answers the first, dies on the second, whose retry waits behind a third check.
    const upstream = await rawUpstream(t, (socket, head) => {
      if (head.startsWith("GET /dies") && upstream.heads.filter((seen) => seen === head).length === 1)
        socket.destroy();
      else socket.write(OK);
    });
    const made = exchanger(t);
    const target = upstreamAt(upstream.port, { maxConnections: 1 });
    answerOf(await ask(made, target));
    const outcomes = await Promise.all([
      ask(made, target, { target: "/dies" }),
      ask(made, target, { target: "/b" }),
      ask(made, target, { target: "/c" }),
    ]);
    t.same(
      outcomes.map(({ kind }) => kind),
      ["answer", "answer", "answer"],
    );
  });

  t.test("regression: a stall of this process is no silence of the upstream", async (t) => {
    const rows = [
      { name: "read", timeouts: { connect: 5_000, read: 200, total: 5_000 } },
      { name: "total", timeouts: { connect: 5_000, read: 5_000, total: 200 } },
    ];
    for (const row of rows) {
      await t.test(row.name, async (t) => {
        const upstream = await rawUpstream(t, () => {
          const end = performance.now() + 400;
          while (performance.now() < end);
        });
        const outcome = await ask(exchanger(t), upstreamAt(upstream.port, { timeouts: row.timeouts }));
        t.same(outcome, { kind: "overload" });
      });
    }
  });

  t.test(
    "an upstream no longer used loses its connections: idle at once, busy after the answer",
    async (t) => {
      const held = Promise.withResolvers<() => void>();
      const closed: number[] = [];
      const upstream = await rawUpstream(t, (socket, head, count) => {
        socket.once("close", () => closed.push(count));
        if (head.includes("X-Hold")) held.resolve(() => void socket.write(OK));
        else socket.write(OK);
      });
      const [stays, idle, busy] = [1, 2, 3].map(() => upstreamAt(upstream.port)) as [
        Upstream,
        Upstream,
        Upstream,
      ];
      const made = exchanger(t);
      for (const each of [stays, idle]) t.equal(answerOf(await ask(made, each)).status, 200);
      const asked = ask(made, busy, { headers: ["Host", "x", "X-Hold", "1"] });
      const answer = await held.promise;
      made.use([stays]);
      await eventually(
        () => "the idle one stays",
        () => (closed.length === 1 ? true : null),
      );
      t.same(closed, [2]);
      answer();
      t.equal(answerOf(await asked).status, 200);
      await eventually(
        () => "the busy one stays",
        () => (closed.length === 2 ? true : null),
      );
      t.equal(answerOf(await ask(made, stays)).status, 200);
      t.equal(upstream.connections(), 3, "the one that stays is reused");
    },
  );
}
