/** Behind a real Caddy: forward_auth asks with GET, passes 2xx and hands everything else to the client. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import t, { type Test } from "tap";
import { start, startOnPorts, temporaryFolder } from "../support/processes.ts";
import { missing } from "../support/programs.ts";
import { IDENTITY, type Scene, type Site, startScene } from "./scene.ts";
import { credentials, faulty, type Gateway, healthy, requests, statuses, upgrades } from "./suite.ts";

function configFor(scene: Scene, port: number): string {
  return `
{
  admin off
  auto_https off
}
${scene.sites.map((site) => block(site, port, scene.appPort)).join("\n")}
`;
}

/** Identity headers are the outpost's or the emergency login's to set: a client's own are taken out first. */
function block({ host, sparekey, path }: Site, port: number, appPort: number): string {
  return `
http://${host}:${port} {
  bind 127.0.0.1
  route {
    request_header -X-Authentik-*
    forward_auth ${sparekey} {
      uri ${path}
      copy_headers ${IDENTITY.join(" ")}
    }
    reverse_proxy 127.0.0.1:${appPort} {
      header_up -Authorization
    }
  }
}`;
}

/**
 * What Caddy 2.6 copies where there is nothing to copy: nobody's claim, but no name either. The emergency login
 * sends its headers empty, so that they never come to this; only the mode `allow` leaves them out.
 */
const PLACEHOLDER = /^\{http\.reverse_proxy\.header\.X-Authentik-\w+\}$/;

async function startCaddy(t: Test, scene: Scene): Promise<Gateway> {
  const folder = await temporaryFolder(t);
  const file = join(folder, "Caddyfile");
  const env = { HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder };
  const { ports } = await startOnPorts(1, async ([port = 0]) => {
    await writeFile(file, configFor(scene, port));
    return start(t, "caddy", ["run", "--adapter", "caddyfile", "--config", file], { cwd: folder, env });
  });
  return { name: "Caddy", port: ports[0] ?? 0, refusal: (status) => status, absent: PLACEHOLDER };
}

t.test("Caddy forward_auth", { skip: missing("caddy") }, async (t) => {
  const scene = await startScene(t);
  const gateway = await startCaddy(t, scene);
  await t.test("the upstream works", (t) => healthy(t, gateway, scene));
  await t.test("the upstream hangs", (t) => faulty(t, gateway, scene, true));
  await t.test("HEAD and POST", (t) => requests(t, gateway, scene));
  await t.test("credentials", (t) => credentials(t, gateway, scene));
  await t.test("statuses", (t) => statuses(t, gateway));
  await t.test("upgrades", (t) => upgrades(t, gateway, scene));
  await scene.outpost.setFault("refuse");
  await t.test("the upstream refuses", (t) => faulty(t, gateway, scene, false));
  await scene.outpost.setFault("ok");
  await t.test("the upstream works again", (t) => healthy(t, gateway, scene));
});
