/**
 * A small gateway that does what Traefik 3.7 does with a chain of ForwardAuth middlewares in front of an app
 * (pkg/middlewares/auth/forward.go, trustForwardHeader off). It asks each in turn. A 2xx passes, and its identity
 * headers replace the client's. Any other answer goes to the client as it is, and no answer becomes a 500.
 */
import {
  Agent,
  type ClientRequest,
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type RequestOptions,
  type ServerResponse,
  STATUS_CODES,
} from "node:http";
import { pipeline } from "node:stream/promises";
import { type Listening, listen } from "./listening.ts";

export interface ForwardAuth {
  /** The whole URL of the check. */
  readonly address: string;
  /** These are deleted from the client's request, then set from the answer. */
  readonly authResponseHeaders: readonly string[];
}

export interface GatewayOptions {
  readonly port: number;
  /** The app's `http://HOST:PORT`. */
  readonly app: string;
  /** They are asked in this order before the app sees a request. */
  readonly forwardAuth: readonly ForwardAuth[];
  /** Paths under `prefix` are routed to `url` without any check: the pages of the login itself. */
  readonly unguarded: { readonly prefix: string; readonly url: string };
  /** The limit for a whole check; 30 s by default, as in Traefik. */
  readonly authTimeoutMs?: number;
}

/** Name, value, name, value …. */
type RawHeaders = readonly string[];

const hopByHop = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** It forwards on 127.0.0.1 until it is closed. */
export async function startGateway(options: GatewayOptions): Promise<Listening> {
  // Go's default transport keeps two idle connections per host.
  const agent = new Agent({ keepAlive: true, maxFreeSockets: 2 });
  const server = createServer({ maxHeaderSize: 1024 * 1024, keepAliveTimeout: 0 });
  server.on("request", (request, response) => {
    // The client left, or an answer broke off after its head, so the reply can only be cut.
    serve(request, response, agent, options).catch(() => response.destroy());
  });
  const listening = await listen(server, options.port);
  return {
    ...listening,
    close: async () => {
      await listening.close();
      agent.destroy();
    },
  };
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  agent: Agent,
  { app, forwardAuth, unguarded, authTimeoutMs = 30_000 }: GatewayOptions,
): Promise<void> {
  const target = request.url ?? "";
  if (!target.startsWith("/")) return fail(response, 400);
  let headers = atTheEdge(request);
  if (target.startsWith(unguarded.prefix)) return forward(request, response, agent, unguarded.url, headers);

  const left = new AbortController();
  response.once("close", () => left.abort());
  for (const middleware of forwardAuth) {
    const signal = AbortSignal.any([left.signal, AbortSignal.timeout(authTimeoutMs)]);
    const answer = await ask(middleware, {
      agent,
      signal,
      headers: checkHeaders(request, headers, middleware),
    });
    if (answer === null) return fail(response, 500);
    const status = answer.statusCode ?? 500;
    if (status < 200 || status > 299) return copyBack(answer, response);
    if (!(await readToEnd(answer))) return fail(response, 500);
    headers = identified(headers, answer.rawHeaders, middleware.authResponseHeaders);
  }
  return forward(request, response, agent, app, headers);
}

/** Replaces the client's X-Forwarded-* and X-Real-Ip by what the gateway saw. */
function atTheEdge(request: IncomingMessage): RawHeaders {
  const named = (request.headers.connection ?? "").toLowerCase().split(/[\s,]+/);
  // Without these two the rest of the message would have another meaning.
  const dropped = new Set(named.filter((name) => name !== "host" && name !== "content-length"));
  const kept = without(request.rawHeaders, (name) => {
    const gateways = name.startsWith("x-forwarded-") || name === "x-real-ip";
    return gateways || hopByHop.has(name) || dropped.has(name);
  });
  const client = request.socket.remoteAddress ?? "";
  return [
    ...kept,
    ...["X-Forwarded-For", client, "X-Forwarded-Proto", "http", "X-Real-Ip", client],
    ...["X-Forwarded-Host", request.headers.host ?? ""],
  ];
}

/** A check has no body, whatever the client sends, so the headers of a body are left out. */
function checkHeaders(request: IncomingMessage, headers: RawHeaders, { address }: ForwardAuth): RawHeaders {
  const ofBody = new Set(["host", "content-length", "expect"]);
  return [
    ...["Host", new URL(address).host],
    ...without(headers, (name) => ofBody.has(name)),
    ...["X-Forwarded-Method", request.method ?? "", "X-Forwarded-Uri", request.url ?? ""],
  ];
}

function identified(headers: RawHeaders, answered: RawHeaders, names: readonly string[]): RawHeaders {
  const listed = new Set(names.map((name) => name.toLowerCase()));
  return [...without(headers, (name) => listed.has(name)), ...without(answered, (name) => !listed.has(name))];
}

interface Question {
  readonly agent: Agent;
  readonly signal: AbortSignal;
  readonly headers: RawHeaders;
}

/** Resolves to null when there is no answer. Like Go, it replaces a kept connection that turns out to be dead. */
async function ask({ address }: ForwardAuth, question: Question): Promise<IncomingMessage | null> {
  for (;;) {
    const url = new URL(address);
    const outgoing = open(url, { ...question, method: "GET", path: url.pathname + url.search });
    outgoing.end();
    try {
      return await answerOf(outgoing);
    } catch {
      if (!outgoing.reusedSocket || question.signal.aborted) return null;
    }
  }
}

async function forward(
  request: IncomingMessage,
  response: ServerResponse,
  agent: Agent,
  to: string,
  headers: RawHeaders,
): Promise<void> {
  const chunked = request.headers["transfer-encoding"] === undefined ? [] : ["Transfer-Encoding", "chunked"];
  const outgoing = open(new URL(to), {
    agent,
    method: request.method ?? "GET",
    path: request.url ?? "/",
    headers: [...without(headers, (name) => name === "expect"), ...chunked],
  });
  response.once("close", () => {
    if (!response.writableFinished) outgoing.destroy();
  });
  request.pipe(outgoing);
  let answer: IncomingMessage;
  try {
    answer = await answerOf(outgoing);
  } catch {
    return fail(response, 502);
  }
  await copyBack(answer, response);
}

function open(url: URL, options: RequestOptions): ClientRequest {
  return httpRequest({ ...options, host: url.hostname, port: url.port, maxHeaderSize: 1024 * 1024 });
}

function answerOf(outgoing: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    outgoing.once("response", resolve);
    // This listener stays. An error after the head also reaches the answer's stream, which ends the copying.
    outgoing.on("error", reject);
  });
}

/** Resolves to false when the answer breaks off. */
async function readToEnd(answer: IncomingMessage): Promise<boolean> {
  try {
    for await (const _ of answer);
    return true;
  } catch {
    return false;
  }
}

async function copyBack(answer: IncomingMessage, response: ServerResponse): Promise<void> {
  const headers = without(answer.rawHeaders, (name) => hopByHop.has(name));
  response.writeHead(answer.statusCode ?? 500, answer.statusMessage ?? "", [...headers]);
  await pipeline(answer, response);
}

function fail(response: ServerResponse, status: number): void {
  if (response.headersSent) return void response.destroy();
  response.writeHead(status, ["Content-Type", "text/plain"]).end(`${STATUS_CODES[status]}\n`);
}

function without(headers: RawHeaders, unwanted: (lowerCaseName: string) => boolean): string[] {
  const kept: string[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] ?? "";
    if (!unwanted(name.toLowerCase())) kept.push(name, headers[i + 1] ?? "");
  }
  return kept;
}
