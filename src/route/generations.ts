/**
 * What is served with: a generation for each config. A check holds the one it began with until it is answered;
 * the last to let go of an old one closes what no other generation uses. What a config leaves as it was passes
 * on to its generation: connections, breaker, findings.
 */

import { isDeepStrictEqual } from "node:util";
import { addressText } from "../core/address-text.ts";
import type { RouteState, Routing } from "../core/answer-check.ts";
import type { ProbeResult } from "../core/probe.ts";
import { buildRouteTable } from "../core/route-table.ts";
import type { Address, Route, Snapshot } from "../core/snapshot.ts";
import type { Upstreams } from "../upstream/upstreams.ts";
import type { Grace, GraceStore } from "./grace-store.ts";
import type { Overrides } from "./overrides.ts";
import { RouteHealth, type RouteHealthDeps } from "./route-health.ts";

type State = RouteState & { readonly health: RouteHealth; readonly grace: Grace };

export interface Generation {
  readonly snapshot: Snapshot;
  /** By `addressText`. */
  readonly listens: ReadonlyMap<string, { readonly address: Address; readonly current: Routing }>;
  readonly states: ReadonlyMap<string, State>;
  /** Checks, listeners that are left, and being in use. */
  readonly holders: { count: number };
}

export interface Generations {
  /** Builds a generation aside and reads its htpasswd files. Held by the caller. */
  prepare(snapshot: Snapshot): Promise<Generation>;
  /** From now on in use, in place of the one before; takes over the caller's hold. */
  use(generation: Generation): void;
  release(generation: Generation): void;
  inFlight(): number;
  /** Probes at once; null: there is no such route. */
  probe(route: string): Promise<ProbeResult> | null;
  /** Grace of `route` begins anew. */
  forgetAllows(route: string): void;
  close(): void;
}

export interface GenerationsDeps extends Omit<RouteHealthDeps, "ask"> {
  readonly upstreams: Pick<Upstreams, "ask" | "use" | "close">;
  /** Takes these htpasswd files into use, once they are read, and drops all others. */
  readonly logins: { use(files: readonly string[]): Promise<void> };
  readonly grace: GraceStore;
  readonly overrides: Pick<Overrides, "of">;
}

export function createGenerations(deps: GenerationsDeps): Generations {
  const { upstreams, logins, grace, overrides, record } = deps;
  const live = new Set<Generation>();
  let used: Generation | null = null;

  const states = (): Set<State> =>
    new Set([...live].flatMap((generation) => [...generation.states.values()]));

  const release = (generation: Generation): void => {
    generation.holders.count -= 1;
    if (generation.holders.count > 0) return;
    live.delete(generation);
    const kept = states();
    for (const state of generation.states.values()) if (!kept.has(state)) state.health.close();
    upstreams.use([...kept].flatMap(({ health }) => health.upstreams));
    void logins.use(htpasswdFiles(live));
  };

  /** `kept`: what clients were allowed by the same upstream. */
  const newState = (route: Route, kept: Grace | null): State => {
    const ofState = {
      ...record,
      // What becomes of the checks of an old generation says nothing of the state in use.
      breaker: (...change: Parameters<typeof record.breaker>): void => {
        if (used?.states.get(route.name) === state) record.breaker(...change);
      },
    };
    const health = new RouteHealth(route, { ...deps, ask: upstreams.ask, record: ofState });
    const override = () => overrides.of(route.name);
    const state: State = { inFlight: 0, health, grace: kept ?? grace.create(), override };
    return state;
  };

  const build = (snapshot: Snapshot): Generation => {
    const known = new Map(used?.snapshot.routes.map((route) => [route.name, route]));
    const routes = snapshot.routes.map((route) => withKept(route, known.get(route.name)));
    const states = new Map(
      routes.map((route) => {
        const state = used?.states.get(route.name);
        const before = known.get(route.name);
        if (state === undefined || before === undefined) return [route.name, newState(route, null)];
        if (isDeepStrictEqual(healthRules(route), healthRules(before))) return [route.name, state];
        const isSameAllow = isDeepStrictEqual(allowRules(route), allowRules(before));
        return [route.name, newState(route, isSameAllow ? state.grace : null)];
      }),
    );
    const holders = { count: 1 };
    const generation: Generation = {
      snapshot: { ...snapshot, routes },
      listens: new Map(
        [...byListener(routes)].map(([key, group]) => {
          const current = {
            table: buildRouteTable(group),
            trustedProxies: snapshot.trustedProxies,
            stateOf: (route: Route) => stateOf(states, route),
            hold: () => {
              holders.count += 1;
            },
            release: () => release(generation),
          };
          return [key, { address: group[0].listen, current }];
        }),
      ),
      states,
      holders,
    };
    return generation;
  };

  return {
    prepare: async (snapshot) => {
      const generation = build(snapshot);
      live.add(generation);
      await logins.use(htpasswdFiles(live));
      return generation;
    },
    use: (generation) => {
      const before = used;
      used = generation;
      if (before === null) return;
      for (const route of generation.snapshot.routes) {
        const state = before.states.get(route.name);
        // Judged by new rules, or another upstream: it starts closed.
        if (state !== undefined && state !== generation.states.get(route.name))
          record.breaker(route, "closed", null);
      }
      release(before);
    },
    release,
    inFlight: () => [...states()].reduce((total, state) => total + state.inFlight, 0),
    probe: (route) => used?.states.get(route)?.health.probeNow() ?? null,
    forgetAllows: (route) => used?.states.get(route)?.grace.clear(),
    close: () => {
      for (const { health } of states()) health.close();
      live.clear();
      upstreams.close();
    },
  };
}

function stateOf(states: ReadonlyMap<string, State>, route: Route): State {
  const state = states.get(route.name);
  if (!state) throw new Error(`route ${route.name} has no state`);
  return state;
}

/** What is equal becomes the same: connections hang on an upstream by identity. */
function withKept(route: Route, known: Route | undefined): Route {
  if (known === undefined) return route;
  return {
    ...route,
    upstream: isDeepStrictEqual(route.upstream, known.upstream) ? known.upstream : route.upstream,
    probe: isDeepStrictEqual(route.probe, known.probe) ? known.probe : route.probe,
  };
}

/** All that route/route-health.ts reads of its route, besides the name, and what its verdicts hang on. */
function healthRules({ upstream, probe, path, fault, breaker, requireHeaders }: Route) {
  return { upstream, probe, path, fault, breaker, requireHeaders };
}

/** What an allow of the upstream means: who gave it, to what question, and what it had to bring. */
function allowRules({ upstream, path, requireHeaders }: Route) {
  return { upstream, path, requireHeaders };
}

function byListener(routes: readonly Route[]): ReadonlyMap<string, readonly [Route, ...Route[]]> {
  const groups = new Map<string, [Route, ...Route[]]>();
  for (const route of routes) {
    const key = addressText(route.listen);
    const group = groups.get(key);
    if (group) group.push(route);
    else groups.set(key, [route]);
  }
  return groups;
}

export function htpasswdFiles(generations: Iterable<Pick<Generation, "snapshot">>): readonly string[] {
  const fallbacks = [...generations].flatMap(({ snapshot }) =>
    snapshot.routes.flatMap((route) => [route.fallback, ...route.hosts.map(({ fallback }) => fallback)]),
  );
  return fallbacks.flatMap((fallback) => (fallback.mode === "basic-auth" ? [fallback.htpasswd] : []));
}
