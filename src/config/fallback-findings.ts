/** Finds keys of `fallback` that contradict each other, in a route and in its hosts. */
import type { HostRule } from "../core/snapshot.ts";
import type { FallbackMode } from "../core/types.ts";
import type { EffectiveFallback, EffectiveRoute } from "./effective.ts";
import { asList, asMapping, type Mapping } from "./plain-data.ts";
import type { Finding, Path } from "./problem.ts";

/** `raw`: the route at `at`, as written. Its identity headers matter even if only a host of it has a login. */
export function fallbackFindings(at: Path, raw: Mapping, route: EffectiveRoute): Finding[] {
  const path = [...at, "fallback"];
  const given = asMapping(raw.fallback);
  const hosts = asList(raw.hosts).map((host) => asMapping(asMapping(host).fallback));
  const isInherited = route.hosts.some(
    ({ mode }, index) => mode === "basic-auth" && !Object.hasOwn(hosts[index] ?? {}, "clearHeaders"),
  );
  const headers =
    route.mode === "basic-auth" || isInherited ? headerFindings(path, given, route, "the preset") : [];
  return [
    ...headers,
    ...allowFromFindings(path, given, route.mode),
    ...overloadFindings(path, given, route.mode),
  ];
}

/** `raws`: the list at `at`, as written. `route` has the meaning of its entries. */
export function hostFindings(at: Path, raws: readonly unknown[], route: EffectiveRoute): Finding[] {
  const ofFallbacks = route.hosts.flatMap((host, index) => {
    const path = [...at, index, "fallback"];
    const given = asMapping(asMapping(raws[index]).fallback);
    const headers = host.mode === "basic-auth" ? headerFindings(path, given, host, "the route") : [];
    return [
      ...headers,
      ...allowFromFindings(path, given, host.mode),
      ...overloadFindings(path, given, host.mode),
    ];
  });
  const findings = [...ofFallbacks, ...matchFindings(at, route)];
  if (raws.length === 0 || route.mode !== "none") return findings;
  const message = "a route of mode none has no fallback for any host; leave it out, or write another mode";
  return [{ path: at, message, at: "key" }, ...findings];
}

/** The first match wins, so a rule that an earlier one covers would never apply. */
function matchFindings(at: Path, { hosts }: EffectiveRoute): Finding[] {
  return hosts.flatMap(({ host }, index) => {
    if (host === null) return [];
    const first = hosts.findIndex((other) => other.host !== null && covers(other.host, host));
    const earlier = hosts[first]?.host ?? null;
    if (earlier === null || first >= index) return [];
    const message =
      earlier.match === host.match
        ? `{value} is the match of hosts[${first}] already; keep one`
        : `{value} is never reached, since hosts[${first}] matches all of it; move it before that one`;
    return [{ path: [...at, index, "match"], message }];
  });
}

function covers(earlier: HostRule, later: HostRule): boolean {
  if (earlier.kind === "suffix") return later.match.endsWith(earlier.match);
  return later.kind === "exact" && later.match === earlier.match;
}

/** `otherwise`: where the headers to clear come from if `given` does not name them. */
function headerFindings(
  path: Path,
  given: Mapping,
  { usernameHeader, clearHeaders }: EffectiveFallback,
  otherwise: "the preset" | "the route",
): Finding[] {
  if (clearHeaders === null) return [];
  const user = usernameHeader?.toLowerCase();
  if (!Object.hasOwn(given, "clearHeaders")) {
    if (!Object.hasOwn(given, "usernameHeader")) return [];
    const message = `{value} is cleared by ${otherwise}; write clearHeaders without it`;
    const clash = clearHeaders.some((name) => name.toLowerCase() === user);
    return clash ? [{ path: [...path, "usernameHeader"], message }] : [];
  }
  const seen = new Set([user]);
  return clearHeaders.flatMap((name, index) => {
    const known = seen.has(name.toLowerCase());
    seen.add(name.toLowerCase());
    const message = "{value} is named twice, in clearHeaders or as usernameHeader; keep one";
    return known ? [{ path: [...path, "clearHeaders", index], message }] : [];
  });
}

/** Other keys of the login may stand beside any mode. This one would look like a restriction that does not exist. */
function allowFromFindings(path: Path, given: Mapping, mode: FallbackMode | null): Finding[] {
  if (mode === null || mode === "basic-auth") return [];
  if (asList(given.allowFrom).length === 0) return [];
  const message = `restricts the emergency login only, and mode ${mode} ${WITHOUT_LOGIN[mode]}; leave it out, or write mode: basic-auth`;
  return [{ path: [...path, "allowFrom"], message, at: "key" }];
}

const WITHOUT_LOGIN: Readonly<Record<Exclude<FallbackMode, "basic-auth">, string>> = {
  allow: "lets everybody through",
  deny: "refuses everybody",
  none: "has no login",
};

/** It would look as if everybody passed under a flood, which no other mode lets happen. */
function overloadFindings(path: Path, given: Mapping, mode: FallbackMode | null): Finding[] {
  if (mode === null || mode === "allow" || !Object.hasOwn(given, "onOverload")) return [];
  const message = `is for mode allow only, and this is mode ${mode}; leave it out, or write mode: allow`;
  return [{ path: [...path, "onOverload"], message, at: "key" }];
}
