/** What must hold behind every gateway, whatever it makes of the statuses it does not pass on. */
import type { Test } from "tap";
import { openWire } from "../demo/wire.ts";
import { basic } from "../support/app.ts";
import { unstalled } from "../support/unstalled.ts";
import { ADMIN, IDENTITY, MODES, type Mode, type Scene, visit } from "./scene.ts";

export interface Gateway {
  readonly name: string;
  readonly port: number;
  /** What a client sees of a check that was not passed. */
  refusal(status: number): number;
  /** What the app sees of an identity header that sparekey's reply lacks; undefined: no such header. */
  readonly absent: RegExp | undefined;
}

const RIGHT = basic(ADMIN.user, ADMIN.password);
const WRONG = basic(ADMIN.user, "guess");
/** A client that claims to be somebody. */
const CLAIMS: Readonly<Record<string, string>> = Object.fromEntries(IDENTITY.map((name) => [name, "root"]));

interface Row {
  readonly name: string;
  readonly mode: Mode;
  readonly headers: Readonly<Record<string, string>>;
  /** sparekey's. */
  readonly status: number;
  /** Whom the app sees, when it is reached. */
  readonly user?: string;
  readonly challenge?: boolean;
}

const BOX = 'Basic realm="Emergency Access", charset="UTF-8"';

/** While the upstream works. */
export async function healthy(t: Test, gateway: Gateway, scene: Scene): Promise<void> {
  const cookie = scene.session;
  const rows = MODES.flatMap((mode): Row[] => [
    { name: "nobody", mode, headers: {}, status: 302 },
    { name: "a session", mode, headers: { Cookie: cookie }, status: 200, user: "demo" },
    { name: "emergency credentials", mode, headers: { Authorization: RIGHT }, status: 302 },
  ]);
  await expectRows(t, gateway, scene, rows, (mode) => `${mode}.test`);
}

/** While it cannot decide. `silent`: it hangs; else it refuses connections. */
export async function faulty(t: Test, gateway: Gateway, scene: Scene, silent: boolean): Promise<void> {
  const login = "basic-auth" as const;
  const background = { "Sec-Fetch-Mode": "cors" };
  const rows: Row[] = [
    { name: "no credentials", mode: login, headers: {}, status: 401, challenge: true },
    {
      name: "wrong credentials",
      mode: login,
      headers: { Authorization: WRONG },
      status: 401,
      challenge: true,
    },
    {
      name: "another scheme",
      mode: login,
      headers: { Authorization: "Bearer x" },
      status: 401,
      challenge: true,
    },
    { name: "a background request", mode: login, headers: background, status: 401 },
    {
      name: "right credentials",
      mode: login,
      headers: { Authorization: RIGHT },
      status: 200,
      user: ADMIN.user,
    },
    { name: "anybody", mode: "allow", headers: {}, status: 200, user: "" },
    {
      name: "somebody with credentials",
      mode: "allow",
      headers: { Authorization: RIGHT },
      status: 200,
      user: "",
    },
    { name: "anybody", mode: "deny", headers: {}, status: 503 },
    { name: "right credentials", mode: "deny", headers: { Authorization: RIGHT }, status: 503 },
    { name: "anybody", mode: "none", headers: {}, status: silent ? 504 : 502 },
  ];
  await expectRows(t, gateway, scene, rows, (mode) => (silent ? `${mode}.hung.test` : `${mode}.test`));
}

async function expectRows(
  t: Test,
  gateway: Gateway,
  scene: Scene,
  rows: readonly Row[],
  host: (mode: Mode) => string,
) {
  for (const row of rows) {
    const name = `${row.mode}, ${row.name}`;
    const headers = { ...CLAIMS, ...row.headers };
    const visited = () => visit(gateway.port, host(row.mode), { headers });
    const { status, headers: got, seen } = await unshed(scene, visited);
    t.equal(got["www-authenticate"], row.challenge ? BOX : undefined, `${name}: challenge`);
    t.equal(status, row.user === undefined ? gateway.refusal(row.status) : 200, `${name}: status`);
    t.equal(seen !== null, row.user !== undefined, `${name}: app reached`);
    if (seen === null) continue;
    const values = IDENTITY.map((header) => seen.headers[header.toLowerCase()] ?? "").map((value) =>
      row.mode === "allow" && gateway.absent?.test(value) ? "" : value,
    );
    t.equal(values[0], row.user, `${name}: user`);
    t.notOk(values.includes("root"), `${name}: no claim of the client arrives`);
    if (row.user !== "demo") t.same(values.slice(1), ["", "", "", ""], `${name}: nothing but the name`);
  }
}

/** Asks again where sparekey shed something meanwhile. */
async function unshed<Visited>({ sparekey }: Scene, visited: () => Promise<Visited>): Promise<Visited> {
  const shed = async () => (await sparekey.metrics()).match(SHED)?.join("\n");
  let before = await shed();
  return unstalled(visited, async () => {
    const last = before;
    before = await shed();
    return before !== last;
  });
}

const SHED = /^sparekey_checks_total\{.*source="shed".*$/gm;

/** What the app gets of a request that passed, and what the upstream gets of the check. */
export async function requests(t: Test, gateway: Gateway, scene: Scene): Promise<void> {
  const { port } = gateway;
  const cookie = scene.session;
  const before = scene.outpost.received().length;
  const head = await visit(port, "deny.test", { method: "HEAD", headers: { Cookie: cookie } });
  t.match(head, { status: 200, headers: { "x-app": "yes" }, text: "" }, "HEAD");
  const refused = await visit(port, "deny.test", { method: "HEAD" });
  t.match(refused, { status: gateway.refusal(302), seen: null, text: "" }, "HEAD of nobody");

  const body = "x".repeat(100_000);
  const post = await visit(port, "deny.test", { method: "POST", headers: { Cookie: cookie }, body });
  t.match(post, { status: 200, seen: { method: "POST", url: "/page?x=1", body } }, "POST");
  const unseen = await visit(port, "deny.test", { method: "POST", body });
  t.match(unseen, { status: gateway.refusal(302), seen: null }, "POST of nobody");
  const checks = scene.outpost.received().slice(before);
  t.equal(checks.length, 4);
  for (const { method, headers } of checks) {
    t.equal(method, "GET", "the gateway asks with GET");
    t.notMatch(headers.join("\n"), /^(content-length|transfer-encoding)$/im, "no body");
  }
}

/** Which credentials the upstream gets to see. */
export async function credentials(t: Test, gateway: Gateway, scene: Scene): Promise<void> {
  const rows = [
    ["an emergency login stays here", RIGHT, false],
    ["a wrong password with its name as well", WRONG, false],
    ["other basic credentials go along", basic("somebody", "else"), true],
    ["a token goes along", "Bearer token", true],
  ] as const;
  for (const [name, authorization, arrives] of rows) {
    const before = scene.outpost.received().length;
    await visit(gateway.port, "basic-auth.test", { headers: { Authorization: authorization } });
    const [received] = scene.outpost.received().slice(before);
    t.ok(received, "the upstream was asked");
    t.equal(received?.headers.includes(authorization), arrives, name);
  }
}

/** Every status a check can end with, by an upstream that says so. */
export async function statuses(t: Test, gateway: Gateway): Promise<void> {
  for (const status of [200, 202, 204, 299]) {
    const headers = { "X-Answer": String(status), "X-authentik-username": "root" };
    const { seen } = await visit(gateway.port, "answer.test", { headers });
    t.equal(seen?.headers["x-authentik-username"], "demo", `${status} passes`);
  }
  for (const status of [302, 303, 307, 400, 401, 403, 404, 418, 429, 500, 501, 599]) {
    const headers = { "X-Answer": String(status) };
    const { status: got, seen } = await visit(gateway.port, "answer.test", { headers });
    t.equal(got, gateway.refusal(status), `${status} does not pass`);
    t.equal(seen, null, `${status}: the app is not reached`);
  }
  for (const status of [502, 503, 504]) {
    const { status: got } = await visit(gateway.port, "answer.test", {
      headers: { "X-Answer": `${status}` },
    });
    t.equal(got, gateway.refusal(503), `${status} is a fault, and the fallback denies`);
  }
}

/** An upgrade is a request like any other until it has passed. */
export async function upgrades(t: Test, gateway: Gateway, scene: Scene): Promise<void> {
  const upgrade = (host: string, more: string): string =>
    `GET /socket HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
    `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c3BhcmVrZXkgc3BhcmVrZXk=\r\n${more}\r\n`;
  const open = await openWire(gateway.port);
  t.teardown(() => open.close());
  open.send(upgrade("deny.test", `Cookie: ${scene.session}\r\n`));
  t.match(await open.until("hello"), /^HTTP\/1\.1 101 /, "a session opens the socket");

  const refusals = [
    ["nobody", "deny.test", "", 302],
    ["nobody in an outage", "deny.hung.test", "", 503],
    ["a wrong password", "basic-auth.hung.test", `Authorization: ${WRONG}\r\n`, 401],
  ] as const;
  for (const [name, host, more, status] of refusals) {
    const text = await unshed(scene, async () => {
      const wire = await openWire(gateway.port);
      t.teardown(() => wire.close());
      wire.send(upgrade(host, more));
      return wire.until("\r\n\r\n");
    });
    t.equal(text.split(" ")[1], String(gateway.refusal(status)), `${name} gets no socket`);
    t.notMatch(text, "hello");
  }
}
