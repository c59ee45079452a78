/**
 * What stands around a gateway under test: an app behind it, sparekey beside it, upstreams behind sparekey.
 * Each site of the gateway is one host with a route of its own: a mode, and an upstream that works or hangs.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import type { Test } from "tap";
import { type Outpost, startOutpost } from "../../src/demo/outpost.ts";
import { outpostPrefix } from "../../src/demo/outpost-visit.ts";
import { type Answered, ask } from "../support/app.ts";
import { type RawUpstream, rawUpstream } from "../support/raw-upstream.ts";
import { signIn } from "../support/sign-in.ts";
import { type Sparekey, startSparekey } from "../support/sparekey.ts";

/** It has tests of its own; here each check shall ask. */
const BREAKER = "breaker: { failures: 1000 }";

export const MODES = ["basic-auth", "allow", "deny", "none"] as const;
export type Mode = (typeof MODES)[number];
export const ADMIN = { user: "admin", password: "correct horse: battery" } as const;
/** The header names that carry an identity to the app, as a gateway must list them. */
export const IDENTITY = ["username", "groups", "email", "name", "uid"].map((name) => `X-authentik-${name}`);

/** One host of the gateway, and where the gateway asks about it. */
export interface Site {
  readonly host: string;
  /** `HOST:PORT` of sparekey. */
  readonly sparekey: string;
  readonly path: string;
}

export interface Scene {
  readonly outpost: Outpost;
  /** Answers what X-Answer of the check says: `204`, `403` …. */
  readonly answering: RawUpstream;
  readonly sparekey: Sparekey;
  readonly appPort: number;
  /** `MODE.test`: the outpost; `MODE.hung.test`: an upstream that never answers; `answer.test`: `answering`. */
  readonly sites: readonly Site[];
  /** Cookie of a user the outpost has let in. */
  readonly session: string;
}

/** What the app got, as its own answer tells it. */
export interface Seen {
  readonly method: string;
  readonly url: string;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const CHECK = `${outpostPrefix}auth/traefik`;

export async function startScene(t: Test): Promise<Scene> {
  const outpost = await startOutpost({ port: 0, hosts: MODES.map((mode) => `${mode}.test`) });
  t.teardown(() => outpost.close());
  const silent = await rawUpstream(t, () => {});
  const answering = await rawUpstream(t, (socket, head) => {
    const status = /\r\nX-Answer: (\d+)\r\n/i.exec(head)?.[1] ?? "200";
    socket.write(`HTTP/1.1 ${status} Scripted\r\nX-authentik-username: demo\r\nContent-Length: 0\r\n\r\n`);
  });
  const yaml = configFor(outpost.port, silent.port, answering.port);
  const sparekey = await startSparekey(t, yaml, { users: { [ADMIN.user]: ADMIN.password } });
  const first = `127.0.0.1:${sparekey.listen[0].port}`;
  const sites = [
    ...MODES.flatMap((mode, index) => {
      const { host, port } = sparekey.listen[index] ?? sparekey.listen[0];
      return [
        { host: `${mode}.test`, sparekey: `${host}:${port}`, path: CHECK },
        { host: `${mode}.hung.test`, sparekey: first, path: `/hung/${mode}` },
      ];
    }),
    { host: "answer.test", sparekey: first, path: "/answer" },
  ];
  const session = await signIn(outpost, "basic-auth.test");
  return { outpost, answering, sparekey, appPort: await startApp(t), sites, session };
}

/** The outpost knows one path only, so its four modes need four listeners. */
function configFor(outpost: number, silent: number, answering: number): string {
  const routes = MODES.flatMap((mode, index) => {
    const fallback = mode === "basic-auth" ? "{ mode: basic-auth, htpasswd: htpasswd }" : `{ mode: ${mode} }`;
    return [
      `  - { name: ${mode}, preset: authentik, listen: "127.0.0.${index + 1}:0",`,
      `      upstream: "http://127.0.0.1:${outpost}", fallback: ${fallback}, ${BREAKER} }`,
      `  - { name: ${mode}-hung, preset: authentik, listen: "127.0.0.1:0", path: /hung/${mode},`,
      `      upstream: "http://127.0.0.1:${silent}", fallback: ${fallback},`,
      `      timeouts: { connect: 5s, read: 100ms, total: 5s }, ${BREAKER} }`,
    ];
  });
  const answer = `  - { name: answer, listen: "127.0.0.1:0", path: /answer, upstream: "http://127.0.0.1:${answering}", fallback: { mode: deny } }`;
  return ["routes:", ...routes, answer, ""].join("\n");
}

/** Says what it got. Takes WebSocket upgrades without speaking the protocol. */
async function startApp(t: Test): Promise<number> {
  const server = createServer(
    { maxHeaderSize: 1024 * 1024, keepAliveTimeout: 0 },
    async (request, response) => {
      let body = "";
      for await (const chunk of request.setEncoding("latin1")) body += chunk;
      const { method = "", url = "", headers } = request;
      response.writeHead(200, { "Content-Type": "application/json", "X-App": "yes" });
      response.end(JSON.stringify({ method, url, headers, body }));
    },
  );
  server.on("upgrade", (_request, socket) => {
    socket.end("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

export interface VisitOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly path?: string;
}

/** A client of the gateway at `port`; `seen` is null when the app was not reached. */
export async function visit(
  port: number,
  host: string,
  options: VisitOptions = {},
): Promise<Answered & { readonly seen: Seen | null }> {
  const { headers = {}, path = "/page?x=1", ...rest } = options;
  const answered = await ask(`http://127.0.0.1:${port}${path}`, {
    ...rest,
    headers: { Host: host, ...headers },
  });
  const reached = answered.headers["x-app"] === "yes";
  return { ...answered, seen: reached && answered.text !== "" ? JSON.parse(answered.text) : null };
}
