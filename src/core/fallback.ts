/**
 * What happens when the upstream cannot decide. The config sets one mode for each route:
 *
 *  allow       Everybody passes, without an identity.
 *  basic-auth  A client with a good emergency login passes.
 *  deny        Nobody passes.
 *  none        The reply is a proxy error: 502 or 504.
 *
 * Nothing here lets a client pass by default. There are three ways to a 200: the mode `allow`, a good emergency
 * login, and an allow that the upstream itself gave this client a short while ago (core/grace.ts).
 */
import { headerValues } from "./headers.ts";
import {
  allowed,
  challenged,
  denied,
  graced,
  limited,
  loggedIn,
  loginUnavailable,
  proxyError,
} from "./replies.ts";
import type { BasicAuthFallback, Fallback } from "./snapshot.ts";
import type {
  Decision,
  FallbackMode,
  FallbackReason,
  FallbackResult,
  LoginResult,
  RawHeaders,
  Reply,
  VerdictLabel,
} from "./types.ts";

/** For the modes that ask the client for nothing. */
export function plainFallback(
  fallback: Exclude<Fallback, BasicAuthFallback>,
  reason: FallbackReason,
): Decision {
  const { mode } = fallback;
  switch (mode) {
    case "allow":
      return decided(mode, reason, null, "allow", "allowed", allowed());
    case "deny":
      return decided(mode, reason, null, "deny", "denied", denied(fallback));
    case "none":
      return decided(mode, reason, null, "error", "denied", proxyErrorFor(reason));
  }
}

/** `withBox`: whether a browser may open its login box; from `opensLoginBox`. */
export function loginFallback(
  fallback: BasicAuthFallback,
  reason: FallbackReason,
  login: LoginResult,
  withBox: boolean,
): Decision {
  const { mode } = fallback;
  switch (login.kind) {
    case "ok":
      return decided(mode, reason, login, "allow", "allowed", loggedIn(login.user, fallback));
    case "missing":
      return decided(mode, reason, login, "challenge", "challenged", challenged(fallback, withBox));
    case "bad":
      return decided(mode, reason, login, "challenge", "rejected", challenged(fallback, withBox));
    case "limited":
      return decided(mode, reason, login, "deny", "limited", limited(login.retryAfterSeconds));
    case "forbidden":
      return decided(mode, reason, login, "deny", "denied", loginUnavailable(fallback));
  }
}

/** `identity`: the identity headers of the 200 that the upstream gave this client. */
export function graceFallback(mode: FallbackMode, reason: FallbackReason, identity: RawHeaders): Decision {
  return { ...decided(mode, reason, null, "allow", "allowed", graced(identity)), source: "grace" };
}

function decided(
  mode: FallbackMode,
  reason: FallbackReason,
  login: LoginResult | null,
  verdict: VerdictLabel,
  result: FallbackResult,
  reply: Reply,
): Decision {
  const source = reason === "override" ? "override" : "fallback";
  return { source, verdict, reply, fallback: { mode, reason, result, login } };
}

/** False for a request that a page makes in the background, where a login box would pop up unasked (authentik 5097). */
export function opensLoginBox(headers: RawHeaders): boolean {
  if (headerValues(headers, "x-requested-with").length > 0) return false;
  return headerValues(headers, "sec-fetch-mode").every((mode) => mode.toLowerCase() === "navigate");
}

/** The reply is 504 when the upstream took too long, and 502 otherwise. */
export function proxyErrorFor(reason: FallbackReason): Reply {
  return proxyError(TIMEOUTS.has(reason) ? 504 : 502);
}

const TIMEOUTS: ReadonlySet<FallbackReason> = new Set(["connect_timeout", "read_timeout", "total_timeout"]);
