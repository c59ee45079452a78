import t from "tap";
import { routePath } from "../../src/config/addresses.ts";
import { EXPECT_NOTHING, presets } from "../../src/config/presets.ts";
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
  t.same(route.fallback, { mode: "allow", onOverload: "shed" });
  t.match(route.upstream, { maxConnections: 1, probeConnections: 1 }, "two connections in all");
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

const OUTPOST = "/outpost.goauthentik.io/auth";
const pathRows = [
  { preset: "authentik", path: `${OUTPOST}/traefik`, gateway: "traefik", cookie: "authentik_proxy_" },
  { preset: "authentik", path: `${OUTPOST}/caddy`, gateway: "caddy", cookie: "authentik_proxy_" },
  { preset: "authentik", path: `${OUTPOST}/envoy/*`, gateway: "envoy", cookie: "authentik_proxy_" },
  { preset: "authentik", path: `${OUTPOST}/nginx`, gateway: "nginx", cookie: null },
  { preset: "authelia", path: "/api/authz/forward-auth", gateway: "traefik", cookie: "authelia_session" },
  { preset: "authelia", path: "/api/authz/ext-authz/*", gateway: "envoy", cookie: "authelia_session" },
  { preset: "authelia", path: "/api/authz/auth-request", gateway: "nginx", cookie: "authelia_session" },
];
for (const { preset, path, gateway, cookie } of pathRows) {
  t.test(`preset ${preset} knows ${path}`, async (t) => {
    const route = await firstRoute(`preset: ${preset}, path: ${path}`);
    const { challenge, allow } = route.fault.expect;
    t.equal(route.gateway, gateway);
    t.same(challenge, { headers: cookie === null ? [] : ["set-cookie"], location: null, cookie });
    t.same(allow.headers, [loginOf(route).usernameHeader.toLowerCase()]);
    t.equal((await firstRoute(`preset: ${preset}, path: ${path}, gateway: haproxy`)).gateway, "haproxy");
  });
}

const unknownRows = [
  { name: "authentik at a path of many kinds", keys: "preset: authentik, path: /outpost.goauthentik.io/*" },
  { name: "authelia at a path of its own", keys: "preset: authelia, path: /api/verify" },
  { name: "oauth2-proxy", keys: "preset: oauth2-proxy" },
  { name: "a bot blocker", keys: "preset: bot-block" },
  { name: "no preset, whatever the path", keys: `name: a, path: ${OUTPOST}/nginx` },
];
for (const { name, keys } of unknownRows) {
  t.test(`nothing is expected of ${name}, and Traefik is the gateway`, async (t) => {
    const { gateway, fault } = await firstRoute(keys);
    t.equal(gateway, "traefik");
    t.same(fault.expect, EXPECT_NOTHING);
  });
}

t.test("preset bot-block asks at /auth and nowhere below", async (t) =>
  t.equal(presets["bot-block"].path, "/auth"),
);
