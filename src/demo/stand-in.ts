/**
 * A server that fails on demand. The outpost and the bot blocker are built on it: they say what they would answer, and
 * the fault that is switched on decides what becomes of that answer on the wire.
 */
import { createServer, type IncomingMessage, type ServerResponse, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type Listening, listen } from "./listening.ts";

/** All faults, each with what it does in words for people. */
export const faults = {
  ok: "works as it should",
  refuse: "does not listen: connections are refused",
  hang: "takes connections and never answers",
  reset: "cuts the connection once the request is in (RST)",
  "status-503": "answers 503 to everything",
  "status-500": "answers 500 to everything",
  "bare-400": "answers an empty 400 wherever it would begin a login, while people logged in get their 200",
  drip: "sends its answer one byte at a time",
  truncate: "promises more bytes than it sends, then closes",
  garbage: "speaks something that is not HTTP",
  "oversize-head": "sends half a megabyte of headers",
  interim: "sends 100, 102 and 103 before its answer",
  "close-delimited": "answers in HTTP/1.0; the end of the connection is the end of the body",
} as const;
export type FaultName = keyof typeof faults;

/** The faults of any server, whatever it would answer. */
export const commonFaults: readonly FaultName[] = (Object.keys(faults) as FaultName[]).filter(
  (name) => name !== "bare-400",
);

/** An answer before a fault spoils it. A body in pieces goes out one piece per `pieceMs`, without a length. */
export interface StandInAnswer {
  readonly status: number;
  /** Name, value, name, value …, without Content-Length and Connection. */
  readonly headers: readonly string[];
  readonly body: string | Uint8Array | { readonly pieces: Iterable<string>; readonly pieceMs: number };
}

export function plainText(status: number, body: string, headers: readonly string[] = []): StandInAnswer {
  return { status, headers: ["Content-Type", "text/plain; charset=utf-8", ...headers], body };
}

interface ReceivedRequest {
  readonly method: string;
  readonly target: string;
  /** Name, value, name, value …, as they came. */
  readonly headers: readonly string[];
}

/** `Own` names the ways to fail that this stand-in has beside `faults`. */
export interface StandIn<Own extends string = never> extends Listening {
  /** The faults that this stand-in knows. */
  readonly faults: readonly (FaultName | Own)[];
  /** What a fault does, in words for people. */
  meaning(name: FaultName | Own): string;
  fault(): FaultName | Own;
  /** Resolves once the fault is in force. Rejects when it is unknown here, or the port was lost while refusing. */
  setFault(name: FaultName | Own): Promise<void>;
  /** The last 1000 requests, oldest first. */
  received(): readonly ReceivedRequest[];
}

export interface StandInOptions<Own extends string = never> {
  readonly port: number;
  readonly faults: readonly FaultName[];
  /** Its own ways to fail, each with what it does in words for people. `answer` brings them about. */
  readonly ownFaults?: Readonly<Partial<Record<Own, string>>>;
  /** HTTP/1.0 closes after each answer and tells no length, as Python's http.server does. */
  readonly protocol: "HTTP/1.0" | "HTTP/1.1";
  /** Milliseconds between two bytes of a dripped answer. */
  readonly dripMs: number;
  /** The largest request head in bytes; a longer one gets a 431. 1 MiB by default. */
  readonly headBytes?: number;
  /** The answer when it works; null when none ever comes. `fault` lets it fail in ways of its own. Rejects when the
   * client left. */
  answer(request: IncomingMessage, fault: FaultName | Own): Promise<StandInAnswer | null>;
}

const keptRequests = 1000;
const relistenMs = 3000;

export async function startStandIn<Own extends string = never>(
  options: StandInOptions<Own>,
): Promise<StandIn<Own>> {
  const received: ReceivedRequest[] = [];
  const meanings = meaningsOf(options);
  let fault: FaultName | Own = "ok";

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    received.push({
      method: request.method ?? "",
      target: request.url ?? "",
      headers: request.rawHeaders,
    });
    if (received.length > keptRequests) received.shift();
    const current = fault;
    if (current === "hang") return;
    if (current === "reset") {
      request.socket.resetAndDestroy();
      return;
    }
    const answer = statusFault(current) ?? (await options.answer(request, current));
    if (answer === null) return;
    send({ request, response, answer, fault: current, options });
  }

  function open(port: number): Promise<Listening> {
    const server = createServer({ maxHeaderSize: options.headBytes ?? 1024 * 1024, keepAliveTimeout: 0 });
    server.on("request", (request, response) => {
      // The client left while its form was being read.
      serve(request, response).catch(() => request.socket.destroy());
    });
    return listen(server, port);
  }

  let listening: Listening | null = await open(options.port);
  const { port, url } = listening;

  async function stopListening(): Promise<void> {
    await listening?.close();
    listening = null;
  }

  async function change(name: FaultName | Own): Promise<void> {
    if (!meanings.has(name)) throw new Error(`this stand-in has no fault ${name}`);
    fault = name;
    if (name === "refuse") return stopListening();
    listening ??= await openAgain(open, port);
  }

  let changes: Promise<void> = Promise.resolve();
  function inTurn(step: () => Promise<void>): Promise<void> {
    const done = changes.then(step);
    changes = done.catch(() => undefined);
    return done;
  }

  return {
    port,
    url,
    faults: [...meanings.keys()],
    meaning: (name) => meanings.get(name) ?? "",
    fault: () => fault,
    setFault: (name) => inTurn(() => change(name)),
    received: () => [...received],
    close: () => inTurn(stopListening),
  };
}

function meaningsOf<Own extends string>(options: StandInOptions<Own>): Map<FaultName | Own, string> {
  const common = options.faults.map((name) => [name, faults[name]] as const);
  const own = Object.entries(options.ownFaults ?? {}) as [Own, string][];
  return new Map<FaultName | Own, string>([...common, ...own]);
}

/** While nothing listens, the system may lend the port to an outgoing connection for a moment. */
async function openAgain(open: (port: number) => Promise<Listening>, port: number): Promise<Listening> {
  const deadline = Date.now() + relistenMs;
  for (;;) {
    try {
      return await open(port);
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(20);
    }
  }
}

function statusFault(fault: string): StandInAnswer | null {
  if (fault !== "status-503" && fault !== "status-500") return null;
  const status = fault === "status-503" ? 503 : 500;
  return { status, headers: ["Content-Type", "text/plain"], body: `${STATUS_CODES[status]}\n` };
}

interface Sending {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly answer: StandInAnswer;
  readonly fault: string;
  readonly options: Pick<StandInOptions, "protocol" | "dripMs">;
}

/** Puts the answer on the wire as the fault wants it. */
function send(sending: Sending): void {
  const { socket } = sending.response;
  if (socket !== null) sendOn(socket, sending);
  // With pipelining an earlier answer may still be going out, and these bytes would overtake it.
  else sending.response.once("socket", (later: Socket) => sendOn(later, sending));
}

function sendOn(socket: Socket, { request, response, answer, fault, options }: Sending): void {
  const wanted = request.method === "HEAD" ? "" : answer.body;
  if (typeof wanted === "object" && "pieces" in wanted) {
    socket.write(head("HTTP/1.0", answer));
    trickle(socket, wanted.pieces, wanted.pieceMs);
    return;
  }
  const body = Buffer.from(wanted);
  const sized = withLength(answer, body.length);
  if (fault === "drip") {
    trickle(socket, wire("HTTP/1.1", sized, body).toString("latin1"), options.dripMs);
    return;
  }
  const bytes = lastBytes(fault, options.protocol, answer, body);
  if (bytes !== null) {
    socket.end(bytes);
    return;
  }
  if (fault === "interim") socket.write(interimAnswers);
  response.writeHead(answer.status, [...sized.headers]).end(body);
}

const interimAnswers =
  "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" +
  "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload; as=style\r\n\r\n";

/** The bytes that go out before the connection ends; null for answers that leave it open. */
function lastBytes(
  fault: string,
  protocol: StandInOptions["protocol"],
  answer: StandInAnswer,
  body: Buffer,
): Buffer | string | null {
  if (fault === "truncate") {
    const promised = withLength(answer, body.length + 1000);
    return wire("HTTP/1.1", promised, Buffer.concat([body, Buffer.from("cut off he")]));
  }
  if (fault === "garbage") return "SSH-2.0-OpenSSH_9.9\r\n\0\x01\xff\xfe\r\n\r\n";
  if (fault === "oversize-head") {
    const sized = withLength(answer, body.length);
    return wire("HTTP/1.1", { ...sized, headers: [...sized.headers, ...padding()] }, body);
  }
  const closes = fault === "close-delimited" || protocol === "HTTP/1.0";
  return closes ? wire("HTTP/1.0", answer, body) : null;
}

function wire(protocol: string, answer: StandInAnswer, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from(head(protocol, answer)), body]);
}

function withLength(answer: StandInAnswer, length: number): StandInAnswer {
  if (answer.status === 204) return answer;
  return { ...answer, headers: [...answer.headers, "Content-Length", String(length)] };
}

function head(protocol: string, { status, headers }: StandInAnswer): string {
  let text = `${protocol} ${status} ${STATUS_CODES[status] ?? ""}\r\n`;
  for (let i = 0; i + 1 < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
  return `${text}\r\n`;
}

function padding(): string[] {
  const value = "x".repeat(8 * 1024);
  return Array.from({ length: 64 }, (_, i) => [`X-Padding-${i}`, value]).flat();
}

/** Writes one piece (latin1) per tick until all are out or the client leaves, and waits for a client to read. */
function trickle(socket: Socket, pieces: Iterable<string>, everyMs: number): void {
  const rest = pieces[Symbol.iterator]();
  const timer = setInterval(() => {
    if (socket.writableNeedDrain) return;
    const next = rest.next();
    if (!next.done) return void socket.write(next.value, "latin1");
    clearInterval(timer);
    socket.end();
  }, everyMs);
  socket.once("close", () => clearInterval(timer));
}
