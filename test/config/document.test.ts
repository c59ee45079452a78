import t from "tap";
import { problemsOf, snapshotOf } from "../support/config-text.ts";

t.test("aliases are followed", async (t) => {
  const { routes } = await snapshotOf(`
routes:
  - { preset: authentik, upstream: &outpost "http://host:9000" }
  - { name: login, path: /login, upstream: *outpost }
`);
  t.same(routes[1]?.upstream.servers, [{ host: "host", port: 9000 }]);
});

t.test("a file of endless brackets or nodes is refused, not read", async (t) => {
  t.match(await problemsOf("[".repeat(20_000)), [/nested too deeply/]);
  t.match(await problemsOf(`routes: ${"[".repeat(40)}${"]".repeat(40)}`), [/nested too deeply/]);
  t.match(await problemsOf(`log: [${"1,".repeat(100_001)}]\nroutes: []`), { length: 3 });
});
