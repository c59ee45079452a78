/**
 * Grace (RFC 5861, stale-if-error): while the upstream is at fault, a client passes by the allow that the upstream
 * itself gave it a short while ago.
 *
 *  kept       of a 200 that names a user: its identity headers, and nothing else.
 *  kept for   the very same host, Cookie and Authorization, and the same question of the gateway (the check's own
 *             path and query, which may name who is allowed). A client that sends neither has nothing of its own.
 *  forgotten  once the upstream challenges or refuses the same client. A check that was asked before that and
 *             answered after it brings nothing back.
 *
 * A 200 without a user is what an outpost gives everybody on an open path: kept, it would open all other paths.
 */
import { filterHeaders, headersForGateway, headerValues } from "./headers.ts";
import type { GraceRules } from "./snapshot.ts";
import type { Answer, Check, RawHeaders } from "./types.ts";

/** 202 is oauth2-proxy's way to say it. */
const PASSES: ReadonlySet<number> = new Set([200, 202]);

/** Every way in which a gateway names the host: what a client could fake in one of them is held by the others. */
const HOST_NAMES = ["x-forwarded-host", "x-original-host", "host"] as const;

/** The identity headers to keep of an answer, in its order; null: it is no such allow. */
export function identityOf(answer: Answer, rules: GraceRules): RawHeaders | null {
  if (!PASSES.has(answer.status)) return null;
  return identityAmong(headersForGateway(answer.headers, answer.status), rules);
}

/** The identity headers among these, in their order; null: they name no user. */
export function identityAmong(headers: RawHeaders, rules: GraceRules): RawHeaders | null {
  if (headerValues(headers, rules.usernameHeader).every((value) => value === "")) return null;
  return filterHeaders(headers, (name) => rules.identityHeaders.has(name));
}

/**
 * What tells one client of one host from all others: every value of the headers that matter, in order, by header.
 * null: nothing does. The gateway must name the app's host; Host alone may be sparekey's own name.
 */
export function clientOf({ target, headers }: Check): readonly (readonly string[])[] | null {
  const cookies = headerValues(headers, "cookie");
  const authorizations = headerValues(headers, "authorization");
  if (cookies.length === 0 && authorizations.length === 0) return null;
  const hosts = HOST_NAMES.map((name) => headerValues(headers, name));
  const origins = headerValues(headers, "x-original-url").map(originOf);
  if (hosts[0]?.length === 0 && origins.length === 0) return null;
  return [[target], ...hosts, origins, cookies, authorizations];
}

/** Up to the path. What cannot be read stays whole: it is a host of its own. */
function originOf(url: string): string {
  return /^[a-z]+:\/\/[^/?#\\]*/i.exec(url)?.[0] ?? url;
}
