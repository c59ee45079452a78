/** Behind a real nginx: auth_request passes 2xx, 401 and 403, and makes 500 of everything else. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import t, { type Test } from "tap";
import { sample } from "../support/app.ts";
import { eventually, start, startOnPorts, temporaryFolder } from "../support/processes.ts";
import { missing } from "../support/programs.ts";
import { IDENTITY, type Scene, type Site, startScene, visit } from "./scene.ts";
import { credentials, faulty, type Gateway, healthy, requests, statuses, upgrades } from "./suite.ts";

/** nginx asks in HTTP/1.0 and closes, unless told to keep connections. */
type Wire = "closing" | "kept";

function configFor(folder: string, scene: Scene, ports: Readonly<Record<Wire, number>>): string {
  const pools = scene.sites.map(
    ({ sparekey }, index) => `upstream sparekey${index} { server ${sparekey}; keepalive 4; }`,
  );
  const servers = (["closing", "kept"] as const).flatMap((wire) =>
    scene.sites.map((site, index) => server(site, index, wire, ports[wire], scene.appPort)),
  );
  return `
daemon off;
master_process off;
pid ${folder}/pid;
error_log stderr warn;
events { worker_connections 256; }
http {
  access_log off;
  ${["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((kind) => `${kind}_temp_path ${folder}/${kind};`).join("\n  ")}
  large_client_header_buffers 4 256k;
  map $http_upgrade $connection_for_app { default upgrade; "" close; }
  ${pools.join("\n  ")}
  ${servers.join("\n")}
}
`;
}

function server({ host, path }: Site, index: number, wire: Wire, port: number, appPort: number): string {
  const variables = IDENTITY.map((name) => name.toLowerCase().replaceAll("-", "_"));
  const kept = 'proxy_http_version 1.1; proxy_set_header Connection "";';
  return `
  server {
    listen 127.0.0.1:${port};
    server_name ${host};
    location / {
      auth_request /sparekey;
      ${variables.map((name) => `auth_request_set $${name} $upstream_http_${name};`).join("\n      ")}
      proxy_pass http://127.0.0.1:${appPort};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_for_app;
      proxy_set_header Authorization "";
      ${IDENTITY.map((name, at) => `proxy_set_header ${name} $${variables[at]};`).join("\n      ")}
    }
    location = /own-page {
      auth_request /sparekey;
      auth_request_set $challenge $upstream_http_www_authenticate;
      error_page 401 = @own_page;
      proxy_pass http://127.0.0.1:${appPort};
    }
    location @own_page {
      add_header WWW-Authenticate $challenge always;
      return 401 "our own page";
    }
    location = /sparekey {
      internal;
      proxy_pass http://sparekey${index}${path};
      ${wire === "kept" ? kept : ""}
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $host;
      proxy_set_header X-Forwarded-Uri $request_uri;
      proxy_set_header X-Forwarded-Method $request_method;
    }
  }`;
}

async function startNginx(t: Test, scene: Scene): Promise<Record<Wire, Gateway>> {
  const folder = await temporaryFolder(t);
  const { ports } = await startOnPorts(2, async ([closing = 0, kept = 0]) => {
    await writeFile(join(folder, "nginx.conf"), configFor(folder, scene, { closing, kept }));
    return start(t, "nginx", ["-p", folder, "-e", "stderr", "-c", join(folder, "nginx.conf")]);
  });
  const refusal = (status: number): number => (status === 401 || status === 403 ? status : 500);
  const [closing = 0, kept = 0] = ports;
  return {
    closing: { name: "connections that close", port: closing, refusal, absent: undefined },
    kept: { name: "connections that are kept", port: kept, refusal, absent: undefined },
  };
}

t.test("nginx auth_request", { skip: missing("nginx") }, async (t) => {
  const scene = await startScene(t);
  const { closing, kept } = await startNginx(t, scene);
  const both = [closing, kept];
  const onBoth = (name: string, check: (t: Test, gateway: Gateway) => Promise<void>) =>
    t.test(name, async (t) => {
      for (const gateway of both) await t.test(gateway.name, (t) => check(t, gateway));
    });

  await onBoth("the upstream works", (t, gateway) => healthy(t, gateway, scene));
  await onBoth("the upstream hangs", (t, gateway) => faulty(t, gateway, scene, true));
  await onBoth("HEAD and POST", (t, gateway) => requests(t, gateway, scene));
  await onBoth("credentials", (t, gateway) => credentials(t, gateway, scene));
  await onBoth("statuses", statuses);
  await onBoth("upgrades", (t, gateway) => upgrades(t, gateway, scene));

  await t.test("an operator's own page for 401", async (t) => {
    const ask = (headers: Record<string, string>) =>
      visit(closing.port, "basic-auth.hung.test", { headers, path: "/own-page" });
    const page = await ask({});
    t.match(page, { status: 401, text: "our own page" });
    t.match(page.headers["www-authenticate"], /^Basic realm="Emergency Access"/);
    const background = await ask({ "X-Requested-With": "XMLHttpRequest" });
    t.match(background, { status: 401, text: "our own page" });
    t.equal(background.headers["www-authenticate"], undefined, "no login box out of nowhere");
  });

  await scene.outpost.setFault("refuse");
  await onBoth("the upstream refuses", (t, gateway) => faulty(t, gateway, scene, false));
  await scene.outpost.setFault("ok");
  await onBoth("the upstream works again", (t, gateway) => healthy(t, gateway, scene));

  await t.test("kept connections are kept, others are not", async (t) => {
    const open = async () => sample(await scene.sparekey.metrics(), "sparekey_connections");
    // At most one per site, however many checks there were.
    const left = await eventually(
      () => "connections of HTTP/1.0 checks stay open",
      async () => ((await open()) <= scene.sites.length ? open() : null),
    );
    t.ok(left >= 1);
  });
});
