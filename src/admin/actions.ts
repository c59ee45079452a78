/** The actions of an operator. They come as JSON (action-routes.ts) or from forms (operator-routes.ts). */
import { readDuration } from "../core/duration.ts";
import type { ProbeResult } from "../core/probe.ts";
import type { Credentials, LoginResult, OverrideMode, ReloadResult } from "../core/types.ts";
import type { EndpointReport } from "../observe/report.ts";
import type { OverrideFacts } from "../observe/status/status.ts";
import type { TimelineEntry } from "../observe/timeline.ts";
import { Refusal } from "./refusal.ts";

export interface AdminActions {
  /** Returns false when no admin password is set, so that nothing can be changed here. */
  isOpen(): boolean;
  /** `address` is one that `limitKey` of core/client-address.ts made. Always settles, never rejects. */
  login(credentials: Credentials, address: string): Promise<LoginResult>;
  /** Reads the config again, in the name of `user`. */
  reload(user: string): Promise<ReloadResult>;
  /** Probes the upstream of a route at once. Never rejects; takes as long as the route's timeouts let it. */
  probe(route: string, user: string): Promise<ProbeResult>;
  /** The names of the routes in use. */
  routes(): readonly string[];
  /** The addresses of a route's upstream, as `http://host:port`. */
  upstreamOf(route: string): readonly string[];
  /** The endpoints of a route's upstream, as the last status counts them. */
  endpointsOf(route: string): readonly EndpointReport[];
  /** The events of late, the newest first. */
  timeline(): readonly TimelineEntry[];
  /** The override in force, with its end in milliseconds since the epoch; null when there is none. */
  overrideOf(route: string): OverrideFacts | null;
  /** `mode` null ends an override. `reason` is what `user` wrote, or null. */
  override(
    route: string,
    mode: OverrideMode | null,
    milliseconds: number,
    user: string,
    reason: string | null,
  ): void;
}

const SHORTEST_MS = 1_000;
const LONGEST_MS = 24 * 3_600_000;
export const LONGEST_REASON = 200;
/** Characters that break a line, or change the order of the text around them. */
const NOT_TEXT = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Cs}]/u;
export const OVERRIDE_HINT = 'write {"mode": "fallback", "ttl": "10m"}';
/** Less than the listener waits for a reply. */
const PROBE_MS = 8_000;
export const STILL_PROBING = "the upstream has not answered yet; what comes of it is told at /";

/** Resolves to null when the result takes longer than a request may. The probe goes on. */
export async function probeSoon(
  route: string,
  user: string,
  actions: AdminActions,
): Promise<ProbeResult | null> {
  const { promise: overdue, resolve } = Promise.withResolvers<null>();
  const timer = setTimeout(resolve, PROBE_MS, null);
  const result = await Promise.race([actions.probe(route, user), overdue]);
  clearTimeout(timer);
  return result;
}

export function routeIn(name: unknown, actions: AdminActions): string {
  const routes = actions.routes();
  const route = routes.find((one) => one === name);
  if (route === undefined) throw new Refusal(404, `there is no such route; there are ${routes.join(", ")}`);
  return route;
}

/** Checks the values, which come from outside, and does what they ask for. */
export function override(
  route: string,
  { mode, ttl, reason: written, ...others }: Readonly<Record<string, unknown>>,
  user: string,
  actions: AdminActions,
): void {
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw new Refusal(400, `${shown(unknown)} is not known here; ${OVERRIDE_HINT}`);
  const reason = readReason(written);
  if (mode === "auto") return actions.override(route, null, 0, user, null);
  if (mode !== "fallback" && mode !== "upstream") {
    throw new Refusal(400, `mode ${shown(mode)} is not one of fallback, upstream, auto; ${OVERRIDE_HINT}`);
  }
  const milliseconds = typeof ttl === "string" ? readDuration(ttl) : Number.NaN;
  if (!(milliseconds >= SHORTEST_MS && milliseconds <= LONGEST_MS)) {
    const message = `ttl ${shown(ttl)} is not a duration from 1s to 24h, and an override has to end`;
    throw new Refusal(400, `${message}; ${OVERRIDE_HINT}`);
  }
  actions.override(route, mode, milliseconds, user, reason);
}

function readReason(written: unknown): string | null {
  if (written === undefined || written === "") return null;
  if (typeof written === "string" && written.length <= LONGEST_REASON && !NOT_TEXT.test(written)) {
    return written;
  }
  throw new Refusal(400, `reason ${shown(written)} is not a line of at most ${LONGEST_REASON} characters`);
}

/** Quotes the value as it came, so that a person sees the mistake, and cuts it, since it may be anything. */
function shown(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 40) ?? "(missing)";
}
