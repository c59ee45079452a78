import t from "tap";
import { firstRoute, snapshotOf } from "../support/config-text.ts";

t.test("a prefix may hold /healthz: only that path is taken", async (t) => {
  const route = await firstRoute("name: a, path: '/healthz/*'");
  t.same(route.path, { kind: "prefix", prefix: "/healthz/" });
});

t.test("routes may share a listen address, and port 0 never clashes", async (t) => {
  const { routes } = await snapshotOf(`
listen: 127.0.0.1:0
admin: { listen: 127.0.0.1:0 }
routes:
  - { preset: authentik, upstream: "http://a" }
  - { name: login, path: "/outpost.goauthentik.io/*", upstream: "http://a", fallback: { mode: none } }
  - { preset: bot-block, upstream: "http://b", listen: "127.0.0.2:0" }
`);
  t.equal(routes.length, 3);
});
