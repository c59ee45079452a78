/** What the status page shows now: it remembers since when each route is in its state, and the last 15 minutes. */
import type { Route } from "../../core/snapshot.ts";
import type { Report } from "../event.ts";
import type { EndpointReport, WorkersReport } from "../report.ts";
import { createTimeline, type TimelineEntry } from "../timeline.ts";
import { createHistory } from "./history.ts";
import { noFacts, type RouteFacts } from "./route-facts.ts";
import {
  type KnownRoute,
  momentOf,
  type OverrideFacts,
  overallText,
  publicEvents,
  type Readiness,
  type RouteStatusState,
  routeStatus,
  routeStatusState,
  type Status,
} from "./status.ts";

export interface LiveStatus {
  /** Call it every few seconds. */
  tick(): void;
  readonly onEvent: Report;
  /** Resolves with the newest facts there are. */
  status(): Promise<Status>;
  /** The endpoints of a route's upstream, as the last status counts them; their addresses are internal. */
  endpointsOf(route: string): readonly EndpointReport[];
  /** The events, newest first, with the details that are shown after a login only. */
  timeline(): readonly TimelineEntry[];
}

interface LiveStatusDeps {
  readonly version: string;
  /** Host name of the machine or container. */
  readonly instance: string;
  routes(): readonly Route[];
  readonly engine: EngineFacts;
  overrideOf(route: string): OverrideFacts | null;
  readiness(): Readiness;
  /** Milliseconds, monotonic. */
  now(): number;
  unixNow(): number;
}

/** What is asked of the processes that answer checks. */
interface EngineFacts {
  /** Of all processes together, as they reported last. */
  facts(): readonly RouteFacts[];
  workers(): WorkersReport | null;
  /** Has them report anew. Settles soon, never rejects. */
  refresh(): Promise<void>;
}

export function createLiveStatus(deps: LiveStatusDeps): LiveStatus {
  const { engine, now, unixNow } = deps;
  const history = createHistory();
  const timeline = createTimeline(unixNow);
  const started = unixNow();
  const config: { since: number; lastReload: "ok" | "refused" } = { since: started, lastReload: "ok" };
  /** The state that each route was last seen in. */
  let states: ReadonlyMap<string, { readonly state: RouteStatusState; readonly since: number }> = new Map();
  let endpoints: ReadonlyMap<string, readonly EndpointReport[]> = new Map();

  const look = (time: number): readonly KnownRoute[] => {
    const facts = new Map(engine.facts().map((one) => [one.route, one]));
    const known = deps
      .routes()
      .map((route) => ({ route, facts: facts.get(route.name) ?? noFacts(route.name) }));
    endpoints = new Map(known.map((one) => [one.route.name, one.facts.endpoints]));
    history.take(
      known.map((one) => one.facts),
      now(),
    );
    const all = known.map(({ route, facts }) => ({
      route,
      facts,
      recent: history.of(route.name),
      override: deps.overrideOf(route.name),
    }));
    states = new Map(
      all.map((one) => {
        const { name } = one.route;
        const state = routeStatusState(one, time);
        const before = states.get(name);
        return [name, before?.state === state ? before : { state, since: time }];
      }),
    );
    return all;
  };

  return {
    tick: () => void look(unixNow()),
    onEvent: (event, worker) => {
      timeline.add(event, worker);
      if (event.kind === "reload_refused") config.lastReload = "refused";
      if (event.kind !== "started" && event.kind !== "reloaded") return;
      config.lastReload = "ok";
      config.since = unixNow();
    },
    status: async () => {
      await engine.refresh();
      const time = unixNow();
      const routes = look(time).map((known) => {
        const { state, since } = states.get(known.route.name) ?? {
          state: routeStatusState(known, time),
          since: time,
        };
        return routeStatus(known, state, since, time);
      });
      const readiness = deps.readiness();
      return {
        format: 1,
        time: new Date(time).toISOString(),
        version: deps.version,
        instance: deps.instance,
        readiness,
        started: momentOf(started, time),
        summary: overallText(
          readiness,
          routes.map(({ state }) => state),
        ),
        config: { since: momentOf(config.since, time), lastReload: config.lastReload },
        workers: engine.workers(),
        routes,
        events: publicEvents(timeline.all(), time),
      };
    },
    endpointsOf: (route) => endpoints.get(route) ?? [],
    timeline: timeline.all,
  };
}
