import t from "tap";
import { routePath } from "../../src/config/addresses.ts";
import { presets } from "../../src/config/presets.ts";
import { identityHeader } from "../../src/config/texts.ts";
import { firstRoute, judged, loginOf } from "../support/config-text.ts";

const presetRows = [
  {
    preset: "authentik",
    path: "/outpost.goauthentik.io/auth/traefik",
    user: "X-authentik-username",
    cleared: 4,
  },
  { preset: "authelia", path: "/api/authz/forward-auth", user: "Remote-User", cleared: 3 },
  { preset: "oauth2-proxy", path: "/oauth2/auth", user: "X-Auth-Request-User", cleared: 3 },
];
for (const { preset, path, user, cleared } of presetRows) {
  t.test(`preset ${preset}`, async (t) => {
    const route = await firstRoute(`preset: ${preset}`);
    t.equal(route.name, preset);
    t.same(route.path, { kind: "exact", path });
    t.equal(loginOf(route).usernameHeader, user);
    t.equal(loginOf(route).clearHeaders.length, cleared);
  });
}

t.test("preset bot-block lets everybody through", async (t) => {
  const route = await firstRoute("preset: bot-block");
  t.match(route, { name: "bot-block", path: { kind: "exact", path: "/auth" } });
  t.same(route.fallback, { mode: "allow" });
});

t.test("without a preset the identity headers are authentik's, as the full example has them", async (t) => {
  const route = await firstRoute("name: a, path: /a");
  t.equal(loginOf(route).usernameHeader, "X-authentik-username");
  t.equal(loginOf(route).clearHeaders.length, 4);
});

for (const [name, { path, usernameHeader, clearHeaders }] of Object.entries(presets)) {
  t.test(`preset ${name} could be written out in a config`, async (t) => {
    if (path !== null) t.same(judged(routePath(), path), { value: { kind: "exact", path } });
    const headers = [usernameHeader, ...clearHeaders];
    for (const header of headers) t.same(judged(identityHeader(), header), { value: header });
    t.equal(new Set(headers.map((header) => header.toLowerCase())).size, headers.length, "each once");
  });
}

t.test("preset bot-block asks at /auth and nowhere below", async (t) =>
  t.equal(presets["bot-block"].path, "/auth"),
);
