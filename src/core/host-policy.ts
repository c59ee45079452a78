/** Which fallback a check gets: the first host rule that matches X-Forwarded-Host, else the route's own. */
import { headerValues } from "./headers.ts";
import type { Fallback, HostRule, Route } from "./snapshot.ts";
import type { Check } from "./types.ts";

const HOST_NAME = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/;
const DENY: Fallback = { mode: "deny", grace: null, page: null };

/**
 * Several hosts in one check, in one line or more, cannot all be the gateway's word. Where they lead to different
 * fallbacks, nobody gets in by naming the friendlier one.
 */
export function fallbackFor(route: Route, check: Check): Fallback {
  if (route.hosts.length === 0) return route.fallback;
  const hosts = headerValues(check.headers, "x-forwarded-host").join(",").split(",").map(hostName);
  // What is no host name may be one to the app behind: no rule tells, so nobody passes.
  if (hosts.some((host) => host !== "" && !HOST_NAME.test(host))) return DENY;
  const [first = route.fallback, ...others] = new Set(hosts.map((host) => fallbackOf(route, host)));
  return others.length === 0 ? first : DENY;
}

function fallbackOf(route: Route, host: string): Fallback {
  return route.hosts.find((policy) => matches(policy.host, host))?.fallback ?? route.fallback;
}

function matches(rule: HostRule, host: string): boolean {
  return rule.kind === "exact" ? host === rule.match : host.endsWith(rule.match);
}

/** Lower case, without a port or the root's dot. */
function hostName(text: string): string {
  return text.trim().toLowerCase().replace(/:\d*$/, "").replace(/\.$/, "");
}
