/** sparekey by the config for both upstreams, on ports of this machine, and an outpost that can be broken. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Test } from "tap";
import { startOutpost } from "../../src/demo/outpost.ts";
import type { FaultName } from "../../src/demo/stand-in.ts";
import { ask } from "../support/app.ts";
import { type Sparekey, startSparekey } from "../support/sparekey.ts";

const HOST = "app.example.com";
const CHECK_PATH = "/outpost.goauthentik.io/auth/traefik";
/** Nobody listens there. */
const NOWHERE = "http://127.0.0.1:9";

export interface MonitoringScene {
  readonly sparekey: Sparekey;
  breakOutpost(fault: FaultName): Promise<void>;
  /** Statuses of as many checks of people without a session, one after another. */
  check(count: number, headers?: Readonly<Record<string, string>>): Promise<readonly number[]>;
}

export async function startMonitoringScene(
  t: Test,
  users: Readonly<Record<string, string>>,
  more = "",
): Promise<MonitoringScene> {
  const outpost = await startOutpost({ port: 0, hosts: [HOST] });
  t.teardown(() => outpost.close());
  const config = await readFile(join(import.meta.dirname, "../../config/both.yaml"), "utf8");
  const here = config
    .replaceAll("0.0.0.0:9000", "127.0.0.1:0")
    .replaceAll("0.0.0.0:8080", "127.0.0.2:0")
    .replaceAll("http://ak-outpost.authentik.svc.cluster.local:9000", outpost.url)
    .replaceAll(/loginHealth: .+/g, "loginHealth: []")
    .replaceAll("http://poison-fountain.poison-fountain.svc.cluster.local:8080", NOWHERE)
    .replaceAll("/etc/sparekey/htpasswd", "htpasswd");
  const sparekey = await startSparekey(t, `${more}\n${here}`, { users });
  const url = `${sparekey.listen[0].url}${CHECK_PATH}`;
  const forwarded = {
    "X-Forwarded-Host": HOST,
    "X-Forwarded-Uri": "/",
    "X-Forwarded-For": "192.0.2.7",
    "X-Forwarded-Method": "GET",
    "X-Forwarded-Proto": "https",
  };
  return {
    sparekey,
    breakOutpost: (fault) => outpost.setFault(fault),
    check: async (count, headers = {}) => {
      const statuses: number[] = [];
      for (let left = count; left > 0; left -= 1)
        statuses.push((await ask(url, { headers: { ...forwarded, ...headers } })).status);
      return statuses;
    },
  };
}
