/** Finds what a config without problems does not see, or lets through, and its author may not know. */
import { type EffectiveRoute, settled } from "./effective.ts";
import type { PresetName } from "./presets.ts";
import type { Finding, Path } from "./problem.ts";
import type { Config, RouteConfig } from "./schema.ts";

/** `routes`: the meaning of each entry of the config's `routes`. */
export function findWarnings(config: Config, routes: readonly EffectiveRoute[]): Finding[] {
  return config.routes.flatMap((route, index) => {
    const at = ["routes", index];
    const effective = settled(routes[index]);
    return [
      ...loginHealthWarnings(at, route, effective.mode === "none"),
      ...loginOfWarnings(at, route, effective),
      ...overloadWarnings(at, route),
    ];
  });
}

/**
 * What stays unseen, by preset. Authelia is not among them: it is its own login page, and its health page is 200 as
 * long as it runs at all.
 */
const UNSEEN: Readonly<Partial<Record<PresetName, string>>> = {
  authentik:
    "an outpost goes on sending people to their login while the core is down; write the core's URL with /-/health/ready/",
  "oauth2-proxy":
    "it goes on challenging while its session store is down, and no login can end well; write its URL with /ready",
};

function loginHealthWarnings(at: Path, { preset, probe }: RouteConfig, isPlain: boolean): Finding[] {
  const unseen = UNSEEN[preset];
  if (unseen === undefined || isPlain || probe.loginHealth !== null) return [];
  return [{ path: [...at, "probe", "loginHealth"], message: `missing; ${unseen}, or [] to do without` }];
}

const LOGIN_PAGES = "/outpost.goauthentik.io/";

function loginOfWarnings(at: Path, { loginOf }: RouteConfig, { mode, path }: EffectiveRoute): Finding[] {
  if (loginOf !== null || mode !== "none" || path?.kind !== "prefix") return [];
  if (path.prefix !== LOGIN_PAGES) return [];
  const message =
    "missing; this route carries Authentik's login pages, and logins that fail there are not counted; write authentik";
  return [{ path: [...at, "loginOf"], message }];
}

function overloadWarnings(at: Path, { fallback, hosts }: RouteConfig): Finding[] {
  const holders = [
    { path: at, onOverload: fallback.onOverload },
    ...hosts.map((host, index) => ({
      path: [...at, "hosts", index],
      onOverload: host.fallback.onOverload,
    })),
  ];
  const message =
    "{value}: a flood then lets everybody through; write shed unless the sites must stay up at any price";
  return holders
    .filter(({ onOverload }) => onOverload === "fallback")
    .map(({ path }) => ({ path: [...path, "fallback", "onOverload"], message }));
}
