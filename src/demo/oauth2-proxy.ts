/**
 * A stand-in for oauth2-proxy with its sessions in Redis and `upstreams = static://200`. While Redis is refused, a
 * check looks like one of somebody who is not logged in, and only `/ready` tells the difference.
 */
import { randomBytes } from "node:crypto";
import { cookieValue } from "./cookies.ts";
import { commonFaults, plainText, type StandIn, type StandInAnswer, startStandIn } from "./stand-in.ts";

interface OAuth2ProxyOptions {
  readonly port: number;
  /** Milliseconds between two bytes of a dripped answer; 200 by default. */
  readonly dripMs?: number;
}

export type OAuth2ProxyState = "redis-refused" | "provider-dead";

export interface OAuth2Proxy extends StandIn<OAuth2ProxyState> {
  /** The cookie of somebody who is logged in, as `NAME=VALUE`. */
  readonly session: string;
}

/** The groups of the one user there is. `?allowed_groups=` without one of them gets a 403. */
export const oauth2ProxyGroups: readonly string[] = ["users", "demo"];

/** The headers of the answer to the check of a logged-in user. */
export const oauth2ProxyIdentity: readonly string[] = [
  ...["X-Auth-Request-User", "demo", "X-Auth-Request-Email", "demo@example.com"],
  ...["X-Auth-Request-Groups", oauth2ProxyGroups.join(","), "X-Auth-Request-Preferred-Username", "demo"],
];

const sessionCookie = "_oauth2_proxy";
const states: Readonly<Record<OAuth2ProxyState, string>> = {
  "redis-refused": "its Redis refuses connections: 401 for everybody",
  "provider-dead": "its OIDC provider is dead: it answers as ever, and the login ends there",
};
const provider = "https://idp.example.com/authorize";

/** It answers on 127.0.0.1 until it is closed. */
export async function startOAuth2Proxy(options: OAuth2ProxyOptions): Promise<OAuth2Proxy> {
  const session = randomBytes(16).toString("hex");
  const standIn = await startStandIn<OAuth2ProxyState>({
    port: options.port,
    faults: commonFaults,
    ownFaults: states,
    protocol: "HTTP/1.1",
    dripMs: options.dripMs ?? 200,
    answer: async (request, fault) => {
      const { pathname, searchParams } = new URL(request.url ?? "/", "http://stand-in");
      const isMember = fault !== "redis-refused" && cookieValue(request, sessionCookie) === session;
      switch (pathname) {
        case "/ping":
          return plainText(200, "OK");
        case "/ready":
          return fault === "redis-refused"
            ? plainText(500, "error: connection refused")
            : plainText(200, "OK");
        case "/oauth2/auth":
          return isMember
            ? checkOfMember(searchParams.get("allowed_groups"))
            : plainText(401, "Unauthorized\n");
        case "/oauth2/start":
          return toLogin();
        default:
          return isMember ? plainText(200, "Authenticated") : toLogin();
      }
    },
  });
  return { ...standIn, session: `${sessionCookie}=${session}` };
}

function checkOfMember(allowedGroups: string | null): StandInAnswer {
  const allowed = allowedGroups?.split(",") ?? oauth2ProxyGroups;
  if (!allowed.some((group) => oauth2ProxyGroups.includes(group))) return plainText(403, "Forbidden\n");
  return { status: 202, headers: oauth2ProxyIdentity, body: "" };
}

function toLogin(): StandInAnswer {
  const state = randomBytes(16).toString("hex");
  const location = `${provider}?${new URLSearchParams({ client_id: "demo", response_type: "code", state })}`;
  const cookie = `${sessionCookie}_csrf=${state}; Path=/; HttpOnly; Secure; SameSite=Lax`;
  return { status: 302, headers: ["Location", location, "Set-Cookie", cookie], body: "" };
}
