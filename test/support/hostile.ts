/**
 * Hostile clients, and an upstream that is healthy but errs for odd input, as real ones do. The checks are the same in
 * every run.
 */
import { type Agent, request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";

/** What a client can do to the upstream; `breaks`: row 2 of the evidence table. */
const TRICKS: readonly { readonly name: string; readonly breaks: boolean }[] = [
  { name: "none", breaks: false },
  { name: "bad-uri", breaks: false },
  { name: "odd-method", breaks: false },
  { name: "unknown-host", breaks: false },
  { name: "bare-400", breaks: false },
  { name: "status-505", breaks: false },
  { name: "status-503", breaks: true },
  { name: "hang", breaks: true },
  { name: "reset", breaks: true },
  { name: "truncate", breaks: true },
  { name: "garbage", breaks: true },
  { name: "oversize", breaks: true },
];

export function oddUpstream(request: IncomingMessage, response: ServerResponse): void {
  const uri = String(request.headers["x-forwarded-uri"] ?? "/");
  if (request.method !== "GET") return void response.writeHead(501).end("Unsupported method");
  if (/%(?![0-9a-f]{2})/i.test(uri)) return void response.writeHead(500).end("configuration error");
  if (request.headers["x-forwarded-host"] !== "app.example.com") {
    return void response.writeHead(400, { "Content-Type": "application/json" }).end('{"Message":"no app"}');
  }
  if (uri.startsWith("/magic/")) return misbehave(uri.slice("/magic/".length), request, response);
  if (request.headers.cookie === "session=good") {
    return void response.writeHead(200, { "X-authentik-username": "demo" }).end();
  }
  response.writeHead(302, { Location: "https://login.example.com/", "Set-Cookie": "a=1" }).end();
}

function misbehave(trick: string, request: IncomingMessage, response: ServerResponse): void {
  const raw = (bytes: string): void => void request.socket.end(bytes);
  if (trick === "hang") return;
  if (trick === "reset") return void request.socket.resetAndDestroy();
  if (trick === "truncate") return raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
  if (trick === "garbage") return raw("SSH-2.0-OpenSSH_9.2\r\n");
  if (trick === "oversize") return raw(`HTTP/1.1 200 OK\r\nX: ${"y".repeat(300_000)}\r\n\r\n`);
  if (trick === "bare-400") return void response.writeHead(400, { "Content-Length": "0" }).end();
  response.writeHead(trick === "status-503" ? 503 : 505).end("odd");
}

/** mulberry32. */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export interface Asked {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly breaks: boolean;
  /** null: a hostile client may get any reply but a pass. */
  readonly expected: number | null;
}

export function generate(draw: () => number): Asked {
  const pick = <T>(values: readonly T[]): T => values[Math.floor(draw() * values.length)] as T;
  const common = {
    "X-Forwarded-Host": "app.example.com",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-For": "192.0.2.9",
  };
  if (draw() < 0.5) {
    const session = draw() < 0.5;
    const headers = { ...common, "X-Forwarded-Uri": "/page", ...(session && { Cookie: "session=good" }) };
    return { method: "GET", headers, breaks: false, expected: session ? 200 : 302 };
  }
  const trick = pick(TRICKS);
  const uri = trick.name === "bad-uri" ? "/%zz" : `/magic/${trick.name}`;
  const junk = pick<Record<string, string>>([
    {},
    { Cookie: "x".repeat(3_000) },
    { "X-Auth-Fallback": "allow" },
    { Authorization: "Basic YWRtaW46eA==" },
    { "If-None-Match": "*", Range: "bytes=0-0" },
  ]);
  return {
    method: trick.name === "odd-method" ? pick(["POST", "HEAD", "PROPFIND", "DELETE"]) : "GET",
    headers: {
      ...common,
      ...(trick.name === "unknown-host" && { "X-Forwarded-Host": "elsewhere.example" }),
      "X-Forwarded-Uri": trick.name === "none" ? "/page" : uri,
      ...junk,
    },
    breaks: trick.breaks,
    expected: null,
  };
}

export interface Answered {
  readonly status: number;
  /** The value of X-Auth-Fallback. */
  readonly fallback: string | null;
}

/** Sends the check over a connection of `agent`. Rejects when the connection breaks off. */
export function ask(url: string, { method, headers }: Asked, agent: Agent): Promise<Answered> {
  return new Promise((resolve, reject) => {
    httpRequest(url, { method, headers, agent }, (response) => {
      response.resume().on("end", () => {
        const fallback = response.headers["x-auth-fallback"];
        resolve({
          status: response.statusCode ?? 0,
          fallback: typeof fallback === "string" ? fallback : null,
        });
      });
    })
      .on("error", reject)
      .end();
  });
}
