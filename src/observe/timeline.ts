/** The last events in words, for the status page. */
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
  /** The newest first: 100 at most, and as many logins. */
  all(): readonly TimelineEntry[];
}

/** Numbers give the order, because times do not where somebody sets the clock. */
interface Numbered {
  readonly number: number;
  readonly entry: TimelineEntry;
}

const MOST = 100;

export function createTimeline(unixNow: () => number): Timeline {
  // Logins are kept apart, so that a login each minute does not push out how the outage began.
  const logins: Numbered[] = [];
  const others: Numbered[] = [];
  let count = 0;
  return {
    add: (event, worker) => {
      if (!isForTimeline(event)) return;
      const { kind } = event;
      const kept = kind === "emergency_login" ? logins : others;
      const at = unixNow();
      const entry = { at, worker: worker ?? null, kind, route: routeOf(event), ...eventText(event) };
      count += 1;
      kept.push({ number: count, entry });
      if (kept.length > MOST) kept.shift();
    },
    all: () => [...others, ...logins].toSorted((a, b) => b.number - a.number).map(({ entry }) => entry),
  };
}

function routeOf(event: TimelineEvent): string | null {
  if (event.kind === "override") return event.change.route;
  return "route" in event ? event.route : null;
}
