/** The clock is given where times count. Viewers are sockets, or streams with a small buffer where they are slow. */
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import { connect, type Socket } from "node:net";
import { type Duplex, duplexPair } from "node:stream";
import t, { type Test } from "tap";
import { createAdminServer } from "../../src/admin/server.ts";
import { createStatusEvents, MOST_VIEWERS, type Stream } from "../../src/admin/status-events.ts";
import { statusSections } from "../../src/admin/status-page.ts";
import type { Status } from "../../src/observe/status/status.ts";
import { CLOSED_ACTIONS } from "../support/admin-actions.ts";
import { ask } from "../support/app.ts";
import { eventually } from "../support/processes.ts";
import { outage } from "../support/status-scene.ts";

interface Message {
  readonly event: string;
  readonly data: string;
}

/** Reads messages like an EventSource. */
function messagesOf(text: string): readonly Message[] {
  return text
    .split("\n\n")
    .slice(0, -1)
    .map((block) => Object.fromEntries(block.split("\n").map((line) => line.split(/: ?(.*)/s).slice(0, 2))))
    .filter((fields) => fields.event !== undefined)
    .map(({ event, data }) => ({ event, data }));
}

interface Scene {
  status: Status;
  /** Milliseconds that the clock is ahead. */
  ahead: number;
  cpu: number;
  /** CPU time that a look takes. */
  cost: number;
}

const EVERY_MS = 50;
/** More than a stream in memory holds for a reader that reads nothing. */
const LONG = "x".repeat(256 * 1024);
const OUTAGE = await outage();

/** `slow` is that of `StatusEventsDeps`. */
async function scene(t: Test, slow = 10_000) {
  const made: Scene = { status: OUTAGE, ahead: 0, cpu: 0, cost: 0 };
  let looks = 0;
  let opened = 0;
  const events = createStatusEvents({
    status: async () => {
      looks += 1;
      made.cpu += made.cost;
      return made.status;
    },
    sections: statusSections,
    now: () => performance.now() + made.ahead,
    cpu: () => made.cpu,
    every: EVERY_MS,
    slow,
  });
  const responses = new Map<string, ServerResponse>();
  const server = createServer((request, response) => {
    const { url = "" } = request;
    // Another program may still ask for what had this port before.
    if (!/^\/(status|sections)\?\d+$/.test(url)) return void response.writeHead(404).end();
    responses.set(url, response);
    const stream: Stream = url.startsWith("/status?") ? "status" : "sections";
    if (!events.watch(stream, response)) response.writeHead(503).end();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => {
    events.end();
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  const port = typeof address === "object" ? (address?.port ?? 0) : 0;
  /** Unlike a socket, it is full after a known number of bytes, whatever the system's buffers hold. */
  const inMemory = (): Duplex => {
    const [ours, theirs] = duplexPair();
    server.emit("connection", Object.assign(theirs, { setTimeout: () => theirs }));
    return ours;
  };
  /** Collects all that came, the head too. HTTP/1.0 has no chunks, so that it is just text. */
  const open = async (path: string, socket: Duplex = connect(port, "127.0.0.1")) => {
    t.teardown(() => socket.destroy());
    opened += 1;
    const url = `${path}?${opened}`;
    let text = "";
    let isOver = false;
    socket.setEncoding("utf8").on("data", (part: string) => {
      text += part;
    });
    socket
      .on("error", () => {})
      .on("close", () => {
        isOver = true;
      });
    socket.write(`GET ${url} HTTP/1.0\r\n\r\n`);
    await eventually(
      () => "no head",
      () => text.includes("\r\n\r\n") || null,
    );
    const messages = () => messagesOf(text.slice(text.indexOf("\r\n\r\n") + 4));
    const first = (event: string, count = 1) =>
      eventually(
        () => `no ${event} ${count}: ${text.slice(0, 500)}`,
        () => messages().filter((message) => message.event === event)[count - 1] ?? null,
      );
    const head = () => text.split("\r\n\r\n", 1)[0] ?? "";
    const response = () => responses.get(url);
    return { socket, head, messages, first, response, isOver: () => isOver };
  };
  return { made, events, open, inMemory, looks: () => looks };
}

t.test("who comes gets all of it, then what changed", async (t) => {
  const { made, open } = await scene(t);
  const page = await open("/sections");
  t.match(page.head(), /^HTTP\/1.1 200 .*text\/event-stream/s);
  const all: [string, string][] = JSON.parse((await page.first("all")).data);
  t.same(
    all,
    statusSections(made.status).map(({ id, html }) => [id, html]),
  );
  made.status = { ...made.status, summary: "All is well" };
  const second: [string, string][] = JSON.parse((await page.first("sections")).data);
  t.same(
    second.map(([id]) => id),
    ["top"],
  );
  t.match(second[0]?.[1], "All is well");
  made.status = { ...made.status, routes: made.status.routes.slice(1) };
  t.ok(await page.first("whole"), "where a route went, the page is asked for again");
});

t.test("as data: what /status.json has, when more than the time has changed", async (t) => {
  const { made, open, looks } = await scene(t);
  const watch = await open("/status");
  t.same(JSON.parse((await watch.first("status")).data), made.status);
  const before = looks();
  const { time: _time, ...rest } = made.status;
  made.status = { ...rest, time: "2026-04-18T09:20:09.000Z", started: { ...rest.started, seconds: 902 } };
  await eventually(
    () => "nobody looks",
    () => looks() > before + 1 || null,
  );
  t.equal(watch.messages().filter(({ event }) => event === "status").length, 1);
  made.status = { ...made.status, readiness: "draining" };
  t.match(JSON.parse((await watch.first("status", 2)).data), { readiness: "draining" });
});

t.test("an idle sparekey still beats", async (t) => {
  const { made, open } = await scene(t);
  const watch = await open("/sections");
  await watch.first("beat");
  made.ahead += 6_000;
  t.equal((await watch.first("beat", 2)).data, made.status.time);
});

t.test("one look at a time is for all who watch, and nobody looks for nobody", async (t) => {
  const { open, looks } = await scene(t);
  const begin = performance.now();
  const viewers = await Promise.all(Array.from({ length: 10 }, () => open("/sections")));
  await Promise.all(viewers.map(({ first }) => first("all")));
  const most = 2 + (performance.now() - begin) / EVERY_MS;
  t.ok(looks() <= most, `${looks()} looks, where ${most} are due`);
  for (const { socket } of viewers) socket.destroy();
  let last = -1;
  await eventually(
    () => "it looks on",
    async () => {
      if (looks() === last) return true;
      last = looks();
      await new Promise((resolve) => setTimeout(resolve, 3 * EVERY_MS));
      return null;
    },
  );
});

t.test("where a look is dear, there are fewer", async (t) => {
  const { made, open, looks } = await scene(t);
  // Two hundred times that pass from one to the next.
  made.cost = 3;
  const begin = performance.now();
  await open("/status");
  await eventually(
    () => "no look",
    () => looks() >= 3 || null,
  );
  const passed = performance.now() - begin;
  t.ok(passed >= 1_190, `three looks took ${passed} ms`);
});

t.test("there is room for 32, and for the next when one has gone", async (t) => {
  const { open } = await scene(t);
  const viewers = await Promise.all(Array.from({ length: MOST_VIEWERS }, () => open("/sections")));
  for (const { head } of viewers) t.match(head(), /^HTTP\/1.1 200 /);
  t.match((await open("/sections")).head(), /^HTTP\/1.1 503 /);
  viewers[0]?.socket.destroy();
  await eventually(
    () => "it has not gone",
    () => viewers[0]?.response()?.closed || null,
  );
  t.match((await open("/status")).head(), /^HTTP\/1.1 200 /);
});

t.test("who reads nothing is dropped, and others do not wait for him", async (t) => {
  const { made, open, inMemory } = await scene(t);
  const slow = await open("/status", inMemory());
  await slow.first("status");
  slow.socket.pause();
  const fast = await open("/status");
  await fast.first("status");
  made.status = { ...made.status, summary: LONG };
  await fast.first("status", 2);
  made.ahead += 11_000;
  await eventually(
    () => "it is there yet",
    () => slow.response()?.destroyed || null,
  );
  t.notOk(fast.response()?.destroyed);
  made.status = { ...made.status, summary: "short" };
  t.ok(await fast.first("status", 3));
});

t.test("regression: a viewer that was slow gets again what it missed, and nothing else", async (t) => {
  const rows = [
    { name: "nothing changed meanwhile", meanwhile: null },
    { name: "a change it did not get", meanwhile: "missed" },
  ];
  for (const { name, meanwhile } of rows) {
    const { made, open, inMemory, looks } = await scene(t);
    const twoLooks = async () => {
      const enough = looks() + 2;
      await eventually(
        () => "nobody looks",
        () => looks() >= enough || null,
      );
    };
    const show = async (summary: string) => {
      made.status = { ...made.status, summary };
      await twoLooks();
    };
    const viewer = await open("/status", inMemory());
    const isFull = (wanted: boolean) =>
      eventually(
        () => `the connection is not ${wanted ? "full" : "empty"}`,
        () => viewer.response()?.writableNeedDrain === wanted || null,
      );
    await viewer.first("status");
    viewer.socket.pause();
    await show(LONG);
    await isFull(true);
    if (meanwhile !== null) await show(meanwhile);
    viewer.socket.resume();
    await isFull(false);
    await twoLooks();
    await show("last");
    const count = meanwhile === null ? 3 : 4;
    t.match(JSON.parse((await viewer.first("status", count)).data), { summary: "last" }, name);
  }
});

t.test("each stream ends after a while: a browser that is there comes back", async (t) => {
  const { made, open } = await scene(t);
  const watch = await open("/sections");
  await watch.first("all");
  made.ahead += 601_000;
  await eventually(
    () => "it goes on",
    () => watch.isOver() || null,
  );
});

t.test("regression: a stream that ended is cut when nobody takes its rest", async (t) => {
  const { made, open } = await scene(t, 300);
  const stuck = await open("/status");
  await stuck.first("status");
  stuck.socket.pause();
  // More than the system's buffers hold.
  made.status = { ...made.status, summary: "x".repeat(16 * 1024 * 1024) };
  await eventually(
    () => "nothing waits",
    () => stuck.response()?.writableNeedDrain || null,
  );
  made.ahead += 601_000;
  await eventually(
    () => "it is there yet",
    () => stuck.response()?.socket?.destroyed || stuck.response()?.destroyed || null,
  );
});

t.test("the end is the end for all, and for who comes then", async (t) => {
  const { events, open } = await scene(t);
  const viewers = await Promise.all(["/sections", "/status"].map((path) => open(path)));
  events.end();
  await eventually(
    () => "they go on",
    () => viewers.every(({ isOver }) => isOver()) || null,
  );
  t.match((await open("/status")).head(), /^HTTP\/1.1 503 /);
});

t.test("on the admin listener", async (t) => {
  const server = createAdminServer({
    listen: { host: "127.0.0.1", port: 0 },
    metrics: { contentType: "text/plain", text: async () => "" },
    readiness: () => "ready",
    status: async () => OUTAGE,
    actions: CLOSED_ACTIONS,
  });
  const { port } = await server.listen();
  t.teardown(() => server.close());
  const url = `http://127.0.0.1:${port}`;
  const follow = async (path: string): Promise<Socket> => {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => {}).write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
    await once(socket, "data");
    return socket;
  };
  const sockets = await Promise.all(["/events", "/status/live", "/events?again=1"].map(follow));
  t.equal((await ask(`${url}/events`, { method: "POST" })).status, 404);
  const ended = sockets.map((socket) => once(socket.resume(), "end"));
  // A page that is open must not hold up a drain.
  await server.leave();
  await Promise.all(ended);
});

t.test("regression: one connection takes one place, however often it asks", async (t) => {
  const server = createAdminServer({
    listen: { host: "127.0.0.1", port: 0 },
    metrics: { contentType: "text/plain", text: async () => "" },
    readiness: () => "ready",
    status: async () => OUTAGE,
    actions: CLOSED_ACTIONS,
  });
  const { port } = await server.listen();
  t.teardown(() => server.close());
  const follow = async (times: number): Promise<string> => {
    const socket = connect(port, "127.0.0.1").setEncoding("utf8");
    t.teardown(() => socket.destroy());
    socket.write("GET /events HTTP/1.1\r\nHost: a\r\n\r\n".repeat(times));
    const [head] = await once(socket, "data");
    return head;
  };
  t.match(await follow(MOST_VIEWERS + 1), /^HTTP\/1.1 200 /);
  t.match(await follow(1), /^HTTP\/1.1 200 /);
});
