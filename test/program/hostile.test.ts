/**
 * 10,000 generated checks over all modes, of hostile and honest clients. Against a healthy upstream nobody gets an
 * `allow`, nobody but the sender of a check that itself hung or broke off gets a fallback, the breaker stays closed,
 * and honest checks in between get their verdict. Against one that is down every check falls back.
 */
import { once } from "node:events";
import { Agent, createServer, type RequestListener } from "node:http";
import t, { type Test } from "tap";
import { type Served, sample, serve } from "../support/app.ts";
import { type Answered, type Asked, ask, generate, oddUpstream, random } from "../support/hostile.ts";

const CHECKS = 10_000;
const MODES = ["allow", "basic-auth", "deny", "none"] as const;
const AT_ONCE = 48;
const SEED = 20_260_418;

type Mode = (typeof MODES)[number];
/** What is wrong with a reply; null: nothing. */
type Judge = (mode: Mode, asked: Asked, answered: Answered) => string | null;

t.test("10,000 checks of hostile and honest clients", async (t) => {
  const served = await serve(t, config(t, await upstreamOn(t, oddUpstream)));
  t.same(await askAll(t, served, judgeHealthy), []);
  const text = await served.metrics();
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

t.test("the same 10,000 with the upstream down: every one falls back", async (t) => {
  const taken = createServer();
  const port = await portOf(taken);
  taken.close();
  await once(taken, "close");
  const served = await serve(t, config(t, port));
  t.same(await askAll(t, served, judgeDown), []);
  const text = await served.metrics();
  for (const mode of MODES) {
    const ofRoute = text
      .split("\n")
      .filter((line) => line.startsWith(`sparekey_fallback_total{route="${mode}"`));
    const counted = ofRoute.reduce((total, line) => total + Number(line.split(" ").at(-1)), 0);
    t.equal(counted, CHECKS / MODES.length, `${mode}: each is counted once`);
  }
});

t.test("honest checks are answered while hostile ones hang", async (t) => {
  const hanging = 100;
  const held: (() => void)[] = [];
  const allHang = Promise.withResolvers<void>();
  const port = await upstreamOn(t, (request, response) => {
    if (request.headers["x-forwarded-uri"] === "/page") return response.writeHead(302).end();
    held.push(() => response.destroy());
    if (held.length === hanging) allHang.resolve();
    return response;
  });
  const { urls } = await serve(t, config(t, port));
  const agent = new Agent({ keepAlive: true });
  t.teardown(() => agent.destroy());
  const send = (uri: string) => {
    const headers = { "X-Forwarded-Host": "app.example.com", "X-Forwarded-Uri": uri };
    return ask(`${urls[1]}/auth`, { method: "GET", headers, breaks: false, expected: null }, agent);
  };
  let over = 0;
  const hostile = Array.from({ length: hanging }, async () => {
    await send("/hang");
    over += 1;
  });
  await allHang.promise;
  for (let i = 0; i < 50; i += 1) t.equal((await send("/page")).status, 302);
  t.equal(over, 0, "not one of them waited for a hostile one");
  for (const release of held) release();
  await Promise.all(hostile);
});

async function upstreamOn(t: Test, listener: RequestListener): Promise<number> {
  const server = createServer({ maxHeaderSize: 64 * 1024 }, listener);
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return portOf(server);
}

async function portOf(server: ReturnType<typeof createServer>): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** Sends the checks to all modes in turn; what `judge` finds wrong. */
async function askAll(t: Test, { urls }: Served, judge: Judge): Promise<readonly string[]> {
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
      const problem = judge(mode, asked, await ask(`${urls[MODES.indexOf(mode)]}/auth`, asked, agent));
      if (problem) wrong.push(`${mode}: ${problem}: ${asked.method} ${JSON.stringify(asked.headers)}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, client));
  return wrong;
}

function judgeHealthy(mode: Mode, asked: Asked, { status, fallback }: Answered): string | null {
  if (asked.expected !== null) {
    return status === asked.expected && fallback === null ? null : `honest check got ${status} ${fallback}`;
  }
  if (fallback === null) return null;
  if (mode === "allow" || mode === "none") return `fallback ${fallback} ${status}`;
  if (status < 300) return `let in by a fallback: ${status}`;
  return asked.breaks ? null : `fallback ${fallback} for an answer that came: ${status}`;
}

const WHEN_DOWN: Readonly<Record<Mode, string>> = {
  allow: "200 allow",
  "basic-auth": "401 basic-auth",
  deny: "503 deny",
  none: "502 null",
};

function judgeDown(mode: Mode, _asked: Asked, { status, fallback }: Answered): string | null {
  const reply = `${status} ${fallback}`;
  return reply === WHEN_DOWN[mode] ? null : reply;
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
    timeouts: { connect: 2s, read: 2s, total: 6s }
    fallback: { mode: ${mode}${file}, rateLimit: { failures: 100000, global: 100000 } }`;
  });
  return `admin: { listen: "127.0.0.9:0" }\nroutes:${routes.join("")}\n`;
}
