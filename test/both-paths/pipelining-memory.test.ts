/** A request that is not written out yet lies in memory of its gateway, which is that gateway's again once it leaves. */
import { createServer, type Socket } from "node:net";
import t, { type Test } from "tap";
import { eventually } from "../support/processes.ts";
import { upstreamAt } from "../support/raw-upstream.ts";
import { type Asker, asker, bytesOf, resultOf, ticks } from "./tagged-checks.ts";
import { answerTo } from "./tagged-upstream.ts";

/** More than sockets of a machine hold for one that does not read. */
const LONG = `X-Long: ${"l".repeat(24 * 1024 * 1024)}\r\n`;

interface Slow extends Asker {
  /** Of its one connection, which has answered once and is read from when a test says so. */
  socket(): Socket;
  /** What it read since, without what is in long lines; nothing that a test looks for is cut by that. */
  read(): string;
}

async function slowUpstream(t: Test): Promise<Slow> {
  const sockets: Socket[] = [];
  let text = "";
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1").replace(/l{100,}/g, "l");
    });
  });
  const port = await new Promise<number>((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const made = asker(t, upstreamAt(port, { maxConnections: 1, pipelining: 4 }));
  const warm = made.ask("warm");
  await until(() => text.includes("X-Tag: warm\r\n"), "warm");
  const [socket] = sockets;
  if (!socket) throw new Error("no connection");
  socket.write(answerTo("warm"));
  await warm;
  text = "";
  return { ...made, socket: () => socket, read: () => text };
}

async function until(holds: () => boolean, what: string): Promise<void> {
  await eventually(
    () => `still not: ${what}`,
    () => (holds() ? true : null),
  );
}

t.test("nobody stands behind a check that is not written out", async (t) => {
  const { ask, socket, read } = await slowUpstream(t);
  socket().pause();
  const first = ask("a", { bytes: bytesOf("GET", "a", LONG) });
  await ticks();
  const second = ask("b");
  socket().resume();
  await until(() => read().endsWith("\r\n\r\n"), "all of a has come");
  await ticks();
  t.notMatch(read(), "X-Tag: b");
  socket().write(answerTo("a"));
  t.equal(await resultOf("a", await first), "own");
  await until(() => read().includes("X-Tag: b\r\n"), "b has come");
  socket().write(answerTo("b"));
  t.equal(await resultOf("b", await second), "own");
});

t.test("who leaves before it is written out: the upstream gets its bytes and no other's", async (t) => {
  const { ask, socket, read } = await slowUpstream(t);
  const first = ask("a");
  await until(() => read().includes("X-Tag: a\r\n"), "a has come");
  socket().pause();
  const gone = new AbortController();
  const bytes = bytesOf("GET", "b", LONG);
  const second = ask("b", { bytes, gone: gone.signal });
  await ticks();
  gone.abort();
  t.same(await second, { kind: "abandoned", isLate: false });
  // Its gateway's next check.
  bytes.fill("Z");
  socket().resume();
  await until(() => read().includes("l\r\n\r\n"), "all of b has come");
  t.notMatch(read(), /Z/);
  socket().write(answerTo("a"));
  t.equal(await resultOf("a", await first), "own", "who is in front has its answer");
});
