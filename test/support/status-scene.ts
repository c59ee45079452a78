/** Routes and the status of a sparekey during an outage. A test passes what must differ. */
import type { Event } from "../../src/observe/event.ts";
import type { EndpointReport, WorkersReport } from "../../src/observe/report.ts";
import { BUCKETS, type Recent } from "../../src/observe/status/history.ts";
import { createLiveStatus } from "../../src/observe/status/live-status.ts";
import { noFacts, type RouteFacts } from "../../src/observe/status/route-facts.ts";
import type { OverrideFacts, Readiness, Status } from "../../src/observe/status/status.ts";
import { routeWith } from "../observe/samples.ts";
import { STARTED } from "./events.ts";

export const NOW = Date.UTC(2026, 3, 18, 9, 5, 7);
export const ROUTES = [
  routeWith("authentik", "basic-auth"),
  routeWith("bot-block", "allow"),
  routeWith("authentik-login", "none"),
];

/** Of the upstream of `authentik` in the outage. */
export const ENDPOINTS: readonly EndpointReport[] = [
  { endpoint: "10.0.3.7:9000", ejected: { from: "all", reason: "refused", since: NOW + 181_000 } },
  { endpoint: "10.0.3.8:9000", ejected: { from: "cookieless", reason: "bare_400", since: NOW - 86_400_000 } },
  { endpoint: "10.0.3.9:9000", ejected: null },
];

/** Each list has one count per bucket. The last counts are given. */
export function recent(changes: Partial<Record<keyof Recent, readonly number[]>> = {}): Recent {
  const padded = (counts: readonly number[] = []): readonly number[] => [
    ...Array.from({ length: BUCKETS - counts.length }, () => 0),
    ...counts,
  ];
  return {
    checks: padded(changes.checks),
    fallbacks: padded(changes.fallbacks),
    errors: padded(changes.errors),
    shed: padded(changes.shed),
    durations: changes.durations ?? noFacts("").durations,
  };
}

export function facts(route: string, changes: Partial<RouteFacts> = {}): RouteFacts {
  return { ...noFacts(route), ...changes };
}

export interface StatusScene {
  facts: readonly RouteFacts[];
  overrides: Readonly<Record<string, OverrideFacts>>;
  readiness: Readiness;
  workers: WorkersReport | null;
  /** Seconds since the start. */
  seconds: number;
}

export function statusScene(changes: Partial<StatusScene> = {}) {
  const scene: StatusScene = {
    facts: ROUTES.map(({ name }) => facts(name)),
    overrides: {},
    readiness: "ready",
    workers: null,
    seconds: 0,
    ...changes,
  };
  const liveStatus = createLiveStatus({
    version: "0.1.0",
    instance: "sparekey-0",
    routes: () => ROUTES,
    engine: { facts: () => scene.facts, workers: () => scene.workers, refresh: async () => {} },
    overrideOf: (route) => scene.overrides[route] ?? null,
    readiness: () => scene.readiness,
    now: () => scene.seconds * 1_000,
    unixNow: () => NOW + scene.seconds * 1_000,
  });
  return { scene, liveStatus };
}

/** The upstream of `authentik` has been down for 12 minutes of 15 minutes of checks. */
export async function outage(events: readonly Event[] = []): Promise<Status> {
  const { scene, liveStatus } = statusScene();
  liveStatus.onEvent(STARTED);
  for (; scene.seconds < 900; scene.seconds += 5) {
    const { seconds } = scene;
    const before = Math.min(seconds, 180);
    const during = seconds - before;
    if (seconds === 180) {
      liveStatus.onEvent({
        kind: "fallback_began",
        route: "authentik",
        mode: "basic-auth",
        reason: "refused",
      });
      liveStatus.onEvent({ kind: "breaker_opened", route: "authentik", reason: "refused" });
    }
    scene.facts = [
      facts("authentik", {
        checks: { upstream: before * 8, fallback: during * 5, grace: 0, override: 0, shed: 0 },
        fallbacks: during * 5,
        durations: spread(before * 8 + during * 5),
        logins: { ok: during * 3, missing: during, bad: Math.floor(during / 50), limited: 0, forbidden: 0 },
        breaker: { state: during > 0 ? "open" : "closed", since: during > 0 ? NOW + 180_000 : null },
        fallback:
          during === 0
            ? null
            : {
                mode: "basic-auth",
                reason: "refused",
                since: NOW + 180_000,
                served: NOW + seconds * 1_000,
                isHeld: true,
                checks: during * 5,
              },
        lastFault: during === 0 ? null : { reason: "refused", at: NOW + 181_000 },
        users: 3,
        endpoints: ENDPOINTS,
      }),
      facts("bot-block", {
        checks: { upstream: seconds * 11, fallback: 0, grace: 0, override: 0, shed: 0 },
        durations: spread(seconds * 11),
      }),
      facts("authentik-login"),
    ];
    liveStatus.tick();
  }
  for (const event of events) liveStatus.onEvent(event);
  return liveStatus.status();
}

function spread(checks: number): readonly number[] {
  const counts = [...noFacts("").durations];
  counts[1] = Math.floor(checks * 0.9);
  counts[3] = checks - Math.floor(checks * 0.9);
  return counts;
}
