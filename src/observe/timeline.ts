/** The last events in words, for the status page. */
import type { EjectedFrom, EndpointChange } from "../core/endpoint.ts";
import { type Event, isForTimeline, type TimelineEvent } from "./event.ts";
import { type EventText, eventText } from "./status/wording.ts";

/** `at`: Unix milliseconds. `worker` is null where there are none, or where the primary itself reported. */
export interface TimelineEntry extends EventText {
  readonly at: number;
  readonly worker: number | null;
  readonly kind: TimelineEvent["kind"];
  /** null: the event is about no single route. */
  readonly route: string | null;
}

interface Timeline {
  add(event: Event, worker?: number): void;
  /** The newest first: 100 at most, and as many logins, and 40 changes of endpoints. */
  all(): readonly TimelineEntry[];
}

/** Numbers give the order, because times do not where somebody sets the clock. */
interface Numbered {
  readonly number: number;
  readonly entry: TimelineEntry;
}

interface NumberedEndpoint extends Numbered {
  readonly change: EndpointChange;
}

const MOST = 100;
/** Fewer than the status page shows, so that an endpoint that comes and goes leaves room for other events. */
const MOST_ENDPOINTS = 40;
/** Workers notice the same change one after another. */
const SAME_CHANGE_MS = 20_000;
/** Each worker has probes of its own. */
const PROBE_KINDS: ReadonlySet<TimelineEvent["kind"]> = new Set([
  "probe_proven",
  "probe_unproven",
  "probe_refused",
]);

export function createTimeline(unixNow: () => number): Timeline {
  // Logins are kept apart, so that a login each minute does not push out how the outage began.
  const logins: Numbered[] = [];
  const endpoints: NumberedEndpoint[] = [];
  const others: Numbered[] = [];
  let count = 0;
  /** Whether the last change of this endpoint was the same, a short while ago. */
  const isKnown = (route: string, change: EndpointChange, at: number): boolean => {
    const before = endpoints.findLast(
      (one) => one.entry.route === route && one.change.endpoint === change.endpoint,
    );
    return (
      before !== undefined && isSame(before.change, change) && Math.abs(at - before.entry.at) < SAME_CHANGE_MS
    );
  };
  return {
    add: (event, worker) => {
      if (!isForTimeline(event)) return;
      const { kind } = event;
      const at = unixNow();
      if (kind === "endpoint" && isKnown(event.route, event.change, at)) return;
      const entry: TimelineEntry = {
        at,
        worker: worker ?? null,
        kind,
        route: routeOf(event),
        ...eventText(event),
      };
      if (PROBE_KINDS.has(kind) && isRepeated(others, entry)) return;
      count += 1;
      const one = { number: count, entry };
      if (kind === "emergency_login") keep(logins, one, MOST);
      else if (kind === "endpoint") keep(endpoints, { ...one, change: event.change }, MOST_ENDPOINTS);
      else keep(others, one, MOST);
    },
    all: () =>
      [...others, ...endpoints, ...logins].toSorted((a, b) => b.number - a.number).map(({ entry }) => entry),
  };
}

/** Whether the last that was told of the route's probe was the same, a short while ago. */
function isRepeated(known: readonly Numbered[], { route, text, at }: TimelineEntry): boolean {
  const before = known.findLast(({ entry }) => entry.route === route && PROBE_KINDS.has(entry.kind));
  return before?.entry.text === text && Math.abs(at - before.entry.at) < SAME_CHANGE_MS;
}

function keep<Item>(items: Item[], item: Item, most: number): void {
  items.push(item);
  if (items.length > most) items.shift();
}

/** Workers may differ in the reason, and in how long the endpoint was ejected. */
function isSame(a: EndpointChange, b: EndpointChange): boolean {
  return a.kind === b.kind && fromOf(a) === fromOf(b);
}

function fromOf(change: EndpointChange): EjectedFrom | null {
  return "from" in change ? change.from : null;
}

function routeOf(event: TimelineEvent): string | null {
  if (event.kind === "override") return event.change.route;
  return "route" in event ? event.route : null;
}
