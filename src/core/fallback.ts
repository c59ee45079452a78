/**
 * What happens when the upstream cannot decide. The operator chose one mode per route:
 *  allow       lets everybody through, without any identity
 *  basic-auth  lets through who knows an emergency password
 *  deny        lets nobody through
 *  none        says that the proxy has no answer
 * Nothing in here grants a pass by default: the three 200s are the `allow` mode, a login that held, and an allow
 * that the upstream itself gave this client a while ago (core/grace.ts).
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

/** One that needs nothing from the client. */
type PlainFallback = Exclude<Fallback, BasicAuthFallback>;

export function plainFallback(fallback: PlainFallback, reason: FallbackReason): Decision {
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

/** `withBox`: from `opensLoginBox`. */
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

/** `identity`: headers of the 200 the client got from the upstream. */
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
