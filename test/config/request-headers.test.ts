import t from "tap";
import { firstRoute, oneRoute, problemsOf } from "../support/config-text.ts";

t.test("a probe takes up to 32 headers", async (t) => {
  const headers = (count: number) => Array.from({ length: count }, (_, index) => `X-${index}: a`).join(", ");
  const { probe } = await firstRoute(`preset: authentik, probe: { headers: { ${headers(32)} } }`);
  t.equal(probe.headers.length, 64);
  t.match(await problemsOf(oneRoute(`preset: authentik, probe: { headers: { ${headers(33)} } }`)), [
    /probe\.headers: holds 33 headers; at most 32$/,
  ]);
});

t.test("a probe's header may come from the environment, and is not shown when it is no good", async (t) => {
  const keys = `preset: authentik, probe: { headers: { Authorization: 'Bearer \${TOKEN}' } }`;
  t.same((await firstRoute(keys, { TOKEN: "secret" })).probe.headers, ["Authorization", "Bearer secret"]);
  const [problem = ""] = await problemsOf(oneRoute(keys), { TOKEN: "secret\n" });
  t.match(problem, /probe\.headers\.Authorization: not a header value/);
  t.notMatch(problem, /secret/);
});
