/**
 * Grace (RFC 5861, stale-if-error): while the upstream is at fault, a client passes by the allow that the upstream
 * itself gave it a short while ago.
 *
 * - Kept are the identity headers of a 200 that names a user, and nothing else. An outpost gives everybody a 200
 *   without a user on an open path. If such a 200 were kept, it would open all other paths.
 * - An allow holds for the same host, Cookie and Authorization, and for the same path and query of the check, which
 *   may name the users that are allowed. A client that sends neither Cookie nor Authorization gets no grace.
 * - An allow is forgotten when the upstream challenges or refuses the same client. A check that came in before that
 *   and is answered after it does not bring the allow back.
 */
import { filterHeaders, headersForGateway, headerValues } from "./headers.ts";
import type { GraceRules } from "./snapshot.ts";
import type { Answer, Check, RawHeaders } from "./types.ts";

/** oauth2-proxy answers 202. */
const PASSES: ReadonlySet<number> = new Set([200, 202]);

/** The headers in which gateways name the host. All must match: a client may be able to fake one, but not all. */
const HOST_NAMES = ["x-forwarded-host", "x-original-host", "host"] as const;

/** The identity headers to keep of an answer, in its order; null: the answer is no allow that names a user. */
export function identityOf(answer: Answer, rules: GraceRules): RawHeaders | null {
  if (!PASSES.has(answer.status)) return null;
  return identityAmong(headersForGateway(answer.headers, answer.status), rules);
}

/** The identity headers among `headers`, in their order; null: they name no user. */
export function identityAmong(headers: RawHeaders, rules: GraceRules): RawHeaders | null {
  if (headerValues(headers, rules.usernameHeader).every((value) => value === "")) return null;
  return filterHeaders(headers, (name) => rules.identityHeaders.has(name));
}

/**
 * What distinguishes one client of one host: the check's target, then the values of the headers that matter, in order.
 * null: the client sent no credentials, or the gateway did not name the app's host (Host may be sparekey's own name).
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

/** The URL up to its path. A URL that cannot be read stays whole and so counts as a host of its own. */
function originOf(url: string): string {
  return /^[a-z]+:\/\/[^/?#\\]*/i.exec(url)?.[0] ?? url;
}
