/**
 * The meaning of a route after its preset has filled in what it leaves open. It is worked out once, for the checks of
 * the config and for building the snapshot, so that both see the same.
 */
import type { Address, HostRule, PathRule } from "../core/snapshot.ts";
import type { FallbackMode } from "../core/types.ts";
import { fallbackShape, hostFallbackShape, hostShape } from "./fallback-schema.ts";
import { asList, asMapping, isMapping, type Mapping } from "./plain-data.ts";
import { presets } from "./presets.ts";
import { rootShape, routeShape, validParts } from "./schema.ts";

/** null: the value is unknown, because what is written is wrong or because it is missing. */
export interface EffectiveFallback {
  readonly mode: FallbackMode | null;
  /** As in the config, not resolved against its folder yet. */
  readonly htpasswd: string | null;
  readonly usernameHeader: string | null;
  readonly clearHeaders: readonly string[] | null;
}

/** The meaning of an entry of `hosts` after its route has filled in what it leaves open. */
interface EffectiveHost extends EffectiveFallback {
  readonly host: HostRule | null;
}

export interface EffectiveRoute extends EffectiveFallback {
  readonly name: string | null;
  readonly listen: Address | null;
  readonly path: PathRule | null;
  /** One for each entry of `hosts`, even for a wrong one. */
  readonly hosts: readonly EffectiveHost[];
}

/** One for each entry of `routes`, even for a wrong one. */
export function effectiveRoutes(data: unknown): readonly EffectiveRoute[] {
  const { listen = null } = validParts({ listen: rootShape.listen }, data);
  return asList(asMapping(data).routes).map((raw) =>
    isMapping(raw) ? effectiveRoute(raw, listen) : UNKNOWN,
  );
}

export type Settled<T> = { readonly [K in keyof T]: NonNullable<T[K]> };

/** Throws when a value is unknown, which cannot be in a config without problems. */
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

/** A written value counts even if it is wrong; the result is then unknown. */
function written<T>(raw: Mapping, key: string, value: T | undefined, otherwise: T | null): T | null {
  return Object.hasOwn(raw, key) ? (value ?? null) : otherwise;
}
