/**
 * What keys may not hold together. Judged on the parts that are good by themselves,
 * so that one mistake never hides another.
 */
import type { Address, PathRule } from "../core/types.ts";
import type { ConfigDocument } from "./document.ts";
import { asList, asMapping, isMapping, type Mapping } from "./plain-data.ts";
import { presets } from "./presets.ts";
import { type Finding, formatPath, type Path } from "./problem.ts";
import { adminShape, fallbackShape, rootShape, routeShape, tlsShape, validParts } from "./schema.ts";

export function findCombinations(document: ConfigDocument): Finding[] {
  const data = asMapping(document.data);
  const { listen } = validParts({ listen: rootShape.listen }, data);
  const views = asList(data.routes).flatMap((raw, index) =>
    isMapping(raw) ? [viewRoute(raw, index, listen, document)] : [],
  );
  const each = views.flatMap((route) => [
    ...presetFindings(route),
    ...tlsFindings(route),
    ...faultFindings(route),
    ...headerFindings(route),
  ]);
  const admin = validParts(adminShape, data.admin).listen;
  return [
    ...each,
    ...nameFindings(views),
    ...listenFindings(views),
    ...adminFindings(views, admin, document),
  ];
}

interface RouteView {
  readonly path: Path;
  readonly raw: Mapping;
  readonly parts: ReturnType<typeof validParts<typeof routeShape>>;
  /** As written, for messages; the index when the route has no good name. */
  readonly shownName: string;
  readonly name: string | null;
  readonly listen: Address | undefined;
  /** The key that gives `listen`: the route's own or the top's. */
  readonly listenPath: Path;
  readonly rule: PathRule | null;
}

function viewRoute(
  raw: Mapping,
  index: number,
  commonListen: Address | undefined,
  document: ConfigDocument,
): RouteView {
  const path = ["routes", index];
  const parts = validParts(routeShape, raw);
  const preset = parts.preset === undefined ? null : presets[parts.preset];
  const name = Object.hasOwn(raw, "name") ? (parts.name ?? null) : (preset?.name ?? null);
  const ownListen = Object.hasOwn(raw, "listen");
  return {
    path,
    raw,
    parts,
    shownName: name === null ? `routes[${index}]` : (document.written([...path, "name"]) ?? name),
    name,
    listen: ownListen ? parts.listen : commonListen,
    listenPath: ownListen ? [...path, "listen"] : ["listen"],
    rule: Object.hasOwn(raw, "path") ? (parts.path ?? null) : presetRule(preset?.path ?? null),
  };
}

function presetRule(path: string | null): PathRule | null {
  return path === null ? null : { kind: "exact", path };
}

function presetFindings({ path, raw, parts }: RouteView): Finding[] {
  if (parts.preset === undefined) return [];
  const preset = presets[parts.preset];
  return (["name", "path"] as const)
    .filter((key) => preset[key] === null && !Object.hasOwn(raw, key))
    .map((key) => ({ path: [...path, key], message: `missing; preset none has no ${key} of its own` }));
}

function tlsFindings({ path, raw, parts }: RouteView): Finding[] {
  const tls = validParts(tlsShape, raw.tls);
  const findings: Finding[] = [];
  const add = (key: string, message: string) =>
    findings.push({ path: [...path, "tls", key], message, at: "key" });
  if (tls.cert && tls.key === null) add("cert", "needs tls.key beside it");
  if (tls.key && tls.cert === null) add("key", "needs tls.cert beside it");
  if (parts.upstream?.protocol !== "http:") return findings;
  for (const key of ["ca", "cert", "key", "serverName"] as const) {
    if (tls[key]) add(key, "has no use with an http upstream; write https or leave tls out");
  }
  if (tls.verify === false) add("verify", "has no use with an http upstream; write https or leave tls out");
  return findings;
}

function faultFindings({ path, raw }: RouteView): Finding[] {
  const fault = asMapping(raw.fault);
  const statuses = asList(fault.statuses);
  return asList(fault.suspectStatuses).flatMap((status, index) =>
    statuses.includes(status)
      ? [
          {
            path: [...path, "fault", "suspectStatuses", index],
            message: "{value} is in statuses too; keep one",
          },
        ]
      : [],
  );
}

function modeOf(fallback: Mapping, parts: RouteView["parts"]) {
  if (Object.hasOwn(fallback, "mode")) return validParts(fallbackShape, fallback).mode ?? null;
  return parts.preset === undefined ? null : presets[parts.preset].mode;
}

function headerFindings({ path, raw, parts }: RouteView): Finding[] {
  const fallback = asMapping(raw.fallback);
  if (parts.preset === undefined || modeOf(fallback, parts) !== "basic-auth") return [];
  const preset = presets[parts.preset];
  const given = validParts(fallbackShape, fallback);
  const user = Object.hasOwn(fallback, "usernameHeader") ? given.usernameHeader : preset.usernameHeader;
  const cleared = Object.hasOwn(fallback, "clearHeaders") ? given.clearHeaders : undefined;
  const userPath = [...path, "fallback", "usernameHeader"];
  if (cleared === undefined) {
    const clash = preset.clearHeaders.some((name) => name.toLowerCase() === user?.toLowerCase());
    return clash && !Object.hasOwn(fallback, "clearHeaders")
      ? [{ path: userPath, message: "{value} is cleared by the preset; write clearHeaders without it" }]
      : [];
  }
  const seen = new Set([user?.toLowerCase()]);
  return cleared.flatMap((name, index) => {
    const known = seen.has(name.toLowerCase());
    seen.add(name.toLowerCase());
    const message = "{value} is named twice, in clearHeaders or as usernameHeader; keep one";
    return known ? [{ path: [...path, "fallback", "clearHeaders", index], message }] : [];
  });
}

function nameFindings(routes: readonly RouteView[]): Finding[] {
  return routes.flatMap((route, index) => {
    const first = routes.slice(0, index).find((other) => other.name !== null && other.name === route.name);
    if (first === undefined) return [];
    const taken = `${route.shownName} is the name of ${formatPath(first.path)} already`;
    const message = `${taken}; give each route its own`;
    return [{ path: [...route.path, "name"], message }];
  });
}

/** One problem at most for a route: with the first route it clashes with. */
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
  if (route.listen === undefined || other.listen === undefined) return null;
  if (!sameAddress(route.listen, other.listen)) {
    if (!overlaps(route.listen, other.listen)) return null;
    const message = `the address is taken by the listen address of route ${other.shownName}; use the same one, or another port`;
    return { path: route.listenPath, message };
  }
  if (route.rule === null || other.rule === null || ruleText(route.rule) !== ruleText(other.rule))
    return null;
  const names = `routes ${other.shownName} and ${route.shownName}`;
  const message = `${names} have the same listen and path; the second would never be asked`;
  return { path: [...route.path, "path"], message };
}

function adminFindings(
  routes: readonly RouteView[],
  admin: Address | undefined,
  document: ConfigDocument,
): Finding[] {
  if (admin === undefined) return [];
  const taken = routes.find(({ listen }) => listen !== undefined && overlaps(listen, admin));
  if (taken === undefined) return [];
  const adminGiven = document.written(["admin", "listen"]) !== null;
  const message = `route ${taken.shownName} and the admin listener share an address; give each its own port`;
  return [{ path: adminGiven ? ["admin", "listen"] : taken.listenPath, message }];
}

function ruleText(rule: PathRule): string {
  return rule.kind === "exact" ? rule.path : `${rule.prefix}*`;
}

function sameAddress(a: Address, b: Address): boolean {
  return a.host === b.host && a.port === b.port;
}

/** Whether the second of two listeners would find the port taken. Port 0 is a new one each time. */
function overlaps(a: Address, b: Address): boolean {
  if (a.port !== b.port || a.port === 0) return false;
  const wild = (host: string, other: string) => host === "::" || (host === "0.0.0.0" && !other.includes(":"));
  return a.host === b.host || wild(a.host, b.host) || wild(b.host, a.host);
}
