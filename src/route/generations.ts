/**
 * Each config in use has a generation: its routes and their states. A check holds the generation that it began with
 * until it is answered. When the last holder releases an old generation, everything that no other generation uses is
 * closed. Where the new config changes nothing, its generation takes over connections, breakers and probe results.
 */
import { isDeepStrictEqual } from "node:util";
import { addressText } from "../core/address-text.ts";
import type { RouteState, Routing } from "../core/answer-check.ts";
import type { EndpointStatus } from "../core/endpoint.ts";
import { createLoginProgress } from "../core/login-progress.ts";
import type { ProbeResult } from "../core/probe.ts";
import { buildRouteTable } from "../core/route-table.ts";
import type { Address, Route, Snapshot } from "../core/snapshot.ts";
import type { Templates } from "../core/templates.ts";
import type { Upstreams } from "../upstream/upstreams.ts";
import type { Grace, GraceStore } from "./grace-store.ts";
import type { Overrides } from "./overrides.ts";
import { RouteHealth, type RouteHealthDeps } from "./route-health.ts";

type State = RouteState & { readonly health: RouteHealth; readonly grace: Grace };

export interface Generation {
  readonly snapshot: Snapshot;
  /** The keys are from `addressText`. */
  readonly listens: ReadonlyMap<string, { readonly address: Address; readonly current: Routing }>;
  readonly states: ReadonlyMap<string, State>;
  /** Each check and each old listener counts as a holder, and so does the use as the current generation. */
  readonly holders: { count: number };
}

interface Generations {
  /** Builds a generation and reads its htpasswd files, without using it yet. The caller holds it. */
  prepare(snapshot: Snapshot): Promise<Generation>;
  /** Replaces the current generation, and takes over the caller's hold. */
  use(generation: Generation): void;
  release(generation: Generation): void;
  inFlight(): number;
  /** The routes of the config in use. */
  routes(): readonly Route[];
  /** The endpoints of a route's upstream that are known. */
  endpoints(route: string): readonly EndpointStatus[];
  /** Probes at once; null: there is no such route. */
  probe(route: string): Promise<ProbeResult> | null;
  /** Drops the grace of all clients of `route`. */
  forgetAllows(route: string): void;
  close(): void;
}

interface GenerationsDeps extends Omit<RouteHealthDeps, "ask" | "recovered"> {
  readonly upstreams: Pick<Upstreams, "ask" | "endpoints" | "recovered" | "use" | "close">;
  /** Reads these htpasswd files and uses them, and drops all others. */
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

  const newState = (route: Route, kept: Kept): State => {
    const isUsed = (): boolean => used?.states.get(route.name) === state;
    // The checks of an old generation say nothing about the state in use.
    const ofState = {
      ...record,
      breaker: (...change: Parameters<typeof record.breaker>): void => {
        if (isUsed()) record.breaker(...change);
      },
      proven: (...change: Parameters<typeof record.proven>): void => {
        if (isUsed()) record.proven(...change);
      },
    };
    const { ask, recovered } = upstreams;
    const health = new RouteHealth(route, { ...deps, ask, recovered, record: ofState }, kept.templates);
    const override = () => overrides.of(route.name);
    const logins = createLoginProgress();
    const state: State = { inFlight: 0, health, grace: kept.grace ?? grace.create(), logins, override };
    return state;
  };

  const build = (snapshot: Snapshot): Generation => {
    const known = new Map(used?.snapshot.routes.map((route) => [route.name, route]));
    const routes = snapshot.routes.map((route) => withKept(route, known.get(route.name)));
    const states = new Map(
      routes.map((route) => {
        const state = used?.states.get(route.name);
        const before = known.get(route.name);
        if (state === undefined || before === undefined) return [route.name, newState(route, NOTHING_KEPT)];
        if (isDeepStrictEqual(healthRules(route), healthRules(before))) return [route.name, state];
        const isSameAllow = isDeepStrictEqual(allowRules(route), allowRules(before));
        const isSameProbe = isDeepStrictEqual(probeRules(route), probeRules(before));
        const kept = {
          grace: isSameAllow ? state.grace : null,
          templates: isSameProbe ? state.health.templates : null,
        };
        return [route.name, newState(route, kept)];
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
        const next = generation.states.get(route.name);
        if (state === undefined || next === undefined || state === next) continue;
        // With new rules or another upstream, the breaker starts closed, and proof may be lost.
        record.breaker(route, "closed", null);
        record.proven(route, next.health.standing);
      }
      release(before);
    },
    release,
    inFlight: () => [...states()].reduce((total, state) => total + state.inFlight, 0),
    routes: () => used?.snapshot.routes ?? [],
    endpoints: (name) => {
      const route = used?.snapshot.routes.find((one) => one.name === name);
      return route ? upstreams.endpoints(route.upstream) : [];
    },
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

/** What a new state takes over from the one before; null: nothing. */
interface Kept {
  readonly grace: Grace | null;
  readonly templates: Templates | null;
}

const NOTHING_KEPT: Kept = { grace: null, templates: null };

/** Keeps the objects of equal parts, because connections belong to an upstream by identity. */
function withKept(route: Route, known: Route | undefined): Route {
  if (known === undefined) return route;
  return {
    ...route,
    upstream: isDeepStrictEqual(route.upstream, known.upstream) ? known.upstream : route.upstream,
    probe: isDeepStrictEqual(route.probe, known.probe) ? known.probe : route.probe,
  };
}

/** Everything but the name that route/route-health.ts reads of its route, and everything that its verdicts depend on. */
function healthRules({ upstream, probe, path, gateway, fault, breaker, requireHeaders }: Route) {
  return { upstream, probe, path, gateway, fault, breaker, requireHeaders };
}

/** Everything that the meaning of a probe's answer depends on: whom it asks, what, and what is expected. */
function probeRules({ upstream, path, gateway, fault, probe: { hosts, uri, headers } }: Route) {
  const { protocol, servers, tls } = upstream;
  return {
    protocol,
    servers,
    tls,
    path,
    gateway,
    expect: fault.expect,
    match: fault.match,
    hosts,
    uri,
    headers,
  };
}

/** Everything that the meaning of an allow depends on: the upstream, the question and the required headers. */
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
