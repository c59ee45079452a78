/**
 * What a route means once its preset has filled in what it leaves open. Worked out once, for judging and for
 * building, so that the config judged is the config built.
 */
import type { Address, HostRule, PathRule } from "../core/snapshot.ts";
import type { FallbackMode } from "../core/types.ts";
import { fallbackShape, hostFallbackShape, hostShape } from "./fallback-schema.ts";
import { asList, asMapping, isMapping, type Mapping } from "./plain-data.ts";
import { presets } from "./presets.ts";
import { rootShape, routeShape, validParts } from "./schema.ts";

/** null: cannot be told, because what is written is no good or because nobody says it. */
export interface EffectiveFallback {
  readonly mode: FallbackMode | null;
  /** As in the config: not resolved against its folder yet. */
  readonly htpasswd: string | null;
  readonly usernameHeader: string | null;
  readonly clearHeaders: readonly string[] | null;
}

/** What an entry of `hosts` means once its route has filled in what it leaves open. */
export interface EffectiveHost extends EffectiveFallback {
  readonly host: HostRule | null;
}

export interface EffectiveRoute extends EffectiveFallback {
  readonly name: string | null;
  readonly listen: Address | null;
  readonly path: PathRule | null;
  /** One for each entry of `hosts`, whatever the entry is. */
  readonly hosts: readonly EffectiveHost[];
}

/** One for each entry of `routes`, whatever the entry is. */
export function effectiveRoutes(data: unknown): readonly EffectiveRoute[] {
  const { listen = null } = validParts({ listen: rootShape.listen }, data);
  return asList(asMapping(data).routes).map((raw) =>
    isMapping(raw) ? effectiveRoute(raw, listen) : UNKNOWN,
  );
}

export type Settled<T> = { readonly [K in keyof T]: NonNullable<T[K]> };

/** The same without gaps. Throws where there is one: a config without problems has none. */
export function settled<T extends object>(part: T | undefined): Settled<T> {
  if (part === undefined || !isSettled(part)) throw new Error("a config without problems has a gap");
  return part;
}

function isSettled<T extends object>(part: T): part is T & Settled<T> {
  return Object.values(part).every((value) => value !== null);
}

const UNKNOWN_FALLBACK: EffectiveFallback = {
  mode: null,
  htpasswd: null,
  usernameHeader: null,
  clearHeaders: null,
};

const UNKNOWN: EffectiveRoute = { name: null, listen: null, path: null, ...UNKNOWN_FALLBACK, hosts: [] };

function effectiveRoute(raw: Mapping, topListen: Address | null): EffectiveRoute {
  const route = validParts(routeShape, raw);
  const preset = route.preset === undefined ? UNKNOWN : presetRoute(route.preset);
  const fallback = routeFallback(raw, preset);
  return {
    name: written(raw, "name", route.name, preset.name),
    listen: written(raw, "listen", route.listen, topListen),
    path: written(raw, "path", route.path, preset.path),
    ...fallback,
    hosts: asList(raw.hosts).map((host) => effectiveHost(asMapping(host), fallback)),
  };
}

function routeFallback(raw: Mapping, preset: EffectiveRoute): EffectiveFallback {
  if (Object.hasOwn(raw, "fallback") && !isMapping(raw.fallback)) return UNKNOWN_FALLBACK;
  const fallback = validParts(fallbackShape, raw.fallback);
  const given = asMapping(raw.fallback);
  return {
    mode: written(given, "mode", fallback.mode, preset.mode),
    htpasswd: fallback.htpasswd ?? null,
    usernameHeader: written(given, "usernameHeader", fallback.usernameHeader, preset.usernameHeader),
    clearHeaders: written(given, "clearHeaders", fallback.clearHeaders, preset.clearHeaders),
  };
}

function effectiveHost(raw: Mapping, route: EffectiveFallback): EffectiveHost {
  const { match = null } = validParts({ match: hostShape.match }, raw);
  const fallback = validParts(hostFallbackShape, raw.fallback);
  const given = asMapping(raw.fallback);
  return {
    host: match,
    mode: fallback.mode ?? null,
    htpasswd: written(given, "htpasswd", fallback.htpasswd, route.htpasswd),
    usernameHeader: written(given, "usernameHeader", fallback.usernameHeader, route.usernameHeader),
    clearHeaders: written(given, "clearHeaders", fallback.clearHeaders, route.clearHeaders),
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
