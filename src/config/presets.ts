import type { Expectations, Gateway, PathRule } from "../core/snapshot.ts";
import type { FallbackMode } from "../core/types.ts";

export type PresetName = "authentik" | "authelia" | "oauth2-proxy" | "bot-block" | "none";

/** The values of keys that a route leaves out; null: the route has to set the key. */
interface Preset {
  readonly name: string | null;
  readonly path: string | null;
  readonly mode: FallbackMode;
  readonly usernameHeader: string;
  readonly clearHeaders: readonly string[];
  readonly maxConnections: number;
  /** The paths that gateways ask such a server by. */
  readonly endpoints: readonly PresetEndpoint[];
}

/** What is known of the checks of a path that holds `part`. */
interface PresetEndpoint {
  readonly part: string;
  readonly gateway: Gateway;
  readonly expect: Expectations;
}

/** The headers that the emergency login sets and clears, unless the preset or the route sets others. */
const AUTHENTIK_IDENTITY = {
  usernameHeader: "X-authentik-username",
  clearHeaders: ["X-authentik-uid", "X-authentik-email", "X-authentik-name", "X-authentik-groups"],
} as const;

const MAX_CONNECTIONS = 256;
/** Python's http.server queues five connections. More at once only look like an outage that a client can cause. */
const BOT_BLOCK_CONNECTIONS = 2;

const NO_CHALLENGE: Expectations["challenge"] = { headers: [], location: null, cookie: null };
export const EXPECT_NOTHING: Expectations = { challenge: NO_CHALLENGE, allow: { headers: [] } };

/**
 * An outpost up to 2025.8 whose session store is full redirects without a cookie, and one of 2025.10.0 to .2 lets
 * everybody in without a name.
 */
const AUTHENTIK_EXPECT: Expectations = {
  challenge: { headers: ["set-cookie"], location: null, cookie: "authentik_proxy_" },
  allow: { headers: ["x-authentik-username"] },
};
/** Its 401 is not known to set a cookie. */
const AUTHENTIK_NGINX_EXPECT: Expectations = { ...AUTHENTIK_EXPECT, challenge: NO_CHALLENGE };
/** An Authelia whose session store is dead challenges as ever, but without its session cookie. */
const AUTHELIA_EXPECT: Expectations = {
  challenge: { headers: ["set-cookie"], location: null, cookie: "authelia_session" },
  allow: { headers: ["remote-user"] },
};

/** Paths and identity headers are from the docs of these servers. */
export const presets: Readonly<Record<PresetName, Preset>> = {
  authentik: {
    name: "authentik",
    path: "/outpost.goauthentik.io/auth/traefik",
    mode: "basic-auth",
    ...AUTHENTIK_IDENTITY,
    maxConnections: MAX_CONNECTIONS,
    endpoints: [
      { part: "/auth/traefik", gateway: "traefik", expect: AUTHENTIK_EXPECT },
      { part: "/auth/nginx", gateway: "nginx", expect: AUTHENTIK_NGINX_EXPECT },
      { part: "/auth/caddy", gateway: "caddy", expect: AUTHENTIK_EXPECT },
      { part: "/auth/envoy", gateway: "envoy", expect: AUTHENTIK_EXPECT },
    ],
  },
  authelia: {
    name: "authelia",
    path: "/api/authz/forward-auth",
    mode: "basic-auth",
    usernameHeader: "Remote-User",
    clearHeaders: ["Remote-Groups", "Remote-Name", "Remote-Email"],
    maxConnections: MAX_CONNECTIONS,
    endpoints: [
      { part: "/api/authz/forward-auth", gateway: "traefik", expect: AUTHELIA_EXPECT },
      { part: "/api/authz/ext-authz", gateway: "envoy", expect: AUTHELIA_EXPECT },
      { part: "/api/authz/auth-request", gateway: "nginx", expect: AUTHELIA_EXPECT },
    ],
  },
  "oauth2-proxy": {
    name: "oauth2-proxy",
    path: "/oauth2/auth",
    mode: "basic-auth",
    usernameHeader: "X-Auth-Request-User",
    clearHeaders: ["X-Auth-Request-Email", "X-Auth-Request-Groups", "X-Auth-Request-Preferred-Username"],
    maxConnections: MAX_CONNECTIONS,
    endpoints: [],
  },
  "bot-block": {
    name: "bot-block",
    path: "/auth",
    mode: "allow",
    ...AUTHENTIK_IDENTITY,
    maxConnections: BOT_BLOCK_CONNECTIONS,
    endpoints: [],
  },
  none: {
    name: null,
    path: null,
    mode: "basic-auth",
    ...AUTHENTIK_IDENTITY,
    maxConnections: MAX_CONNECTIONS,
    endpoints: [],
  },
};

/** Whose words the checks of a route are in that names no gateway. */
export function gatewayOf(preset: PresetName, path: PathRule): Gateway {
  return endpointOf(preset, path)?.gateway ?? "traefik";
}

/** What is expected on a route that says nothing of it. On other paths of such a server nothing is known. */
export function expectationsOf(preset: PresetName, path: PathRule): Expectations {
  return endpointOf(preset, path)?.expect ?? EXPECT_NOTHING;
}

function endpointOf(preset: PresetName, rule: PathRule): PresetEndpoint | undefined {
  const path = rule.kind === "exact" ? rule.path : rule.prefix;
  return presets[preset].endpoints.find(({ part }) => path.includes(part));
}
