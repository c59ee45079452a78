/**
 * `sparekey demo`: the whole scene on one machine. A gateway guards a sample app and asks sparekey, which asks a
 * stand-in outpost and a stand-in bot blocker. A switchboard makes the stand-ins fail.
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hash } from "bcrypt";
import { type App, startApp } from "../app/app.ts";
import { parseConfig } from "../config/load.ts";
import { formatProblem } from "../config/problem.ts";
import { readBounded } from "../config/read-file.ts";
import type { ReloadResult } from "../core/types.ts";
import { startBotBlocker } from "../demo/bot-blocker.ts";
import { startGateway } from "../demo/gateway.ts";
import { startOutpost } from "../demo/outpost.ts";
import { identityHeaders, outpostUser } from "../demo/outpost-identity.ts";
import { type OutpostVersion, outpostStates } from "../demo/outpost-versions.ts";
import { outpostPrefix } from "../demo/outpost-visit.ts";
import { type ReservedPort, reservePort } from "../demo/reserved-port.ts";
import { startSampleApp } from "../demo/sample-app.ts";
import { startSwitchboard } from "../demo/switchboard.ts";
import type { CommandIo } from "./command-io.ts";

export type DemoIo = CommandIo & {
  /** Which outpost stands in. */
  readonly outpost: OutpostVersion;
  /** Aborts on SIGINT and SIGTERM. */
  readonly stopped: AbortSignal;
  /** Starts sparekey in this process with a config given as text; `dir` holds its htpasswd file. */
  readonly startSparekey: (yaml: string, dir: string) => Promise<{ close(): Promise<void> }>;
};

/** Starts the real sparekey, as `run` does. `writeLine` gets its log lines. */
export async function startSparekey(
  yaml: string,
  dir: string,
  writeLine: (line: string) => void,
): Promise<App> {
  const loaded = await parseConfig(yaml, join(dir, "sparekey.yaml"), {}, readBounded);
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join("; "));
  const reload = async (): Promise<ReloadResult> => ({
    ok: false,
    problems: ["the demo reads no config file"],
  });
  return startApp(loaded.snapshot, { writeLine, reload });
}

type Part = "gateway" | "switchboard" | "app" | "botBlocker" | "sparekey" | "outpost" | "admin";
type Ports = Readonly<Record<Part, ReservedPort>>;

const emergencyUser = "admin";
const bcryptCost = 10;

/** Serves until `stopped`, then removes its files. The exit code is 0, or 1 when something did not start. */
export async function demoCommand(io: DemoIo): Promise<number> {
  await using scene = new AsyncDisposableStack();
  try {
    io.out(await startScene(scene, io));
  } catch (error) {
    io.err(`sparekey demo: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
  if (!io.stopped.aborted) await once(io.stopped, "abort");
  return 0;
}

/** Starts everything. The gateway comes last, so that it closes first. Returns the text to print. */
async function startScene(scene: AsyncDisposableStack, io: DemoIo): Promise<string> {
  const dir = await mkdtemp(join(io.env.TMPDIR || tmpdir(), "sparekey-demo-"));
  scene.defer(() => rm(dir, { recursive: true, force: true }));
  const password = randomBytes(12).toString("base64url");
  const htpasswd = join(dir, "htpasswd");
  await writeFile(htpasswd, `${emergencyUser}:${await hash(password, bcryptCost)}\n`, { mode: 0o600 });

  const ports = await reservePorts(scene);
  const take = async (part: Part) => {
    await ports[part].release();
    return ports[part].port;
  };
  const keep = async <Server extends { close(): Promise<void> }>(starting: Promise<Server>) => {
    const server = await starting;
    scene.defer(() => server.close());
    return server;
  };

  const gatewayHosts = [`127.0.0.1:${ports.gateway.port}`, `localhost:${ports.gateway.port}`];
  const version = io.outpost;
  const outpost = await keep(startOutpost({ port: await take("outpost"), hosts: gatewayHosts, version }));
  const botBlocker = await keep(startBotBlocker({ port: await take("botBlocker") }));
  const switches = [
    { title: `Outpost ${version}`, path: "/fault/", standIn: outpost },
    { title: "Bot blocker", path: "/bot-blocker/fault/", standIn: botBlocker },
  ];
  const { gateway, admin } = ports;
  const beside = { gateway: gateway.url, admin: admin.url };
  await keep(startSwitchboard({ port: await take("switchboard"), switches, ...beside }));
  const app = await keep(startSampleApp({ port: await take("app"), footer: appFooter(ports) }));

  await Promise.all([take("sparekey"), take("admin")]);
  await keep(io.startSparekey(composeConfig(ports, htpasswd), dir));
  const sparekey = ports.sparekey.url;
  await keep(
    startGateway({
      port: await take("gateway"),
      app: app.url,
      forwardAuth: [
        { address: `${sparekey}/auth`, authResponseHeaders: [] },
        { address: `${sparekey}${outpostPrefix}auth/traefik`, authResponseHeaders },
      ],
      unguarded: { prefix: outpostPrefix, url: sparekey },
    }),
  );
  return instructions(ports, password, version);
}

/** These include Authorization, so that the app never sees the emergency password. */
const authResponseHeaders: readonly string[] = [
  ...identityHeaders.filter((_, index) => index % 2 === 0),
  "X-Auth-Fallback",
  "Authorization",
];

async function reservePorts(scene: AsyncDisposableStack): Promise<Ports> {
  const reserve = async (wanted: number) => {
    const reserved = await reservePort(wanted);
    scene.defer(() => reserved.release());
    return reserved;
  };
  return {
    gateway: await reserve(8000),
    switchboard: await reserve(8001),
    app: await reserve(8002),
    botBlocker: await reserve(8003),
    sparekey: await reserve(9000),
    outpost: await reserve(9001),
    admin: await reserve(9090),
  };
}

/** The timeouts are short, so that a fault shows quickly. */
function composeConfig(ports: Ports, htpasswd: string): string {
  return `listen: 127.0.0.1:${ports.sparekey.port}
admin: { listen: "127.0.0.1:${ports.admin.port}" }
routes:
  - preset: authentik
    upstream: ${ports.outpost.url}
    timeouts: { connect: 1s, read: 2s, total: 3s }
    fallback: { mode: basic-auth, htpasswd: ${JSON.stringify(htpasswd)} }
  - preset: bot-block
    upstream: ${ports.botBlocker.url}
    timeouts: { connect: 1s, read: 2s, total: 3s }
    fallback: { mode: allow }
  - name: outpost-pages
    path: "${outpostPrefix}*"
    upstream: ${ports.outpost.url}
    timeouts: { connect: 1s, read: 2s, total: 3s }
    fallback: { mode: none }
`;
}

function appFooter(ports: Ports): string {
  return `<p><a href="${ports.switchboard.url}/">Switchboard of faults</a> ·
<a href="${ports.admin.url}/">sparekey</a> · <a href="${outpostPrefix}sign_out">Log out</a></p>`;
}

/** Every curl line can be copied as it is. The text above it says what it shows. */
function instructions(ports: Ports, password: string, version: OutpostVersion): string {
  const app = `${ports.gateway.url}/`;
  const board = ports.switchboard.url;
  const switchTo = (fault: string) => `    curl -X POST ${board}/fault/${fault}`;
  const ask = `    curl -i ${app}`;
  // Without a good answer after each fault, the breaker would open and hide the next faults.
  const shownAlone = (fault: string) => [switchTo(fault), ask, switchTo("ok"), ask].join("\n");
  return `sparekey demo: a sample app behind a gateway; the gateway asks sparekey, sparekey asks a stand-in
outpost ${version} (who is logged in?) and a stand-in bot blocker. Nothing leaves this machine.

Open in a browser
  ${app}    the sample app; log in as ${outpostUser.name}, password ${outpostUser.password}
  ${board}/    the switchboard: a button for each fault, the app and sparekey's page beside it
  ${ports.admin.url}/    sparekey's status page; /metrics is for Prometheus

Emergency login, once the outpost fails
  user ${emergencyUser}, password ${password} (a new one at each start)

Try
  All is well: 302 to the login, and 403 for a bot.
${ask}
    curl -i -A GPTBot ${app}
  The outpost hangs: after 2 s a 401 asks for the emergency login, which gets 200.
${switchTo("hang")}
${ask}
    curl -i -u ${emergencyUser}:${password} ${app}
  Its session store is full: it ${outpostStates[version]["store-full"]}.
  Each version fails in its own way, and an empty 400 leads to the emergency login. --outpost picks another version.
${switchTo("store-full")}
${ask}
  The outpost works again, and it is 302 once more.
${switchTo("ok")}
${ask}
  More faults, each for itself: 401 while it lasts, 302 after it.
${["refuse", "reset", "status-503", "status-500", "drip"].map(shownAlone).join("\n")}
  Five in a row without a good answer between them: the breaker opens, and the 401 comes at once, whatever the
  fault. Once the outpost works again, sparekey notices within seconds; then it is 302.
${switchTo("hang")}
${ask}${` ${app}`.repeat(5)}
${switchTo("ok")}
${ask}
  The bot blocker is gone: everybody passes it, bots too, so that it locks nobody out.
    curl -X POST ${board}/bot-blocker/fault/refuse
    curl -i -A GPTBot ${app}
    curl -X POST ${board}/bot-blocker/fault/ok

Ctrl-C ends it.
`;
}
