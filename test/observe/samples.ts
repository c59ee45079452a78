/** Routes, checks and decisions for the tests of this folder. */
import type { BasicAuthFallback, Fallback, Route } from "../../src/core/snapshot.ts";
import type {
  Check,
  Decision,
  FallbackMode,
  FallbackReason,
  FallbackResult,
  LoginResult,
  Reply,
  VerdictLabel,
} from "../../src/core/types.ts";

const EMERGENCY: BasicAuthFallback = {
  mode: "basic-auth",
  realm: "Emergency Access",
  htpasswd: "/etc/sparekey/htpasswd",
  usernameHeader: "Remote-User",
  clearHeaders: [],
  allowFrom: null,
  rateLimit: { failures: 10, per: 60_000, global: 300 },
  grace: null,
  page: null,
};
const FALLBACKS: Readonly<Record<FallbackMode, Fallback>> = {
  allow: { mode: "allow", onOverload: "shed" },
  "basic-auth": EMERGENCY,
  deny: { mode: "deny", grace: null, page: null },
  none: { mode: "none" },
};

export function routeWith(name: string, mode: FallbackMode): Route {
  return {
    name,
    listen: { host: "127.0.0.1", port: 0 },
    path: { kind: "exact", path: "/auth" },
    gateway: "traefik",
    upstream: {
      protocol: "http:",
      servers: [{ host: "127.0.0.1", port: 1 }],
      tls: { ca: null, cert: null, key: null, serverName: null, verify: true },
      timeouts: { connect: 3000, read: 5000, total: 8000 },
      maxConnections: 256,
      probeConnections: 6,
      pipelining: 1,
      headBytes: 262_144,
      answerBytes: 1_048_576,
    },
    maxInFlight: 1024,
    stripEmergencyCredentials: true,
    fault: {
      statuses: new Set([502, 503]),
      suspectStatuses: new Set([500]),
      bare400: true,
      confirm: "auto",
      match: [],
      expect: { challenge: { headers: [], location: null, cookie: null }, allow: { headers: [] } },
    },
    breaker: { failures: 5, interval: 2000, maxInterval: 15_000, successes: 2 },
    probe: { hosts: [], uri: "/", headers: [], minInterval: 2000, loginHealth: [] },
    hosts: [],
    requireHeaders: [],
    loginOf: null,
    fallback: FALLBACKS[mode],
  };
}

export function checkWith(headers: readonly string[] = [], method = "GET"): Check {
  return {
    method,
    target: "/auth?token=query-secret",
    path: "/auth",
    headers,
    hasAuthorization: false,
    hasCookie: false,
    body: null,
    hold: () => {},
    release: () => {},
  };
}

function replyWith(status: number): Reply {
  return { status, statusText: "", headers: [], body: { kind: "whole", bytes: new Uint8Array() } };
}

export function fromUpstream(status: number, verdict: VerdictLabel): Decision {
  return { source: "upstream", verdict, reply: replyWith(status), fallback: null };
}

export const SHED: Decision = { source: "shed", verdict: "deny", reply: replyWith(503), fallback: null };

export function allowedBy(mode: FallbackMode, reason: FallbackReason): Decision {
  return {
    source: "fallback",
    verdict: "allow",
    reply: replyWith(200),
    fallback: { mode, reason, result: "allowed", login: null },
  };
}

const RESULT_OF_LOGIN: Readonly<Record<LoginResult["kind"], FallbackResult>> = {
  ok: "allowed",
  missing: "challenged",
  bad: "rejected",
  limited: "limited",
  forbidden: "denied",
};

export function loginDecision(login: LoginResult, reason: FallbackReason = "refused"): Decision {
  const verdict = login.kind === "ok" ? "allow" : "challenge";
  return {
    source: "fallback",
    verdict,
    reply: replyWith(login.kind === "ok" ? 200 : 401),
    fallback: { mode: "basic-auth", reason, result: RESULT_OF_LOGIN[login.kind], login },
  };
}
