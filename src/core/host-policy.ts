/** The fallback of a check is that of the first host rule that matches X-Forwarded-Host, or else the route's own. */
import { headerValues } from "./headers.ts";
import type { Fallback, HostRule, Route } from "./snapshot.ts";
import type { Check } from "./types.ts";

const HOST_NAME = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/;
const DENY: Fallback = { mode: "deny", grace: null, page: null };

/**
 * When a check names several hosts, in one header line or more, the gateway did not write them all. If they lead to
 * different fallbacks, the check is denied, so that naming a friendlier host helps no client.
 */
export function fallbackFor(route: Route, check: Check): Fallback {
  if (route.hosts.length === 0) return route.fallback;
  const hosts = headerValues(check.headers, "x-forwarded-host").join(",").split(",").map(hostName);
  // The app may still take an odd value for a host name. No rule covers such a value, so the check is denied.
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
