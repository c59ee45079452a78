import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { PassThrough } from "node:stream";
import t, { type Test } from "tap";
import { connectForBytes, listenForBytes, READ_BUFFER } from "../../src/http/bytes-socket.ts";
import { eventually } from "../support/processes.ts";

async function listening(t: Test): Promise<{ server: Server; port: number }> {
  const server = createServer().listen(0, "127.0.0.1");
  t.teardown(() => server.close());
  await once(server, "listening");
  const address = server.address();
  return { server, port: typeof address === "object" && address !== null ? address.port : 0 };
}

/** Both ends, the accepted one first. */
async function connected(t: Test): Promise<[Socket, Socket]> {
  const { server, port } = await listening(t);
  const client = connect(port, "127.0.0.1");
  const [accepted] = (await once(server, "connection")) as [Socket];
  t.teardown(() => [client, accepted].map((socket) => socket.destroy()));
  return [accepted, client];
}

function read(length: number): string {
  return READ_BUFFER.toString("latin1", 0, length);
}

/** Waits for it, with a deadline. */
async function until(isSo: () => boolean): Promise<void> {
  await eventually(
    () => "it does not happen",
    () => (isSo() ? true : null),
  );
}

t.test("what an accepted socket gets, until its stream has it", async (t) => {
  const [accepted, client] = await connected(t);
  let heard = "";
  const stop = listenForBytes(accepted, (length) => {
    heard += read(length);
  });
  client.write("one");
  await until(() => heard === "one");
  accepted.pause();
  client.write("two");
  accepted.resume();
  await until(() => heard === "onetwo");
  stop();
  let streamed = "";
  accepted.on("data", (chunk) => {
    streamed += chunk;
  });
  client.write("three");
  await until(() => streamed === "three");
  READ_BUFFER.fill("!", 0, 10);
  t.equal(heard, "onetwo", "no byte goes to both");
  client.end();
  await once(accepted, "end");
});

t.test("in a Node that keeps its read buffers elsewhere", async (t) => {
  const stream = new PassThrough();
  const lengths: number[] = [];
  let heard = "";
  const stop = listenForBytes(stream as unknown as Socket, (length) => {
    lengths.push(length);
    heard += read(length);
  });
  const large = `${"a".repeat(READ_BUFFER.length)}b`;
  stream.write(large);
  await until(() => heard.length === large.length);
  t.equal(heard, large);
  t.same(lengths, [READ_BUFFER.length, 1], "in pieces that fit");
  stop();
  let streamed = "";
  stream.on("data", (chunk) => {
    streamed += chunk;
  });
  stream.write("two");
  await until(() => streamed === "two");
  t.equal(heard, large);
});

t.test("a connection of ours", async (t) => {
  const { server, port } = await listening(t);
  for (const [name, listens] of [
    ["is read from", true],
    ["ends where nobody listens: nobody asked for anything", false],
  ] as const) {
    const socket = connectForBytes({ port, host: "127.0.0.1" });
    t.teardown(() => socket.destroy());
    const [accepted] = (await once(server, "connection")) as [Socket];
    t.teardown(() => accepted.destroy());
    let heard = "";
    if (listens) {
      socket.on("bytes", (length: number) => {
        heard += read(length);
      });
    }
    accepted.write("one");
    await until(() => (listens ? heard === "one" : socket.destroyed));
    t.equal(socket.destroyed, !listens, name);
  }
});
