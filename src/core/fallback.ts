/**
 * What happens when the upstream cannot decide. The operator chose one mode per route:
 *  allow       lets everybody through, without any identity
 *  basic-auth  lets through who knows an emergency password
 *  deny        lets nobody through
 *  none        says that the proxy has no answer
 * Nothing in here grants a pass by default: the two 200s are the `allow` mode and a login that held.
 */
import { headerValues } from "./headers.ts";
import { allowed, challenged, denied, limited, loggedIn, loginUnavailable, proxyError } from "./replies.ts";
import type {
  BasicAuthFallback,
  Decision,
  Fallback,
  FallbackReason,
  LoginResult,
  RawHeaders,
  Reply,
} from "./types.ts";

type FallbackDecision = Extract<Decision, { source: "fallback" }>;
/** A mode that needs nothing from the client. */
export type PlainFallback = Exclude<Fallback, BasicAuthFallback>;

export function plainFallback(fallback: PlainFallback, reason: FallbackReason): FallbackDecision {
  const common = { source: "fallback", mode: fallback.mode, reason, login: null } as const;
  switch (fallback.mode) {
    case "allow":
      return { ...common, verdict: "allow", result: "allowed", reply: allowed() };
    case "deny":
      return { ...common, verdict: "deny", result: "denied", reply: denied() };
    case "none":
      return {
        ...common,
        verdict: "error",
        result: "denied",
        reply: proxyErrorFor(reason),
      };
  }
}

/** `withBox`: from `opensLoginBox`. */
export function loginFallback(
  fallback: BasicAuthFallback,
  reason: FallbackReason,
  login: LoginResult,
  withBox: boolean,
): FallbackDecision {
  const common = { source: "fallback", mode: "basic-auth", reason, login } as const;
  switch (login.kind) {
    case "ok":
      return { ...common, verdict: "allow", result: "allowed", reply: loggedIn(login.user, fallback) };
    case "missing":
      return {
        ...common,
        verdict: "challenge",
        result: "challenged",
        reply: challenged(fallback.realm, withBox),
      };
    case "bad":
      return {
        ...common,
        verdict: "challenge",
        result: "rejected",
        reply: challenged(fallback.realm, withBox),
      };
    case "limited":
      return { ...common, verdict: "deny", result: "limited", reply: limited(login.retryAfterSeconds) };
    case "forbidden":
      return { ...common, verdict: "deny", result: "denied", reply: loginUnavailable() };
  }
}

/** False for requests that a page makes in the background: a login box would pop up out of nowhere (authentik 5097). */
export function opensLoginBox(headers: RawHeaders): boolean {
  if (headerValues(headers, "x-requested-with").length > 0) return false;
  return headerValues(headers, "sec-fetch-mode").every((mode) => mode.toLowerCase() === "navigate");
}

/** 504 where the upstream took too long, else 502. */
export function proxyErrorFor(reason: FallbackReason): Reply {
  return proxyError(TIMEOUTS.has(reason) ? 504 : 502);
}

const TIMEOUTS: ReadonlySet<FallbackReason> = new Set(["connect_timeout", "read_timeout", "total_timeout"]);
