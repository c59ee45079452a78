/**
 * Where a check's path leads: /healthz before every route, then an exact path, then the longest prefix. The cost does
 * not grow with the number of routes.
 */
import type { Route } from "./snapshot.ts";

/** This path is answered here, whatever the routes say. */
export const HEALTH_PATH = "/healthz";

/** The route that a check asks on, or why it asks on none. */
type Destination = Route | "health" | "no route" | "dot segment";

export interface RouteTable {
  readonly exact: ReadonlyMap<string, Route>;
  readonly prefixes: ReadonlyMap<string, Route>;
  /** The distinct lengths of the prefixes, longest first. */
  readonly prefixLengths: readonly number[];
}

export function buildRouteTable(routes: readonly Route[]): RouteTable {
  const exact = new Map<string, Route>();
  const prefixes = new Map<string, Route>();
  for (const route of routes) {
    if (route.path.kind === "exact") exact.set(route.path.path, route);
    else prefixes.set(route.path.prefix, route);
  }
  const lengths = new Set([...prefixes.keys()].map((prefix) => prefix.length));
  return { exact, prefixes, prefixLengths: [...lengths].sort((a, b) => b - a) };
}

/** `path` is taken as received and never decoded. A dot segment could lead an upstream out of a prefix. */
export function destinationOf(table: RouteTable, path: string): Destination {
  if (path === HEALTH_PATH) return "health";
  const route = findRoute(table, path);
  if (route === null) return "no route";
  return route.path.kind === "prefix" && hasDotSegment(path) ? "dot segment" : route;
}

/** `path` is taken as received and never decoded. Returns null when no route has it. */
export function findRoute(table: RouteTable, path: string): Route | null {
  const exact = table.exact.get(path);
  if (exact) return exact;
  for (const length of table.prefixLengths) {
    const route = table.prefixes.get(path.slice(0, length));
    if (route) return route;
  }
  return null;
}

const DOT_SEGMENT = /(?:^|[/\\]|%2f|%5c)(?:\.|%2e){1,2}(?:$|[/\\;]|%2f|%5c|%3b)/i;

/** Whether an upstream that resolves "." and ".." (plain or encoded) could be led out of a prefix. */
export function hasDotSegment(path: string): boolean {
  return DOT_SEGMENT.test(path);
}
