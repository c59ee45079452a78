/** What persons chose for routes, by name: it outlives a reload, and ends by itself. */
import type { OverrideEvent, OverrideMode } from "../core/types.ts";

/** `until`: monotonic milliseconds. */
interface Override extends Choice {
  readonly until: number;
}

/** `reason`: in the words of who chose it; null: none were given. */
export interface Choice {
  readonly mode: OverrideMode;
  readonly reason: string | null;
}

export interface Overrides {
  of(route: string): OverrideMode | null;
  reason(route: string): string | null;
  /** Milliseconds until the one of `route` ends; 0: there is none. */
  left(route: string): number;
  /** `user`: who chose it. */
  set(route: string, choice: Choice, milliseconds: number, user: string): void;
  clear(route: string, user: string): void;
  /** Drops those of all other routes. */
  keep(routes: Iterable<string>): void;
  /** Call it about once a second: tells of those that ran out. */
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
      // The same once more is no end: it holds throughout.
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
