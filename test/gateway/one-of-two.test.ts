/**
 * One replica of two is bad: people with a session, and people without, never see a fallback. With the first edition one
 * bad replica behind one address gave the emergency login to 987 of 987, and a list whose first server hung to all.
 */
import { connect as connectTcp, createServer, type Socket } from "node:net";
import { join } from "node:path";
import t, { type Test } from "tap";
import { startOutpost } from "../../src/demo/outpost.ts";
import type { FaultName } from "../../src/demo/stand-in.ts";
import { ask, sample, serve } from "../support/app.ts";
import { htpasswdOf } from "../support/sparekey.ts";
import { checksAmong } from "../support/warm.ts";

type Outpost = Awaited<ReturnType<typeof startOutpost>>;

const PATH = "/outpost.goauthentik.io/auth/traefik";
const HOST = "app.example.com";
const FORWARDED = {
  "X-Forwarded-Proto": "https",
  "X-Forwarded-Host": HOST,
  "X-Forwarded-Uri": "/page",
  "X-Forwarded-For": "192.0.2.7",
};
const BAD: readonly FaultName[] = [
  "hang",
  "drip",
  "status-503",
  "status-500",
  "bare-400",
  "truncate",
  "garbage",
];

/**
 * Each new connection leads to the other one of two, and the first to the second: what a Service does by chance. Probes
 * are counted apart, so that chance does not give the bad one to all attempts of a check.
 */
async function balancer(t: Test, ports: readonly [number, number]): Promise<string> {
  const next = { check: 0, probe: 0 };
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("data", (first) => {
      const [head = ""] = checksAmong([first.toString("latin1")]);
      const kind = head === "" ? "probe" : "check";
      next[kind] += 1;
      const behind = connectTcp(ports[next[kind] % 2] ?? 0, "127.0.0.1");
      sockets.add(behind);
      behind.on("error", () => {}).once("close", () => socket.destroy());
      socket.once("close", () => behind.destroy());
      behind.write(first);
      socket.pipe(behind).pipe(socket);
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
}

async function outposts(t: Test): Promise<readonly [Outpost, Outpost]> {
  const start = async (): Promise<Outpost> => {
    const outpost = await startOutpost({ port: 0, hosts: [HOST], dripMs: 40 });
    t.teardown(() => outpost.close());
    return outpost;
  };
  return [await start(), await start()];
}

const portOf = ({ url }: Outpost): number => Number(new URL(url).port);

for (const reach of ["one address", "a list"] as const) {
  for (const fault of BAD) {
    t.test(`regression: one of two behind ${reach}: ${fault}`, async (t) => {
      const both = await outposts(t);
      const [bad, good] = both;
      const one = `"${await balancer(t, [portOf(good), portOf(bad)])}"`;
      const upstream = reach === "a list" ? `[ "${bad.url}", "${good.url}" ]` : one;
      const htpasswd = join(t.testdir({ htpasswd: htpasswdOf({ admin: "right" }) }), "htpasswd");
      const served = await serve(
        t,
        `admin: { listen: "127.0.0.9:0" }
routes:
  - name: sso
    preset: authentik
    listen: 127.0.0.1:0
    upstream: ${upstream}
    fallback: { mode: basic-auth, htpasswd: ${htpasswd} }
`,
      );
      const [url = ""] = served.urls;
      const check = async (): Promise<string> => {
        const { status, headers } = await ask(url + PATH, { headers: FORWARDED });
        return `${status} ${headers["x-auth-fallback"] ?? "verdict"}`;
      };
      for (let count = 0; count < 8; count += 1) t.equal(await check(), "302 verdict", "both are well");
      await bad.setFault(fault);
      for (let count = 0; count < 24; count += 1) t.equal(await check(), "302 verdict", `check ${count}`);
      const metrics = await served.metrics();
      t.equal(sample(metrics, 'sparekey_breaker_state{route="sso",state="closed"}'), 1);
      t.equal(sample(metrics, 'sparekey_fallback_active{route="sso"}'), 0);
    });
  }
}
