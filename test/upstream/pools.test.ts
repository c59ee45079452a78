import t from "tap";
import type { Upstream } from "../../src/core/snapshot.ts";
import { createPools } from "../../src/upstream/pools.ts";
import { rawUpstream, upstreamAt } from "../support/raw-upstream.ts";

const LOCAL = "127.0.0.1";

t.test("the pools of checks and of probes have their endpoints in common", async (t) => {
  const { port } = await rawUpstream(t, () => {});
  const events: string[] = [];
  const pools = createPools({
    ...{ resolve: () => Promise.reject(new Error("no name")), now: () => 0, random: () => 0 },
    onEndpoint: ({ servers }, { kind, endpoint }) => {
      events.push(`${kind} ${endpoint} of ${servers.length}`);
    },
  });
  t.teardown(() => pools.close());
  const servers: Upstream["servers"] = [
    { host: LOCAL, port },
    { host: "127.0.0.2", port },
  ];
  const checks = upstreamAt(port, { servers });
  const probes = { ...checks, maxConnections: 2 };
  const others = upstreamAt(port);
  t.equal(pools.of(checks), pools.of(checks));
  t.not(pools.of(checks), pools.of(probes));
  t.equal(pools.of(checks).endpoints, pools.of(probes).endpoints);
  t.not(pools.of(checks).endpoints, pools.of(others).endpoints);
  const [first] = pools.of(checks).endpoints.all;
  if (first) pools.of(checks).endpoints.failed(first, "refused", "all");
  t.same(events, [`ejected ${LOCAL}:${port} of 2`]);
  t.match(pools.endpoints(probes), [{ ejected: { reason: "refused" } }, { ejected: null }]);

  const before = pools.of(others).endpoints;
  const known = pools.of(checks);
  pools.use([checks]);
  t.equal(pools.of(checks), known, "those in use stay");
  t.equal(pools.of(probes).endpoints, known.endpoints, "with the endpoints of their list");
  t.not(pools.of(others).endpoints, before, "and others begin anew");
});
