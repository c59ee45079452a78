/** Which route a path belongs to: an exact path first, then the longest prefix. Cost does not grow with routes. */
import type { Route } from "./snapshot.ts";

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

/** `path` as received, never decoded. null: no route. */
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
