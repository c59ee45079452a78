/** Whatever an upstream does with checks that share its connections, nobody gets another's answer. */
import { connect, type Socket } from "node:net";
import t from "tap";
import { serve } from "../support/app.ts";
import { type Draws, draws } from "../support/draws.ts";
import { upstreamAt } from "../support/raw-upstream.ts";
import { readReplies } from "../support/reply-parts.ts";
import { asker, resultOf } from "./tagged-checks.ts";
import { answerTo, type Got, PROBE, taggedUpstream } from "./tagged-upstream.ts";

const CHECKS = 1_500;
const AT_ONCE = 24;
const GATEWAYS = 12;
const CHECKS_OF_EACH = 60;

interface OddUpstream {
  onGot(got: Got): void;
  /** How many came while another was unanswered on their connection. */
  behind(): number;
}

/** In order on each connection, each with a delay, and now and then something odd in place of an answer. */
function oddUpstream(random: Draws): OddUpstream {
  let behind = 0;
  const lines = new Map<Socket, Got[]>();
  const answerNext = async (socket: Socket, line: Got[]): Promise<void> => {
    for (let [got] = line; got !== undefined; [got] = line) {
      for (let turns = random.below(4); turns > 0; turns -= 1) await new Promise(setImmediate);
      await write(socket, oneOf(got.tag, random), random.chance(0.1));
      line.shift();
    }
  };
  const onGot = (got: Got): void => {
    const line = lines.get(got.socket) ?? [];
    lines.set(got.socket, line);
    if (line.push(got) === 1) void answerNext(got.socket, line);
    else behind += 1;
  };
  return { onGot, behind: () => behind };
}

interface Sent {
  readonly bytes: string;
  /** Then the connection goes. */
  readonly cuts?: true;
}

function oneOf(tag: string, random: Draws): Sent {
  const draw = random.below(100);
  if (draw < 3) return { bytes: "", cuts: true };
  const whole = answerTo(tag);
  if (draw < 5) return { bytes: whole.slice(0, random.below(whole.length)), cuts: true };
  return { bytes: wholeOf(tag, draw) };
}

/** One that comes whole, or is malformed. */
function wholeOf(tag: string, draw: number): string {
  const whole = answerTo(tag);
  if (draw < 7) return `${whole}x`;
  if (draw < 9) return whole.replace("\r\n", "\r\nConnection: close\r\n");
  if (draw < 11)
    return (
      whole.replace(/Content-Length: \d+/, `Content-Length: ${100_000 + tag.length}`) + " ".repeat(100_000)
    );
  if (draw < 13) return whole.replace("X-Tag", "X Tag");
  if (draw < 20) return `HTTP/1.1 103 Early Hints\r\n\r\n${whole}`;
  if (draw < 30)
    return `HTTP/1.1 200 OK\r\nX-Tag: ${tag}\r\nTransfer-Encoding: chunked\r\n\r\n${tag.length.toString(16)}\r\n${tag}\r\n0\r\n\r\n`;
  return whole;
}

async function write(socket: Socket, { bytes, cuts }: Sent, singly: boolean): Promise<void> {
  for (const piece of singly && bytes.length < 1_000 ? bytes : [bytes]) {
    if (socket.destroyed) return;
    await new Promise((resolve) => {
      socket.write(piece, "latin1", resolve);
    });
  }
  if (cuts) socket.destroy();
}

t.test("with gateways that leave and answers of all kinds", async (t) => {
  for (const seed of [1, 2, 3]) {
    const random = draws(seed);
    const odd = oddUpstream(random);
    const upstream = await taggedUpstream(t, odd.onGot);
    const timeouts = { connect: 60_000, read: 60_000, total: 60_000 };
    const { ask } = asker(t, upstreamAt(upstream.port, { maxConnections: 3, pipelining: 4, timeouts }));
    const results = new Map<string, number>();
    let next = 0;
    const one = async (): Promise<void> => {
      while (next < CHECKS) {
        const tag = `${seed}-${next++}`;
        const gone = new AbortController();
        const method = random.chance(0.03) ? "HEAD" : "GET";
        if (random.chance(0.05)) setImmediate(() => gone.abort());
        const outcome = await ask(tag, { gone: gone.signal, method });
        const result = await resultOf(tag, outcome).catch(() => "cut");
        results.set(result, (results.get(result) ?? 0) + 1);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, one));
    const known = ["own", "abandoned", "reset", "malformed", "cut"];
    t.same(
      [...results.keys()].filter((result) => !known.includes(result)),
      [],
      `seed ${seed}`,
    );
    t.ok((results.get("own") ?? 0) > CHECKS / 2, `most are answered: ${JSON.stringify([...results])}`);
    const times = new Map<string, number>();
    for (const { tag } of upstream.got) times.set(tag, (times.get(tag) ?? 0) + 1);
    t.ok(Math.max(...times.values()) <= 2, "nobody is asked a third time");
    t.ok(odd.behind() > CHECKS / 4, `${odd.behind()} stood behind others`);
  }
});

t.test("over kept connections of gateways, whose memory is used again", async (t) => {
  const odd = oddUpstream(draws(4));
  const upstream = await taggedUpstream(t, odd.onGot);
  const { app } = await serve(
    t,
    `
listen: 127.0.0.1:0
admin: { listen: "127.0.0.9:0" }
routes:
  - name: a
    path: /auth
    upstream: http://127.0.0.1:${upstream.port}
    maxConnections: 2
    pipelining: 4
    timeouts: { connect: 60s, read: 60s, total: 60s }
    fallback: { mode: none }
`,
    "auto",
  );
  const port = app.listeners[0]?.port ?? 0;
  const results = await Promise.all(
    Array.from({ length: GATEWAYS }, (_, gateway) => talk(port, gateway, draws(100 + gateway))),
  );
  t.same(
    results.flat().filter((line) => line !== "own" && line !== "no answer"),
    [],
  );
  t.ok(results.flat().filter((line) => line === "own").length > (GATEWAYS * CHECKS_OF_EACH) / 2);
  t.ok(odd.behind() > 0, "some stood behind others");
  t.same(
    upstream.got.filter(({ tag }) => tag !== PROBE && !/^gateway-\d+-\d+-x*$/.test(tag)),
    [],
    "what the upstream got was one check's each",
  );
});

/** One check after another on one connection, each with a tag of another length. */
async function talk(port: number, gateway: number, random: Draws): Promise<readonly string[]> {
  const results: string[] = [];
  let socket = connect(port, "127.0.0.1");
  for (let index = 0; index < CHECKS_OF_EACH; index += 1) {
    const tag = `gateway-${gateway}-${index}-${"x".repeat(random.below(2_000))}`;
    if (socket.destroyed || !socket.writable) socket = connect(port, "127.0.0.1");
    socket.write(`GET /auth HTTP/1.1\r\nHost: a\r\nX-Tag: ${tag}\r\n\r\n`);
    const reply = await replyOn(socket);
    if (reply === null) socket.destroy();
    const isAnswer = reply?.startsWith("HTTP/1.1 200") ?? false;
    const isOwn = reply?.includes(`X-Tag: ${tag}\r\n`) && reply.includes(`\r\n\r\n${tag}`);
    if (!isAnswer) results.push("no answer");
    else results.push(isOwn ? "own" : `${tag.slice(0, 20)} got ${reply?.slice(0, 100)}`);
  }
  socket.destroy();
  return results;
}

/** null: cut. */
function replyOn(socket: Socket): Promise<string | null> {
  return new Promise((resolve) => {
    let text = "";
    const finish = (reply: string | null): void => {
      socket.removeAllListeners();
      socket.on("error", () => {});
      resolve(reply);
    };
    socket.on("error", () => finish(null));
    socket.on("close", () => finish(null));
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      const { parts } = readReplies(text, ["GET"], false);
      const [reply] = parts;
      if (reply?.isWhole) finish(reply.head + reply.body);
    });
  });
}
