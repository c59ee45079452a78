import t from "tap";
import { parseConfig } from "../../src/config/load.ts";
import { readBounded } from "../../src/config/read-file.ts";
import { addressText } from "../../src/core/address-text.ts";
import { shareOf } from "../../src/workers/share.ts";

const YAML = `
trustedProxies: [10.0.0.0/8, "2001:db8::/32"]
limits: { connections: 1001 }
notify: [{ url: "https://hooks.example/secret" }]
listen: 127.0.0.1:0
routes:
  - preset: authentik
    upstream: https://outpost:9443
    maxConnections: 5
    maxInFlight: 3
    fault: { statuses: [502, 599] }
    fallback: { mode: basic-auth, allowFrom: [192.0.2.0/24], grace: 5m }
    hosts: [{ match: a.example, fallback: { mode: deny, grace: 5m } }]
`;

async function parsed() {
  const loaded = await parseConfig(YAML, "test.yaml", {}, readBounded);
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  return loaded.snapshot;
}

t.test("each worker gets its share, never more than all may have", async (t) => {
  const snapshot = await parsed();
  const bound = new Map([[addressText({ host: "127.0.0.1", port: 0 }), { host: "127.0.0.1", port: 4711 }]]);
  const share = shareOf(snapshot, 2, bound);
  const [route] = share.routes;
  t.equal(share.limits.connections, 500);
  t.equal(route?.maxInFlight, 1);
  t.equal(route?.upstream.maxConnections, 2);
  t.same(route?.listen, { host: "127.0.0.1", port: 4711 }, "the port that the system chose once");
  t.same(share.notify, [], "its secrets stay in the primary");
  const fallbacks = [route?.fallback, route?.hosts[0]?.fallback];
  for (const fallback of fallbacks) t.match(fallback, { grace: null });
  t.equal(shareOf(snapshot, 64, bound).routes[0]?.maxInFlight, 1, "and one at least");
});
