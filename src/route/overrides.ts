/** What people chose for routes, by route name. An override survives a reload and expires by itself. */
import type { OverrideEvent, OverrideMode } from "../core/types.ts";

/** `until`: monotonic milliseconds. */
interface Override extends Choice {
  readonly until: number;
}

/** `reason`: as the person gave it; null: none. */
interface Choice {
  readonly mode: OverrideMode;
  readonly reason: string | null;
}

export interface Overrides {
  of(route: string): OverrideMode | null;
  reason(route: string): string | null;
  /** Milliseconds until the override of `route` ends; 0: there is none. */
  left(route: string): number;
  /** `user`: the person that chose it. */
  set(route: string, choice: Choice, milliseconds: number, user: string): void;
  clear(route: string, user: string): void;
  /** Ends the overrides of all other routes. */
  keep(routes: Iterable<string>): void;
  /** Reports the overrides that have expired. Call it about once a second. */
  tick(): void;
}

type End = Extract<OverrideEvent, { kind: "ended" }>["by"];

/** `now`: monotonic milliseconds. */
export function createOverrides(now: () => number, onEvent: (event: OverrideEvent) => void): Overrides {
  const overrides = new Map<string, Override>();

  const end = (route: string, by: End, user: string | null = null): void => {
    const override = overrides.get(route);
    if (!override) return;
    overrides.delete(route);
    onEvent({ kind: "ended", route, mode: override.mode, by, user });
  };
  const endIfOver = (route: string): void => {
    const override = overrides.get(route);
    if (override && now() >= override.until) end(route, "expiry");
  };

  return {
    of: (route) => {
      const override = overrides.get(route);
      return override && now() < override.until ? override.mode : null;
    },
    reason: (route) => overrides.get(route)?.reason ?? null,
    left: (route) => Math.max(0, (overrides.get(route)?.until ?? 0) - now()),
    set: (route, { mode, reason }, milliseconds, user) => {
      endIfOver(route);
      // The same mode chosen again continues the override, so no end is reported.
      if (overrides.get(route)?.mode !== mode) end(route, "person", user);
      overrides.set(route, { mode, reason, until: now() + milliseconds });
      onEvent({ kind: "begins", route, mode, seconds: milliseconds / 1000, user, reason });
    },
    clear: (route, user) => {
      endIfOver(route);
      end(route, "person", user);
    },
    keep: (routes) => {
      const kept = new Set(routes);
      for (const route of overrides.keys()) if (!kept.has(route)) end(route, "reload");
    },
    tick: () => {
      for (const route of overrides.keys()) endIfOver(route);
    },
  };
}
