/** A rolling update must lose nothing: SIGTERM under steady load. */
import { Agent, request as httpRequest } from "node:http";
import t from "tap";
import { startOutpost } from "../../src/demo/outpost.ts";
import { eventually } from "../support/processes.ts";
import { type Sparekey, startSparekey } from "../support/sparekey.ts";

const PATH = "/outpost.goauthentik.io/auth/traefik";

interface Load {
  answered: number;
  /** Kept connections that ended: the gateway goes on at another replica. */
  moved: number;
  /** Set once readiness has said no: gateways open no new connection then. */
  leaving: boolean;
  readonly failed: string[];
}

t.test("no check fails while SIGTERM runs its course", async (t) => {
  const outpost = await startOutpost({ port: 0, hosts: ["app.example.com"] });
  t.teardown(() => outpost.close());
  const sparekey = await startSparekey(
    t,
    `
listen: 127.0.0.1:0
routes:
  - preset: authentik
    upstream: ${outpost.url}
    fallback: { mode: deny }`,
    { drain: "{ delay: 1s, timeout: 20s }" },
  );
  const load: Load = { answered: 0, moved: 0, leaving: false, failed: [] };
  const kept = new Agent({ keepAlive: true, maxSockets: 8 });
  t.teardown(() => kept.destroy());
  // Kept connections, and a new one for each check as Traefik's two idle connections amount to.
  const clients = [
    ...Array.from({ length: 8 }, () => askUntilMoved(sparekey, kept, load)),
    ...Array.from({ length: 4 }, () => askUntilMoved(sparekey, false, load)),
  ];
  await eventually(
    () => `only ${load.answered} checks were answered`,
    () => (load.answered > 500 ? true : null),
  );
  process.kill(sparekey.process.pid, "SIGTERM");
  await eventually(
    () => "readiness did not change",
    async () => ((await statusOf(`${sparekey.admin.url}/readyz`)) === 503 ? true : null),
  );
  load.leaving = true;
  await Promise.all(clients);
  const ended = await eventually(
    () => "it still runs",
    () => sparekey.process.over(),
  );
  t.same(load.failed, []);
  t.equal(load.moved, 8, "every kept connection went on until it was told to close");
  t.same(ended, { code: 0, signal: null });
  const messages = sparekey.logs().map(({ msg }) => msg);
  t.same(messages.slice(-2), ["drain begins", "drain ended"]);
  t.match(sparekey.logs().at(-1), { complete: true, connections_cut: 0 });
});

t.test("while draining, readiness says so and checks are still answered", async (t) => {
  const outpost = await startOutpost({ port: 0, hosts: ["app.example.com"] });
  t.teardown(() => outpost.close());
  const sparekey = await startSparekey(
    t,
    `
listen: 127.0.0.1:0
routes:
  - preset: authentik
    upstream: ${outpost.url}
    fallback: { mode: deny }`,
    { drain: "{ delay: 1h }" },
  );
  t.equal(await statusOf(`${sparekey.admin.url}/readyz`), 200);
  process.kill(sparekey.process.pid, "SIGTERM");
  await sparekey.log(({ msg }) => msg === "drain begins");
  t.equal(await statusOf(`${sparekey.admin.url}/readyz`), 503);
  t.equal(await statusOf(`${sparekey.listen[0].url}/healthz`), 200);
  t.equal(await statusOf(sparekey.listen[0].url + PATH), 302);
});

/** Checks without a pause, until a new connection is neither wanted nor had. */
async function askUntilMoved(sparekey: Sparekey, agent: Agent | false, load: Load): Promise<void> {
  while (agent || !load.leaving) {
    try {
      const status = await statusOf(sparekey.listen[0].url + PATH, agent);
      if (status !== 302) load.failed.push(String(status));
      load.answered += 1;
    } catch (error) {
      const refused = error instanceof Error && "code" in error && error.code === "ECONNREFUSED";
      if (refused && load.leaving) load.moved += 1;
      else load.failed.push(String(error));
      return;
    }
  }
}

function statusOf(url: string, agent: Agent | false = false): Promise<number> {
  const headers = {
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "app.example.com",
    "X-Forwarded-Uri": "/",
  };
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { headers, agent }, (response) => {
      response.resume();
      response.on("error", reject);
      response.on("end", () => resolve(response.statusCode ?? 0));
    });
    request.on("error", reject);
    request.end();
  });
}
