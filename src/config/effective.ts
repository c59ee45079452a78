/**
 * What a route means once its preset has filled in what it leaves open. Worked out once, for judging and for
 * building, so that the config judged is the config built.
 */
import type { Address, FallbackMode, PathRule } from "../core/types.ts";
import { asList, asMapping, isMapping, type Mapping } from "./plain-data.ts";
import { presets } from "./presets.ts";
import { fallbackShape, rootShape, routeShape, validParts } from "./schema.ts";

/** null: cannot be told, because what is written is no good or because nobody says it. */
export interface EffectiveRoute {
  readonly name: string | null;
  readonly listen: Address | null;
  readonly path: PathRule | null;
  readonly mode: FallbackMode | null;
  /** As in the config: not resolved against its folder yet. */
  readonly htpasswd: string | null;
  readonly usernameHeader: string | null;
  readonly clearHeaders: readonly string[] | null;
}

/** One for each entry of `routes`, whatever the entry is. */
export function effectiveRoutes(data: unknown): readonly EffectiveRoute[] {
  const { listen = null } = validParts({ listen: rootShape.listen }, data);
  return asList(asMapping(data).routes).map((raw) =>
    isMapping(raw) ? effectiveRoute(raw, listen) : UNKNOWN,
  );
}

type Settled = { readonly [K in keyof EffectiveRoute]: NonNullable<EffectiveRoute[K]> };

/** The same without gaps. Throws where there is one: a config without problems has none. */
export function settled(route: EffectiveRoute | undefined): Settled {
  if (route === undefined || !isSettled(route)) throw new Error("a route without problems has a gap");
  return route;
}

function isSettled(route: EffectiveRoute): route is Settled {
  return Object.values(route).every((value) => value !== null);
}

const UNKNOWN: EffectiveRoute = {
  name: null,
  listen: null,
  path: null,
  mode: null,
  htpasswd: null,
  usernameHeader: null,
  clearHeaders: null,
};

function effectiveRoute(raw: Mapping, topListen: Address | null): EffectiveRoute {
  const route = validParts(routeShape, raw);
  const preset = route.preset === undefined ? UNKNOWN : presetRoute(route.preset);
  const own = {
    name: written(raw, "name", route.name, preset.name),
    listen: written(raw, "listen", route.listen, topListen),
    path: written(raw, "path", route.path, preset.path),
  };
  if (Object.hasOwn(raw, "fallback") && !isMapping(raw.fallback)) return { ...UNKNOWN, ...own };
  const fallback = validParts(fallbackShape, raw.fallback);
  const given = asMapping(raw.fallback);
  return {
    ...own,
    mode: written(given, "mode", fallback.mode, preset.mode),
    htpasswd: fallback.htpasswd ?? null,
    usernameHeader: written(given, "usernameHeader", fallback.usernameHeader, preset.usernameHeader),
    clearHeaders: written(given, "clearHeaders", fallback.clearHeaders, preset.clearHeaders),
  };
}

function presetRoute(name: keyof typeof presets): EffectiveRoute {
  const preset = presets[name];
  const path = preset.path === null ? null : ({ kind: "exact", path: preset.path } as const);
  return { ...UNKNOWN, ...preset, path };
}

/** What is written counts even where it is no good; then nothing can be told. */
function written<T>(raw: Mapping, key: string, value: T | undefined, otherwise: T | null): T | null {
  return Object.hasOwn(raw, key) ? (value ?? null) : otherwise;
}
