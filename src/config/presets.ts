import type { FallbackMode } from "../core/types.ts";

type PresetName = "authentik" | "authelia" | "oauth2-proxy" | "bot-block" | "none";

/** The values of keys that a route leaves out; null: the route has to set the key. */
interface Preset {
  readonly name: string | null;
  readonly path: string | null;
  readonly mode: FallbackMode;
  readonly usernameHeader: string;
  readonly clearHeaders: readonly string[];
}

/** The headers that the emergency login sets and clears, unless the preset or the route sets others. */
const AUTHENTIK_IDENTITY = {
  usernameHeader: "X-authentik-username",
  clearHeaders: ["X-authentik-uid", "X-authentik-email", "X-authentik-name", "X-authentik-groups"],
} as const;

/** Paths and identity headers are from the docs of these servers. */
export const presets: Readonly<Record<PresetName, Preset>> = {
  authentik: {
    name: "authentik",
    path: "/outpost.goauthentik.io/auth/traefik",
    mode: "basic-auth",
    ...AUTHENTIK_IDENTITY,
  },
  authelia: {
    name: "authelia",
    path: "/api/authz/forward-auth",
    mode: "basic-auth",
    usernameHeader: "Remote-User",
    clearHeaders: ["Remote-Groups", "Remote-Name", "Remote-Email"],
  },
  "oauth2-proxy": {
    name: "oauth2-proxy",
    path: "/oauth2/auth",
    mode: "basic-auth",
    usernameHeader: "X-Auth-Request-User",
    clearHeaders: ["X-Auth-Request-Email", "X-Auth-Request-Groups", "X-Auth-Request-Preferred-Username"],
  },
  "bot-block": { name: "bot-block", path: "/auth", mode: "allow", ...AUTHENTIK_IDENTITY },
  none: { name: null, path: null, mode: "basic-auth", ...AUTHENTIK_IDENTITY },
};
