/**
 * Finds keys that contradict each other. Only values that are good by themselves are compared, so that one mistake
 * never hides another.
 */
import { addressText } from "../core/address-text.ts";
import type { Address, PathRule } from "../core/snapshot.ts";
import type { FallbackMode } from "../core/types.ts";
import { type Origin, origin } from "./addresses.ts";
import type { ConfigDocument } from "./document.ts";
import type { EffectiveRoute } from "./effective.ts";
import { evidenceFindings, namedTwice, RELAYS_ALL } from "./evidence-findings.ts";
import { fallbackFindings, hostFindings } from "./fallback-findings.ts";
import { hostFallbackShape } from "./fallback-schema.ts";
import { asList, asMapping, isMapping, type Mapping } from "./plain-data.ts";
import { presets } from "./presets.ts";
import { type Finding, formatPath, type Path } from "./problem.ts";
import { type HeaderOwner, headerFindings } from "./request-headers.ts";
import {
  adminShape,
  breakerShape,
  notifyShape,
  rootShape,
  routeShape,
  tlsShape,
  validParts,
} from "./schema.ts";
import { configDuration } from "./values.ts";

/** `routes`: the meaning of each entry of the document's `routes`. */
export function findCombinations(document: ConfigDocument, routes: readonly EffectiveRoute[]): Finding[] {
  const data = asMapping(document.data);
  const raws = asList(data.routes);
  const views = routes.flatMap((route, index) => {
    const raw = raws[index];
    return isMapping(raw) ? [viewRoute(raw, index, route, document)] : [];
  });
  const { workers = 1 } = validParts({ workers: rootShape.workers }, data);
  const each = views.flatMap((route) => [
    ...presetFindings(route),
    ...pathFindings(route),
    ...upstreamFindings(route),
    ...tlsFindings(route),
    ...pipeliningFindings(route),
    ...evidenceFindings(route.at, route.raw, route.mode),
    ...breakerFindings(route, document),
    ...headerFindings(asMapping(route.raw.probe).headers, [...route.at, "probe", "headers"], OF_PROBES),
    ...fallbackFindings(route.at, route.raw, route),
    ...hostFindings([...route.at, "hosts"], asList(route.raw.hosts), route),
    ...requireHeadersFindings(route),
    ...loginOfFindings(route),
    ...workerFindings(workers, route.at, route.raw, route),
  ]);
  const admin = validParts(adminShape, data.admin).listen;
  return [
    ...each,
    ...nameFindings(views),
    ...listenFindings(views),
    ...adminFindings(views, admin, document),
    ...notifyFindings(data.notify),
  ];
}

const OF_PROBES: HeaderOwner = { what: "a probe", host: "probe.hosts" };

interface RouteView extends EffectiveRoute {
  /** The route's place in the config. */
  readonly at: Path;
  readonly raw: Mapping;
  /** The name as written, for messages; the index when the route has no good name. */
  readonly shownName: string;
  /** The key that sets `listen`: the route's own, or the one at the top. */
  readonly listenPath: Path;
  /** `listen` as written, for messages, which never show the value of an environment variable. */
  readonly shownListen: string;
}

function viewRoute(raw: Mapping, index: number, route: EffectiveRoute, document: ConfigDocument): RouteView {
  const at = ["routes", index];
  const { name, listen } = route;
  const listenPath = Object.hasOwn(raw, "listen") ? [...at, "listen"] : ["listen"];
  return {
    ...route,
    at,
    raw,
    shownName: name === null ? `routes[${index}]` : (document.written([...at, "name"]) ?? name),
    listenPath,
    shownListen: document.written(listenPath) ?? (listen === null ? "" : addressText(listen)),
  };
}

function presetFindings({ at, raw }: RouteView): Finding[] {
  const { preset } = validParts({ preset: routeShape.preset }, raw);
  if (preset === undefined) return [];
  return (["name", "path"] as const)
    .filter((key) => presets[preset][key] === null && !Object.hasOwn(raw, key))
    .map((key) => ({ path: [...at, key], message: `missing; preset none has no ${key} of its own` }));
}

function pathFindings({ at, path }: RouteView): Finding[] {
  if (path?.kind !== "exact" || path.path !== "/healthz") return [];
  const message =
    "{value} is answered by every listener itself, so this route would never be asked; write another path";
  return [{ path: [...at, "path"], message }];
}

function tlsFindings({ at, raw }: RouteView): Finding[] {
  const tls = validParts(tlsShape, raw.tls);
  const findings: Finding[] = [];
  const add = (key: string, message: string) =>
    findings.push({ path: [...at, "tls", key], message, at: "key" });
  if (tls.cert && tls.key === null) add("cert", "needs tls.key beside it");
  if (tls.key && tls.cert === null) add("key", "needs tls.cert beside it");
  const origins = originsOf(raw);
  if (origins.length === 0 || origins.some(({ origin }) => origin.protocol === "https:")) return findings;
  for (const key of ["ca", "cert", "key", "serverName"] as const) {
    if (tls[key]) add(key, "has no use with an http upstream; write https or leave tls out");
  }
  if (tls.verify === false) add("verify", "has no use with an http upstream; write https or leave tls out");
  return findings;
}

/** Only the fast path pipelines checks, and it speaks plain HTTP only. */
function pipeliningFindings({ at, raw }: RouteView): Finding[] {
  const { pipelining = 1 } = validParts({ pipelining: routeShape.pipelining }, raw);
  if (pipelining === 1 || !originsOf(raw).some(({ origin }) => origin.protocol === "https:")) return [];
  const message = "{value} has no use with an https upstream; write http or leave it out";
  return [{ path: [...at, "pipelining"], message }];
}

/** The upstreams that are good by themselves. `step`: the path from `upstream` to this one. */
function originsOf({ upstream }: Mapping): { readonly step: Path; readonly origin: Origin }[] {
  const many = Array.isArray(upstream);
  const entries: readonly unknown[] = many ? upstream : [upstream];
  return entries.flatMap((entry, index) => {
    const { one } = validParts({ one: origin() }, { one: entry });
    return one === undefined ? [] : [{ step: many ? [index] : [], origin: one }];
  });
}

function upstreamFindings({ at, raw }: RouteView): Finding[] {
  const [first, ...more] = originsOf(raw);
  if (first === undefined) return [];
  const known = new Set([addressText(first.origin)]);
  return more.flatMap(({ step, origin }) => {
    const path = [...at, "upstream", ...step];
    if (origin.protocol !== first.origin.protocol) {
      return [{ path, message: "{value} has another protocol than the first; write the same for all" }];
    }
    const name = addressText(origin);
    if (known.has(name)) return [{ path, message: "{value} is named twice; keep one" }];
    known.add(name);
    return [];
  });
}

function breakerFindings({ at, raw }: RouteView, document: ConfigDocument): Finding[] {
  const { interval, maxInterval } = validParts(breakerShape, raw.breaker);
  if (interval === undefined || maxInterval === undefined || interval <= maxInterval) return [];
  const pathOf = (key: string) => [...at, "breaker", key];
  if (Object.hasOwn(asMapping(raw.breaker), "maxInterval")) {
    const shown = document.written(pathOf("interval")) ?? configDuration(interval);
    const message = `{value} is shorter than interval, which is ${shown}; write at least that`;
    return [{ path: pathOf("maxInterval"), message }];
  }
  const message = `{value} is longer than maxInterval, which is ${configDuration(maxInterval)}; write a longer maxInterval beside it`;
  return [{ path: pathOf("interval"), message }];
}

function requireHeadersFindings({ at, raw, mode }: RouteView): Finding[] {
  const path = [...at, "requireHeaders"];
  const twice = namedTwice(path, raw.requireHeaders);
  return asList(raw.requireHeaders).length > 0 && mode === "none"
    ? [{ path, message: RELAYS_ALL, at: "key" }, ...twice]
    : twice;
}

function loginOfFindings({ at, raw, mode }: RouteView): Finding[] {
  const { loginOf } = validParts({ loginOf: routeShape.loginOf }, raw);
  if (!loginOf || mode === null || mode === "none") return [];
  const message = `{value} is for a route that carries the login pages, and mode ${mode} is for checks; leave it out, or write fallback: { mode: none }`;
  return [{ path: [...at, "loginOf"], message }];
}

function nameFindings(routes: readonly RouteView[]): Finding[] {
  return routes.flatMap((route, index) => {
    const first = routes.slice(0, index).find((other) => other.name !== null && other.name === route.name);
    if (first === undefined) return [];
    const taken = `${route.shownName} is the name of ${formatPath(first.at)} already`;
    const message = `${taken}; give each route its own`;
    return [{ path: [...route.at, "name"], message }];
  });
}

/** A route has at most one problem here: with the first route that it clashes with. */
function listenFindings(routes: readonly RouteView[]): Finding[] {
  return routes.flatMap((route, index) => {
    for (const other of routes.slice(0, index)) {
      const finding = clash(route, other);
      if (finding !== null) return [finding];
    }
    return [];
  });
}

function clash(route: RouteView, other: RouteView): Finding | null {
  if (route.listen === null || other.listen === null) return null;
  if (addressText(route.listen) !== addressText(other.listen)) {
    if (!overlaps(route.listen, other.listen)) return null;
    const message = `the address is taken by route ${other.shownName}, which listens on ${other.shownListen}; use the same one, or another port`;
    return { path: route.listenPath, message };
  }
  if (route.path === null || other.path === null) return null;
  if (ruleText(route.path) !== ruleText(other.path)) return null;
  // Two routes of one preset without a name of their own have the same name.
  const names =
    other.shownName === route.shownName
      ? `${formatPath(other.at)} and ${formatPath(route.at)}`
      : `routes ${other.shownName} and ${route.shownName}`;
  const message = `${names} have the same listen and path; the second would never be asked`;
  return { path: [...route.at, "path"], message };
}

function adminFindings(
  routes: readonly RouteView[],
  admin: Address | undefined,
  document: ConfigDocument,
): Finding[] {
  if (admin === undefined) return [];
  const taken = routes.find(({ listen }) => listen !== null && overlaps(listen, admin));
  if (taken === undefined) return [];
  const given = document.written(["admin", "listen"]);
  const ours = `the admin listener (${given ?? addressText(admin)})`;
  const message = `route ${taken.shownName} (${taken.shownListen}) and ${ours} share a port; give each its own`;
  return [{ path: given === null ? taken.listenPath : ["admin", "listen"], message }];
}

function ruleText(rule: PathRule): string {
  return rule.kind === "exact" ? rule.path : `${rule.prefix}*`;
}

/** Whether the second of two listeners would find its port taken. Port 0 is a new port each time. */
function overlaps(a: Address, b: Address): boolean {
  if (a.port !== b.port || a.port === 0) return false;
  const wild = (host: string, other: string) => host === "::" || (host === "0.0.0.0" && !other.includes(":"));
  return a.host === b.host || wild(a.host, b.host) || wild(b.host, a.host);
}

const OF_MESSAGES: HeaderOwner = { what: "a message", host: "url" };

/** `raw`: the document's `notify`. */
function notifyFindings(raw: unknown): Finding[] {
  const at = (index: number): Path => ["notify", index];
  const entries = asList(raw).map(asMapping);
  const headers = entries.flatMap((entry, index) =>
    headerFindings(entry.headers, [...at(index), "headers"], OF_MESSAGES),
  );
  const urls = entries.map((entry) => urlText(entry));
  const twice = urls.flatMap((url, index): Finding[] => {
    const first = urls.indexOf(url);
    if (url === null || first === index) return [];
    return [
      { path: [...at(index), "url"], message: `the same as that of ${formatPath(at(first))}; keep one` },
    ];
  });
  return [...headers, ...twice];
}

/** The URL in one spelling; null: it is not good by itself. */
function urlText(entry: unknown): string | null {
  const { url } = validParts({ url: notifyShape.url }, entry);
  return url === undefined ? null : JSON.stringify([url.origin, url.target]);
}

/** `raw`: the route at `at`, as written. */
function workerFindings(workers: number, at: Path, raw: Mapping, route: EffectiveRoute): Finding[] {
  if (workers === 1) return [];
  return [
    ...shareFindings(workers, at, raw),
    ...graceFindings(at, raw, route.mode),
    ...asList(raw.hosts).flatMap((host, index) =>
      graceFindings([...at, "hosts", index], asMapping(host), route.hosts[index]?.mode ?? null),
    ),
  ];
}

function shareFindings(workers: number, at: Path, raw: Mapping): Finding[] {
  const { preset, maxConnections } = validParts(
    { preset: routeShape.preset, maxConnections: routeShape.maxConnections },
    raw,
  );
  const path = [...at, "maxConnections"];
  const tooFew = `is less than workers (${workers}), of which each needs one`;
  if (Object.hasOwn(raw, "maxConnections")) {
    const isTooFew = maxConnections !== undefined && maxConnections < workers;
    return isTooFew ? [{ path, message: `{value} ${tooFew}` }] : [];
  }
  const ofPreset = preset === undefined ? workers : presets[preset].maxConnections;
  const message = `missing; ${ofPreset}, as preset ${preset} has it, ${tooFew}; write as many as the upstream bears`;
  return ofPreset < workers ? [{ path, message }] : [];
}

/** Grace needs a single worker: a client that one worker saw refused would still pass by what another one remembers. */
function graceFindings(at: Path, { fallback }: Mapping, mode: FallbackMode | null): Finding[] {
  if (mode !== "basic-auth" && mode !== "deny") return [];
  const { grace = 0 } = validParts({ grace: hostFallbackShape.grace }, fallback);
  const message = "{value} needs workers: 1; a worker does not know whom the upstream refused at another";
  return grace > 0 ? [{ path: [...at, "fallback", "grace"], message }] : [];
}
