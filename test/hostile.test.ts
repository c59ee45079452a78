/**
 * Hostile clients against a healthy upstream that errs for odd input only, as real ones do (FACTS, Upstreams):
 * 10,000 generated checks over all modes. Nobody gets an `allow`, nobody but the sender of a check that itself
 * hung or broke off gets a fallback, the breaker stays closed, and honest checks in between get their verdict.
 */
import {
  Agent,
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import t, { type Test } from "tap";
import { sample, serve } from "./support/app.ts";

const CHECKS = 10_000;
const MODES = ["allow", "basic-auth", "deny", "none"] as const;
const AT_ONCE = 48;
const SEED = 20_260_418;

/** What a client can do to the upstream; `breaks`: row 2 of the evidence. */
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

function upstream(request: IncomingMessage, response: ServerResponse): void {
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

/** mulberry32: the same checks in every run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

interface Asked {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly breaks: boolean;
  /** null: what a hostile client gets is its own business, as long as it is no pass. */
  readonly expected: number | null;
}

function generate(draw: () => number): Asked {
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

t.test("10,000 checks of hostile and honest clients", async (t) => {
  const server = createServer({ maxHeaderSize: 64 * 1024 }, upstream);
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const { urls, metrics } = await serve(t, config(t, port));
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  t.teardown(() => agent.destroy());

  const draw = random(SEED);
  const wrong: string[] = [];
  let left = CHECKS;
  const client = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const mode = MODES[left % MODES.length] ?? "allow";
      const asked = generate(draw);
      const { status, fallback } = await ask(`${urls[MODES.indexOf(mode)]}/auth`, asked, agent);
      const problem = judge(mode, asked, status, fallback);
      if (problem) wrong.push(`${mode}: ${problem}: ${asked.method} ${JSON.stringify(asked.headers)}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, client));

  t.same(wrong, []);
  const text = await metrics();
  for (const mode of MODES) {
    t.equal(
      sample(text, `sparekey_breaker_state{route="${mode}",state="closed"}`),
      1,
      `${mode}: breaker closed`,
    );
    t.equal(
      sample(text, `sparekey_probes_total{route="${mode}",result="fault"}`),
      0,
      `${mode}: every probe was fine`,
    );
  }
  t.notMatch(text, /sparekey_fallback_total\{route="allow".*\} [1-9]/, "no fallback on the allow route");
});

function judge(mode: string, asked: Asked, status: number, fallback: string | null): string | null {
  if (asked.expected !== null) {
    return status === asked.expected && fallback === null ? null : `honest check got ${status} ${fallback}`;
  }
  if (fallback === null) return null;
  if (mode === "allow" || mode === "none") return `fallback ${fallback} ${status}`;
  if (status < 300) return `let in by a fallback: ${status}`;
  return asked.breaks ? null : `fallback ${fallback} for an answer that came: ${status}`;
}

/** The first check of each route may be hostile: nothing was learned before it. */
function config(t: Test, port: number): string {
  const htpasswd = `${t.testdir({ htpasswd: "admin:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n" })}/htpasswd`;
  const routes = MODES.map((mode, index) => {
    const file = mode === "basic-auth" ? `, htpasswd: ${htpasswd}` : "";
    return `
  - name: ${mode}
    path: /auth
    listen: 127.0.0.${index + 1}:0
    upstream: http://127.0.0.1:${port}
    timeouts: { connect: 2s, read: 1s, total: 4s }
    fallback: { mode: ${mode}${file}, rateLimit: { failures: 100000, global: 100000 } }`;
  });
  return `admin: { listen: "127.0.0.9:0" }\nroutes:${routes.join("")}\n`;
}

function ask(
  url: string,
  { method, headers }: Asked,
  agent: Agent,
): Promise<{ readonly status: number; readonly fallback: string | null }> {
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
