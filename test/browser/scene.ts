/**
 * The surroundings of a browser: Caddy as the gateway, an app behind it, sparekey beside it, and the outpost behind
 * sparekey. Host names choose the fallback.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Test } from "tap";
import { type Outpost, startOutpost } from "../../src/demo/outpost.ts";
import { outpostPrefix } from "../../src/demo/outpost-visit.ts";
import { startSampleApp } from "../../src/demo/sample-app.ts";
import { ADMIN, IDENTITY } from "../gateways/scene.ts";
import { start, startOnPorts, temporaryFolder } from "../support/processes.ts";
import { type Sparekey, startSparekey } from "../support/sparekey.ts";

/** Browsers trust `*.localhost` like HTTPS, and treat `*.test` as plain HTTP. */
export const HOSTS = {
  app: "app.localhost",
  plain: "app.test",
  deny: "deny.localhost",
  limited: "limited.localhost",
  worded: "worded.localhost",
  wordedDeny: "worded-deny.localhost",
} as const;
export type HostName = keyof typeof HOSTS;

/** The heading of a page of the operator's own (`fallback.page`). */
export const OWN_HEADING = "Call Ann, 555 0100";

export interface BrowserScene {
  readonly outpost: Outpost;
  readonly sparekey: Sparekey;
  /** Through the gateway. */
  url(host: HostName, path: string): string;
}

export async function startBrowserScene(t: Test): Promise<BrowserScene> {
  const app = await startSampleApp({ port: 0, footer: '<p><a href="/next">Next page</a></p>' });
  t.teardown(() => app.close());
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, "page.html"), `<!doctype html><title>Call Ann</title><h1>${OWN_HEADING}</h1>`);
  const env = { HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder };
  const around: { outpost: Outpost; sparekey: Sparekey }[] = [];
  const { ports } = await startOnPorts(1, async ([port = 0]) => {
    const outpost = await startOutpost({
      port: 0,
      hosts: Object.values(HOSTS).map((host) => `${host}:${port}`),
    });
    t.teardown(() => outpost.close());
    const sparekey = await startSparekey(t, configFor(outpost.port, join(folder, "page.html")), {
      users: { [ADMIN.user]: ADMIN.password },
    });
    around.push({ outpost, sparekey });
    const file = join(folder, "Caddyfile");
    await writeFile(file, caddyfile(port, sparekey.listen[0].port, app.port));
    return start(t, "caddy", ["run", "--adapter", "caddyfile", "--config", file], { cwd: folder, env });
  });
  const last = around.at(-1);
  if (last === undefined) throw new Error("nothing was started");
  return { ...last, url: (host, path) => `http://${HOSTS[host]}:${ports[0]}${path}` };
}

/** The breaker opens and closes at once, since other tests show how long it waits. */
function configFor(outpost: number, page: string): string {
  return `
routes:
  - preset: authentik
    listen: "127.0.0.1:0"
    upstream: "http://127.0.0.1:${outpost}"
    breaker: { failures: 1, interval: 100ms, maxInterval: 100ms, successes: 1 }
    fallback: { mode: basic-auth, htpasswd: htpasswd }
    hosts:
      - { match: ${HOSTS.deny}, fallback: { mode: deny } }
      - { match: ${HOSTS.limited}, fallback: { mode: basic-auth, rateLimit: { failures: 1 } } }
      - { match: ${HOSTS.worded}, fallback: { mode: basic-auth, page: ${page} } }
      - { match: ${HOSTS.wordedDeny}, fallback: { mode: deny, page: ${page} } }
  - name: authentik-login
    listen: "127.0.0.1:0"
    path: ${outpostPrefix}*
    upstream: "http://127.0.0.1:${outpost}"
    fallback: { mode: none }
`;
}

/** The path /box asks for a password itself, whatever a request is for. */
function caddyfile(port: number, sparekey: number, app: number): string {
  return `
{
  admin off
  auto_https off
}
http://*.localhost:${port}, http://*.test:${port} {
  bind 127.0.0.1
  handle ${outpostPrefix}* {
    reverse_proxy 127.0.0.1:${sparekey}
  }
  handle /box {
    header WWW-Authenticate \`Basic realm="The gateway's"\`
    respond 401
  }
  handle {
    route {
      request_header -X-Authentik-*
      forward_auth 127.0.0.1:${sparekey} {
        uri ${outpostPrefix}auth/traefik
        copy_headers X-Auth-Fallback ${IDENTITY.join(" ")}
      }
      reverse_proxy 127.0.0.1:${app} {
        header_up -Authorization
      }
    }
  }
}
`;
}
