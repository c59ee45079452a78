import t from "tap";
import { firstRoute, problemsOf, snapshotOf } from "../support/config-text.ts";

t.test("an entry of a list may come from the environment", async (t) => {
  const { routes } = await snapshotOf(`routes: [{ preset: authentik, upstream: ["\${A}", "http://b"] }]`, {
    A: "http://a",
  });
  t.same(routes[0]?.upstream.servers, [
    { host: "a", port: 80 },
    { host: "b", port: 80 },
  ]);
});

t.test("environment variables fill in parts of values", async (t) => {
  const keys = `preset: authentik, timeouts: { read: '\${READ}s' }, fallback: { realm: '\${A} and \${B}' }`;
  const route = await firstRoute(keys, { READ: "2", A: "one", B: `\${A}` });
  t.equal(route.upstream.timeouts.read, 2000);
  t.match(route.fallback, { realm: `one and \${A}` }, "what a variable holds is not expanded again");
});

t.test("an environment variable cannot add keys", async (t) => {
  const route = await firstRoute(`preset: authentik, fallback: { realm: '\${REALM}' }`, {
    REALM: "x }, maxInFlight: 1",
  });
  t.equal(route.maxInFlight, 1024);
});

t.test("inherited names are no environment variables", async (t) => {
  t.match(await problemsOf(`listen: \${toString}\nroutes: []`), [/toString is not set/, /holds no route/]);
});
